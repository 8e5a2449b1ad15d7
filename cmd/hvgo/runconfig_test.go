// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/image/vhdx"
)

func TestParsePublish(t *testing.T) {
	for in, want := range map[string]string{
		"8080:80":           "127.0.0.1:8080:80",
		"0:80":              "127.0.0.1:0:80",
		"0.0.0.0:8080:80":   "0.0.0.0:8080:80",
		"":                  "",
		"8080":              "",
		"8080:0":            "",
		"8080:65536":        "",
		"-1:80":             "",
		"host:8080:80":      "",
		"::1:8080:80":       "",
		"1.2.3.4:80:80:80":  "",
		"8080:80/tcp":       "",
		"127.0.0.1:8080:":   "",
		"127.0.0.1::8080":   "",
		"999.0.0.1:8080:80": "",
	} {
		p, err := parsePublish(in)
		if want == "" {
			if err == nil {
				t.Errorf("%q is taken as %v", in, p)
			}
			continue
		}
		if err != nil || p.String() != want {
			t.Errorf("%q: %v, %v; want %s", in, p, err, want)
		}
	}
	if _, err := parsePublishes([]string{"80:80", "0.0.0.0:80:81"}); err == nil {
		t.Error("a host port was taken twice")
	}
	if _, err := parsePublishes([]string{"0:80", "0:81"}); err != nil {
		t.Errorf("two free ports: %v", err)
	}
}

func TestClaimPort(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken, err := parsePublish(fmt.Sprintf("%d:80", l.Addr().(*net.TCPAddr).Port))
	if err != nil {
		t.Fatal(err)
	}
	if err := taken.claimPort(); err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), "-p ") {
		t.Errorf("taken port: %v", err)
	}
	l.Close()
	if err := taken.claimPort(); err != nil {
		t.Errorf("free port: %v", err)
	}
	free, err := parsePublish("0:80")
	if err != nil {
		t.Fatal(err)
	}
	if err := free.claimPort(); err != nil || free.host.Port() == 0 {
		t.Errorf("port 0: %v, %v", free, err)
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]uint64{"64": 64 << 20, "64M": 64 << 20, "2G": 2 << 30, "65536K": 64 << 20, "0": 0} {
		if got, err := parseSize(in); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "M", "-1", "1T", "1.5G", "64 M", "99999999999999999999"} {
		if n, err := parseSize(in); err == nil {
			t.Errorf("%q is taken as %d", in, n)
		}
	}
}

// TestRunRefuses goes through the command line: each mistake is one line that
// says what to do, and no machine starts.
func TestRunRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, contents string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(contents), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := filepath.Join(dir, "good.vhdx")
	d, err := vhdx.CreateFile(good, vhdx.Options{Size: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	broken := slices.Clone(whole)
	broken[0x10010] ^= 1 // first header
	broken[0x20010] ^= 1 // second header
	at := func(offset int, magic string) string {
		return strings.Repeat("\x00", offset) + magic + strings.Repeat("\x00", sectorBytes-len(magic))
	}
	headless := slices.Clone(whole)
	headless[0] ^= 1
	raw := file("raw.img", strings.Repeat("x", 1024))
	inUse, err := openDataDisk(file("used.img", strings.Repeat("x", 512)))
	if err != nil {
		t.Fatal(err)
	}
	defer inUse.f.Close()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"missing image", []string{dir + "/none.vhdx"}, "does not exist"},
		{"folder", []string{dir}, "is a directory"},
		{"empty", []string{file("empty.vhdx", "")}, "is empty"},
		{"truncated", []string{file("short.vhdx", string(whole[:1<<18]))}, "cannot be used"},
		{"wrong checksums", []string{file("broken.vhdx", string(broken))}, "cannot be used"},
		{"qcow2", []string{file("q.vhdx", "QFI\xfb\x00\x00\x00\x03")}, "qemu-img convert"},
		{"VHD", []string{file("old.vhd", "conectix")}, "qemu-img convert -f vpc"},
		{"raw GPT disk", []string{file("raw.vhdx", strings.Repeat("\x00", 512)+"EFI PART")}, "a raw disk"},
		{"program", []string{file("prog", "\x7fELF\x02")}, "hvgo build"},
		{"ISO", []string{file("cd.iso", at(0x8001, "CD001"))}, "an ISO image"},
		{"fixed VHD", []string{file("fixed.vhd", at(1024, "conectix"))}, "qemu-img convert -f vpc"},
		{"first bytes damaged", []string{file("headless.vhdx", string(headless))}, "build it again"},
		{"qcow2 as data disk", []string{"--disk", file("q.img", at(0, "QFI\xfb")), good}, "qemu-img convert -O vhdx; or take its bytes as they are: --disk raw:" + dir + "/q.img"},
		{"VMDK as data disk", []string{"--disk", file("m.img", at(0, "KDMV")), good}, "is a VMDK"},
		{"VHD as data disk", []string{"--disk", file("v.img", at(0, "conectix")), good}, "is a VHD,"},
		{"fixed VHD as data disk", []string{"--disk", file("vf.img", at(1024, "conectix")), good}, "is a VHD,"},
		{"damaged VHDX as data disk", []string{"--disk", file("headless.img", string(headless)), good}, "take a whole copy"},
		{"wrong checksums in a data disk", []string{"--disk", file("broken.img", string(broken)), good}, "take a whole copy of it"},
		{"one raw disk in two ways", []string{"--disk", raw, "--disk", "raw:" + raw, good}, "given twice"},
		{"text", []string{file("text", "hello")}, "is not a VHDX"},
		{"memory", []string{"--memory", "8", good}, "too little for a guest"},
		{"memory of no size", []string{"--memory", "lots", good}, "is no size"},
		{"memory in TB", []string{"--memory", "4TB", good}, "256G at most"},
		{"no image", nil, "give the image to run: hvgo run IMAGE.vhdx"},
		{"two images", []string{good, good}, "one image"},
		{"unknown flag", []string{"--nonsense", good}, "see hvgo run --help"},
		{"more memory than there is", []string{"--memory", "255G", good}, "free here"},
		{"no processors", []string{"--cpus", "0", good}, "1 to 64"},
		{"fewer than none", []string{"--cpus", "-1", good}, "1 to 64 processors, not -1"},
		{"many processors", []string{"--cpus", "10000", good}, "1 to 64 processors, not 10000"},
		{"one processor too many", []string{"--cpus", "65", good}, "1 to 64"},
		{"more processors than a number holds", []string{"--cpus", "99999999999999999999", good}, "invalid argument"},
		{"port in use", []string{"-p", fmt.Sprintf("%d:80", l.Addr().(*net.TCPAddr).Port), good}, "in use"},
		{"not our address", []string{"-p", "192.0.2.1:0:80", good}, "no address of this machine"},
		{"data disk missing", []string{"--disk", dir + "/none", good}, "--disk: " + dir + "/none does not exist"},
		{"data disk of odd size", []string{"--disk", file("odd", "xyz"), good}, "whole sectors"},
		{"data disk in use", []string{"--disk", inUse.path, good}, "in use by another virtual machine"},
		{"data disk twice", []string{"--disk", raw, "--disk", raw, good}, "given twice"},
		{"image as data disk", []string{"--disk", good, good}, "given twice"},
		{"device as data disk", []string{"--disk", "/dev/null", good}, "no regular file"},
		{"mask", []string{"--mask", "nonsense", good}, "nonsense"},
		{"contradiction", []string{"--no-network", "-p", "0:80", good}, "contradict"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := newRoot()
			root.SetArgs(append([]string{"run"}, tt.args...))
			err := root.Execute()
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
		})
	}
}

// A data disk is raw where nothing says otherwise, and where the user does.
func TestRawDataDisks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	sector := func(magic string) string { return magic + strings.Repeat("\x00", sectorBytes-len(magic)) }
	for _, tt := range []struct{ prefix, contents string }{
		{"", sector("")},
		{"", sector("") + sector(gptMagic)},
		{"raw:", sector("QFI\xfb")},
		{"raw:", sector("vhdxfile")},
		{"raw:", strings.Repeat("\x00", 64<<10) + sector("head")},
	} {
		if err := os.WriteFile(path, []byte(tt.contents), 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := openDataDisk(tt.prefix + path)
		if err != nil {
			t.Error(err)
			continue
		}
		p := runPlan{image: &diskFile{}, disks: []*diskFile{d}}
		if d.vhdx || d.path != path || !slices.Contains(p.args(), tt.prefix+path) {
			t.Errorf("%q: %+v, passed on as %q", tt.prefix, d, p.args())
		}
		d.f.Close()
	}
}

// The console must not empty a disk of the guest, by whatever name it is given.
func TestConsoleIsNoDisk(t *testing.T) {
	dir := t.TempDir()
	image, raw := filepath.Join(dir, "i.vhdx"), filepath.Join(dir, "raw")
	d, err := vhdx.CreateFile(image, vhdx.Options{Size: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	if err := os.WriteFile(raw, []byte(strings.Repeat("x", 512)), 0o644); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	soft, hard := filepath.Join(dir, "soft"), filepath.Join(dir, "hard")
	if err := errors.Join(os.Symlink(image, soft), os.Link(raw, hard)); err != nil {
		t.Fatal(err)
	}
	for _, console := range []string{image, raw, soft, hard} {
		root := newRoot()
		root.SetArgs([]string{"run", "--console", console, "--disk", raw, image})
		if err := root.Execute(); err == nil || !strings.Contains(err.Error(), "is a disk of the guest") {
			t.Errorf("%s: %v", console, err)
		}
	}
	if after, err := os.ReadFile(image); err != nil || !slices.Equal(before, after) {
		t.Errorf("the image has changed: %v", err)
	}
	if after, err := os.ReadFile(raw); err != nil || string(after) != strings.Repeat("x", 512) {
		t.Errorf("the data disk has changed: %v", err)
	}

	p, err := (&runOptions{image: image, memory: "64", cpus: 1, disks: []string{raw}}).plan()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	log := filepath.Join(dir, "log")
	if err := os.WriteFile(log, []byte("of the last run"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{log, filepath.Join(dir, "new"), os.DevNull} {
		f, err := p.openConsole(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if fi, err := f.Stat(); err != nil || fi.Size() != 0 {
			t.Errorf("%s: not emptied: %v", name, err)
		}
		f.Close()
	}
}

func TestPlanArgs(t *testing.T) {
	dir := t.TempDir()
	image, raw := filepath.Join(dir, "i.vhdx"), filepath.Join(dir, "raw")
	d, err := vhdx.CreateFile(image, vhdx.Options{Size: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	if err := os.WriteFile(raw, make([]byte, 512), 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.vhdx")
	if err := os.Symlink(image, link); err != nil {
		t.Fatal(err)
	}
	o := runOptions{image: link, memory: "1G", cpus: 1, console: "-", publish: []string{"0.0.0.0:0:80"}, disks: []string{raw}}
	p, err := o.plan()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	port := p.publish[0].host.Port()
	want := []string{"--memory", "1024", "--cpus", "1", "--publish", fmt.Sprintf("127.0.0.1:%d:80", port), "--disk", raw, "--", image}
	if got := p.args(); port == 0 || !slices.Equal(got, want) {
		t.Errorf("args %q, want %q", got, want)
	}
	p.crashToo = true
	if got := p.args(); !slices.Contains(got, "--"+consoleElsewhere) {
		t.Errorf("args %q do not say where the console is", got)
	}
	if _, err := o.plan(); err == nil || !strings.Contains(err.Error(), "in use by another") {
		t.Errorf("the same image again: %v", err)
	}
}

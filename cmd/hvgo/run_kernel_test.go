// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/nested"
)

// fakeKernel is the head of a bzImage that needs 64 MiB to unpack.
func fakeKernel() []byte {
	b := make([]byte, 8192)
	copy(b, "MZ")
	b[peOffset] = 0x80
	copy(b[0x80:], "PE\x00\x00\x64\x86")
	copy(b[setupMagic:], "HdrS")
	binary.LittleEndian.PutUint32(b[setupMemory:], 64*mib)
	return b
}

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPlanKernel(t *testing.T) {
	kernel, initrd := write(t, "vmlinuz", fakeKernel()), write(t, "initrd", make([]byte, 3*mib))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(kernel, link); err != nil {
		t.Fatal(err)
	}
	o := runOptions{memory: "256", cpus: 1, noNetwork: true, kernel: kernelOptions{kernel: link, initrd: initrd, append: "quiet x=y"}}
	p, err := o.plan()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if len(p.allDisks()) != 0 || p.boots() != kernel {
		t.Errorf("boots %s with disks %v", p.boots(), p.allDisks())
	}
	var cfg machine.Config
	if err := p.kernel.load(&cfg); err != nil || len(cfg.Image) != 8192 || len(cfg.Initrd) != 3*mib || cfg.LoadOptions != "quiet x=y" {
		t.Errorf("loaded %d, %d bytes, %q, %v", len(cfg.Image), len(cfg.Initrd), cfg.LoadOptions, err)
	}
	// The emulated machine is told the same, and sees the files.
	if args := strings.Join(p.args(), " "); !strings.HasSuffix(args, "--kernel "+kernel+" --append=quiet x=y --initrd "+initrd) {
		t.Errorf("args %s", args)
	}
	var outer nested.Config
	p.kernel.nest(&outer)
	for _, path := range []string{kernel, initrd} {
		if !slices.Contains(outer.Shares, nested.Share{Path: filepath.Dir(path)}) {
			t.Errorf("%s is not in %v", path, outer.Shares)
		}
	}
	for _, path := range []string{kernel, initrd} {
		if _, err := p.openConsole(path); err == nil || !strings.Contains(err.Error(), "boots") {
			t.Errorf("the console may be %s: %v", path, err)
		}
	}
}

func TestPlanKernelRefuses(t *testing.T) {
	kernel, initrd := write(t, "vmlinuz", fakeKernel()), write(t, "initrd", make([]byte, 3*mib))
	huge := write(t, "huge", nil)
	if err := os.Truncate(huge, 1<<43); err != nil {
		t.Skip(err) // a file system without such files
	}
	change := func(f func(b []byte)) string {
		b := fakeKernel()
		f(b)
		return write(t, "other", b)
	}
	for _, tt := range []struct {
		name   string
		memory string
		k      kernelOptions
		want   string
	}{
		{"initrd alone", "256", kernelOptions{initrd: initrd}, "--initrd needs --kernel"},
		{"no kernel", "256", kernelOptions{kernel: kernel + "x"}, "does not exist"},
		{"no initrd", "256", kernelOptions{kernel: kernel, initrd: initrd + "x"}, "does not exist"},
		{"folder", "256", kernelOptions{kernel: t.TempDir()}, "no regular file"},
		{"empty", "256", kernelOptions{kernel: kernel, initrd: write(t, "empty", nil)}, "is empty"},
		{"huge", "256", kernelOptions{kernel: kernel, initrd: huge}, "is too little"},
		{"text", "256", kernelOptions{kernel: write(t, "text", []byte("hello"))}, "is no Linux kernel"},
		{"ELF", "256", kernelOptions{kernel: write(t, "elf", append([]byte("\x7fELF"), make([]byte, 4096)...))}, "not a kernel that can be started directly"},
		{"VHDX", "256", kernelOptions{kernel: write(t, "vhdx", append([]byte("vhdxfile"), make([]byte, 4096)...))}, "without --kernel"},
		{"no stub", "256", kernelOptions{kernel: change(func(b []byte) { copy(b, "\xEA\x05") })}, "without EFI stub"},
		{"no PE", "256", kernelOptions{kernel: change(func(b []byte) { b[0x80] = 0 })}, "no program for UEFI"},
		{"PE far away", "256", kernelOptions{kernel: change(func(b []byte) { copy(b[peOffset:], "\xFF\xFF\xFF\xFF") })}, "no program for UEFI"},
		{"arm64", "256", kernelOptions{kernel: change(func(b []byte) { copy(b[0x84:], "\x64\xAA") })}, "another processor"},
		{"memory", "64", kernelOptions{kernel: kernel, initrd: initrd}, "give it 167 MiB or more"},
		{"line", "256", kernelOptions{kernel: kernel, append: strings.Repeat("x", maxAppend+1)}, "one line"},
		{"line feed", "256", kernelOptions{kernel: kernel, append: "a\nb"}, "one line"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := runOptions{memory: tt.memory, cpus: 1, kernel: tt.k}
			memory, err := parseSize(tt.memory)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := o.planKernel(memory); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	if p, err := (&runOptions{kernel: kernelOptions{append: defaultAppend}}).planKernel(mib); p != nil || err != nil {
		t.Errorf("without flags: %v, %v", p, err)
	}
}

func FuzzNotKernel(f *testing.F) {
	f.Add(fakeKernel()[:4096])
	f.Add([]byte("\x7fELF"))
	f.Add([]byte("MZ"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if what := notKernel(b); what == "" && len(b) < setupSize {
			t.Error("too short for a kernel")
		}
	})
}

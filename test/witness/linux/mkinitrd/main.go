// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command mkinitrd makes the inputs of test/witness/linux: for each series of
// Debian's kernels named, DIR/vmlinuz-SERIES and DIR/initrd-SERIES.img, with the
// guest program, the modules of the drivers for Hyper-V, and Debian's own tools for
// partitions and file systems.
//
//	mkinitrd -o DIR 6.12 6.1
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/hvgo/hvgo/host/debian"
)

// guestPackage is PID 1.
const guestPackage = "github.com/hvgo/hvgo/test/witness/linux/guest"

// modules are loaded in this order, after what they depend on. Those that a
// kernel lacks are part of its boot image.
var modules = []string{
	"crc32c_generic", "crct10dif_generic", "crc64_rocksoft_generic", // which the others ask for by an algorithm's name
	"sd_mod", "ext4", "hv_vmbus", "hv_storvsc", "hv_netvsc", "hv_utils", "hv_balloon",
}

// late are the modules of task mmio.
var late = []string{"pci-hyperv"}

// programs are taken from this machine, with the libraries that they need.
var programs = []string{"/usr/sbin/mkfs.ext4", "/usr/sbin/sgdisk", "/usr/sbin/ethtool"}

// settings are files that the programs read.
var settings = []string{"/etc/mke2fs.conf"}

func main() {
	out := flag.String("o", "", "`folder` for the files")
	flag.Parse()
	if *out == "" || flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "mkinitrd: usage: mkinitrd -o DIR SERIES...")
		os.Exit(2)
	}
	if err := run(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mkinitrd:", err)
		os.Exit(1)
	}
}

func run(out string, series []string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	init, err := buildGuest()
	if err != nil {
		return err
	}
	common := newArchive()
	common.add("init", init, 0o755)
	common.link("sbin/poweroff", "/init")
	for _, name := range programs {
		if err := common.addProgram(name, "sbin"); err != nil {
			return err
		}
	}
	for _, name := range settings {
		if err := common.addFile(name, name); err != nil {
			return err
		}
	}
	for _, s := range series {
		if err := makeSeries(out, s, common); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// buildGuest returns the guest program, static.
func buildGuest() ([]byte, error) {
	dir, err := os.MkdirTemp("", "hvgo-mkinitrd-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "guest")
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", file, guestPackage)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go build %s: %w", guestPackage, err)
	}
	return os.ReadFile(file)
}

// makeSeries writes a kernel and its initial RAM disk.
func makeSeries(out, series string, common *archive) error {
	k, err := debian.Get(context.Background(), series, func(line string) { fmt.Fprintln(os.Stderr, "mkinitrd:", line) })
	if err != nil {
		return err
	}
	a := common.clone()
	if err := errors.Join(a.addModules("modules", k, modules), a.addModules("late", k, late)); err != nil {
		return err
	}
	image, err := os.ReadFile(k.Image)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "vmlinuz-"+series), image, 0o644); err != nil {
		return err
	}
	return a.write(filepath.Join(out, "initrd-"+series+".img"))
}

// addModules adds those modules of a list that the kernel has, with what they depend on.
func (a *archive) addModules(dir string, k *debian.Kernel, list []string) error {
	var wanted []string
	for _, m := range list {
		if k.Has(m) {
			wanted = append(wanted, m)
		}
	}
	mods, err := k.Modules(wanted...)
	if err != nil {
		return err
	}
	for i, m := range mods {
		a.add(fmt.Sprintf("%s/%02d-%s.ko", dir, i, m.Name), m.Data, 0o644)
	}
	return nil
}

// archive is a cpio archive in the making.
type archive struct {
	records []cpio.Record
	have    map[string]bool
}

func newArchive() *archive {
	a := &archive{have: map[string]bool{}}
	a.dir("dev")
	a.records = append(a.records, cpio.CharDev("dev/console", 0o600, 5, 1)) // PID 1's standard streams
	return a
}

func (a *archive) clone() *archive {
	c := &archive{records: append([]cpio.Record(nil), a.records...), have: map[string]bool{}}
	for name := range a.have {
		c.have[name] = true
	}
	return c
}

// dir adds a folder and those that it is in.
func (a *archive) dir(name string) {
	if name == "." || a.have[name] {
		return
	}
	a.dir(path.Dir(name))
	a.have[name] = true
	a.records = append(a.records, cpio.Directory(name, 0o755))
}

func (a *archive) add(name string, data []byte, mode uint64) {
	a.dir(path.Dir(name))
	a.have[name] = true
	a.records = append(a.records, cpio.StaticRecord(data, cpio.Info{Name: name, Mode: cpio.S_IFREG | mode}))
}

func (a *archive) link(name, target string) {
	a.dir(path.Dir(name))
	a.records = append(a.records, cpio.Symlink(name, target))
}

// addFile adds a file of this machine's under the same name, or another.
func (a *archive) addFile(from, to string) error {
	to = filepath.Clean(to)[1:]
	if a.have[to] {
		return nil
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("%w: scripts/packages installs what is missing", err)
	}
	a.add(to, b, 0o755)
	return nil
}

// write writes the archive, not compressed: unpacking is what costs time in an
// emulated machine.
func (a *archive) write(file string) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := bufio.NewWriterSize(f, 1<<20)
	w := cpio.Newc.Writer(buf)
	if err := cpio.WriteRecords(w, a.records); err != nil {
		return err
	}
	if err := cpio.WriteTrailer(w); err != nil {
		return err
	}
	return buf.Flush()
}

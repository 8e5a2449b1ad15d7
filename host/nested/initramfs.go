// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nested

import (
	"bufio"
	"debug/elf"
	"fmt"
	"os"

	"github.com/u-root/u-root/pkg/cpio"
	"golang.org/x/sys/unix"

	"github.com/hvgo/hvgo/host/debian"
)

// InitPath is the path inside of the program that is PID 1 (Config.Init), which
// commands may use too.
const InitPath = "/init"

// modulesDir is where PID 1 finds the modules.
const modulesDir = "/modules"

// newInitramfs packs PID 1 and the modules. The archive is not compressed
// (unpacking is what costs time in an emulated machine) and lives in memory, so
// nothing is left behind whatever happens.
func newInitramfs(initFile string, mods []debian.Module) (*os.File, error) {
	if err := CheckStatic(initFile); err != nil {
		return nil, err
	}
	init, err := os.ReadFile(initFile)
	if err != nil {
		return nil, err
	}
	records := []cpio.Record{
		cpio.Directory("dev", 0o755),
		cpio.CharDev("dev/console", 0o600, 5, 1), // where the kernel opens PID 1's standard streams
		cpio.Directory("modules", 0o755),
		cpio.StaticRecord(init, cpio.Info{Name: "init", Mode: cpio.S_IFREG | 0o755}),
	}
	for _, m := range mods {
		records = append(records, cpio.StaticRecord(m.Data, cpio.Info{Name: "modules/" + m.Name, Mode: cpio.S_IFREG | 0o644}))
	}
	fd, err := unix.MemfdCreate("hvgo-initramfs", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "initramfs")
	buf := bufio.NewWriterSize(f, 1<<20)
	w := cpio.Newc.Writer(buf)
	if err := cpio.WriteRecords(w, records); err != nil {
		f.Close()
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	if err := cpio.WriteTrailer(w); err != nil {
		f.Close()
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	if err := buf.Flush(); err != nil {
		f.Close()
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	return f, nil
}

// CheckStatic returns an error unless file is an x86-64 ELF program that needs
// no dynamic loader: there is no C library inside.
func CheckStatic(file string) error {
	f, err := elf.Open(file)
	if err != nil {
		return fmt.Errorf("%s is no Linux program: %w", file, err)
	}
	defer f.Close()
	if f.Machine != elf.EM_X86_64 {
		return fmt.Errorf("%s is built for %v, not for x86-64", file, f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is dynamically linked: build it with CGO_ENABLED=0", file)
		}
	}
	return nil
}

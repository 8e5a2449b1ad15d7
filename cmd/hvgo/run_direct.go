// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hvgo/hvgo/host/direct"
)

// takeKernel lets a kernel of hvgo build --format elf be given as the image: it is
// booted as --kernel boots it.
func (o *runOptions) takeKernel() {
	if o.kernel.kernel != "" || o.image == "" {
		return
	}
	b := readELF(o.image)
	if b == nil {
		return // whoever opens it as an image says what is wrong
	}
	_, err := direct.Check(b)
	if err == nil || strings.HasSuffix(o.image, ".elf") { // a damaged one gets its reason
		o.kernel.kernel, o.image = o.image, ""
	}
}

// readELF reads an ELF file that is no larger than a kernel; of others it reads the
// beginning only, and gives nil.
func readELF(name string) []byte {
	fi, err := os.Stat(name) // first: opening a pipe would wait
	if err != nil || !fi.Mode().IsRegular() || fi.Size() > maxKernel {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	head := make([]byte, len(elf.ELFMAG))
	n, _ := f.ReadAt(head, 0) // what is missing is zero, and no ELF file
	if !direct.IsELF(head[:n]) {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKernel))
	if err != nil {
		return nil
	}
	return b
}

// planAppend is the command line of an image, which the firmware passes to the
// program; "" unless the user says one. A kernel has its own.
func (o *runOptions) planAppend() (string, error) {
	switch line := o.kernel.append; {
	case o.kernel.kernel != "" || line == defaultAppend || line == "":
		return "", nil
	default:
		return line, checkAppend(line)
	}
}

// checkDirect says how much memory an ELF kernel takes to start.
func checkDirect(path string) (need uint64, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	end, err := direct.Check(b)
	if err != nil {
		return 0, fmt.Errorf("%s is %w", path, err)
	}
	return end, nil
}

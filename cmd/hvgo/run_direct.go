// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
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
	b, err := os.ReadFile(o.image)
	if err != nil || len(b) > maxKernel {
		return // whoever opens it as an image says what is wrong
	}
	_, err = direct.Check(b)
	if named := strings.HasSuffix(o.image, ".elf") && direct.IsELF(b); err == nil || named { // a damaged one gets its reason
		o.kernel.kernel, o.image = o.image, ""
	}
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

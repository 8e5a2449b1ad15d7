// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package twice is for commands that compare: they build a program both for Linux and as
// a guest, and then run themselves again where KVM has Hyper-V, by hvgo vm-exec, with the
// flag -inside and without a Go toolchain around.
package twice

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// spareMemory is what the emulated machine needs besides its guest, in MiB.
const spareMemory = 1536

// Build builds the main package source as a program for Linux and, with the command hvgo,
// as a kernel. Folders that are missing are made.
func Build(ctx context.Context, hvgo, source, program, kernel string) error {
	for _, name := range []string{program, kernel} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"go", "build", "-trimpath", "-o", program, source},
		{hvgo, "build", "--format", "elf", "-o", kernel, source},
	} {
		if err := command(ctx, args...).Run(); err != nil {
			return fmt.Errorf("%s build %s: %w", filepath.Base(args[0]), source, err)
		}
	}
	return nil
}

// Again is this program with -inside and args, where a guest of that much memory (MiB)
// can run; it sees the folders in shares.
func Again(ctx context.Context, hvgo string, memory int, shares []string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	all := []string{hvgo, "vm-exec", "--memory", strconv.Itoa(memory + spareMemory)}
	for _, s := range shares {
		all = append(all, "--share", s)
	}
	return command(ctx, append(append(all, "--", self, "-inside"), args...)...), nil
}

// command is a program with our streams and no C.
func command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	return c
}

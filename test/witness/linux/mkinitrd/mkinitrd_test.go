// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/u-root/u-root/pkg/cpio"
)

// TestAddProgram packs a dynamic program, and reads the archive back: it must hold
// the program with its loader and the C library, each once, behind their folders.
func TestAddProgram(t *testing.T) {
	const program, loader = "/bin/ls", "/lib64/ld-linux-x86-64.so.2"
	if _, err := os.Stat(loader); err != nil {
		t.Skip(err)
	}
	a := newArchive()
	for range 2 {
		if err := a.addProgram(program, "sbin"); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "initrd")
	if err := a.write(file); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(f))
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]int{".": 1}
	for _, r := range records {
		if have[filepath.Dir(r.Name)] == 0 {
			t.Errorf("%s comes before its folder", r.Name)
		}
		have[r.Name]++
	}
	for _, name := range []string{"sbin/ls", loader[1:], "lib/x86_64-linux-gnu/libc.so.6", "dev/console"} {
		if have[name] != 1 {
			t.Errorf("%d times %s in %v", have[name], name, have)
		}
	}
	if err := a.addProgram("/nonexistent", "sbin"); err == nil {
		t.Error("a program that is not there")
	}
}

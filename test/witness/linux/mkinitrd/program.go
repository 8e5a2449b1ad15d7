// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// libraryDirs are where Debian has its libraries.
var libraryDirs = []string{"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"}

// addProgram adds a program to a folder, its dynamic loader and, under the names
// that the loader looks for, all the libraries.
func (a *archive) addProgram(name, dir string) error {
	if err := a.addFile(name, filepath.Join("/", dir, filepath.Base(name))); err != nil {
		return err
	}
	return a.addNeeded(name)
}

// addNeeded adds what an ELF file needs to be loaded.
func (a *archive) addNeeded(name string) error {
	f, err := elf.Open(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		b, err := io.ReadAll(p.Open())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		loader := strings.TrimRight(string(b), "\x00")
		if err := a.addFile(loader, loader); err != nil {
			return err
		}
	}
	libs, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, lib := range libs {
		if err := a.addLibrary(lib); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (a *archive) addLibrary(lib string) error {
	for _, dir := range libraryDirs {
		file := filepath.Join(dir, lib)
		if _, err := os.Stat(file); err != nil {
			continue
		}
		to := filepath.Join("lib", "x86_64-linux-gnu", lib)
		if a.have[to] || a.have[filepath.Join(dir, lib)[1:]] {
			return nil
		}
		if err := a.addFile(file, "/"+to); err != nil {
			return err
		}
		return a.addNeeded(file)
	}
	return fmt.Errorf("no library %s in %s", lib, strings.Join(libraryDirs, ", "))
}

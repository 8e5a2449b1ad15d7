// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/hvgo/hvgo/test/vm/pattern"
)

// filesDir is where files lie in memory.
func filesDir() string {
	if inGuest() {
		return "/tmp"
	}
	return "/dev/shm"
}

// files has four goroutines with a folder each.
func files(_ context.Context, r *random) error {
	dir, err := os.MkdirTemp(filesDir(), "soak")
	if err != nil {
		return err
	}
	var g group
	for i := range 4 {
		r := r.child()
		g.start(func() error {
			own := filepath.Join(dir, fmt.Sprint(i))
			if err := os.Mkdir(own, 0o700); err != nil {
				return err
			}
			for n := range 2 {
				if err := oneFile(r, filepath.Join(own, fmt.Sprint("f", n))); err != nil {
					return err
				}
			}
			entries, err := os.ReadDir(own)
			if err == nil && len(entries) != 1 {
				err = fmt.Errorf("%d files instead of 1 are left", len(entries))
			}
			return err
		})
	}
	return errors.Join(g.wait(), os.RemoveAll(dir))
}

// oneFile writes a file, reads it back under another name, cuts it, writes it through
// a mapping; every second one is removed before it is closed.
func oneFile(r *random, name string) (err error) {
	key, n := r.Int64(), r.size(128<<10)
	if err := os.WriteFile(name, filled(n, key), 0o600); err != nil {
		return err
	}
	if err := os.Rename(name, name+".new"); err != nil {
		return err
	}
	name += ".new"
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if len(b) != n {
		return fmt.Errorf("%d bytes were read of %d", len(b), n)
	}
	if err := verify("files", b, key); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := cut(r, f, n, key); err != nil {
		return err
	}
	if err := mapped(r, f); err != nil {
		return err
	}
	if name[len(name)-5]%2 == 0 {
		return os.Remove(name)
	}
	return nil
}

// cut makes a file shorter and longer again: what was cut off must be gone.
func cut(r *random, f *os.File, n int, key int64) error {
	short := r.IntN(n+1) &^ 7
	long := short + r.size(64<<10)
	if err := errors.Join(f.Truncate(int64(short)), f.Truncate(int64(long))); err != nil {
		return err
	}
	b := make([]byte, long)
	if _, err := f.ReadAt(b, 0); err != nil {
		return err
	}
	if err := verify("files", b[:short], key); err != nil {
		return err
	}
	for i, x := range b[short:] {
		if x != 0 {
			return fmt.Errorf("behind the cut at %d there is %#x at %d", short, x, short+i)
		}
	}
	return nil
}

// mapped writes through a shared mapping and reads the file, and the other way.
func mapped(r *random, f *os.File) error {
	const page = 4096
	n := page * (1 + r.IntN(8))
	if err := f.Truncate(int64(n)); err != nil {
		return err
	}
	m, err := unix.Mmap(int(f.Fd()), 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	defer unix.Munmap(m)
	key := r.Int64()
	pattern.Fill(m, key)
	b := make([]byte, n)
	if _, err := f.ReadAt(b, 0); err != nil {
		return err
	}
	if err := verify("files", b, key); err != nil {
		return fmt.Errorf("written through a mapping: %w", err)
	}
	key++
	if _, err := f.WriteAt(filled(n, key), 0); err != nil {
		return err
	}
	if at := pattern.Differs(m, key); at >= 0 {
		return fmt.Errorf("a mapping does not show what was written at %d", at)
	}
	return nil
}

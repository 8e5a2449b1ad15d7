// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"os"

	"golang.org/x/sys/unix"
)

// prepareFiles makes the files that paths lead to: f, d, l (a link to f), loop. It does
// without package os, which makes three calls of one.
func (s *state) prepareFiles() error {
	s.files = false
	if err := unix.Chdir(s.dir); err != nil {
		return err
	}
	left, err := names()
	if err != nil {
		return err
	}
	for _, name := range left {
		if unix.Unlink(name) == nil {
			continue
		}
		if unix.Rmdir(name) == nil {
			continue
		}
		os.Chmod(name, 0o700) // a folder: what could not be removed is no link
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	if err := newFile("f", sixteen); err != nil {
		return err
	}
	if err := unix.Mkdir("d", 0o755); err != nil {
		return err
	}
	if err := unix.Symlink("f", "l"); err != nil {
		return err
	}
	if err := unix.Symlink("loop", "loop"); err != nil {
		return err
	}
	s.files = true
	return nil
}

// names are those in the working directory.
func names() ([]string, error) {
	fd, err := unix.Open(".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var all []string
	for buf := make([]byte, 4096); ; {
		n, err := unix.Getdents(fd, buf)
		if n <= 0 || err != nil {
			return all, err
		}
		for at := 0; at < n; {
			var used int
			used, _, all = unix.ParseDirent(buf[at:n], -1, all)
			if used == 0 {
				break
			}
			at += used
		}
	}
}

func newFile(name string, content []byte) error {
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	n, err := unix.Write(fd, content)
	if err == nil && n != len(content) {
		err = unix.ENOSPC
	}
	return err
}

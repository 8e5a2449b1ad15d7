// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !solaris && !aix

package vhdx

import (
	"errors"
	"os"
	"syscall"
)

// lock takes the file for this process: alone, or among readers.
func lock(f *os.File, alone bool) error {
	how := syscall.LOCK_SH
	if alone {
		how = syscall.LOCK_EX
	}
	err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return nil // a file system without locks is no reason to refuse
}

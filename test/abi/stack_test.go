// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package abi

import (
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCallsOnNewStacks makes a call with a pointer at all depths of stacks that nobody
// used before, so that at some of them a page of the stack is touched for the first time
// at each step of the call.
func TestCallsOnNewStacks(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd := int(f.Fd())
	const depths = 400
	var all sync.WaitGroup
	end := make(chan struct{})
	errs := make(chan error, depths)
	for depth := range depths {
		all.Go(func() {
			errs <- deep(depth, fd, new(unix.Stat_t))
			<-end // so that each has a stack of its own
		})
	}
	for range depths {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	close(end)
	all.Wait()
}

//go:noinline
func deep(depth, fd int, st *unix.Stat_t) error {
	if depth > 0 {
		err := deep(depth-1, fd, st)
		return err
	}
	return unix.Fstat(fd, st)
}

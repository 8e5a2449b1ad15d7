// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

// Random makes n calls in dir, with all arguments wrong at random, and then looks
// whether descriptors, threads and the heap are as they were. The same seed makes
// the same calls.
func Random(seed uint64, n int, dir string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := os.Chdir(dir); err != nil {
		return err
	}
	if err := build(); err != nil {
		return err
	}
	if err := quiet(); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(seed, 1))
	heap := newHeap(r)
	s := &state{dir: dir}
	before := openDescriptors(firstFree)
	for i := range n {
		if i%64 == 0 {
			if err := s.prepareFiles(); err != nil {
				return fmt.Errorf("before call %d: %w", i, err)
			}
		}
		c := &calls[r.IntN(len(calls))]
		ch := c.random(r)
		if answer := s.one(c, ch); answer == "broken" {
			return fmt.Errorf("call %d, %s: the arena or the files cannot be made any more", i, c.describe(ch))
		}
		if i%256 == 0 {
			if err := heap.check(); err != nil {
				return fmt.Errorf("after call %d, %s: %w", i, c.describe(ch), err)
			}
		}
	}
	if after := openDescriptors(firstFree); !slices.Equal(after, before) {
		return fmt.Errorf("descriptors before: %q; after: %q", before, after)
	}
	runtime.GC()
	return heap.check()
}

// random is any choice; of calls that could wait for ever or take others' memory
// away with more than two wrong arguments, one of those that are made in turn.
func (c *call) random(r *rand.Rand) choice {
	if c.memory || c.nr == unix.SYS_FUTEX || c.nr == unix.SYS_PRLIMIT64 {
		all := c.choices()
		return all[r.IntN(len(all))]
	}
	ch := right
	for i, a := range c.args {
		if n := len(a.wrong); n > 0 && r.IntN(3) > 0 {
			ch[i] = r.IntN(n)
		}
	}
	return ch
}

// openDescriptors are what is open below a limit, and what is behind it. Between
// random calls all from firstFree on is closed, of whomever: a guest's services, which
// come up beside the program, may have had an eventfd there.
func openDescriptors(limit int) (open []string) {
	for fd := range limit {
		if _, e := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); e != nil {
			continue
		}
		file, err := os.Readlink(fmt.Sprint("/proc/self/fd/", fd))
		if err != nil {
			file = err.Error()
		}
		open = append(open, fmt.Sprint(fd, " ", file))
	}
	return open
}

// heap is Go memory that nobody but its owner may change.
type heap []*[512]uint64

func newHeap(r *rand.Rand) heap {
	h := make(heap, 256)
	for i := range h {
		h[i] = new([512]uint64)
		for k := range h[i] {
			h[i][k] = uint64(i)<<32 | uint64(k)
		}
	}
	return h
}

// check looks at all of it, and lets a part be collected.
func (h heap) check() error {
	for i, b := range h {
		for k, v := range b {
			if v != uint64(i)<<32|uint64(k) {
				return fmt.Errorf("word %d of object %d is %#x", k, i, v)
			}
		}
		if i%8 == 0 {
			fresh := *b
			h[i] = &fresh
		}
	}
	return nil
}

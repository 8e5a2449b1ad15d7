// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	pageSize = 4096
	// faultArea is what a row of page faults touches before it gives the pages back.
	faultArea = 16 << 20
)

// faultSmall is the first write to a page of 4 KiB.
func faultSmall(n int) error { return touch(n, unix.MADV_NOHUGEPAGE) }

// faultAsMapped is the same where the system may take larger pages.
func faultAsMapped(n int) error { return touch(n, unix.MADV_NORMAL) }

// touch writes to n new pages. Giving them back counts too.
func touch(n, advice int) error {
	for n > 0 {
		b, err := unix.Mmap(-1, 0, faultArea, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return err
		}
		err = unix.Madvise(b, advice)
		for at := 0; at < len(b) && n > 0; at += pageSize {
			b[at] = 1
			n--
		}
		if err = errors.Join(err, unix.Munmap(b)); err != nil {
			return err
		}
	}
	return nil
}

// mapUnmap maps memory, writes to one byte each step (0: to none), and unmaps it.
func mapUnmap(n, size, step int) error {
	for range n {
		b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return err
		}
		for at := 0; step > 0 && at < size; at += step {
			b[at] = 1
		}
		if err := unix.Munmap(b); err != nil {
			return err
		}
	}
	return nil
}

// node is an object of 64 bytes that the collector has to follow.
type node struct {
	next, other *node
	_           [6]uint64
}

// heap keeps the objects alive.
var heap *node

// collect is a whole collection of a heap of mib MiB in small objects.
func collect(mib int) ([]result, error) {
	defer func() { heap = nil }()
	for range mib << 20 / 64 {
		heap = &node{next: heap, other: heap}
	}
	runtime.GC()
	r := result{}
	for range 3 {
		d, _ := timed(func(int) error { runtime.GC(); return nil }, 1)
		r.ns = append(r.ns, float64(d))
	}
	r.ops = 4
	return []result{r}, nil
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"

	"golang.org/x/sys/unix"
)

// node is a tree that a goroutine builds, checks and forgets.
type node struct {
	left, right *node
	value       uint64
	text        []byte
}

func plant(depth int, value uint64) *node {
	n := &node{value: value, text: bytes.Repeat([]byte{byte(value)}, int(value%61))}
	if depth > 0 {
		n.left, n.right = plant(depth-1, value*2), plant(depth-1, value*2+1)
	}
	return n
}

func (n *node) check(value uint64) (count int, err error) {
	if n.value != value || len(n.text) != int(value%61) || bytes.Count(n.text, []byte{byte(value)}) != len(n.text) {
		return 0, fmt.Errorf("node %d holds %d and %d bytes", value, n.value, len(n.text))
	}
	if n.left == nil {
		return 1, nil
	}
	l, err1 := n.left.check(value * 2)
	r, err2 := n.right.check(value*2 + 1)
	return 1 + l + r, errors.Join(err1, err2)
}

// collect keeps the collector busy while goroutines build and check trees.
func collect([]string) (string, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	const workers, rounds, depth = 8, 12, 11
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := parallel(workers, func(w int) error {
		kept := plant(depth, uint64(w+1))
		for r := range rounds {
			seed := uint64(w*rounds + r + 1)
			n, err := plant(depth, seed).check(seed)
			if err != nil || n != 1<<(depth+1)-1 {
				return fmt.Errorf("tree %d of %d nodes: %w", seed, n, err)
			}
			runtime.Gosched()
		}
		_, err := kept.check(uint64(w + 1))
		return err
	})
	runtime.ReadMemStats(&after)
	if err == nil && after.NumGC == before.NumGC {
		err = errors.New("the collector did not run")
	}
	return fmt.Sprintf("%d collections", after.NumGC-before.NumGC), err
}

// parallel runs f(0) to f(n-1) in goroutines.
func parallel(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// fillMemory takes most of the machine's memory, gives it back, and takes it again.
func fillMemory([]string) (string, error) {
	const piece = 1 << 20
	var taken int
	for round := range 3 {
		var info unix.Sysinfo_t
		if err := unix.Sysinfo(&info); err != nil {
			return "", err
		}
		taken = int(info.Freeram * uint64(info.Unit) / piece * 6 / 10)
		held := make([][]byte, taken)
		for i := range held {
			held[i] = make([]byte, piece)
			for at := 0; at < piece; at += 512 {
				if held[i][at] != 0 {
					return "", fmt.Errorf("round %d: new memory is not zero", round)
				}
				held[i][at] = byte(i ^ at>>9)
			}
		}
		for i, b := range held {
			for at := 0; at < piece; at += 512 {
				if b[at] != byte(i^at>>9) {
					return "", fmt.Errorf("round %d: piece %d has changed", round, i)
				}
			}
		}
		held = nil
		debug.FreeOSMemory()
	}
	return fmt.Sprintf("%d MiB", taken), nil
}

// dontNeed checks that memory given back reads as zero, and only that.
func dontNeed([]string) (string, error) {
	const pages = 600 // more than a page table holds
	page := os.Getpagesize()
	b, err := unix.Mmap(-1, 0, pages*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return "", err
	}
	defer unix.Munmap(b)
	for i := range b {
		b[i] = 0xA5
	}
	from, to := 3*page, (pages-5)*page
	if err := unix.Madvise(b[from:to], unix.MADV_DONTNEED); err != nil {
		return "", err
	}
	for i, v := range b {
		want := byte(0xA5)
		if i >= from && i < to {
			want = 0
		}
		if v != want {
			return "", fmt.Errorf("byte %d of page %d is %#x, not %#x", i%page, i/page, v, want)
		}
	}
	if err := unix.Madvise(b, unix.MADV_DONTNEED); err != nil {
		return "", err
	}
	if bytes.Count(b, []byte{0}) != len(b) {
		return "", errors.New("not all is zero")
	}
	return fmt.Sprintf("%d pages", pages), nil
}

// protect checks that page protection holds, and that a fault can be recovered.
func protect([]string) (string, error) {
	page := os.Getpagesize()
	b, err := unix.Mmap(-1, 0, 4*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return "", err
	}
	defer unix.Munmap(b)
	b[page], b[2*page] = 1, 2
	if err := unix.Mprotect(b[page:2*page], unix.PROT_READ); err != nil {
		return "", err
	}
	if err := unix.Mprotect(b[2*page:3*page], unix.PROT_NONE); err != nil {
		return "", err
	}
	if b[page] != 1 {
		return "", errors.New("a read-only page has lost its content")
	}
	if err := faults(func() { b[page]++ }); err != nil {
		return "", fmt.Errorf("write to a read-only page: %w", err)
	}
	if err := faults(func() { b[0] = b[2*page] }); err != nil {
		return "", fmt.Errorf("read of a page without access: %w", err)
	}
	if err := unix.Mprotect(b, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return "", err
	}
	if b[page]++; b[page] != 2 || b[2*page] != 2 {
		return "", errors.New("protection changed the content")
	}
	return "faults are recovered", nil
}

// faults calls f, which must fault with an address.
func faults(f func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		e, ok := r.(interface{ Addr() uintptr })
		switch {
		case !ok:
			err = fmt.Errorf("recovered %v", r)
		case e.Addr() == 0:
			err = errors.New("the fault has no address")
		}
	}()
	f()
	return
}

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
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// memFree is what /proc/meminfo says is free, in bytes.
func memFree() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == "MemFree:" {
			kib, err := strconv.ParseInt(string(f[1]), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no MemFree in /proc/meminfo")
}

// returned gives memory back in each way there is, and watches it arrive.
func returned([]string) (string, error) {
	const size = 24 << 20
	m, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return "", err
	}
	for _, give := range []struct {
		name string
		back func() error
	}{
		{"MADV_DONTNEED", func() error { return unix.Madvise(m, unix.MADV_DONTNEED) }},
		{"MADV_FREE", func() error { return unix.Madvise(m, unix.MADV_FREE) }},
		{"MAP_FIXED", func() error {
			_, _, errno := unix.Syscall6(unix.SYS_MMAP, address(m), size, unix.PROT_READ|unix.PROT_WRITE,
				unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_FIXED, ^uintptr(0), 0)
			if errno != 0 {
				return errno
			}
			return nil
		}},
		{"munmap", func() error { return unix.Munmap(m) }},
	} {
		for at := 0; at < size; at += 4096 {
			if m[at] != 0 || m[at+4095] != 0 {
				return "", fmt.Errorf("before %s: page %d is not zero", give.name, at/4096)
			}
			m[at], m[at+4095] = 1, 1
		}
		if err := freed(give.name, size, give.back); err != nil {
			return "", err
		}
	}
	held := bytes.Repeat([]byte{1}, size)
	if held[size-1] != 1 {
		return "", errors.New("the heap has lost its contents")
	}
	held = nil
	err = freed("debug.FreeOSMemory", size, func() error { debug.FreeOSMemory(); return nil })
	if err != nil {
		return "", err
	}
	f, err := os.Create("/tmp/returned")
	if err != nil {
		return "", err
	}
	defer f.Close()
	for _, give := range []struct {
		name string
		back func() error
	}{
		{"ftruncate", func() error { return f.Truncate(0) }},
		{"a hole", func() error {
			return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, size)
		}},
		{"removal", func() error { return errors.Join(os.Remove(f.Name()), f.Close()) }},
	} {
		for at := int64(0); at < size; at += 1 << 20 {
			if _, err := f.WriteAt(bytes.Repeat([]byte{1}, 1<<20), at); err != nil {
				return "", err
			}
		}
		if err := freed(give.name, size, give.back); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d MiB each time", size>>20), nil
}

// freed checks that back gives most of size bytes back to the machine.
func freed(name string, size int64, back func() error) error {
	before, err1 := memFree()
	err2 := back()
	after, err3 := memFree()
	if err := errors.Join(err1, err2, err3); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if after-before < size/8*7 {
		return fmt.Errorf("%s gave %d KiB back, of %d", name, (after-before)>>10, size>>10)
	}
	return nil
}

// sparse maps, touches and unmaps pages far from one another, each of which takes
// three page tables: without their return these would be 234 MiB.
func sparse([]string) (string, error) {
	before, err := memFree()
	if err != nil {
		return "", err
	}
	const rounds = 20000
	for i := range uintptr(rounds) {
		at := 0x1000_0000_0000 + i*(1<<30+1<<21)
		_, _, errno := unix.Syscall6(unix.SYS_MMAP, at, 4096, unix.PROT_READ|unix.PROT_WRITE,
			unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_FIXED_NOREPLACE, ^uintptr(0), 0)
		if errno != 0 {
			return "", errno
		}
		memory(at, 1)[0] = 1
		if _, _, errno := unix.Syscall(unix.SYS_MUNMAP, at, 4096, 0); errno != 0 {
			return "", errno
		}
	}
	after, err := memFree()
	if err == nil && before-after > 4<<20 {
		err = fmt.Errorf("%d KiB are gone", (before-after)>>10)
	}
	return fmt.Sprintf("%d mappings", rounds), err
}

// fullFiles fills the file system: writers get ENOSPC, and the machine goes on. The
// collector's limit gives way to the files and comes back.
func fullFiles([]string) (string, error) {
	limit := firstLimit
	f, err := os.Create("/tmp/full")
	if err != nil {
		return "", err
	}
	defer f.Close()
	chunk := bytes.Repeat([]byte{7}, 1<<20)
	n := 0
	for ; err == nil; n++ {
		_, err = f.Write(chunk)
	}
	if !errors.Is(err, unix.ENOSPC) {
		return "", fmt.Errorf("after %d MiB: %v, want ENOSPC", n, err)
	}
	if err := waitFor(func() bool { return debug.SetMemoryLimit(-1) < limit-int64(n)<<19 }); err != nil {
		return "", fmt.Errorf("the collector's limit is %d with %d MiB of files, and was %d", debug.SetMemoryLimit(-1), n, limit)
	}
	for range 20 { // there is room to live
		sinkBytes = make([]byte, 4<<20)
		clear(sinkBytes)
	}
	sinkBytes = nil
	if err := errors.Join(os.Remove(f.Name()), f.Close()); err != nil {
		return "", err
	}
	if err := waitFor(func() bool { return debug.SetMemoryLimit(-1) == limit }); err != nil {
		return "", fmt.Errorf("the collector's limit is %d without files, and was %d", debug.SetMemoryLimit(-1), limit)
	}
	return fmt.Sprintf("ENOSPC after %d MiB", n), nil
}

var (
	sinkBytes []byte

	// firstLimit is the collector's limit at the start of main.
	firstLimit int64
)

func waitFor(ok func() bool) error {
	for range 1000 {
		if ok() {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("it does not come")
}

// fullMap fills the file system through a mapping: SIGBUS, which can be recovered.
func fullMap([]string) (string, error) {
	const size = 1 << 30
	f, err := os.Create("/tmp/full-map")
	if err != nil {
		return "", err
	}
	defer f.Close()
	defer os.Remove(f.Name())
	if err := f.Truncate(size); err != nil {
		return "", err
	}
	m, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return "", err
	}
	defer unix.Munmap(m)
	at := 0
	if err := faults(func() {
		for ; at < size; at += 4096 {
			m[at] = 1
		}
	}); err != nil {
		return "", err
	}
	if _, err := f.WriteAt([]byte{1}, int64(at)); !errors.Is(err, unix.ENOSPC) {
		return "", fmt.Errorf("pwrite: %v, want ENOSPC", err)
	}
	return fmt.Sprintf("SIGBUS after %d MiB", at>>20), nil
}

// tooManyThreads takes nearly all memory, and then threads, which the Go runtime does
// not survive.
func tooManyThreads([]string) (string, error) {
	debug.SetGCPercent(-1)
	free, err := memFree()
	if err != nil {
		return "", err
	}
	size := int(free) - 2<<20
	m, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return "", err
	}
	for at := 0; at < size; at += 4096 {
		m[at] = 1
	}
	for range 2000 {
		go func() {
			runtime.LockOSThread()
			select {}
		}()
		runtime.Gosched()
	}
	time.Sleep(time.Minute)
	return "", errors.New("there is memory for 2000 threads")
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func raw(nr uintptr, n int) error {
	for range n {
		if _, _, e := syscall.RawSyscall(nr, 0, 0, 0); e != 0 {
			return e
		}
	}
	return nil
}

func getpid(n int) error { return raw(unix.SYS_GETPID, n) }
func gettid(n int) error { return raw(unix.SYS_GETTID, n) }

// getppid is a call that may block as far as the Go runtime knows: with
// entersyscall and exitsyscall.
func getppid(n int) error {
	for range n {
		if _, _, e := syscall.Syscall(unix.SYS_GETPPID, 0, 0, 0); e != 0 {
			return e
		}
	}
	return nil
}

func timeNow(n int) error {
	var last time.Time
	for range n {
		last = time.Now()
	}
	if last.IsZero() {
		return errors.New("the clock stands at zero")
	}
	return nil
}

func clockGettime(n int) error {
	ts := new(unix.Timespec)
	for range n {
		if _, _, e := syscall.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(ts)), 0); e != 0 {
			return e
		}
	}
	return nil
}

// Operations of futex(2).
const (
	futexWait = 0 | 128 // FUTEX_PRIVATE_FLAG
	futexWake = 1 | 128
)

// futexPingPong is one wake-up of another thread: two threads pass a turn.
func futexPingPong(n int) error {
	n = 2 * ((n + 1) / 2)
	var turn atomic.Uint32
	done := make(chan error, 2)
	play := func(mine, theirs uint32) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		at := uintptr(unsafe.Pointer(&turn))
		for range n / 2 {
			for turn.Load() != mine {
				_, _, e := syscall.Syscall6(unix.SYS_FUTEX, at, futexWait, uintptr(theirs), 0, 0, 0)
				if e != 0 && !errors.Is(e, unix.EAGAIN) && !errors.Is(e, unix.EINTR) {
					done <- e
					return
				}
			}
			turn.Store(theirs)
			syscall.Syscall6(unix.SYS_FUTEX, at, futexWake, 1, 0, 0, 0)
		}
		done <- nil
	}
	go play(0, 1)
	go play(1, 0)
	return errors.Join(<-done, <-done)
}

// nanosleepLate is the kernel's part of a sleep: by how much a thread wakes late.
func nanosleepLate() ([]result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ts := &unix.Timespec{Nsec: int64(time.Millisecond)}
	return lateness(200, time.Millisecond, func() {
		syscall.Syscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(ts)), 0, 0)
	}), nil
}

func eventfd(n int) error {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	b := []byte{1, 0, 0, 0, 0, 0, 0, 0}
	for range n {
		if _, err := unix.Write(fd, b); err != nil {
			return err
		}
		if _, err := unix.Read(fd, b); err != nil {
			return err
		}
	}
	return nil
}

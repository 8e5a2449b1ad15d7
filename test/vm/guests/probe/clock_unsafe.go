// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// vdsoClockgettimeSym is the address of the vDSO's function, 0 while the Go runtime
// makes system calls instead. Its package allows others to look at it.
//
//go:linkname vdsoClockgettimeSym runtime.vdsoClockgettimeSym
var vdsoClockgettimeSym uintptr

// monotonic is CLOCK_MONOTONIC by a system call, in ns.
func monotonic() (int64, error) {
	var ts unix.Timespec
	if _, _, e := syscall.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&ts)), 0); e != 0 {
		return 0, e
	}
	return ts.Nano(), nil
}

// vdso checks that the clocks are read without system calls, and says what a reading
// takes either way, at best.
func vdso([]string) (string, error) {
	if vdsoClockgettimeSym == 0 {
		return "", fmt.Errorf("the Go runtime found no clock_gettime in the vDSO")
	}
	const batch = 1000
	byCall, byVDSO := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for range 50 {
		start := time.Now()
		for range batch {
			_ = time.Now()
		}
		byVDSO = min(byVDSO, time.Since(start)/batch)
		start = time.Now()
		for range batch {
			if _, err := monotonic(); err != nil {
				return "", err
			}
		}
		byCall = min(byCall, time.Since(start)/batch)
	}
	return fmt.Sprintf("time.Now takes %v, clock_gettime by a system call %v", byVDSO, byCall), nil
}

// readClocks reads the clock again and again until it is told a number of times.
func readClocks(args []string) (string, error) {
	n := 100_000
	if len(args) > 0 {
		var err error
		if n, err = strconv.Atoi(args[0]); err != nil {
			return "", err
		}
	}
	for range n {
		_ = time.Now()
	}
	return fmt.Sprintf("%d readings", n), nil
}

// clockOrder lets threads read the monotonic clock, on as many processors as there
// are: none may read less than what another has read before, neither by the vDSO nor
// by a system call.
func clockOrder([]string) (string, error) {
	const threads, long = 8, 300 * time.Millisecond
	start := time.Now()
	var byVDSO, byCall latest
	var used [64]atomic.Bool // processors
	err := parallel(threads, func(int) error {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for n := 1; time.Since(start) < long; n++ {
			if err := byVDSO.read(func() (int64, error) { return int64(time.Since(start)), nil }); err != nil {
				return fmt.Errorf("vDSO: %w", err)
			}
			if err := byCall.read(monotonic); err != nil {
				return fmt.Errorf("system call: %w", err)
			}
			if n%10 == 0 {
				cpu, err := processor()
				if err != nil {
					return err
				}
				used[cpu%len(used)].Store(true)
			}
		}
		return nil
	})
	on := 0
	for i := range used {
		if used[i].Load() {
			on++
		}
	}
	return fmt.Sprintf("%d readings by %d threads on %d of %d processors", byVDSO.n.Load()+byCall.n.Load(), threads, on, runtime.NumCPU()), err
}

// latest is the greatest reading of a clock.
type latest struct{ ns, n atomic.Int64 }

// read reads the clock, after what others have read.
func (l *latest) read(clock func() (int64, error)) error {
	before := l.ns.Load()
	now, err := clock()
	if err != nil {
		return err
	}
	if now < before {
		return fmt.Errorf("%d ns was read after %d ns", now, before)
	}
	l.n.Add(1)
	for before < now && !l.ns.CompareAndSwap(before, now) {
		before = l.ns.Load()
	}
	return nil
}

// processor is the number of the processor that the thread is on.
func processor() (int, error) {
	var cpu uint32
	if _, _, e := syscall.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); e != 0 {
		return 0, e
	}
	return int(cpu), nil
}

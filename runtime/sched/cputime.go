// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"unsafe"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// used is the CPU time of all threads but what the running ones used since they were
// given a processor, in ns. Guarded by the kernel lock.
var used int64

// charge adds what the thread that runs on processor c used to its account. Time in
// system calls and interrupts counts, idle time does not.
//
//go:nosplit
func charge(c *ring0.CPU, t *Thread, now int64) {
	ran := now - t.since
	t.used += ran
	if uintptr(unsafe.Pointer(t)) != c.IdleThread {
		used += ran
	}
	t.since = now
}

// ThreadTime is the CPU time of the running thread, in ns.
//
//go:nosplit
func ThreadTime() int64 { return threadTime(Current(), hv.Now()) }

// ProcessTime is the CPU time of all threads that are or were, in ns.
//
//go:nosplit
func ProcessTime() int64 { return processTime(hv.Now()) }

//go:nosplit
func threadTime(t *Thread, now int64) int64 {
	if t.State == Running {
		return t.used + now - t.since
	}
	return t.used
}

//go:nosplit
func processTime(now int64) int64 {
	sum := used
	for i := uint32(0); i < ring0.NumCPUs(); i++ {
		if t := running(ring0.CPUAt(i)); t != nil {
			sum += now - t.since
		}
	}
	return sum
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"unsafe"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// slice is how long a thread runs while others wait, in ns.
const slice = 10_000_000

// The run queue, first in first out. Guarded by the kernel lock.
var (
	first, last uintptr
	preempt     bool // the interrupt in service made a thread runnable: let it run first
)

// IdleNS is the time without a thread to run, in ns.
var IdleNS uint64

//go:nosplit
func enqueue(t *Thread) {
	t.next = 0
	at := uintptr(unsafe.Pointer(t))
	if first == 0 {
		first = at
	} else {
		thread(last).next = at
	}
	last = at
}

//go:nosplit
func dequeue() *Thread {
	if first == 0 {
		return nil
	}
	t := thread(first)
	first = t.next
	return t
}

// Wake makes a waiting thread runnable; reason is Woken, TimedOut or
// Interrupted.
//
//go:nosplit
func Wake(t *Thread, reason uint32) {
	if t.State != Waiting {
		return
	}
	forgetDue(t)
	t.waitFor = waitNone
	t.reason = reason
	t.State = Runnable
	enqueue(t)
	preempt = true
}

// Block puts the running thread to sleep on an object until somebody wakes it
// or the reference time reaches due (ns; 0 means never). It gives why it woke.
//
//go:nosplit
func Block(waitFor uint32, on uintptr, due int64) uint32 {
	t := Current()
	if t.Signals.Pending&^t.Signals.Mask != 0 {
		return Interrupted
	}
	t.waitFor, t.waitOn = waitFor, on
	t.State = Waiting
	if due != 0 {
		rememberDue(t, due)
	}
	schedule()
	return t.reason
}

// wakeWaiters wakes up to n threads that wait for something on an object, in
// the order of their slots, starting after the one last woken so that none
// starves. It gives how many.
//
//go:nosplit
func wakeWaiters(waitFor uint32, on uintptr, n uint32) uint32 {
	woken, start := uint32(0), lastWoken+1
	for k := uint32(0); k < slots && woken < n; k++ {
		i := start + k
		if i >= slots {
			i -= slots
		}
		t := thread(slot(i))
		if t.State == Waiting && t.waitFor == waitFor && t.waitOn == on {
			Wake(t, Woken)
			lastWoken = i
			woken++
		}
	}
	return woken
}

var lastWoken uint32

// Yield lets all other runnable threads run once.
//
//go:nosplit
func Yield() {
	if first == 0 {
		return
	}
	t := Current()
	t.State = Runnable
	enqueue(t)
	schedule()
}

// BeforeInterrupt is called before an interrupt is served.
//
//go:nosplit
func BeforeInterrupt() {
	preempt = false
}

// AfterInterrupt is called when an interrupt was served: it lets another
// thread run if one was woken or the running one had its share.
//
//go:nosplit
func AfterInterrupt() {
	if cpu().Idle != 0 || cpu().Thread == 0 || first == 0 {
		return
	}
	if preempt || hv.Now()-Current().since >= slice {
		Yield()
		return
	}
	hv.Arm(Current().since + slice)
}

// AfterSyscall is called when a system call was served: if it made a thread
// runnable, the running one gets a share of time like any other. Without the
// timer it would run for as long as it makes no system call that blocks, which
// for a loop is for ever: the thread that waits may be the one to preempt it.
//
//go:nosplit
func AfterSyscall() {
	if first != 0 {
		hv.Arm(Current().since + slice)
	}
}

// schedule gives the processor to the next runnable thread, and returns when
// the running one is given it back. When there is none it halts, on the
// running thread's own trap stack: an interrupt then starts on the idle stack.
//
//go:nosplit
func schedule() {
	c := cpu()
	old := thread(c.Thread)
	now := hv.Now()
	charge(old, now)
	next := dequeue()
	if next == nil {
		next, now = idle(c, old, now)
	}
	preempt = false
	next.State = Running
	next.since = now
	c.Thread = uintptr(unsafe.Pointer(next))
	if first != 0 {
		hv.Arm(now + slice)
	}
	if next.timers|processTimers != 0 {
		armTimers(now)
	}
	if next == old {
		return
	}
	c.SetTrapStack(next.Top)
	ring0.Wrmsr(ring0.MSRFSBase, next.FS)
	ring0.SwitchStack(&old.sp, next.sp)
}

// idle waits for a runnable thread, and gives it and the time.
//
//go:nosplit
func idle(c *ring0.CPU, old *Thread, since int64) (*Thread, int64) {
	c.SetTrapStack(idleStack)
	c.Idle = 1
	next := dequeue()
	for next == nil {
		ring0.HaltOnce()
		next = dequeue()
	}
	c.Idle = 0
	now := hv.Now()
	IdleNS += uint64(now - since)
	c.SetTrapStack(old.Top)
	return next, now
}

// idleStack is the upper end of the stack for interrupts of the idle loop.
var idleStack uintptr

// Init makes the first thread, which is to start with the registers of frame.
// Start runs it.
//
//go:nosplit
func Init(frame *ring0.Frame, idle uintptr) bool {
	idleStack = idle
	initFDs()
	return New(frame, 0) != nil
}

// Start gives the processor to the first thread. It does not return.
//
//go:nosplit
func Start() {
	t := dequeue()
	c := cpu()
	c.Thread = uintptr(unsafe.Pointer(t))
	c.SetTrapStack(t.Top)
	t.State = Running
	t.since = hv.Now()
	var nowhere uintptr
	ring0.SwitchStack(&nowhere, t.sp)
}

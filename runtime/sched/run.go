// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"math/bits"
	"unsafe"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// slice is how long a thread runs while others wait, in ns.
const slice = 10_000_000

// big is the kernel lock: it guards all of this package, and signals. It is held
// across the switch from one thread to another, which gives it back.
var big ring0.Lock

// Lock takes the kernel lock. Interrupts are off.
//
//go:nosplit
func Lock() { big.Lock() }

// kicked has a bit for each processor to interrupt when the kernel lock is given back:
// then it need not wait for it. kicks is their number. Guarded by the kernel lock.
var (
	kicked [ring0.MaxCPUs / 64]uint64
	kicks  uint32
)

// Kick interrupts a processor once the kernel lock is given back.
//
//go:nosplit
func Kick(id uint32) {
	word, bit := &kicked[id/64%uint32(len(kicked))], uint64(1)<<(id%64)
	if *word&bit == 0 {
		*word |= bit
		kicks++
	}
}

// Unlock gives it back.
//
//go:nosplit
func Unlock() {
	for i := uint32(0); kicks > 0; i++ {
		for word := &kicked[i%uint32(len(kicked))]; *word != 0; {
			c := ring0.CPUAt(i*64 + uint32(bits.TrailingZeros64(*word)))
			*word &= *word - 1
			if kicks--; kicks == 0 {
				big.Unlock()
				hv.Interrupt(c)
				return
			}
			hv.Interrupt(c)
		}
	}
	big.Unlock()
}

// The run queue of all processors, first in first out. Guarded by the kernel lock.
var first, last uintptr

// local is what each processor has of its own. Guarded by the kernel lock.
type local struct {
	preempt bool     // the interrupt in service made a thread runnable: let it run first
	idleNS  int64    // time without a thread to run, in ns
	since   int64    // when that began, if it is so now; else 0
	_       [5]int64 // a cache line
}

var locals [ring0.MaxCPUs]local

//go:nosplit
func of(c *ring0.CPU) *local { return &locals[c.ID%ring0.MaxCPUs] }

// idle has a bit for each processor that halts and was not asked to wake yet. Guarded by
// the kernel lock.
var idle [ring0.MaxCPUs / 64]uint64

// IdleTime is the time that processors had no thread to run, all added up, in ns.
//
//go:nosplit
func IdleTime() int64 {
	sum, now := int64(0), hv.Now()
	for i := uint32(0); i < ring0.NumCPUs(); i++ {
		l := &locals[i%ring0.MaxCPUs]
		sum += l.idleNS
		if l.since != 0 {
			sum += now - l.since
		}
	}
	return sum
}

// enqueue makes a thread wait for a processor, and sees that one takes it.
//
//go:nosplit
func enqueue(t *Thread) {
	putLast(t)
	c := ring0.This()
	if c.Idle != 0 && first == last {
		return // this one, in an interrupt: its loop looks at the queue behind it
	}
	if other, ok := takeIdle(t.cpu); ok {
		Kick(other)
		return
	}
	of(c).preempt = true
	if r := thread(c.Thread); r != nil && c.Idle == 0 {
		// The running thread gets a share of time like any other. Without the timer it
		// would run for as long as it makes no system call that blocks, which for a loop
		// is for ever: the thread that waits may be the one to preempt it.
		hv.Arm(r.since + slice)
	}
}

//go:nosplit
func putLast(t *Thread) {
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

// takeIdle gives a processor that has nothing to run and was not given anything yet, the
// one of number near if it is one.
//
//go:nosplit
func takeIdle(near uint32) (id uint32, ok bool) {
	if word, bit := near/64%uint32(len(idle)), uint64(1)<<(near%64); idle[word]&bit != 0 {
		idle[word] &^= bit
		return near, true
	}
	n := (ring0.NumCPUs() + 63) / 64
	for i := uint32(0); i < n; i++ {
		if word := &idle[i%uint32(len(idle))]; *word != 0 {
			bit := uint32(bits.TrailingZeros64(*word))
			*word &= *word - 1
			return i*64 + bit, true
		}
	}
	return 0, false
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
	forgetWait(t)
	t.reason = reason
	t.State = Runnable
	enqueue(t)
}

// Alert sees that a thread looks at its signals soon, wherever it is.
//
//go:nosplit
func Alert(t *Thread) {
	if t.State == Running && t.cpu != ring0.This().ID {
		Kick(t.cpu)
		return
	}
	Wake(t, Interrupted)
}

// Block puts the running thread to sleep on an object until somebody wakes it
// or the reference time reaches due (ns; 0 means never). It gives why it woke.
//
//go:nosplit
func Block(waitFor uint32, on uintptr, due int64) uint32 {
	t := Current()
	if t.ReadySignals() != 0 {
		return Interrupted
	}
	t.waitFor, t.waitOn = waitFor, on
	t.State = Waiting
	rememberWait(t)
	if due != 0 {
		rememberDue(t, due)
	}
	schedule()
	return t.reason
}

// Yield lets all other runnable threads run once.
//
//go:nosplit
func Yield() {
	if first == 0 {
		return
	}
	t := Current()
	t.State = Runnable
	putLast(t)
	schedule()
}

// Others tells whether threads wait for a processor. Without the kernel lock it is
// a guess.
//
//go:nosplit
func Others() bool { return first != 0 }

// BeforeInterrupt is called before an interrupt is served. One that is idle wakes by it,
// and needs no other.
//
//go:nosplit
func BeforeInterrupt() {
	c := ring0.This()
	of(c).preempt = false
	idle[c.ID/64%uint32(len(idle))] &^= 1 << (c.ID % 64)
}

// AfterInterrupt is called when an interrupt of a program's thread was served: it lets
// another one run if one was woken or the running one had its share.
//
//go:nosplit
func AfterInterrupt() {
	if first == 0 {
		return
	}
	since := Current().since
	if of(ring0.This()).preempt || hv.Now()-since >= slice {
		Yield()
		return
	}
	hv.Arm(since + slice)
}

// schedule gives the processor to the next runnable thread, or to its idle loop when
// there is none. It returns when the running one is given one back: perhaps another
// processor, so nothing that belongs to one may be kept across it.
//
//go:nosplit
func schedule() {
	c := ring0.This()
	now := hv.Now()
	next := dequeue()
	if next == nil {
		next = thread(c.IdleThread)
	}
	switchTo(c, next, now)
}

// switchTo lets next run on processor c, ours, from now on.
//
//go:nosplit
func switchTo(c *ring0.CPU, next *Thread, now int64) {
	old := thread(c.Thread)
	charge(c, old, now)
	of(c).preempt = false
	c.Thread = uintptr(unsafe.Pointer(next))
	next.State = Running
	next.cpu = c.ID
	next.since = now
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

// Idle is a processor's idle loop: it runs what there is, and halts when there is
// nothing. It is entered with the kernel lock held and does not return.
//
//go:nosplit
func Idle() {
	c := ring0.This() // an idle loop stays where it is
	for {
		if next := dequeue(); next != nil {
			switchTo(c, next, hv.Now())
			continue
		}
		word, bit := &idle[c.ID/64%uint32(len(idle))], uint64(1)<<(c.ID%64)
		l := of(c)
		l.since = hv.Now()
		*word |= bit
		Unlock()
		c.GoIdle()
		ring0.HaltOnce()
		c.GoOn()
		Lock()
		*word &^= bit
		l.idleNS += hv.Now() - l.since
		l.since = 0
	}
}

// Init makes the first thread, which is to start with the registers of frame and with FS
// pointing behind some g, since Go code of ours runs before the program sets its own.
// RunIdle runs it.
//
//go:nosplit
func Init(frame *ring0.Frame, fs uint64) bool {
	initFDs()
	return New(frame, fs) != nil
}

// AddProcessor gives a processor its idle loop: stack and interrupts are upper ends of two
// stacks, fs what FS is to be in it. It gives false when there is no memory.
//
//go:nosplit
func AddProcessor(c *ring0.CPU, stack, interrupts uintptr, fs uint64) bool {
	t := allocThread()
	if t == nil {
		return false
	}
	*t = Thread{Top: interrupts, FS: fs, State: Running, sp: ring0.PrepareIdle(stack)}
	c.IdleThread = uintptr(unsafe.Pointer(t))
	return true
}

// RunIdle begins the running processor's idle loop. It does not return.
//
//go:nosplit
func RunIdle() {
	Lock()
	c := ring0.This()
	t := thread(c.IdleThread)
	c.Thread = c.IdleThread
	t.cpu, t.since = c.ID, hv.Now()
	c.SetTrapStack(t.Top)
	ring0.Wrmsr(ring0.MSRFSBase, t.FS)
	var nowhere uintptr
	ring0.SwitchStack(&nowhere, t.sp)
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"unsafe"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// What a [Timer] counts.
const (
	RefTime    = iota // reference time
	ProcessCPU        // CPU time of all threads
	ThreadCPU         // CPU time of the thread that made the timer
)

// State of a Timer.
//
//	free --NewTimer--> off --Set--> armed --expires--> fired --TakeTimer--> off or armed
//
// An armed one is in its clock's list, a fired one in that of the thread that
// is to get the signal. It is armed again when the thread got it: a signal
// that nobody takes costs nothing.
const (
	timerFree = iota
	timerOff
	timerArmed
	timerFired
)

// Timer is one of timer_create's or setitimer's timers.
type Timer struct {
	next     uintptr // in the list of its state
	owner    uintptr // the Thread whose CPU time counts
	due      int64   // of one that is armed or fired: in ns of its clock
	Interval int64   // in ns; 0 for a single shot
	Value    uint64  // sigev_value
	ID       int32
	ownerID  int32
	Target   int32  // the thread to get the signal; 0 for any
	Overrun  int32  // expirations that the last signal stood for, but one
	Signal   uint32 // 0 for none
	Clock    uint8
	state    uint8
	Itimer   bool // setitimer's
	Realtime bool // times are set in CLOCK_REALTIME
}

// leastGap bounds how often a timer with a shorter interval expires, in ns:
// else one of a nanosecond would leave no time to the program.
const leastGap = 100_000

// never is a time that does not come: 292 years.
const never = 1<<63 - 1

// MaxTimers bounds the timers of timer_create.
const MaxTimers = 4096

// Timers lie in frames of their own, which are kept.
const timersPerPage = mem.PageSize / unsafe.Sizeof(Timer{})

// Guarded by the kernel lock.
var (
	timerPages    [MaxTimers / timersPerPage]uintptr
	timersMade    uintptr
	freeTimers    uintptr
	refTimers     uintptr // armed ones, the earliest first
	processTimers uintptr
	itimers       [3]Timer
)

//go:nosplit
func timerAt(t uintptr) *Timer { return (*Timer)(ring0.Pointer(t)) }

// NewTimer makes a timer that the running thread owns, or gives nil.
//
//go:nosplit
func NewTimer() *Timer {
	var tm *Timer
	if freeTimers != 0 {
		tm = timerAt(freeTimers)
		freeTimers = tm.next
		*tm = Timer{ID: tm.ID}
	} else if tm = makeTimer(); tm == nil {
		return nil
	}
	tm.state = timerOff
	tm.owner, tm.ownerID = uintptr(unsafe.Pointer(Current())), Current().ID
	return tm
}

//go:nosplit
func makeTimer() *Timer {
	id := timersMade
	page := &timerPages[id/timersPerPage%uintptr(len(timerPages))]
	if id >= timersPerPage*uintptr(len(timerPages)) {
		return nil
	}
	if *page == 0 {
		pa := mem.AllocFrame()
		if pa == 0 {
			return nil
		}
		*page = mem.Phys(pa)
	}
	timersMade++
	tm := timerAt(*page + id%timersPerPage*unsafe.Sizeof(Timer{}))
	*tm = Timer{ID: int32(id)}
	return tm
}

// TimerByID gives a timer of timer_create, or nil.
//
//go:nosplit
func TimerByID(id int32) *Timer {
	i := uintptr(id)
	if id < 0 || i >= timersMade {
		return nil
	}
	tm := timerAt(timerPages[i/timersPerPage%uintptr(len(timerPages))] + i%timersPerPage*unsafe.Sizeof(Timer{}))
	if tm.state == timerFree {
		return nil
	}
	return tm
}

// Itimer gives setitimer's timer 0 to 2, or nil.
//
//go:nosplit
func Itimer(which int32) *Timer {
	if which < 0 || which > 2 {
		return nil
	}
	tm := &itimers[uint32(which)%3]
	if tm.state == timerFree {
		tm.state, tm.Itimer = timerOff, true
	}
	return tm
}

// Delete ends a timer of timer_create.
//
//go:nosplit
func (tm *Timer) Delete() {
	tm.off()
	tm.state = timerFree
	tm.next = freeTimers
	freeTimers = uintptr(unsafe.Pointer(tm))
}

// Orphaned tells that the thread whose CPU time the timer counts is no more.
//
//go:nosplit
func (tm *Timer) Orphaned() bool {
	return tm.Clock == ThreadCPU && (thread(tm.owner).ID != tm.ownerID || thread(tm.owner).State == Free)
}

// Now is the time of the timer's clock, in ns.
//
//go:nosplit
func (tm *Timer) Now() int64 {
	now := hv.Now()
	switch tm.Clock {
	case ProcessCPU:
		return processTime(now)
	case ThreadCPU:
		return threadTime(thread(tm.owner), now)
	}
	return now
}

// Set arms the timer for a time of its clock in ns, or stops it if that is 0.
//
//go:nosplit
func (tm *Timer) Set(due, interval int64) {
	tm.off()
	tm.Interval, tm.Overrun = interval, 0
	if due != 0 {
		tm.due = due
		tm.arm()
	}
}

// Left is the time until the timer expires in ns, or 0 when it does not.
//
//go:nosplit
func (tm *Timer) Left() int64 {
	interval := tm.Interval
	if tm.state != timerArmed && (tm.state != timerFired || interval == 0) || tm.Orphaned() {
		return 0
	}
	left := tm.due - tm.Now()
	if left <= 0 && interval > 0 {
		left = interval - -left%interval
	}
	return max(left, 1)
}

// list is where the timer is linked in.
//
//go:nosplit
func (tm *Timer) list() *uintptr {
	switch tm.Clock {
	case ProcessCPU:
		return &processTimers
	case ThreadCPU:
		return &thread(tm.owner).timers
	}
	return &refTimers
}

//go:nosplit
func (tm *Timer) arm() {
	at := tm.list()
	for *at != 0 && timerAt(*at).due <= tm.due {
		at = &timerAt(*at).next
	}
	tm.next = *at
	*at = uintptr(unsafe.Pointer(tm))
	tm.state = timerArmed
	armTimers(hv.Now())
}

// off takes the timer out of the list it is in, and its signal back.
//
//go:nosplit
func (tm *Timer) off() {
	switch tm.state {
	case timerArmed:
		if !tm.Orphaned() { // Exit has emptied that list
			unlink(tm.list(), tm)
		}
	case timerFired:
		// Rare: so it may look for the thread.
		for t, i := Next(0); t != nil; t, i = Next(i) {
			if unlink(&t.fired, tm) {
				t.settle(tm.Signal)
				break
			}
		}
	}
	tm.state = timerOff
}

//go:nosplit
func unlink(at *uintptr, tm *Timer) bool {
	for ; *at != 0; at = &timerAt(*at).next {
		if timerAt(*at) == tm {
			*at = tm.next
			return true
		}
	}
	return false
}

// settle makes the pending set say whether timers with that signal fired.
//
//go:nosplit
func (t *Thread) settle(signal uint32) {
	for at := t.fired; at != 0; at = timerAt(at).next {
		if timerAt(at).Signal == signal {
			return
		}
	}
	bit := uint64(1) << ((signal - 1) & 63)
	t.Signals.FromTimer &^= bit
	if (t.Signals.FromUser|t.Signals.FromKernel)&bit == 0 {
		t.Signals.Pending &^= bit
	}
}

// TakeTimer takes the timer whose signal t gets now, and lets it run on if it
// has an interval. FromTimer has told that there is one.
//
//go:nosplit
func TakeTimer(t *Thread, signal uint32) *Timer {
	for at := &t.fired; *at != 0; at = &timerAt(*at).next {
		if tm := timerAt(*at); tm.Signal == signal {
			*at = tm.next
			t.settle(signal)
			tm.goOn()
			return tm
		}
	}
	t.settle(signal)
	return nil
}

// goOn arms a timer for its next expiration that is still to come.
//
//go:nosplit
func (tm *Timer) goOn() {
	tm.state, tm.Overrun = timerOff, 0
	interval := tm.Interval
	if interval <= 0 || tm.Orphaned() {
		return
	}
	now := tm.Now()
	if interval > never-leastGap-now {
		return // it does not come
	}
	steps := max(now-tm.due, 0)/interval + 1
	if interval < leastGap {
		steps += leastGap / interval
	}
	tm.due += steps * interval
	tm.Overrun = int32(min(steps-1, 1<<31-1))
	tm.arm()
}

// fire sends the signal of a timer that expired and is in no list any more.
//
//go:nosplit
func (tm *Timer) fire() {
	t := tm.target()
	if t == nil {
		tm.goOn()
		return
	}
	at := &t.fired
	for *at != 0 {
		at = &timerAt(*at).next
	}
	*at = uintptr(unsafe.Pointer(tm))
	tm.next, tm.state = 0, timerFired
	bit := uint64(1) << ((tm.Signal - 1) & 63)
	t.Signals.Pending |= bit
	t.Signals.FromTimer |= bit
	if t.Signals.Mask&bit == 0 {
		Alert(t)
	}
}

// target is the thread to get a timer's signal. One that is for any goes to one that
// runs and does not mask it, this processor's first.
//
//go:nosplit
func (tm *Timer) target() *Thread {
	if tm.Signal == 0 {
		return nil
	}
	if tm.Target != 0 {
		return ByID(tm.Target)
	}
	bit := uint64(1) << ((tm.Signal - 1) & 63)
	n, here := ring0.NumCPUs(), ring0.This().ID
	for i := uint32(0); i < n; i++ {
		if t := running(ring0.CPUAt((here + i) % n)); t != nil && t.Signals.Mask&bit == 0 {
			return t
		}
	}
	any, i := Next(0)
	for t, i := any, i; t != nil; t, i = Next(i) {
		if t.Signals.Mask&bit == 0 {
			return t
		}
	}
	return any
}

// running gives the program's thread that runs on a processor; nil when that is idle, or
// the thread is on its way to wait.
//
//go:nosplit
func running(c *ring0.CPU) *Thread {
	if t := thread(c.Thread); t != nil && c.Thread != c.IdleThread && t.State == Running {
		return t
	}
	return nil
}

// busy is how many processors run the program.
//
//go:nosplit
func busy() (n int64) {
	for i := uint32(0); i < ring0.NumCPUs(); i++ {
		if running(ring0.CPUAt(i)) != nil {
			n++
		}
	}
	return n
}

// expireTimers fires what is due. CPU time stands still while nothing runs.
//
//go:nosplit
func expireTimers(now int64) {
	expire(&refTimers, now)
	if t := running(ring0.This()); t != nil {
		expire(&t.timers, threadTime(t, now))
	}
	if processTimers != 0 {
		expire(&processTimers, processTime(now))
	}
	armTimers(now)
}

//go:nosplit
func expire(head *uintptr, now int64) {
	for *head != 0 && timerAt(*head).due <= now {
		tm := timerAt(*head)
		*head = tm.next
		tm.fire()
	}
}

// armTimers sees that an interrupt comes for the first timer to expire if the
// running thread runs on.
//
//go:nosplit
func armTimers(now int64) {
	if refTimers != 0 {
		hv.Arm(timerAt(refTimers).due)
	}
	if t := running(ring0.This()); t != nil && t.timers != 0 {
		armIn(timerAt(t.timers).due-threadTime(t, now), now)
	}
	if processTimers == 0 {
		return
	}
	// With n processors busy, the program's time runs n times as fast. This one looks
	// after it although others may be those, or all: they were armed for less.
	if n := busy(); n > 0 {
		left := timerAt(processTimers).due - processTime(now)
		armIn(max(left/n, min(left, leastGap)), now)
	}
}

//go:nosplit
func armIn(left, now int64) {
	if left > never-now {
		return
	}
	hv.Arm(now + max(left, 0))
}

// dropTimers is the end of a thread: its CPU time ends, and signals that it did
// not take are another's.
//
//go:nosplit
func (t *Thread) dropTimers() {
	for t.timers != 0 {
		tm := timerAt(t.timers)
		t.timers = tm.next
		tm.state = timerOff
	}
	for t.fired != 0 {
		tm := timerAt(t.fired)
		t.fired = tm.next
		tm.fire()
	}
}

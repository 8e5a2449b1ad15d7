// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"sync/atomic"
	"unsafe"

	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// State of a thread.
//
//	Free --New--> Runnable <--> Running --block--> Waiting --Wake--> Runnable
//	                               \--Exit--> Free
const (
	Free = iota
	Runnable
	Running
	Waiting
)

// What a waiting thread waits for. WaitOn is the object: a futex's address or
// a descriptor.
const (
	waitNone = iota
	WaitFutex
	WaitSleep
	WaitEpoll
	WaitEvent
	WaitSignal
)

// Why a wait ended.
const (
	Woken = iota
	TimedOut
	Interrupted // by a signal
)

// Thread is one thread of the program. It fills the lower part of a frame of
// its own; its trap stack lies elsewhere, between unmapped pages.
type Thread struct {
	ID      int32
	State   uint32
	sp      uintptr // the trap stack's position while not running
	Top     uintptr // upper end of the trap stack
	FS      uint64  // FS base: Go's thread-local storage
	next    uintptr // in the run queue
	cpu     uint32  // number of the processor that runs it, or did last
	nextDue uintptr // in the list of deadlines
	due     int64   // deadline in ns of reference time; 0 when in no list

	waitFor                  uint32
	reason                   uint32
	waitOn                   uintptr
	nextWaiting, prevWaiting uintptr // in the list of those that wait alike

	Signals  Signals
	Task     Task
	Own      bool    // eventfds and epolls that it makes are the runtime's own
	ClearTID uintptr // futex to clear and wake at exit (CLONE_CHILD_CLEARTID)
	since    int64   // when it was last given the processor, or charged
	used     int64   // CPU time until since, in ns
	timers   uintptr // armed Timers of its CPU time, the earliest first
	fired    uintptr // Timers whose signal it is to get, the oldest first
}

// Signals is a thread's signal state; runtime/linux gives it meaning.
type Signals struct {
	Mask, Pending  uint64 // bit n-1 is signal n
	FromUser       uint64 // of Pending: sent by tgkill or kill
	FromTimer      uint64 // of Pending: timers with that signal are in fired
	FromKernel     uint64 // of Pending: sent by the runtime itself
	Awaited        uint64 // rt_sigtimedwait waits for these
	Saved          uint64 // mask to restore after a call that waited with another
	HasSaved       bool
	AltSP, AltSize uintptr
	AltFlags       int32
}

// SharedPending are signals sent to the program, which any thread that does not mask them
// takes. Guarded by the kernel lock.
var SharedPending uint64

// ReadySignals gives those that are to be delivered to the thread. Without the kernel
// lock it is a guess.
//
//go:nosplit
func (t *Thread) ReadySignals() uint64 {
	return (atomic.LoadUint64(&t.Signals.Pending) | atomic.LoadUint64(&SharedPending)) &^ t.Signals.Mask
}

// MaxThreads bounds the threads alive at one time.
const MaxThreads = 2048

// Trap stacks: 16 KiB each in a 32 KiB slot, the rest of it unmapped.
const (
	stackBase  = 0xffff_c000_0000_0000
	stackSlot  = 32 << 10
	stackBytes = 16 << 10
)

var (
	threads [MaxThreads]uintptr // *Thread by slot; slots are never given back, only reused
	slots   uint32
	alive   uint32
	lastID  int32
)

// thread gives the Thread at an address that threads or a queue holds.
//
//go:nosplit
func thread(t uintptr) *Thread { return (*Thread)(ring0.Pointer(t)) }

//go:nosplit
func slot(i uint32) uintptr { return threads[i%MaxThreads] }

// Current is the running thread.
//
//go:nosplit
func Current() *Thread { return thread(ring0.This().Thread) }

// Alive is the number of threads.
//
//go:nosplit
func Alive() uint32 { return alive }

// New makes a thread that starts with the registers of frame, and puts it on
// the run queue. It gives nil when there is no memory or no slot.
//
//go:nosplit
func New(frame *ring0.Frame, fs uint64) *Thread {
	t := reuse()
	if t == nil {
		if t = create(); t == nil {
			return nil
		}
	}
	lastID++
	t.ID = lastID
	t.FS = fs
	t.cpu = ring0.This().ID
	t.sp = ring0.PrepareStack(t.Top, frame)
	t.Signals = Signals{}
	t.inheritTask()
	t.ClearTID = 0
	t.waitFor = waitNone
	t.due = 0
	t.used = 0
	alive++
	t.State = Runnable
	enqueue(t)
	return t
}

// reuse finds the remains of a thread that exited. It has left its stack, too: it
// held the kernel lock until then.
//
//go:nosplit
func reuse() *Thread {
	if alive == slots {
		return nil
	}
	for i := uint32(0); i < slots; i++ {
		if t := thread(slot(i)); t.State == Free {
			return t
		}
	}
	return nil
}

//go:nosplit
func create() *Thread {
	if slots == MaxThreads {
		return nil
	}
	t := allocThread()
	if t == nil {
		return nil
	}
	base := uintptr(stackBase + uintptr(slots)*stackSlot)
	if !MapStack(base, stackBytes) {
		mem.FreeFrame(uint64(uintptr(unsafe.Pointer(t)) - mem.Phys(0)))
		return nil
	}
	*t = Thread{Top: base + stackBytes}
	threads[slots%MaxThreads] = uintptr(unsafe.Pointer(t))
	slots++
	return t
}

// allocThread takes a frame for a Thread, with unknown contents.
//
//go:nosplit
func allocThread() *Thread {
	page := mem.AllocFrame()
	if page == 0 {
		return nil
	}
	return thread(mem.Phys(page))
}

// StackPages is the number of frames that threads have for themselves and their trap
// stacks, exited ones too.
//
//go:nosplit
func StackPages() uint64 { return uint64(slots) * (1 + stackBytes/mem.PageSize) }

// MapStack maps fresh frames at [base, base+bytes).
//
//go:nosplit
func MapStack(base, bytes uintptr) bool {
	for at := base; at < base+bytes; at += mem.PageSize {
		pa := mem.AllocFrame()
		if pa == 0 || !mem.Map(at, pa, mem.Writable|mem.NoExec) {
			if pa != 0 {
				mem.FreeFrame(pa)
			}
			for ; at > base; at -= mem.PageSize {
				if pa := mem.Unmap(at - mem.PageSize); pa != 0 {
					mem.FreeFrame(pa)
				}
			}
			return false
		}
	}
	return true
}

// Exit ends the running thread. It does not return.
//
//go:nosplit
func Exit() {
	t := Current()
	if t.ClearTID != 0 && t.ClearTID <= mem.UserEnd-4 {
		var zero uint32
		if ring0.CopyUser(t.ClearTID, uintptr(unsafe.Pointer(&zero)), 4) {
			FutexWake(t.ClearTID, 1)
		}
	}
	t.State = Free
	alive--
	t.dropTimers()
	schedule()
}

// ByID finds a thread, or gives nil.
//
//go:nosplit
func ByID(id int32) *Thread {
	for i := uint32(0); i < slots; i++ {
		if t := thread(slot(i)); t.State != Free && t.ID == id {
			return t
		}
	}
	return nil
}

// Next gives the first living thread in slot i or later, and the slot behind
// it; nil at the end.
//
//go:nosplit
func Next(i uint32) (*Thread, uint32) {
	for ; i < slots; i++ {
		if t := thread(slot(i)); t.State != Free {
			return t, i + 1
		}
	}
	return nil, i
}

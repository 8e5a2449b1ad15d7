// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"unsafe"

	"github.com/hvgo/hvgo/hv"
)

// nearest heads the list of threads with a deadline, the earliest first. Guarded by the
// kernel lock.
var nearest uintptr

// A wait shorter than shortWait may end slack later, as on Linux (PR_SET_TIMERSLACK in
// prctl(2), 50 µs). Go's monitor thread sleeps 20 µs at a time while there is something
// to watch: where leaving the guest takes longer than that, nobody else would run.
const (
	shortWait = 200_000
	slack     = 50_000
)

// rememberDue puts a thread into the list, and sees that the timer comes: some
// processor's timer is always set for the first of the list, or earlier. Behind that,
// the one whose timer came sets its own for the next (TimerInterrupt).
//
//go:nosplit
func rememberDue(t *Thread, due int64) {
	if due-hv.Now() < shortWait {
		due += slack
	}
	t.due = due
	at := &nearest
	for *at != 0 && thread(*at).due <= due {
		at = &thread(*at).nextDue
	}
	t.nextDue = *at
	*at = uintptr(unsafe.Pointer(t))
	if thread(nearest) == t {
		hv.Arm(due)
	}
}

// forgetDue takes a thread out of the list.
//
//go:nosplit
func forgetDue(t *Thread) {
	if t.due == 0 {
		return
	}
	for at := &nearest; *at != 0; at = &thread(*at).nextDue {
		if thread(*at) == t {
			*at = t.nextDue
			break
		}
	}
	t.due = 0
}

// TimerInterrupt wakes all threads whose deadline has come, and fires Timers.
//
//go:nosplit
func TimerInterrupt() {
	hv.TimerFired()
	now := hv.Now()
	for nearest != 0 && thread(nearest).due <= now {
		Wake(thread(nearest), TimedOut)
	}
	expireTimers(now)
	if nearest != 0 {
		hv.Arm(thread(nearest).due)
	}
}

// Sleep blocks until the reference time is due.
//
//go:nosplit
func Sleep(due int64) uint32 { return Block(WaitSleep, 0, due) }

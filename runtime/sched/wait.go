// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

import "unsafe"

// waiters are the threads that wait for something on an object (a futex's address, a
// descriptor), in lists by a hash of both. Guarded by the kernel lock.
var waiters [256]struct{ first, last uintptr }

//go:nosplit
func bucket(waitFor uint32, on uintptr) int {
	h := (uint64(on) ^ uint64(waitFor)<<56) * 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	return int(h >> 56)
}

//go:nosplit
func rememberWait(t *Thread) {
	b := &waiters[bucket(t.waitFor, t.waitOn)&255]
	at := uintptr(unsafe.Pointer(t))
	t.nextWaiting, t.prevWaiting = 0, b.last
	if b.last == 0 {
		b.first = at
	} else {
		thread(b.last).nextWaiting = at
	}
	b.last = at
}

//go:nosplit
func forgetWait(t *Thread) {
	b := &waiters[bucket(t.waitFor, t.waitOn)&255]
	if t.prevWaiting == 0 {
		b.first = t.nextWaiting
	} else {
		thread(t.prevWaiting).nextWaiting = t.nextWaiting
	}
	if t.nextWaiting == 0 {
		b.last = t.prevWaiting
	} else {
		thread(t.nextWaiting).prevWaiting = t.prevWaiting
	}
	t.waitFor = waitNone
}

// wakeWaiters wakes up to n threads that wait for something on an object, those that
// came first before others. It gives how many.
//
//go:nosplit
func wakeWaiters(waitFor uint32, on uintptr, n uint32) uint32 {
	woken := uint32(0)
	for at := waiters[bucket(waitFor, on)&255].first; at != 0 && woken < n; {
		t := thread(at)
		at = t.nextWaiting
		if t.waitFor == waitFor && t.waitOn == on {
			Wake(t, Woken)
			woken++
		}
	}
	return woken
}

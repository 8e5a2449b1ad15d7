// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	"unsafe"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/sched"
	"golang.org/x/sys/unix"
)

// timespec is struct timespec: seconds, nanoseconds.
type timespec [2]int64

const second = 1_000_000_000

// never is a time that does not come: 292 years.
const never = 1<<63 - 1

// load reads a time of the program's in ns; a negative errno for a bad one.
//
//go:nosplit
func loadTimespec(p uintptr) (ns int64, errno int) {
	var t timespec
	if !userRange(p, 16) || !ring0.CopyUser(uintptr(unsafe.Pointer(&t)), p, 16) {
		return 0, eFault
	}
	if t[0] < 0 || t[1] < 0 || t[1] >= second {
		return 0, eInval
	}
	if t[0] > never/second-1 {
		return never, 0
	}
	return t[0]*second + t[1], 0
}

//go:nosplit
func storeTimespec(p uintptr, ns int64) int {
	t := timespec{ns / second, ns % second}
	if !userRange(p, 16) || !ring0.CopyUser(p, uintptr(unsafe.Pointer(&t)), 16) {
		return eFault
	}
	return 0
}

// after is the reference time ns after from.
//
//go:nosplit
func after(from, ns int64) int64 {
	if ns > never-from {
		return never
	}
	return from + ns
}

// dueMillis is when epoll_wait's timeout ends: 0 never, negative at once.
//
//go:nosplit
func dueMillis(ms int32) int64 {
	switch {
	case ms < 0:
		return 0
	case ms == 0:
		return -1
	}
	return after(hv.Now(), int64(ms)*1_000_000)
}

//go:nosplit
func nanosleep(from int64, req, rem uintptr) int {
	ns, errno := loadTimespec(req)
	if errno != 0 {
		return errno
	}
	return sleepUntil(after(from, ns), rem)
}

//go:nosplit
func sleepUntil(due int64, rem uintptr) int {
	if due <= hv.Now() {
		return 0
	}
	if sched.Sleep(due) != sched.Interrupted {
		return 0
	}
	if left := due - hv.Now(); rem != 0 && left > 0 {
		storeTimespec(rem, left)
	}
	return eIntr
}

// The clocks that timers can run on, as sets of bits.
const (
	clocksRealtime = 1<<unix.CLOCK_REALTIME | 1<<unix.CLOCK_TAI
	clocksTimer    = clocksRealtime | 1<<unix.CLOCK_MONOTONIC | 1<<unix.CLOCK_BOOTTIME
)

//go:nosplit
func readClock(clock int32) (ns int64, ok bool) {
	switch clock {
	case unix.CLOCK_PROCESS_CPUTIME_ID:
		return sched.ProcessTime(), true
	case unix.CLOCK_THREAD_CPUTIME_ID:
		return sched.ThreadTime(), true
	}
	return hv.Clock(uint64(uint32(clock)))
}

// clockNanosleep cannot sleep for CPU time of the program.
//
//go:nosplit
func clockNanosleep(clock int32, flags, req, rem uintptr) int {
	now, ok := readClock(clock)
	if !ok {
		return eInval
	}
	if clocksTimer>>uint32(clock)&1 == 0 {
		return eOpNot
	}
	if flags&unix.TIMER_ABSTIME == 0 {
		return nanosleep(hv.Now(), req, rem)
	}
	ns, errno := loadTimespec(req)
	if errno != 0 {
		return errno
	}
	if ns <= now {
		return 0
	}
	return sleepUntil(after(hv.Now(), ns-now), 0)
}

//go:nosplit
func clockGettime(clock int32, p uintptr) int {
	ns, ok := readClock(clock)
	if !ok {
		return eInval
	}
	return storeTimespec(p, ns)
}

//go:nosplit
func clockGetres(clock int32, p uintptr) int {
	if _, ok := readClock(clock); !ok {
		return eInval
	}
	if p == 0 {
		return 0
	}
	return storeTimespec(p, 1)
}

// gettimeofday knows no time zones: zone is zeroed.
//
//go:nosplit
func gettimeofday(p, zone uintptr) int {
	ns := hv.Realtime()
	t := timespec{ns / second, ns % second / 1000}
	if p != 0 && (!userRange(p, 16) || !ring0.CopyUser(p, uintptr(unsafe.Pointer(&t)), 16)) {
		return eFault
	}
	if zone == 0 {
		return 0
	}
	return putWord64(zone, 0, 0)
}

// Operations of futex(2) that are served; the rest of the word is flags.
const (
	futexWait       = 0
	futexWake       = 1
	futexWaitBitset = 9
	futexWakeBitset = 10
	futexPrivate    = 128
	futexRealtime   = 256
	futexFlags      = futexPrivate | futexRealtime
)

//go:nosplit
func futex(addr uintptr, op, value uint32, timeout uintptr, bitset uint32) int {
	cmd, due := op&^futexFlags, int64(0)
	if timeout != 0 && (cmd == futexWait || cmd == futexWaitBitset) {
		ns, errno := loadTimespec(timeout)
		if errno != 0 {
			return errno
		}
		due = futexDue(op, ns)
	}
	switch {
	case cmd != futexWait && cmd != futexWake && cmd != futexWaitBitset && cmd != futexWakeBitset, op&futexRealtime != 0 && cmd != futexWaitBitset:
		return eNoSys
	case bitset == 0 && (cmd == futexWaitBitset || cmd == futexWakeBitset), addr&3 != 0:
		return eInval
	case !userRange(addr, 4):
		return eFault
	case op&futexPrivate == 0 && !mem.Valid(addr, 4, true):
		return eFault // as on Linux, which has to find out whose memory it is
	case cmd == futexWait || cmd == futexWaitBitset:
		r := sched.FutexWait(addr, value, due)
		if timeout == 0 {
			r = restartable(r)
		}
		return r
	}
	if int32(value) <= 0 {
		value = 1 // as on Linux, which counts after waking one
	}
	return sched.FutexWake(addr, value)
}

// futexDue is the reference time at which a wait ends. FUTEX_WAIT_BITSET's time
// is absolute.
//
//go:nosplit
func futexDue(op uint32, ns int64) int64 {
	now := hv.Now()
	if op&^futexFlags != futexWaitBitset {
		return after(now, ns)
	}
	if op&futexRealtime != 0 {
		ns -= hv.Realtime() - now
	}
	return max(ns, 1)
}

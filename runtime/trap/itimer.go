// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	"unsafe"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/sched"
	"golang.org/x/sys/unix"
)

// setting is struct itimerspec, and struct itimerval with microseconds.
type setting struct{ interval, value timespec }

const (
	settingBytes = 32
	nsPerMicro   = 1000
)

// Ways to be told (Linux's asm-generic/siginfo.h).
const (
	sigevSignal   = 0
	sigevNone     = 1
	sigevThread   = 2
	sigevThreadID = 4
)

// sigevent is the part of struct sigevent that is used: 64 bytes.
type sigevent struct {
	value                 uint64
	signo, notify, tid, _ int32
	_                     [40]byte
}

const sigAlrm, sigVTAlrm, sigProf = 14, 26, 27

// serveTimer serves timers that send signals.
//
//go:nosplit
func serveTimer(f *ring0.Frame, a, b, c uintptr) int {
	switch f.RAX {
	case unix.SYS_SETITIMER:
		return setItimer(int32(a), b, c)
	case unix.SYS_GETITIMER:
		tm := itimer(int32(a))
		if tm == nil {
			return eInval
		}
		return storeSetting(tm, b, nsPerMicro)
	case unix.SYS_TIMER_CREATE:
		return timerCreate(int32(a), b, c)
	case unix.SYS_TIMER_SETTIME:
		return timerSet(int32(a), b, c, uintptr(f.R10))
	}
	tm := sched.TimerByID(int32(a))
	if tm == nil {
		return eInval
	}
	switch f.RAX {
	case unix.SYS_TIMER_GETTIME:
		return storeSetting(tm, b, 1)
	case unix.SYS_TIMER_GETOVERRUN:
		return int(tm.Overrun)
	}
	tm.Delete()
	return 0
}

// itimer gives setitimer's timer, or nil. CPU time in and out of system calls
// is one: ITIMER_VIRTUAL counts all of it, like ITIMER_PROF.
//
//go:nosplit
func itimer(which int32) *sched.Timer {
	tm := sched.Itimer(which)
	switch {
	case tm == nil:
	case which == unix.ITIMER_REAL:
		tm.Clock, tm.Signal = sched.RefTime, sigAlrm
	case which == unix.ITIMER_VIRTUAL:
		tm.Clock, tm.Signal = sched.ProcessCPU, sigVTAlrm
	default:
		tm.Clock, tm.Signal = sched.ProcessCPU, sigProf
	}
	return tm
}

//go:nosplit
func setItimer(which int32, now, old uintptr) int {
	var value, interval int64
	if now != 0 {
		var errno int
		if value, interval, errno = loadSetting(now, nsPerMicro); errno != 0 {
			return errno
		}
	}
	tm := itimer(which)
	if tm == nil {
		return eInval
	}
	left, was := tm.Left(), tm.Interval
	start(tm, value, interval)
	if old == 0 {
		return 0
	}
	return putSetting(old, left, was, nsPerMicro)
}

// start lets the timer expire after value ns, and every interval from then on.
//
//go:nosplit
func start(tm *sched.Timer, value, interval int64) {
	if value != 0 {
		value = after(tm.Now(), value)
	} else if tm.Clock == sched.RefTime || !tm.Itimer {
		interval = 0
	}
	tm.Set(value, interval)
}

//go:nosplit
func timerCreate(clock int32, event, id uintptr) int {
	e := sigevent{signo: sigAlrm}
	if event != 0 && (!userRange(event, unsafe.Sizeof(e)) || !ring0.CopyUser(uintptr(unsafe.Pointer(&e)), event, unsafe.Sizeof(e))) {
		return eFault
	}
	kind := uint8(sched.RefTime)
	switch {
	case clock == unix.CLOCK_PROCESS_CPUTIME_ID:
		kind = sched.ProcessCPU
	case clock == unix.CLOCK_THREAD_CPUTIME_ID:
		kind = sched.ThreadCPU
	case clock == unix.CLOCK_REALTIME_ALARM || clock == unix.CLOCK_BOOTTIME_ALARM:
		return eOpNot
	default:
		if _, ok := hv.Clock(uint64(uint32(clock))); !ok {
			return eInval
		}
		if clocksTimer>>uint32(clock)&1 == 0 {
			return eOpNot
		}
	}
	switch e.notify {
	case sigevThreadID:
		if sched.ByID(e.tid) == nil {
			return eInval
		}
	case sigevSignal, sigevThread:
		e.tid = 0
	case sigevNone:
		e.tid, e.signo = 0, 0
	default:
		return eInval
	}
	if e.notify != sigevNone && (e.signo <= 0 || e.signo > numSignals) {
		return eInval
	}
	tm := sched.NewTimer()
	if tm == nil {
		return eAgain
	}
	tm.Clock, tm.Signal, tm.Target, tm.Value = kind, uint32(e.signo), e.tid, e.value
	tm.Realtime = clocksRealtime>>uint32(clock)&1 != 0
	if event == 0 {
		tm.Value = uint64(tm.ID)
	}
	if id == 0 || putWord32(id, uint32(tm.ID)) != 0 {
		tm.Delete()
		return eFault
	}
	return 0
}

//go:nosplit
func timerSet(id int32, flags, now, old uintptr) int {
	if now == 0 {
		return eInval
	}
	value, interval, errno := loadSetting(now, 1)
	if errno != 0 {
		return errno
	}
	tm := sched.TimerByID(id)
	if tm == nil {
		return eInval
	}
	if tm.Orphaned() {
		return eSrch
	}
	left, was := tm.Left(), tm.Interval
	if flags&unix.TIMER_ABSTIME != 0 && value != 0 {
		if tm.Realtime {
			value = max(value-(hv.Realtime()-hv.Now()), 1)
		}
		tm.Set(value, interval)
	} else {
		start(tm, value, interval)
	}
	if old == 0 {
		return 0
	}
	return putSetting(old, left, was, 1)
}

// loadSetting reads a setting of the program's whose fractions of a second are
// in unit ns.
//
//go:nosplit
func loadSetting(p uintptr, unit int64) (value, interval int64, errno int) {
	var s setting
	if !userRange(p, settingBytes) || !ring0.CopyUser(uintptr(unsafe.Pointer(&s)), p, settingBytes) {
		return 0, 0, eFault
	}
	var ok1, ok2 bool
	value, ok1 = inNS(&s.value, unit)
	interval, ok2 = inNS(&s.interval, unit)
	if !ok1 || !ok2 {
		return 0, 0, eInval
	}
	return value, interval, 0
}

//go:nosplit
func inNS(t *timespec, unit int64) (ns int64, ok bool) {
	if t[0] < 0 || t[1] < 0 || t[1] >= second || t[1]*unit >= second {
		return 0, false
	}
	if t[0] > never/second-1 {
		return never, true
	}
	return t[0]*second + t[1]*unit, true
}

//go:nosplit
func storeSetting(tm *sched.Timer, p uintptr, unit int64) int {
	return putSetting(p, tm.Left(), tm.Interval, unit)
}

//go:nosplit
func putSetting(p uintptr, left, interval, unit int64) int {
	if left != 0 {
		left = max(left, unit) // zero would say that it does not run
	}
	s := setting{interval: timespec{interval / second, interval % second}, value: timespec{left / second, left % second}}
	if unit == nsPerMicro { // a division by unit could panic
		s.interval[1] /= nsPerMicro
		s.value[1] /= nsPerMicro
	}
	if !userRange(p, settingBytes) || !ring0.CopyUser(p, uintptr(unsafe.Pointer(&s)), settingBytes) {
		return eFault
	}
	return 0
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Layouts of timer_create and timer_settime; x/sys has none.
type (
	sigevent struct {
		value              uint64
		signo, notify, tid int32
		_                  [11]int32
	}
	itimerspec struct{ interval, value unix.Timespec }
)

const sigevNone, sigevThreadID, nobody = 1, 4, 1 << 22

// intervals makes the calls of timers that send signals, with right arguments and
// hostile ones. Linux runs the same (TestOnLinux).
func intervals([]string) (string, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, f := range []func() error{timerErrors, readTimers, cpuClocks, alarms, sleepingThread, absoluteTimers} {
		if err := f(); err != nil {
			return "", err
		}
	}
	return "all as on Linux", nil
}

func call(nr uintptr, args ...uintptr) (uintptr, syscall.Errno) {
	var a [4]uintptr
	copy(a[:], args)
	r, _, e := unix.Syscall6(nr, a[0], a[1], a[2], a[3], 0, 0)
	return r, e
}

func timerErrors() error {
	const bad = 1 << 50 // nothing is mapped there
	minus := ^uintptr(0)
	var id int32
	var out [4]int64
	good, late := itimerspec{value: unix.Timespec{Sec: 1000}}, itimerspec{value: unix.Timespec{Nsec: 1e9}}
	early := itimerspec{interval: unix.Timespec{Sec: -1}}
	micro := [4]int64{0, 0, 0, 1e6}
	event := func(e sigevent) uintptr { return uintptr(unsafe.Pointer(&e)) }
	none := event(sigevent{notify: sigevNone, signo: 4711})
	idAt, outAt := uintptr(unsafe.Pointer(&id)), uintptr(unsafe.Pointer(&out))
	goodAt, lateAt := uintptr(unsafe.Pointer(&good)), uintptr(unsafe.Pointer(&late))
	earlyAt, microAt := uintptr(unsafe.Pointer(&early)), uintptr(unsafe.Pointer(&micro))
	if _, e := call(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, none, idAt); e != 0 {
		return fmt.Errorf("timer_create: %v", e)
	}
	timer := uintptr(id)
	for _, tt := range []struct {
		name string
		nr   uintptr
		args []uintptr
		want syscall.Errno
	}{
		{"setitimer of no timer", unix.SYS_SETITIMER, []uintptr{3, outAt, 0}, unix.EINVAL},
		{"setitimer -1", unix.SYS_SETITIMER, []uintptr{minus, outAt, 0}, unix.EINVAL},
		{"setitimer from nowhere", unix.SYS_SETITIMER, []uintptr{0, bad, 0}, unix.EFAULT},
		{"setitimer from nowhere of none", unix.SYS_SETITIMER, []uintptr{9, bad, 0}, unix.EFAULT},
		{"setitimer from the kernel", unix.SYS_SETITIMER, []uintptr{0, minus - 15, 0}, unix.EFAULT},
		{"setitimer to nowhere", unix.SYS_SETITIMER, []uintptr{0, outAt, bad}, unix.EFAULT},
		{"setitimer of a million microseconds", unix.SYS_SETITIMER, []uintptr{0, microAt, 0}, unix.EINVAL},
		{"setitimer of negative time", unix.SYS_SETITIMER, []uintptr{2, earlyAt, 0}, unix.EINVAL},
		{"setitimer of nothing", unix.SYS_SETITIMER, []uintptr{2, 0, 0}, 0},
		{"getitimer of no timer", unix.SYS_GETITIMER, []uintptr{3, outAt}, unix.EINVAL},
		{"getitimer to nowhere", unix.SYS_GETITIMER, []uintptr{1, bad}, unix.EFAULT},
		{"getitimer to NULL", unix.SYS_GETITIMER, []uintptr{1, 0}, unix.EFAULT},
		{"timer_create on no clock", unix.SYS_TIMER_CREATE, []uintptr{77, none, idAt}, unix.EINVAL},
		{"timer_create on clock -1", unix.SYS_TIMER_CREATE, []uintptr{minus, none, idAt}, unix.EINVAL},
		{"timer_create on a raw clock", unix.SYS_TIMER_CREATE, []uintptr{unix.CLOCK_MONOTONIC_RAW, none, idAt}, unix.EOPNOTSUPP},
		{"timer_create on a coarse clock", unix.SYS_TIMER_CREATE, []uintptr{unix.CLOCK_REALTIME_COARSE, none, idAt}, unix.EOPNOTSUPP},
		{"timer_create from nowhere", unix.SYS_TIMER_CREATE, []uintptr{1, bad, idAt}, unix.EFAULT},
		{"timer_create to nowhere", unix.SYS_TIMER_CREATE, []uintptr{1, none, bad}, unix.EFAULT},
		{"timer_create to NULL", unix.SYS_TIMER_CREATE, []uintptr{1, none, 0}, unix.EFAULT},
		{"timer_create of signal 0", unix.SYS_TIMER_CREATE, []uintptr{1, event(sigevent{}), idAt}, unix.EINVAL},
		{"timer_create of signal 65", unix.SYS_TIMER_CREATE, []uintptr{1, event(sigevent{signo: 65}), idAt}, unix.EINVAL},
		{"timer_create of signal -1", unix.SYS_TIMER_CREATE, []uintptr{1, event(sigevent{signo: -1}), idAt}, unix.EINVAL},
		{"timer_create told by 3", unix.SYS_TIMER_CREATE, []uintptr{1, event(sigevent{signo: 14, notify: 3}), idAt}, unix.EINVAL},
		{"timer_create for nobody", unix.SYS_TIMER_CREATE,
			[]uintptr{1, event(sigevent{signo: 14, notify: sigevThreadID, tid: nobody}), idAt}, unix.EINVAL},
		{"timer_settime of nothing", unix.SYS_TIMER_SETTIME, []uintptr{timer, 0, 0, 0}, unix.EINVAL},
		{"timer_settime from nowhere", unix.SYS_TIMER_SETTIME, []uintptr{timer, 0, bad, 0}, unix.EFAULT},
		{"timer_settime of 1e9 ns", unix.SYS_TIMER_SETTIME, []uintptr{timer, 0, lateAt, 0}, unix.EINVAL},
		{"timer_settime of negative interval", unix.SYS_TIMER_SETTIME, []uintptr{timer, 0, earlyAt, 0}, unix.EINVAL},
		{"timer_settime of no timer", unix.SYS_TIMER_SETTIME, []uintptr{timer + 4000, 0, goodAt, 0}, unix.EINVAL},
		{"timer_settime of timer -1", unix.SYS_TIMER_SETTIME, []uintptr{minus, 0, goodAt, 0}, unix.EINVAL},
		{"timer_settime to nowhere", unix.SYS_TIMER_SETTIME, []uintptr{timer, 0, goodAt, bad}, unix.EFAULT},
		{"timer_settime", unix.SYS_TIMER_SETTIME, []uintptr{timer, 0, goodAt, outAt}, 0},
		{"timer_gettime to nowhere", unix.SYS_TIMER_GETTIME, []uintptr{timer, bad}, unix.EFAULT},
		{"timer_gettime of no timer", unix.SYS_TIMER_GETTIME, []uintptr{minus, outAt}, unix.EINVAL},
		{"timer_getoverrun", unix.SYS_TIMER_GETOVERRUN, []uintptr{timer}, 0},
		{"timer_getoverrun of no timer", unix.SYS_TIMER_GETOVERRUN, []uintptr{minus}, unix.EINVAL},
		{"timer_delete", unix.SYS_TIMER_DELETE, []uintptr{timer}, 0},
		{"timer_delete again", unix.SYS_TIMER_DELETE, []uintptr{timer}, unix.EINVAL},
		{"clock_gettime of no clock", unix.SYS_CLOCK_GETTIME, []uintptr{12345, outAt}, unix.EINVAL},
		{"clock_gettime, upper half ignored", unix.SYS_CLOCK_GETTIME, []uintptr{3 | 1<<32, outAt}, 0},
		{"clock_gettime to nowhere", unix.SYS_CLOCK_GETTIME, []uintptr{unix.CLOCK_THREAD_CPUTIME_ID, bad}, unix.EFAULT},
		{"clock_getres of CPU time", unix.SYS_CLOCK_GETRES, []uintptr{unix.CLOCK_PROCESS_CPUTIME_ID, outAt}, 0},
		{"clock_nanosleep on a raw clock", unix.SYS_CLOCK_NANOSLEEP, []uintptr{unix.CLOCK_MONOTONIC_RAW, 0, goodAt, 0}, unix.EOPNOTSUPP},
		{"clock_nanosleep on the thread's", unix.SYS_CLOCK_NANOSLEEP, []uintptr{unix.CLOCK_THREAD_CPUTIME_ID, 0, goodAt, 0}, unix.EOPNOTSUPP},
		{"getrusage of nobody", unix.SYS_GETRUSAGE, []uintptr{77, outAt}, unix.EINVAL},
	} {
		if _, e := call(tt.nr, tt.args...); e != tt.want {
			return fmt.Errorf("%s: %v, want %v", tt.name, e, tt.want)
		}
	}
	runtime.KeepAlive(&good)
	runtime.KeepAlive(&late)
	return nil
}

// newTimer gives a timer that is set, and how to end it.
func newTimer(clock uintptr, e sigevent, flags uintptr, s itimerspec) (id int32, end func(), err error) {
	if _, e := call(unix.SYS_TIMER_CREATE, clock, uintptr(unsafe.Pointer(&e)), uintptr(unsafe.Pointer(&id))); e != 0 {
		return 0, nil, fmt.Errorf("timer_create: %v", e)
	}
	end = func() { call(unix.SYS_TIMER_DELETE, uintptr(id)) }
	if _, e := call(unix.SYS_TIMER_SETTIME, uintptr(id), flags, uintptr(unsafe.Pointer(&s)), 0); e != 0 {
		end()
		return 0, nil, fmt.Errorf("timer_settime: %v", e)
	}
	return id, end, nil
}

// readTimers reads what is left of timers that run.
func readTimers() error {
	for _, clock := range []uintptr{unix.CLOCK_REALTIME, unix.CLOCK_MONOTONIC, unix.CLOCK_PROCESS_CPUTIME_ID, unix.CLOCK_THREAD_CPUTIME_ID} {
		s := itimerspec{interval: unix.Timespec{Nsec: 5}, value: unix.Timespec{Sec: 1000}}
		id, end, err := newTimer(clock, sigevent{notify: sigevNone}, 0, s)
		if err != nil {
			return err
		}
		defer end()
		spin(1 << 16)
		var now itimerspec
		if _, e := call(unix.SYS_TIMER_GETTIME, uintptr(id), uintptr(unsafe.Pointer(&now))); e != 0 {
			return e
		}
		if left := now.value.Nano(); now.interval != s.interval || left <= 900e9 || left > 1000e9 {
			return fmt.Errorf("clock %d: %v left of 1000 s", clock, now)
		}
	}
	for which := range uintptr(3) {
		set, was := unix.Itimerval{Value: unix.Timeval{Sec: 1000}, Interval: unix.Timeval{Usec: 7}}, unix.Itimerval{}
		call(unix.SYS_SETITIMER, which, uintptr(unsafe.Pointer(&set)), 0)
		spin(1 << 16)
		_, e := call(unix.SYS_SETITIMER, which, uintptr(unsafe.Pointer(&unix.Itimerval{})), uintptr(unsafe.Pointer(&was)))
		if e != 0 || was.Interval != set.Interval || was.Value.Sec < 900 || was.Value.Sec > 1000 {
			return fmt.Errorf("setitimer %d: %v left of 1000 s, %v", which, was, e)
		}
		if _, e = call(unix.SYS_GETITIMER, which, uintptr(unsafe.Pointer(&was))); e != 0 || was.Value != (unix.Timeval{}) {
			return fmt.Errorf("getitimer %d of one that is off: %v, %v", which, was, e)
		}
	}
	return nil
}

// cpuClocks checks that CPU time goes on while the thread works, and else not.
func cpuClocks() error {
	used := func() [3]time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
			panic(err)
		}
		return [3]time.Duration{cpuTime(unix.CLOCK_THREAD_CPUTIME_ID), cpuTime(unix.CLOCK_PROCESS_CPUTIME_ID),
			time.Duration(u.Utime.Nano() + u.Stime.Nano())}
	}
	const work = 50 * time.Millisecond
	before := used()
	burn(work)
	after := used()
	for i := range before {
		if d := after[i] - before[i]; d < work-20*time.Millisecond { // Linux adds up getrusage's by ticks
			return fmt.Errorf("CPU time %d went on by %v in %v of work", i, d, work)
		}
	}
	if after[0] > after[1] {
		return fmt.Errorf("the thread used %v, the program %v", after[0], after[1])
	}
	before = used()
	unix.Nanosleep(&unix.Timespec{Nsec: 300e6}, nil)
	if d := used()[0] - before[0]; d > 200*time.Millisecond {
		return fmt.Errorf("CPU time went on by %v while the thread slept", d)
	}
	return nil
}

// alarms gets SIGALRM once, and often.
func alarms() error {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGALRM)
	defer signal.Reset(syscall.SIGALRM)
	start := time.Now()
	call(unix.SYS_SETITIMER, unix.ITIMER_REAL, uintptr(unsafe.Pointer(&unix.Itimerval{Value: unix.Timeval{Usec: 30_000}})), 0)
	select {
	case <-c:
		if took := time.Since(start); took < 29*time.Millisecond {
			return fmt.Errorf("an alarm of 30 ms came after %v", took)
		}
	case <-time.After(20 * time.Second):
		return errors.New("no alarm")
	}
	// Too often: there must be time for more than signals.
	storm := unix.Itimerval{Value: unix.Timeval{Usec: 20}, Interval: unix.Timeval{Usec: 20}}
	call(unix.SYS_SETITIMER, unix.ITIMER_REAL, uintptr(unsafe.Pointer(&storm)), 0)
	for range 10 {
		spin(1 << 18)
	}
	call(unix.SYS_SETITIMER, unix.ITIMER_REAL, uintptr(unsafe.Pointer(&unix.Itimerval{})), 0)
	<-c
	return nil
}

// sleepingThread has a timer of CPU time, which stands still while it sleeps.
func sleepingThread() error {
	c := make(chan os.Signal, 10)
	signal.Notify(c, syscall.SIGUSR1)
	defer signal.Reset(syscall.SIGUSR1)
	for _, e := range []sigevent{
		{signo: int32(syscall.SIGUSR1), notify: sigevThreadID, tid: int32(unix.Gettid())},
		{signo: int32(syscall.SIGUSR1)},
	} {
		_, end, err := newTimer(unix.CLOCK_THREAD_CPUTIME_ID, e, 0, itimerspec{value: unix.Timespec{Nsec: 200e6}})
		if err != nil {
			return err
		}
		defer end()
		unix.Nanosleep(&unix.Timespec{Nsec: 400e6}, nil)
		if len(c) != 0 {
			return errors.New("a timer of CPU time expired while the thread slept")
		}
		burn(250 * time.Millisecond)
		select {
		case <-c:
		case <-time.After(20 * time.Second):
			return errors.New("a timer of CPU time did not expire while the thread worked")
		}
	}
	return nil
}

// absoluteTimers are set to a time of their clock.
func absoluteTimers() error {
	c := make(chan os.Signal, 10)
	signal.Notify(c, syscall.SIGUSR2)
	defer signal.Reset(syscall.SIGUSR2)
	for _, clock := range []int32{unix.CLOCK_REALTIME, unix.CLOCK_MONOTONIC} {
		due := cpuTime(clock) + 20*time.Millisecond
		s := itimerspec{value: unix.NsecToTimespec(int64(due))}
		_, end, err := newTimer(uintptr(clock), sigevent{signo: int32(syscall.SIGUSR2)}, unix.TIMER_ABSTIME, s)
		if err != nil {
			return err
		}
		defer end()
		select {
		case <-c:
			if now := cpuTime(clock); now < due {
				return fmt.Errorf("clock %d: expired %v early", clock, due-now)
			}
		case <-time.After(20 * time.Second):
			return fmt.Errorf("clock %d: did not expire", clock)
		}
	}
	return nil
}

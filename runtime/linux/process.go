// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// thePID is the only process: what the firmware started is process 1.
const thePID = 1

// What uname and /proc/version say. Programs derive from the release which calls they may expect.
const (
	Release = "6.1.0-hvgo"
	version = "#1 SMP hvgo"
)

func sysUname(c *call) (int, syscall.Errno) {
	const field = 65 // bytes of each field of struct utsname, with the zero
	var b [6 * field]byte
	for i, s := range []string{"Linux", Hostname(), Release, version, "x86_64", "(none)"} {
		copy(b[i*field:(i+1)*field-1], s)
	}
	return 0, c.ptr(0).copyOut(b[:])
}

func sysSysinfo(c *call) (int, syscall.Errno) {
	total, free := Memory()
	var b [112]byte // struct sysinfo
	le.PutUint64(b[0:], uint64(Uptime()/time.Second))
	le.PutUint64(b[32:], total)
	le.PutUint64(b[40:], free)
	le.PutUint16(b[80:], 1)  // processes
	le.PutUint32(b[104:], 1) // unit of the sizes in bytes
	return 0, c.ptr(0).copyOut(b[:])
}

// clockTick is the unit of times: USER_HZ is 100.
const clockTick = time.Second / 100

func sysTimes(c *call) (int, syscall.Errno) {
	user, system, _ := CPUTime()
	now := int(Uptime() / clockTick)
	at := c.ptr(0)
	if at.isNil() {
		return now, 0
	}
	var b [32]byte // struct tms
	le.PutUint64(b[0:], uint64(user/clockTick))
	le.PutUint64(b[8:], uint64(system/clockTick))
	return now, at.copyOut(b[:])
}

func sysGetrusage(c *call) (int, syscall.Errno) {
	var b [144]byte // struct rusage
	switch who := c.int32Arg(0); who {
	case unix.RUSAGE_SELF, unix.RUSAGE_THREAD:
		user, system, rss := CPUTime()
		if who == unix.RUSAGE_THREAD {
			user, system = time.Duration(ThreadTime()), 0
		}
		putTimeval(b[0:], user)
		putTimeval(b[16:], system)
		le.PutUint64(b[32:], rss>>10) // KiB
	case unix.RUSAGE_CHILDREN:
	default:
		return 0, syscall.EINVAL
	}
	return 0, c.ptr(1).copyOut(b[:])
}

// putTimeval writes a struct timeval.
func putTimeval(b []byte, d time.Duration) {
	le.PutUint64(b, uint64(d/time.Second))
	le.PutUint64(b[8:], uint64(d%time.Second/time.Microsecond))
}

// loadTimeval reads a struct timeval; EDOM when the microseconds are out of range, as for SO_RCVTIMEO.
func loadTimeval(b []byte) (time.Duration, syscall.Errno) {
	sec, usec := int64(le.Uint64(b)), int64(le.Uint64(b[8:]))
	const longest = 1 << 32 // seconds; more counts as for ever
	switch {
	case usec < 0 || usec >= 1e6:
		return 0, syscall.EDOM
	case sec < 0:
		return time.Nanosecond, 0 // over at once
	case sec >= longest:
		return 0, 0
	}
	return time.Duration(sec)*time.Second + time.Duration(usec)*time.Microsecond, 0
}

// No process has children here: the calls that wait for one look at their arguments, and say ECHILD.

func sysWait4(c *call) (int, syscall.Errno) {
	const known = unix.WNOHANG | unix.WUNTRACED | unix.WCONTINUED | unix.WNOTHREAD | unix.WCLONE | unix.WALL
	switch {
	case uint32(c.arg[2])&^known != 0:
		return 0, syscall.EINVAL
	case c.int32Arg(0) == -1<<31:
		return 0, syscall.ESRCH
	}
	return 0, syscall.ECHILD
}

func sysWaitid(c *call) (int, syscall.Errno) {
	const events = unix.WEXITED | unix.WSTOPPED | unix.WCONTINUED
	options, id := uint32(c.arg[3]), c.int32Arg(1)
	if options&^(events|unix.WNOHANG|unix.WNOWAIT|unix.WNOTHREAD|unix.WCLONE|unix.WALL) != 0 || options&events == 0 {
		return 0, syscall.EINVAL
	}
	switch c.int32Arg(0) {
	case unix.P_ALL:
		return 0, syscall.ECHILD
	case unix.P_PID:
		if id <= 0 {
			return 0, syscall.EINVAL
		}
		return 0, syscall.ECHILD
	case unix.P_PGID:
		if id < 0 {
			return 0, syscall.EINVAL
		}
		return 0, syscall.ECHILD
	case unix.P_PIDFD:
		if id < 0 {
			return 0, syscall.EINVAL
		}
		return 0, syscall.EBADF // no descriptor is a process
	}
	return 0, syscall.EINVAL
}

// sysPriority serves getpriority, which gives 20 less the nice value, and setpriority. There is nobody to
// be nice to.
func sysPriority(c *call) (int, syscall.Errno) {
	which, who := c.int32Arg(0), c.int32Arg(1)
	switch {
	case which < unix.PRIO_PROCESS || which > unix.PRIO_USER:
		return 0, syscall.EINVAL
	case who != 0 && (who != thePID || which == unix.PRIO_USER):
		return 0, syscall.ESRCH
	case c.nr == unix.SYS_SETPRIORITY:
		return 0, 0
	}
	return 20, 0
}

// ownID is a call that asks for the group or session of a process.
func ownID(c *call) (int, syscall.Errno) {
	if pid := c.int32Arg(0); pid != 0 && pid != thePID {
		return 0, syscall.ESRCH
	}
	return thePID, 0
}

// alarm is the timer of alarm(2).
var alarm struct {
	mu    sync.Mutex
	timer *time.Timer
	due   time.Time
}

func sysAlarm(c *call) (int, syscall.Errno) {
	alarm.mu.Lock()
	defer alarm.mu.Unlock()
	left := 0
	if alarm.timer != nil && alarm.timer.Stop() {
		left = max(1, int((time.Until(alarm.due)+time.Second/2)/time.Second))
	}
	alarm.timer = nil
	if seconds := uint32(c.arg[0]); seconds != 0 {
		after := time.Duration(seconds) * time.Second
		alarm.due = time.Now().Add(after)
		alarm.timer = time.AfterFunc(after, func() { Raise(int(syscall.SIGALRM)) })
	}
	return left, 0
}

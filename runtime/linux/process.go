// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
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

// sysPrlimit tells and sets limits. There is one program and it may have all there is: what it sets is
// kept nowhere, but must make sense.
func sysPrlimit(resource uintptr, set, get ref) (int, syscall.Errno) {
	const resources = 16 // RLIM_NLIMITS
	if uint32(resource) >= resources {
		return 0, syscall.EINVAL
	}
	if !set.isNil() {
		soft, e := set.loadU64()
		if e != 0 {
			return 0, e
		}
		hard, e := set.add(8).loadU64()
		switch {
		case e != 0:
			return 0, e
		case soft > hard:
			return 0, syscall.EINVAL
		case resource == unix.RLIMIT_NOFILE && hard > uint64(FDLimit):
			return 0, syscall.EPERM
		}
	}
	if get.isNil() {
		return 0, 0
	}
	soft, hard := uint64(unix.RLIM_INFINITY), uint64(unix.RLIM_INFINITY)
	switch resource {
	case unix.RLIMIT_NOFILE:
		soft, hard = uint64(FDLimit), uint64(FDLimit)
	case unix.RLIMIT_STACK:
		soft = 8 << 20
	case unix.RLIMIT_CORE:
		soft = 0
	}
	var b [16]byte
	le.PutUint64(b[:], soft)
	le.PutUint64(b[8:], hard)
	return 0, get.copyOut(b[:])
}

// sysGetresuid answers for users and groups alike: everything is root's.
func sysGetresuid(c *call) (int, syscall.Errno) {
	for i := range 3 {
		if e := c.ptr(i).storeU32(0); e != 0 {
			return 0, e
		}
	}
	return 0, 0
}

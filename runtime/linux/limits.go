// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// rlimits is how many resources have a limit (RLIM_NLIMITS).
const rlimits = 16

// limits are what setrlimit set (getrlimit(2)). Only that of descriptors is enforced.
var limits resourceLimits

type resourceLimits struct {
	mu  sync.Mutex
	set [rlimits]*[2]uint64 // soft and hard; nil: as at first. guarded by mu
}

// get is a limit, soft and hard.
func (l *resourceLimits) get(resource int) (soft, hard uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.locked(resource)
}

func (l *resourceLimits) locked(resource int) (soft, hard uint64) {
	if v := l.set[resource]; v != nil {
		return v[0], v[1]
	}
	soft, hard = unix.RLIM_INFINITY, unix.RLIM_INFINITY
	switch resource {
	case unix.RLIMIT_NOFILE:
		soft, hard = uint64(FDLimit), uint64(FDLimit)
	case unix.RLIMIT_STACK:
		soft = 8 << 20
	case unix.RLIMIT_CORE:
		soft = 0
	}
	return soft, hard
}

// change sets a limit and gives what it was. Root may raise those that are not enforced.
func (l *resourceLimits) change(resource int, soft, hard uint64) syscall.Errno {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case soft > hard:
		return syscall.EINVAL
	case resource == unix.RLIMIT_NOFILE && hard > uint64(FDLimit):
		return syscall.EPERM
	}
	l.set[resource] = &[2]uint64{soft, hard}
	if resource == unix.RLIMIT_NOFILE {
		LimitFDs(int(soft))
	}
	return 0
}

// fdLimit is the soft limit of descriptors.
func fdLimit() int {
	soft, _ := limits.get(unix.RLIMIT_NOFILE)
	return int(soft)
}

// sysPrlimit tells and sets limits.
func sysPrlimit(resource uintptr, set, get ref) (int, syscall.Errno) {
	r := int(uint32(resource))
	if r >= rlimits {
		return 0, syscall.EINVAL
	}
	var b, was [16]byte
	if !set.isNil() {
		if e := set.copyIn(b[:]); e != 0 {
			return 0, e
		}
	}
	soft, hard := limits.get(r)
	le.PutUint64(was[:], soft)
	le.PutUint64(was[8:], hard)
	if !set.isNil() {
		if e := limits.change(r, le.Uint64(b[:]), le.Uint64(b[8:])); e != 0 {
			return 0, e
		}
	}
	if get.isNil() {
		return 0, 0
	}
	return 0, get.copyOut(was[:])
}

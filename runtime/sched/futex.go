// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"unsafe"

	"github.com/hvgo/hvgo/runtime/ring0"
)

// Linux's errno values that this package gives, negative.
const (
	eBadF    = -9
	eAgain   = -11
	eFault   = -14
	eExist   = -17
	eInval   = -22
	eMFile   = -24
	ePerm    = -1
	eNoEnt   = -2
	eIntr    = -4
	eTimeout = -110
	eNoSpc   = -28
	eLoop    = -40
)

// FutexWait blocks while the word at addr is value. There is one address
// space, so private and shared futexes are the same.
//
//go:nosplit
func FutexWait(addr uintptr, value uint32, due int64) int {
	var now uint32
	if addr&3 != 0 {
		return eInval
	}
	if !ring0.CopyUser(uintptr(unsafe.Pointer(&now)), addr, 4) {
		return eFault
	}
	if now != value {
		return eAgain
	}
	switch Block(WaitFutex, addr, due) {
	case TimedOut:
		return eTimeout
	case Interrupted:
		return eIntr
	}
	return 0
}

// FutexWake wakes up to n threads that wait on addr, and gives how many.
//
//go:nosplit
func FutexWake(addr uintptr, n uint32) int {
	return int(wakeWaiters(WaitFutex, addr, n))
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	_ "unsafe" // for go:linkname

	"github.com/hvgo/hvgo/runtime/linux"
	"github.com/hvgo/hvgo/runtime/ring0"
	"golang.org/x/sys/unix"
)

// doorEntry is where ring0's trapSyscall goes; assembly only.
//
//lint:ignore U1000 ring0's entry_amd64.s jumps to it
func doorEntry()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

//go:linkname reentersyscall runtime.reentersyscall
func reentersyscall(pc, sp, bp uintptr)

// passDoor runs Door as ordinary Go. Between entersyscall and exitsyscall the
// goroutine may neither allocate nor grow its stack, so it leaves that state
// first, as a cgo callback does, and goes back to it behind. The stack may
// move meanwhile, so its addresses are kept as distances from its upper end.
// RawSyscall comes without entersyscall: there is nothing to leave.
//
// Nosplit, because everything from the trap to exitsyscall is.
//
//go:nosplit
//lint:ignore U1000 trap_amd64.s calls it
func passDoor(nr uintptr, a *[6]uintptr) uintptr {
	g := ring0.Getg()
	if g.SyscallSP == 0 {
		return throughDoor(nr, a)
	}
	pc, sp, bp := g.SyscallPC, g.Hi-g.SyscallSP, g.SyscallBP
	if bp != 0 {
		bp = g.Hi - bp
	}
	exitsyscall()
	r := throughDoor(nr, a)
	g = ring0.Getg()
	if bp != 0 {
		bp = g.Hi - bp
	}
	reentersyscall(pc, g.Hi-sp, bp)
	return r
}

//go:nosplit
func throughDoor(nr uintptr, a *[6]uintptr) uintptr {
	if nr == unix.SYS_EXIT_GROUP {
		if !ring0.Getg().HoldsLocks() {
			BeforeExit(int(int32(a[0])))
		}
		Kernel(KernelPowerOff, a[0]&0xff, 0, 0)
	}
	if !plugged {
		return beforeInit(nr, a)
	}
	return linux.Door(nr, a)
}

// BeforeExit is called as ordinary Go when the program ends by os.Exit or by
// the return of main. boot sets it.
var BeforeExit = func(status int) {}

// onGoroutineStack and goroutineStackHi are hooks of runtime/linux.
//
//go:nosplit
func onGoroutineStack(addr uintptr) bool {
	g := ring0.Getg()
	return addr >= g.Lo && addr < g.Hi
}

//go:nosplit
func goroutineStackHi() uintptr { return ring0.Getg().Hi }

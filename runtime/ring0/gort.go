// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ring0

// What hvgo knows of the inside of Go 1.26's runtime. layout_test.go compares
// it with the DWARF of a program that the installed toolchain built, so a
// release that differs is noticed before it is used.

// G is the beginning of the runtime's g.
type G struct {
	Lo, Hi                          uintptr // stack bounds
	_                               [4]uintptr
	M                               uintptr
	_                               [6]uintptr
	SyscallSP, SyscallPC, SyscallBP uintptr // set between entersyscall and exitsyscall
}

// Offsets that entry_amd64.s needs.
const (
	gM     = 48  // g.m
	mCurg  = 184 // m.curg
	mLocks = 264 // m.locks
)

// More offsets, for whoever reads a g without trusting it (runtime/report).
const (
	GM       = gM
	MCurg    = mCurg
	GSchedSP = 56  // g.sched.sp
	GSchedPC = 64  // g.sched.pc
	GSchedBP = 96  // g.sched.bp
	GID      = 152 // g.goid
)

// Getg gives the running thread's g.
//
//go:noescape
func Getg() *G

// HoldsLocks tells whether the thread of g is inside the Go runtime, where no
// ordinary Go code may be called.
//
//go:nosplit
func (g *G) HoldsLocks() bool { return g.M == 0 || *(*int32)(Pointer(g.M + mLocks)) != 0 }

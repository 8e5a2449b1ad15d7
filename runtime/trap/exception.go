// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	_ "unsafe" // for go:linkname

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/sched"
)

// handleTrap serves exceptions and interrupts. Trap context.
//
//go:nosplit
//go:linkname handleTrap github.com/hvgo/hvgo/runtime/trap.handleTrap
func handleTrap(f *ring0.Frame) {
	if isEnding() {
		if trapInEnd(f) {
			return
		}
	}
	if f.Vector >= ring0.FirstInterrupt {
		interrupt(f)
		return
	}
	if f.Vector == ring0.VecPageFault {
		pageFault(f)
		return
	}
	switch f.Vector {
	case ring0.VecNMI:
		crash(f, "NMI: somebody asks where the machine is")
	case ring0.VecDoubleFlt:
		crash(f, "double fault")
	case ring0.VecMachine:
		crash(f, "machine check")
	case ring0.VecProtection:
		if fixup := ring0.FixupFor(uintptr(f.RIP)); fixup != 0 {
			f.RIP = uint64(fixup) // an address that is not canonical
			return
		}
	}
	if fromKernel(f) {
		crash(f, "exception in the runtime")
	}
	switch f.Vector {
	case ring0.VecDivide:
		fault(f, sigFpe, fpeIntDiv, f.RIP)
	case ring0.VecX87, ring0.VecSIMD:
		fault(f, sigFpe, fpeFltInv, f.RIP)
	case ring0.VecInvalidOp:
		fault(f, sigIll, illIllOpn, f.RIP)
	case ring0.VecBreakpoint, ring0.VecDebug:
		fault(f, sigTrap, siKernel, f.RIP)
	case ring0.VecStack, ring0.VecAlignment:
		fault(f, sigBus, busAdrAln, 0)
	case ring0.VecProtection:
		fault(f, sigSegv, siKernel, 0)
	default:
		crash(f, "exception that no program causes")
	}
}

// Codes of siginfo (Linux's asm-generic/siginfo.h).
const (
	siKernel  = 0x80
	siTKill   = -6
	siTimer   = -2
	siUser    = 0
	fpeIntDiv = 1
	fpeFltInv = 7
	illIllOpn = 2
	segvMap   = 1
	segvAcc   = 2
	busAdrAln = 1
	busAdrErr = 2
)

// fromKernel tells whether the runtime itself was interrupted: its stacks lie
// in the upper half. Program and door run on Go's stacks.
//
//go:nosplit
func fromKernel(f *ring0.Frame) bool { return int64(f.RSP) < 0 }

//go:nosplit
func interrupt(f *ring0.Frame) {
	if f.Vector == hv.VecSpurious {
		return // has no EOI
	}
	c := ring0.This()
	c.ServeFlush() // before the lock: its holder may wait for it
	sched.Lock()
	sched.BeforeInterrupt()
	switch f.Vector {
	case hv.VecTimer, hv.VecTimerMsg:
		sched.TimerInterrupt()
	case hv.VecVMBus:
		vmbusInterrupt(c)
	case hv.VecIPI:
		takeMessages(c)
	case hv.VecConsole:
		takeTyped()
		actOnTyped()
	}
	hv.EOI()
	if !fromKernel(f) { // the idle loop looks by itself
		sched.AfterInterrupt()
		deliverSignals(f)
	}
	sched.Unlock()
}

// handleStart is the first thing that a new thread does: it gives back the kernel lock,
// which the thread that it was switched from has taken.
//
//go:nosplit
//go:linkname handleStart github.com/hvgo/hvgo/runtime/trap.handleStart
func handleStart() { sched.Unlock() }

// handleIdle is a processor's idle loop.
//
//go:nosplit
//go:linkname handleIdle github.com/hvgo/hvgo/runtime/trap.handleIdle
func handleIdle() { sched.Idle() }

// Bits of a page fault's error code (Intel SDM volume 3, 4.7).
const (
	pfWrite = 1 << 1
	pfFetch = 1 << 4
)

//go:nosplit
func pageFault(f *ring0.Frame) {
	addr := uintptr(ring0.CR2())
	answer := mem.Fault(addr, f.Error&pfWrite != 0, f.Error&pfFetch != 0)
	if answer == mem.Resolved {
		return
	}
	if answer == mem.FaultNoMemory { // in a copy of ours, too: EFAULT would be a riddle
		outOfMemory()
	}
	if fixup := ring0.FixupFor(uintptr(f.RIP)); fixup != 0 {
		f.RIP = uint64(fixup)
		return
	}
	switch {
	case fromKernel(f):
		crash(f, pageFaultIs(f))
	case answer == mem.FaultDenied:
		fault(f, sigSegv, segvAcc, uint64(addr))
	case answer == mem.FaultBus:
		fault(f, sigBus, busAdrErr, uint64(addr))
	default:
		fault(f, sigSegv, segvMap, uint64(addr))
	}
}

// Exit statuses of ends that the program did not choose.
const (
	statusSignal = 128 // + signal, as shells have it
	statusOOM    = 137
	statusCrash  = 134
)

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build hvgo_probe

package trap

import "github.com/hvgo/hvgo/runtime/ring0"

// What KernelProvoke does wrong, for tests of what is said about it.
const (
	provokeRead = iota
	provokeWrite
	provokeNonCanonical
	provokeOverflow
	provokeDoubleFault
	provokeNMI
	provokeMachineCheck
	provokeBadReport
)

// nowhere is an address of the upper half that nothing is mapped at.
const nowhere = 0xffff_f000_0000_0010

// provoked keeps the compiler from leaving a read out.
var provoked uint64

//go:nosplit
func provoke(what uintptr) int {
	switch what {
	case provokeRead:
		readWord(nowhere)
	case provokeWrite:
		writeWord(nowhere)
	case provokeNonCanonical:
		readWord(1 << 63)
	case provokeOverflow:
		pushForever()
	case provokeDoubleFault:
		(*ring0.CPU)(ring0.Pointer(ring0.ThisCPU())).BreakFaultStack(nowhere)
		readWord(nowhere)
	case provokeNMI:
		interruptNMI()
	case provokeMachineCheck:
		interruptMachineCheck()
	case provokeBadReport:
		crashStack = nowhere
		readWord(nowhere)
	}
	return eInval
}

//go:nosplit
//go:noinline
func readWord(at uintptr) { provoked = *(*uint64)(ring0.Pointer(at)) }

//go:nosplit
//go:noinline
func writeWord(at uintptr) { *(*uint64)(ring0.Pointer(at)) = provoked }

// pushForever fills the stack.
func pushForever()

// interruptNMI and interruptMachineCheck go to the handlers as if it had happened.
func interruptNMI()
func interruptMachineCheck()

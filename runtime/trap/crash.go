// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	"sync/atomic"
	"unsafe"

	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/power"
	"github.com/hvgo/hvgo/runtime/report"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/sched"
	"github.com/hvgo/hvgo/runtime/serial"
)

// The way of a crash:
//
//	crash: others are stopped, what and registers printed (trap context)
//	  -> lastWords: backtrace, processors, instruction (ordinary Go, own stack and g)
//	       -> powerOff: crash registers, power off
//
// A fault on that way goes to crash again, which then leaves out what failed. So what
// was printed stands, and the machine ends.

// crasher is the processor that tells of a crash, plus one; 0 while there is none.
var crasher atomic.Uint32

// What the processor at fault was doing. Touched by the crasher only.
var (
	faults  uint32 // how often crash was come to
	crashed ring0.Frame
	crashFS uint64
)

// The stack of lastWords lies in the upper half, with unmapped pages around; below
// it is the memory for what golang.org/x/arch allocates.
const (
	crashStackBase  = 0xffff_cc00_0000_1000
	crashStackBytes = 64 << 10
	crashArenaBytes = 16 << 10
)

var (
	crashStack uintptr // its upper end; 0 when there is none
	// A stand-in for g, as the boot has one: no stack limit, nothing else.
	crashG   [512]byte
	crashTLS [2]uintptr
)

// PrepareCrash sets memory aside for reports.
//
//go:nosplit
func PrepareCrash() {
	crashText = mem.AllocFrame()
	if sched.MapStack(crashStackBase, crashStackBytes) {
		crashStack = crashStackBase + crashStackBytes
		*(*[crashArenaBytes]byte)(ring0.Pointer(crashStackBase)) = [crashArenaBytes]byte{}
	}
}

// goLastWords runs lastWords on crashStack with crashG, and does not return: the end
// of what internal/imagecheck calls trap context. Its rules "crash" say what
// lastWords may reach.
func goLastWords()

// noSyscalls makes a system call of this processor an exception. Code that ends here
// may call into the Go runtime, which makes some when it fails.
func noSyscallPC() uintptr

// crash ends the machine: the runtime itself is wrong, or nobody handles a fault.
//
//go:nosplit
func crash(f *ring0.Frame, why string) {
	ring0.Cli()
	self := ring0.This().ID + 1
	if !crasher.CompareAndSwap(0, self) && crasher.Load() != self {
		stopHere(f)
	}
	switch faults++; faults {
	case 1:
	case 2:
		serial.Print("\nhvgo: telling of it failed, with vector ")
		serial.Hex(f.Vector)
		serial.Print(" at ")
		serial.Hex(f.RIP)
		serial.Print("\n")
		powerOff(statusCrash)
	case 3:
		power.Off(false)
	default:
		ring0.StopForever()
	}
	ring0.Wrmsr(ring0.MSRLSTAR, uint64(noSyscallPC()))
	crashed, crashFS = *f, ring0.Rdmsr(ring0.MSRFSBase) // f lies where the next exception starts
	stopOthers()
	serial.Mark()
	serial.Print("\nhvgo: fatal: ")
	serial.Print(why)
	printRegisters()
	if crashStack == 0 {
		powerOff(statusCrash)
	}
	crashTLS[0] = uintptr(unsafe.Pointer(&crashG))
	ring0.Wrmsr(ring0.MSRFSBase, uint64(uintptr(unsafe.Pointer(&crashTLS))+8)) // Go's TLS ends at FS
	goLastWords()
}

// trapInEnd serves what comes when the machine ends: on the processor that tells of a
// crash, and on those that it stops. It gives false where there is no difference.
//
//go:nosplit
func trapInEnd(f *ring0.Frame) bool {
	c := ring0.This()
	if ender.Load() != c.ID+1 {
		if c.Stopped == 0 {
			stopHere(f)
		}
		if f.Vector == ring0.VecNMI { // stopOthers', and something else had stopped us before it came
			return true
		}
	}
	orderly := ender.Load() == c.ID+1 && crasher.Load() != c.ID+1
	if f.Vector == ring0.VecPageFault {
		if fixup := ring0.FixupFor(uintptr(f.RIP)); fixup == 0 {
			// What ends the machine may touch a page of our data for the first time.
			if mem.Fault(uintptr(ring0.CR2()), f.Error&pfWrite != 0, f.Error&pfFetch != 0) == mem.Resolved {
				return true
			}
		} else if !orderly {
			f.RIP = uint64(fixup)
			return true
		}
	}
	if orderly {
		return false
	}
	if ender.Load() != c.ID+1 { // the first processor, finishing
		power.Off(false)
	}
	if f.Vector != ring0.VecNMI {
		crash(f, "")
	}
	return true
}

// pageFaultIs says what a page fault of the runtime's was.
//
//go:nosplit
func pageFaultIs(f *ring0.Frame) string {
	switch at := ring0.CR2(); {
	case at-f.RSP+mem.PageSize < 2*mem.PageSize:
		return "page fault in the runtime: stack overflow"
	case f.Error&pfFetch != 0:
		return "page fault in the runtime: jump to CR2"
	case f.Error&pfWrite != 0:
		return "page fault in the runtime: write to CR2"
	}
	return "page fault in the runtime: read of CR2"
}

//go:nosplit
func printRegisters() {
	f := &crashed
	line2("vector", f.Vector, "error", f.Error)
	line2("rip", f.RIP, "cr2", ring0.CR2())
	line2("rsp", f.RSP, "rflags", f.RFLAGS)
	line2("rax", f.RAX, "rbx", f.RBX)
	line2("rcx", f.RCX, "rdx", f.RDX)
	line2("rsi", f.RSI, "rdi", f.RDI)
	line2("rbp", f.RBP, "r8", f.R8)
	line2("r9", f.R9, "r10", f.R10)
	line2("r11", f.R11, "r12", f.R12)
	line2("r13", f.R13, "r14", f.R14)
	line2("r15", f.R15, "cr3", ring0.CR3())
	serial.Print("\n")
}

//go:nosplit
func line2(a string, x uint64, b string, y uint64) {
	serial.Print("\n  ")
	serial.Print(a)
	serial.Print(" ")
	serial.Hex(x)
	serial.Print("  ")
	serial.Print(b)
	serial.Print(" ")
	serial.Hex(y)
}

// lastWords prints what takes more than trap context has. It does not return.
//
//lint:ignore U1000 trap_amd64.s calls it
func lastWords() {
	c := ring0.This()
	serial.Print("processor ")
	serial.Dec(uint64(c.ID))
	if c.Thread == c.IdleThread {
		serial.Print(", idle")
	} else if c.Thread != 0 {
		serial.Print(", thread ")
		serial.Dec(uint64(sched.Current().ID))
	}
	serial.Print(":\n")
	var g uintptr
	ring0.CopyUser(uintptr(unsafe.Pointer(&g)), uintptr(crashFS)-8, 8)
	report.Backtrace(&crashed, g)
	printOthers()
	report.Instruction(uintptr(crashed.RIP), crashStackBase, crashArenaBytes)
	powerOff(statusCrash)
}

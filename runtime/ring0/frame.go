// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ring0

import (
	"sync/atomic"
	"unsafe"
)

// Frame is everything a trap interrupted, as the entries in entry_amd64.s
// store it. The last five words are pushed by the processor (Intel SDM
// volume 3, 6.14.2).
type Frame struct {
	FP                                   uint64 // address of the XSAVE area, or 0 when the vector registers need no saving
	R15, R14, R13, R12, R11, R10, R9, R8 uint64
	RDI, RSI, RBP, RBX, RDX, RCX, RAX    uint64
	Vector, Error                        uint64
	RIP, CS, RFLAGS, RSP, SS             uint64
}

// Vectors of [Frame]. The processor's exceptions are 0 to 31.
const (
	VecDivide     = 0
	VecDebug      = 1
	VecNMI        = 2
	VecBreakpoint = 3
	VecInvalidOp  = 6
	VecDoubleFlt  = 8
	VecStack      = 12
	VecProtection = 13
	VecPageFault  = 14
	VecX87        = 16
	VecAlignment  = 17
	VecMachine    = 18
	VecSIMD       = 19

	FirstInterrupt = 32
	NumVectors     = 64

	// VecStray is the vector in a Frame of an interrupt behind NumVectors. Nobody
	// asked for one, but a kernel that started us by kexec may have left it pending.
	VecStray   = NumVectors - 2
	allVectors = 256

	// VecSyscall marks a frame that came by SYSCALL: it returns by a jump.
	// A handler that changes the frame's RIP, RSP or flags sets the vector
	// to VecResume, and the whole frame is restored by IRETQ.
	VecSyscall = 0x100
	VecResume  = 0x101
)

// Selectors of the GDT that [CPU] holds.
const (
	SelCode = 0x08
	SelData = 0x10
	selTSS  = 0x18
)

// UserFlags is RFLAGS of running code: interrupts on, and the bit that is
// always one.
const UserFlags = 0x202

// MaxCPUs bounds the processors that are used.
const MaxCPUs = 1024

// CPU is one processor's own data; GS points to it in all code, the
// program's included, since Go uses FS only. It lies outside Go's heap.
type CPU struct {
	Self      uintptr // address of this CPU
	TrapStack uintptr // top of the running thread's trap stack; a system call starts there
	UserSP    uintptr // the stack a system call left, for a moment
	Scratch   uintptr // a register, for a moment
	Thread    uintptr // the running thread (runtime/sched)
	ID        uint32  // our number, from 0: the order in which processors were started
	VP        uint32  // the hypervisor's number for it (VP index)
	APIC      uint32  // id of its local APIC
	State     uint32  // CPUOff and so on, by atomics

	// Idle is 1 while the processor halts with nothing to run. It then takes no
	// part in shoot-downs of translations, and drops all when it wakes. Stale is the
	// number of the request when it has to, else 0. Both by atomics; see flush.go.
	Idle, Stale uint32
	requests    uint32 // counts by two; guarded by mem's lock

	IdleThread uintptr // its thread that runs when no other can (runtime/sched)
	IdleStack  uintptr // upper end of the stack for interrupts of that thread
	FPScratch  uintptr // a page for one set of vector registers on its way back from a signal
	Stopped    uintptr // the Frame that StopOthers interrupted, by atomics

	gdt [5]uint64
	_   uint64
	tss [14]uint64 // 104 bytes and the I/O map's limit, shifted so that its 64-bit fields lie aligned
}

// States of a CPU.
const (
	CPUOff      = iota // there is room for it
	CPUStarting        // it was told to start
	CPUArrived         // it is on its way
	CPUEntering        // it is about to run threads
	CPUOn              // it runs threads
	CPULost            // it did not come in time, and may no more; or it could not run
)

// idt is the interrupt descriptor table of all processors.
var idt [allVectors][2]uint64

// cpus are the processors in use by number.
var (
	cpus    [MaxCPUs]uintptr
	numCPUs uint32
)

// NumCPUs is the number of processors that run threads.
//
//go:nosplit
func NumCPUs() uint32 { return atomic.LoadUint32(&numCPUs) }

// CPUAt gives processor i; i is less than NumCPUs.
//
//go:nosplit
func CPUAt(i uint32) *CPU { return (*CPU)(Pointer(cpus[i%MaxCPUs])) }

// Number gives a processor the next number. Enter adds it to those that run threads.
// One processor at a time is between the two.
//
//go:nosplit
func (c *CPU) Number() { c.ID = numCPUs }

// Enter adds a processor to those that run threads.
//
//go:nosplit
func (c *CPU) Enter() {
	cpus[c.ID%MaxCPUs] = uintptr(unsafe.Pointer(c))
	atomic.StoreUint32(&numCPUs, c.ID+1)
}

// This is the processor that runs the caller, whose interrupts are off: else it
// may be another one already.
//
//go:nosplit
func This() *CPU { return (*CPU)(Pointer(ThisCPU())) }

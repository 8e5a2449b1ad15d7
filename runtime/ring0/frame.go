// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ring0

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

// CPU is one processor's own data; GS points to it in all code, the
// program's included, since Go uses FS only.
type CPU struct {
	Self      uintptr // address of this CPU
	TrapStack uintptr // top of the running thread's trap stack; a system call starts there
	UserSP    uintptr // the stack a system call left, for a moment
	Scratch   uintptr // a register, for a moment
	Thread    uintptr // the running thread (runtime/sched)
	ID        uint32  // index of the vCPU, from 0
	Idle      uint32  // 1 while the idle loop runs

	gdt [5]uint64
	_   uint64
	tss [14]uint64 // 104 bytes and the I/O map's limit, shifted so that its 64-bit fields lie aligned
	idt [allVectors][2]uint64
}

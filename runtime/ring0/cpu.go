// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ring0

import "unsafe"

// How a system call number is served; runtime/linux has the table (class),
// runtime/sched the kinds of open descriptors (fdKind), and entry_amd64.s
// reads both.
const (
	NumSyscalls = 512

	ClassNone = 0 // ENOSYS
	ClassTrap = 1 // on the trap stack, at once
	ClassDoor = 2 // as Go on the calling goroutine
	ClassByFD = 3 // the door when the first argument is a door descriptor, else the trap

	ClassByArgs = 4 // mmap of a file and madvise with MADV_REMOVE: the door, else the trap
	sysMmap     = 9
	anonymous   = 0x20 // MAP_ANONYMOUS, in the fourth argument
	remove      = 9    // MADV_REMOVE, the third argument

	// Descriptors: below ProgramFDs the program's, behind them the runtime's own.
	ProgramFDs = 8192
	MaxFD      = ProgramFDs + 512

	FDFree    = 0
	FDConsole = 1
	FDEvent   = 2
	FDEpoll   = 3
	FDDoor    = 4
)

// Model-specific registers of the processor itself (Intel SDM volume 4).
const (
	MSRApicBase = 0x1b
	MSREFER     = 0xc0000080
	MSRSTAR     = 0xc0000081
	MSRLSTAR    = 0xc0000082
	MSRFMASK    = 0xc0000084
	MSRFSBase   = 0xc0000100
	MSRGSBase   = 0xc0000101

	EFERSyscall = 1 << 0
	EFERNoExec  = 1 << 11
)

// xsaveMask is XCR0, and xsaveBytes the size of its XSAVE area.
var (
	xsaveMask  uint64
	xsaveBytes uint64
)

// XSaveBytes is the size of an area for [SaveFP], in bytes.
//
//go:nosplit
func XSaveBytes() uintptr { return uintptr(xsaveBytes) }

// XSaveMask is the set of state components that are saved, as in XCR0.
//
//go:nosplit
func XSaveMask() uint64 { return xsaveMask }

func trapStartPC() uintptr
func trapIdlePC() uintptr
func trapVectorsPC() uintptr
func trapSyscallPC() uintptr
func copyUser(dst, src, n uintptr) bool
func copyUserPCs() (start, fault uintptr)

// ThisCPU gives the address of the running processor's [CPU].
func ThisCPU() uintptr

// SwitchStack stores the trap stack's position to *save and goes on at to.
//
//go:noescape
func SwitchStack(save *uintptr, to uintptr)

// SaveFP saves the vector registers to area: 64-byte aligned, XSaveBytes long.
func SaveFP(area uintptr)

// Pointer makes a pointer of an address outside Go's heap.
//
//go:nosplit
func Pointer(address uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}

// CopyUser copies n bytes where one side is the program's memory. It gives
// false when a page of it is not there or does not allow the access.
//
//go:nosplit
func CopyUser(dst, src, n uintptr) bool { return copyUser(dst, src, n) }

// FixupFor gives the address at which to go on after an unresolvable fault at
// pc, or 0 when none is foreseen there.
//
//go:nosplit
func FixupFor(pc uintptr) uintptr {
	start, fault := copyUserPCs()
	if pc >= start && pc < fault {
		return fault
	}
	return 0
}

// PrepareStack makes the trap stack that ends at top such that SwitchStack
// to the result restores frame.
//
//go:nosplit
func PrepareStack(top uintptr, frame *Frame) uintptr {
	at := (top - unsafe.Sizeof(Frame{})) &^ 15
	*(*Frame)(Pointer(at)) = *frame
	sp := at - 24
	words := (*[3]uintptr)(Pointer(sp))
	words[0] = 0             // R14
	words[1] = 0             // BP
	words[2] = trapStartPC() // return address
	return sp
}

// PrepareIdle makes the stack that ends at top such that SwitchStack to the
// result begins the idle loop.
//
//go:nosplit
func PrepareIdle(top uintptr) uintptr {
	sp := top&^15 - 40
	words := (*[3]uintptr)(Pointer(sp))
	words[0], words[1], words[2] = 0, 0, trapIdlePC()
	return sp
}

// Setup loads c's tables into the running processor, and its entries. The
// stacks are tops of memory that stays mapped: fault serves exceptions, fatal
// the double fault, NMI and machine check.
//
// It expects 64-bit mode with paging and interrupts off.
//
//go:nosplit
func (c *CPU) Setup(fault, fatal uintptr) {
	c.Self = uintptr(unsafe.Pointer(c))
	c.gdt[1] = 0x00af9b000000ffff // 64-bit code, ring 0
	c.gdt[2] = 0x00cf93000000ffff // data
	tss := uint64(uintptr(unsafe.Pointer(&c.tss))) + 4
	c.gdt[3] = 0x0000890000000000 | 103 | (tss&0xffffff)<<16 | (tss>>24&0xff)<<56
	c.gdt[4] = tss >> 32
	c.setIST(2, fault)
	c.setIST(3, fatal)
	c.tss[13] = 104 << 16 // no I/O permission map

	if idt[0][0] == 0 {
		fillIDT()
	}

	var pseudo [2]uint64 // 10 bytes: limit, base
	base := uint64(uintptr(unsafe.Pointer(&c.gdt)))
	pseudo[0], pseudo[1] = uint64(unsafe.Sizeof(c.gdt)-1)|base<<16, base>>48
	Lgdt(unsafe.Pointer(&pseudo), SelCode, SelData)
	Ltr(selTSS)
	base = uint64(uintptr(unsafe.Pointer(&idt)))
	pseudo[0], pseudo[1] = uint64(unsafe.Sizeof(idt)-1)|base<<16, base>>48
	Lidt(unsafe.Pointer(&pseudo))

	Wrmsr(MSRGSBase, uint64(c.Self))
	Wrmsr(MSREFER, Rdmsr(MSREFER)|EFERSyscall|EFERNoExec)
	Wrmsr(MSRSTAR, SelCode<<32)
	Wrmsr(MSRLSTAR, uint64(trapSyscallPC()))
	Wrmsr(MSRFMASK, 0x47700) // all that a trap wants clear: IF, DF, TF, AC, NT, IOPL
	setupVector()
}

// fillIDT makes the gates: interrupts go to stack 1 of the processor's TSS,
// exceptions to 2, and those that may come at any moment to 3.
//
//go:nosplit
func fillIDT() {
	vectors := uint64(trapVectorsPC())
	for v := uint64(0); v < allVectors; v++ {
		ist := uint64(2)
		switch {
		case v >= FirstInterrupt:
			ist = 1
		case v == VecDoubleFlt || v == VecNMI || v == VecMachine:
			ist = 3
		}
		stub := v
		if v >= NumVectors {
			stub = VecStray
		}
		pc := vectors + 16*stub
		gate := &idt[v%allVectors]
		gate[0] = pc&0xffff | SelCode<<16 | ist<<32 | 0x8e<<40 | (pc>>16&0xffff)<<48
		gate[1] = pc >> 32
	}
}

// setIST sets entry i (1 to 7) of the interrupt stack table.
//
//go:nosplit
func (c *CPU) setIST(i uintptr, top uintptr) {
	// The TSS begins 4 bytes into c.tss, so that IST1, at its offset 36,
	// lies on 8 bytes: word 4+i.
	*(*uint64)(unsafe.Add(unsafe.Pointer(&c.tss), 8*(4+i))) = uint64(top)
}

// SetTrapStack makes top the stack of system calls and interrupts.
//
//go:nosplit
func (c *CPU) SetTrapStack(top uintptr) {
	c.TrapStack = top
	c.setIST(1, top)
}

// Bits of XCR0 that hvgo enables: x87, SSE, AVX and AVX-512. What is enabled
// is saved in full wherever threads switch.
const xcr0Wanted = 1<<0 | 1<<1 | 1<<2 | 7<<5

// setupVector enables the vector registers and learns the size of their save
// area (Intel SDM volume 1, 13.2).
//
//go:nosplit
func setupVector() {
	const (
		wp             = 1 << 16
		ts, em, mp, ne = 1 << 3, 1 << 2, 1 << 1, 1 << 5
		osfxsr, osxmm  = 1 << 9, 1 << 10
		pge, osxsave   = 1 << 7, 1 << 18
	)
	SetCR0(CR0()&^(ts|em) | wp | mp | ne)
	SetCR4(CR4() | osfxsr | osxmm | pge | osxsave)
	lo, _, _, hi := Cpuid(0xd, 0)
	xcr0 := (uint64(hi)<<32 | uint64(lo)) & xcr0Wanted
	if xcr0&(7<<5) != 7<<5 {
		xcr0 &^= 7 << 5
	}
	Xsetbv(0, xcr0)
	_, bytes, _, _ := Cpuid(0xd, 0) // for what XCR0 enables now
	xsaveMask, xsaveBytes = xcr0, uint64(bytes+63)&^63
}

// HasXSAVE tells whether the processor has what Setup needs.
//
//go:nosplit
func HasXSAVE() bool {
	_, _, ecx, _ := Cpuid(1, 0)
	return ecx&(1<<26) != 0
}

// trap serves exceptions and interrupts, syscall what comes by SYSCALL; both
// are written in runtime/trap, above this package.
//
//go:linkname handleTrap github.com/hvgo/hvgo/runtime/trap.handleTrap
func handleTrap(f *Frame)

//go:linkname handleSyscall github.com/hvgo/hvgo/runtime/trap.handleSyscall
func handleSyscall(f *Frame)

//go:linkname handleStart github.com/hvgo/hvgo/runtime/trap.handleStart
func handleStart()

//go:linkname handleIdle github.com/hvgo/hvgo/runtime/trap.handleIdle
func handleIdle()

// trap, syscall, start and idle are what entry_amd64.s calls.
//
//go:nosplit
//lint:ignore U1000 entry_amd64.s calls it
func trap(f *Frame) { handleTrap(f) }

//go:nosplit
//lint:ignore U1000 entry_amd64.s calls it
func syscall(f *Frame) { handleSyscall(f) }

//go:nosplit
//lint:ignore U1000 entry_amd64.s calls it
func start() { handleStart() }

//go:nosplit
//lint:ignore U1000 entry_amd64.s calls it
func idle() { handleIdle() }

// HasRdrand tells whether Rdrand is there.
//
//go:nosplit
func HasRdrand() bool {
	_, _, ecx, _ := Cpuid(1, 0)
	return ecx&(1<<30) != 0
}

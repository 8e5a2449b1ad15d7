// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "go_asm.h"

// entry is where UEFI firmware enters the image, in its calling convention (UEFI
// 2.10, 2.3.4.1): image handle in RCX, system table in RDX.
TEXT ·entry(SB),NOSPLIT|NOFRAME,$0
	MOVL $const_byUEFI, R12
	MOVQ CX, R13
	MOVQ DX, R8
	JMP  ·enter(SB)
	JMP  ·entryLinux(SB) // never: it keeps the linker from leaving them out
	JMP  ·entryPVH(SB)

// entryLinux is e_entry of a kernel: long mode by Linux's 64-bit boot protocol
// (Linux, Documentation/arch/x86/boot.rst), boot_params at RSI, no stack, the first
// addresses mapped where they are.
TEXT ·entryLinux(SB),NOSPLIT|NOFRAME,$0
	MOVL $const_byLinux, R12
	MOVQ SI, R13
	JMP  ·enterDirect(SB)

// entryPVH is where PVH's 32-bit code (package image) gets to with long mode on:
// start info at EBX, the upper half of RBX undefined.
TEXT ·entryPVH(SB),NOSPLIT|NOFRAME,$0
	MOVL $const_byPVH, R12
	MOVL BX, R13
	JMP  ·enterDirect(SB)

// enterDirect makes one state of all that direct-booting hosts leave: the image's
// page tables, which map 4 GiB where a loader may map less, and have a fifth level
// for one that left that on; no segments; caches,
// SSE and numeric errors on, as compiled code wants them.
TEXT ·enterDirect(SB),NOSPLIT|NOFRAME,$0
	CLI
	LEAQ ·imageInfo(SB), AX
	MOVQ (8*const_infoTables)(AX), AX
	MOVQ CR4, BX
	TESTL $const_la57, BX
	JNZ  fivelevels
	ADDQ $4096, AX // the table behind the one of the fifth level
fivelevels:
	MOVQ AX, CR3
	MOVL $0x80010033, AX // PG WP NE ET MP PE
	MOVQ AX, CR0
	MOVQ CR4, AX
	ORQ  $0x620, AX // PAE OSFXSR OSXMMEXCPT
	MOVQ AX, CR4
	XORL AX, AX
	MOVW AX, SS
	MOVW AX, DS
	MOVW AX, ES
	XORL R8, R8
	JMP  ·enter(SB)

// enter calls start with R12, R13 and R8. start is ordinary compiled Go. It wants a
// g in R14 and at -8(FS) whose stack guard no stack pointer is below (0), and X15
// zero.
TEXT ·enter(SB),NOSPLIT|NOFRAME,$0
	LEAQ ·bootStack(SB), SP
	ADDQ $const_bootStackBytes, SP
	LEAQ ·bootTLS(SB), BX
	LEAQ ·bootG(SB), R14
	MOVQ R14, 0(BX)
	ADDQ $8, BX
	MOVQ BX, AX
	MOVQ BX, DX
	SHRQ $32, DX
	MOVL $0xc0000100, CX // FS base
	WRMSR
	XORPS X15, X15
	CLD
	SUBQ $32, SP
	MOVQ R12, 0(SP)
	MOVQ R13, 8(SP)
	MOVQ R8, 16(SP)
	CALL ·start(SB)
	INT $3 // start does not return

// processor is where another processor comes from package realmode, in 64-bit mode. On
// its stack lie the arguments of runProcessor.
TEXT ·processor(SB),NOSPLIT|NOFRAME,$0
	LEAQ ·bootTLS(SB), BX
	LEAQ ·bootG(SB), R14
	ADDQ $8, BX
	MOVQ BX, AX
	MOVQ BX, DX
	SHRQ $32, DX
	MOVL $0xc0000100, CX // FS base
	WRMSR
	XORPS X15, X15
	CLD
	CALL ·runProcessor(SB)
	INT $3 // it does not return

// func processorEntry() uintptr
TEXT ·processorEntry(SB),NOSPLIT,$0-8
	LEAQ ·processor(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func textAddress() uintptr
//
// The first byte of the program's text, wherever the firmware loaded it.
TEXT ·textAddress(SB),NOSPLIT,$0-8
	LEAQ runtime·text(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func goEntry() uintptr
//
// The entry point of the Go runtime; naming it here also keeps the linker
// from leaving it out.
TEXT ·goEntry(SB),NOSPLIT,$0-8
	LEAQ _rt0_amd64_linux(SB), AX
	MOVQ AX, ret+0(FP)
	RET

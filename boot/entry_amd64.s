// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "go_asm.h"

// entry is the image's entry point, in the firmware's calling convention
// (UEFI 2.10, 2.3.4.1): image handle in RCX, system table in RDX.
//
// start is ordinary compiled Go. It wants a g in R14 and at -8(FS) whose stack
// guard no stack pointer is below (0), and X15 zero.
TEXT ·entry(SB),NOSPLIT|NOFRAME,$0
	LEAQ ·bootStack(SB), SP
	ADDQ $const_bootStackBytes, SP
	MOVQ CX, R12
	MOVQ DX, R13
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
	SUBQ $16, SP
	MOVQ R12, 0(SP)
	MOVQ R13, 8(SP)
	CALL ·start(SB)
	INT $3 // start does not return

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

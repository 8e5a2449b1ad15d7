// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func callPage(page, control, input, output uintptr) uint64
//
// Calls the hypercall page, whose code is the host's: TLFS 3.7 (RCX control,
// RDX input, R8 output, RAX result). It may use any register that a Go
// assembly function may, and XMM0 to XMM5.
TEXT ·callPage(SB),NOSPLIT,$8-40
	MOVQ page+0(FP), AX
	MOVQ control+8(FP), CX
	MOVQ input+16(FP), DX
	MOVQ output+24(FP), R8
	CALL AX
	MOVQ AX, ret+32(FP)
	RET

// __vdso_clock_gettime(DI clock, SI *timespec) in the C calling convention,
// which keeps BX, BP and R12 to R15. The Go runtime calls it on a g0 stack.
TEXT ·clockGettime(SB),NOSPLIT|NOFRAME,$0
	PUSHQ BP
	PUSHQ BX
	PUSHQ R12
	PUSHQ R13
	PUSHQ R14
	PUSHQ R15
	SUBQ $24, SP
	MOVQ DI, 0(SP)
	MOVQ SI, 8(SP)
	CALL ·clockForVDSO(SB)
	MOVQ 16(SP), AX
	ADDQ $24, SP
	POPQ R15
	POPQ R14
	POPQ R13
	POPQ R12
	POPQ BX
	POPQ BP
	RET

// func clockGettimePC() uintptr
TEXT ·clockGettimePC(SB),NOSPLIT,$0-8
	LEAQ ·clockGettime(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "go_asm.h"

// clockGettime is __vdso_clock_gettime(DI clock, SI *timespec), in the C
// calling convention: AX CX DX R8 to R11 are free, the rest is kept.
// Clocks of CPU time are a system call's and EINVAL here: Go asks for none.
//
// The Go runtime calls it on a g0 stack with g still the goroutine. It is
// assembly throughout because of that: a SIGURG that arrived at the first
// instruction of a Go function would count as an asynchronous safe point, and
// the call that the handler then injects would run on, and destroy, g0's stack.
TEXT ·clockGettime(SB),NOSPLIT|NOFRAME,$0
	CMPL DI, $const_clockLast
	JHI  invalid
	MOVL DI, CX
	MOVL $const_clocksMonotonic, AX
	BTL  CX, AX
	JCS  read
	MOVL $const_clocksRealtime, AX
	BTL  CX, AX
	JCC  invalid

read:
	MOVQ ·tscPage(SB), R8
	TESTQ R8, R8
	JEQ  counter
again:
	MOVL (R8), R9 // sequence
	TESTL R9, R9
	JEQ  counter
	LFENCE
	RDTSC
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ refTSC_offset(R8), R10
	MULQ refTSC_scale(R8) // DX: units, AX: the fraction of one
	CMPL R9, (R8)
	JNE  again
	ADDQ DX, R10
	MOVL $const_unit, R11
	MULQ R11 // DX: ns in the fraction
	IMULQ R11, R10
	ADDQ DX, R10
	JMP  have

counter:
	MOVL CX, R9
	MOVL $const_counterMSR, CX
	RDMSR
	MOVL R9, CX
	SHLQ $32, DX
	ORQ  DX, AX
	MOVL $const_unit, R11
	IMULQ R11, AX
	ADDQ $(const_unit - 1), AX
	MOVQ AX, R10

have: // R10: reference time in ns
	MOVL $const_clocksRealtime, AX
	BTL  CX, AX
	JCC  store
	ADDQ ·realtimeBase(SB), R10
store: // seconds: R10 / 10^9 by its reciprocal, (R10 >> 9) * ceil(2^75 / 1953125) >> 75
	MOVQ R10, AX
	SHRQ $9, AX
	MOVQ $const_perSecond, R11
	MULQ R11
	SHRQ $11, DX
	MOVQ DX, 0(SI)
	IMULQ $1000000000, DX
	SUBQ DX, R10
	MOVQ R10, 8(SI)
	XORL AX, AX
	RET

invalid:
	MOVQ $-22, AX // EINVAL
	RET

// func clockGettimePC() uintptr
TEXT ·clockGettimePC(SB),NOSPLIT,$0-8
	LEAQ ·clockGettime(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func callClockGettime(clock int32, ts *[2]int64) int64
//
// For tests: calls clockGettime as C does.
TEXT ·callClockGettime(SB),NOSPLIT,$0-24
	MOVL clock+0(FP), DI
	MOVQ ts+8(FP), SI
	CALL ·clockGettime(SB)
	MOVQ AX, ret+16(FP)
	RET

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "funcdata.h"
#include "go_asm.h"

// doorEntry stands for a SYSCALL that the door serves: ring0's trapSyscall
// jumps here on the calling goroutine's stack, with the address behind the
// SYSCALL pushed as if by a CALL. AX is the number, DI SI DX R10 R8 R9 the
// arguments; AX takes the result, and R14 and X15 are Go's again at the end.
//
// NO_LOCAL_POINTERS: the arguments are integers to the stack's unwinder.
// Package-level comment door.go says what becomes of those that are not.
TEXT ·doorEntry(SB),NOSPLIT,$72-0
	NO_LOCAL_POINTERS
	MOVQ DI, 24(SP)
	MOVQ SI, 32(SP)
	MOVQ DX, 40(SP)
	MOVQ R10, 48(SP)
	MOVQ R8, 56(SP)
	MOVQ R9, 64(SP)
	MOVQ AX, 0(SP)
	LEAQ 24(SP), BX
	MOVQ BX, 8(SP)
	CALL ·passDoor(SB)
	MOVQ 16(SP), AX
	XORL DX, DX
	MOVQ (TLS), R14
	XORPS X15, X15
	RET

// func Kernel(call, a, b, c uintptr) int
TEXT ·Kernel(SB),NOSPLIT,$0-40
	MOVQ call+0(FP), AX
	MOVQ a+8(FP), DI
	MOVQ b+16(FP), SI
	MOVQ c+24(FP), DX
	MOVQ $const_kernelMark, R9
	SYSCALL
	MOVQ AX, ret+32(FP)
	RET

// func goLastWords()
//
// lastWords is ordinary compiled Go. It wants a g in R14 and at -8(FS) whose stack
// guard no stack pointer is below (0), and X15 zero.
TEXT ·goLastWords(SB),NOSPLIT|NOFRAME,$0-0
	MOVQ ·crashStack(SB), SP
	LEAQ ·crashG(SB), R14
	XORPS X15, X15
	CLD
	SUBQ $16, SP
	CALL ·lastWords(SB)
	INT $3 // lastWords does not return

// noSyscall is LSTAR once lastWords runs.
TEXT ·noSyscall(SB),NOSPLIT|NOFRAME,$0
	UD2

// func noSyscallPC() uintptr
TEXT ·noSyscallPC(SB),NOSPLIT,$0-8
	LEAQ ·noSyscall(SB), AX
	MOVQ AX, ret+0(FP)
	RET

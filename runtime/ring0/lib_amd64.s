// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// One instruction per function; lib.go says what each does.

TEXT ·Rdmsr(SB),NOSPLIT,$0-16
	MOVL msr+0(FP), CX
	RDMSR
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, ret+8(FP)
	RET

TEXT ·Wrmsr(SB),NOSPLIT,$0-16
	MOVL msr+0(FP), CX
	MOVQ value+8(FP), AX
	MOVQ AX, DX
	SHRQ $32, DX
	WRMSR
	RET

TEXT ·Cpuid(SB),NOSPLIT,$0-24
	MOVL leaf+0(FP), AX
	MOVL subleaf+4(FP), CX
	CPUID
	MOVL AX, eax+8(FP)
	MOVL BX, ebx+12(FP)
	MOVL CX, ecx+16(FP)
	MOVL DX, edx+20(FP)
	RET

TEXT ·Rdtsc(SB),NOSPLIT,$0-8
	LFENCE
	RDTSC
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·Rdrand(SB),NOSPLIT,$0-9
	RDRANDQ AX
	SETCS ok+8(FP)
	MOVQ AX, value+0(FP)
	RET

TEXT ·Rdseed(SB),NOSPLIT,$0-9
	RDSEEDQ AX
	SETCS ok+8(FP)
	MOVQ AX, value+0(FP)
	RET

TEXT ·In8(SB),NOSPLIT,$0-9
	MOVW port+0(FP), DX
	XORL AX, AX
	INB
	MOVB AX, ret+8(FP)
	RET

TEXT ·Out8(SB),NOSPLIT,$0-3
	MOVW port+0(FP), DX
	MOVB value+2(FP), AX
	OUTB
	RET

TEXT ·In16(SB),NOSPLIT,$0-10
	MOVW port+0(FP), DX
	XORL AX, AX
	INW
	MOVW AX, ret+8(FP)
	RET

TEXT ·Out16(SB),NOSPLIT,$0-4
	MOVW port+0(FP), DX
	MOVW value+2(FP), AX
	OUTW
	RET

TEXT ·OutBytes(SB),NOSPLIT,$0-24
	MOVW port+0(FP), DX
	MOVQ p+8(FP), SI
	MOVQ n+16(FP), CX
	CLD
	REP; OUTSB
	RET

TEXT ·CR0(SB),NOSPLIT,$0-8
	MOVQ CR0, AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·CR2(SB),NOSPLIT,$0-8
	MOVQ CR2, AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·CR3(SB),NOSPLIT,$0-8
	MOVQ CR3, AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·CR4(SB),NOSPLIT,$0-8
	MOVQ CR4, AX
	MOVQ AX, ret+0(FP)
	RET

TEXT ·SetCR0(SB),NOSPLIT,$0-8
	MOVQ value+0(FP), AX
	MOVQ AX, CR0
	RET

TEXT ·SetCR3(SB),NOSPLIT,$0-8
	MOVQ value+0(FP), AX
	MOVQ AX, CR3
	RET

TEXT ·SetCR4(SB),NOSPLIT,$0-8
	MOVQ value+0(FP), AX
	MOVQ AX, CR4
	RET

TEXT ·Xsetbv(SB),NOSPLIT,$0-16
	MOVL index+0(FP), CX
	MOVQ value+8(FP), AX
	MOVQ AX, DX
	SHRQ $32, DX
	BYTE $0x0f; BYTE $0x01; BYTE $0xd1 // XSETBV
	RET

TEXT ·DropAll(SB),NOSPLIT,$0-0
	MOVQ CR3, AX
	MOVQ AX, CR3
	RET

TEXT ·Invlpg(SB),NOSPLIT,$0-8
	MOVQ va+0(FP), AX
	INVLPG (AX)
	RET

// Lgdt reloads CS by a far return: the frame holds the way back.
TEXT ·Lgdt(SB),NOSPLIT,$0-12
	MOVQ p+0(FP), AX
	BYTE $0x0f; BYTE $0x01; BYTE $0x10 // LGDT (AX)
	MOVWLZX code+8(FP), CX
	MOVW data+10(FP), DX
	MOVW DX, SS
	MOVW DX, DS
	MOVW DX, ES
	LEAQ ·farReturn(SB), AX
	SUBQ $16, SP
	MOVQ AX, 0(SP)
	MOVQ CX, 8(SP)
	BYTE $0x48; BYTE $0xcb // LRETQ, to farReturn

// farReturn is where Lgdt's far return lands; the stack is as at Lgdt's entry.
TEXT ·farReturn(SB),NOSPLIT|NOFRAME,$0
	RET

TEXT ·Lidt(SB),NOSPLIT,$0-8
	MOVQ p+0(FP), AX
	BYTE $0x0f; BYTE $0x01; BYTE $0x18 // LIDT (AX)
	RET

TEXT ·Ltr(SB),NOSPLIT,$0-2
	MOVW selector+0(FP), AX
	BYTE $0x0f; BYTE $0x00; BYTE $0xd8 // LTR AX
	RET

TEXT ·Cli(SB),NOSPLIT,$0-0
	CLI
	RET

TEXT ·Sti(SB),NOSPLIT,$0-0
	STI
	RET

TEXT ·Pause(SB),NOSPLIT,$0-0
	PAUSE
	RET

// STI takes effect after the instruction behind it, so no interrupt is lost
// between the two.
TEXT ·HaltOnce(SB),NOSPLIT,$0-0
	STI
	HLT
	CLI
	RET

TEXT ·Mfence(SB),NOSPLIT,$0-0
	MFENCE
	RET

TEXT ·StopForever(SB),NOSPLIT,$0-0
	CLI
	HLT
	JMP -2(PC)

TEXT ·Getg(SB),NOSPLIT,$0-8
	MOVQ (TLS), AX
	MOVQ AX, ret+0(FP)
	RET

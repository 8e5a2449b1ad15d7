// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func call(fn uintptr, a, b, c, d, e uint64) uint64
//
// Calls a service of the firmware in its calling convention (UEFI 2.10,
// 2.3.4): arguments in RCX RDX R8 R9 and from 32(SP), stack on 16 bytes,
// direction flag clear; RBX RBP RSI RDI R12 to R15 and XMM6 to XMM15 survive.
// FS and GS are ours and left alone by firmware.
TEXT ·call(SB),NOSPLIT,$64-56
	MOVQ fn+0(FP), AX
	MOVQ a+8(FP), CX
	MOVQ b+16(FP), DX
	MOVQ c+24(FP), R8
	MOVQ d+32(FP), R9
	MOVQ e+40(FP), R10
	MOVQ SP, BX
	ANDQ $~15, SP
	SUBQ $48, SP
	MOVQ R10, 32(SP)
	CLD
	CALL AX
	MOVQ BX, SP
	MOVQ AX, ret+48(FP)
	RET

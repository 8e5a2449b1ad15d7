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

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build hvgo_probe

#include "textflag.h"

TEXT ·pushForever(SB),NOSPLIT|NOFRAME,$0-0
again:
	BYTE $0x50 // PUSHQ AX, which the assembler is not to count
	JMP  again

TEXT ·interruptNMI(SB),NOSPLIT,$0-0
	INT $2
	RET

TEXT ·interruptMachineCheck(SB),NOSPLIT,$0-0
	INT $18
	RET

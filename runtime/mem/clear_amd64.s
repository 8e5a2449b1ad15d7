// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func clearPage(addr uintptr)
TEXT ·clearPage(SB), NOSPLIT, $0-8
	MOVQ	addr+0(FP), DI
	MOVQ	$512, CX
	XORL	AX, AX
	CLD
	REP; STOSQ
	RET

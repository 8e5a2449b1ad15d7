// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

TEXT ·Halt(SB), NOSPLIT, $0
	HLT
	RET

// The table begins with bytes that are no instruction.
TEXT ·Tables(SB), NOSPLIT, $0
	RET
	BYTE $0x06; BYTE $0x06; BYTE $0xF4; BYTE $0xF4
	RET

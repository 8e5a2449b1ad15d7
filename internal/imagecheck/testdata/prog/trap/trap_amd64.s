// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

TEXT ·trapAddress(SB), NOSPLIT, $0
	LEAQ ·allocate(SB), AX
	MOVQ AX, ·sink(SB)
	RET

TEXT ·trapJump(SB), NOSPLIT|NOFRAME, $0
	JMP ·allocate(SB)

TEXT ·trapSyscall(SB), NOSPLIT, $0
	SYSCALL
	RET

TEXT ·trapUnknown(SB), NOSPLIT, $0
	BYTE $0x0F; BYTE $0x0A
	RET

TEXT ·trapComputed(SB), NOSPLIT|NOFRAME, $0
	MOVQ ·sink(SB), AX
	JMP AX

TEXT ·writeMSR(SB), NOSPLIT, $0
	WRMSR
	RET

TEXT ·hypercall(SB), NOSPLIT, $0
	BYTE $0x0F; BYTE $0x01; BYTE $0xD9 // VMMCALL
	RET

TEXT ·loadCR3(SB), NOSPLIT, $0
	MOVQ AX, CR3
	RET

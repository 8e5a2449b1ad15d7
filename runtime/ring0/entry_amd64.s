// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"
#include "go_asm.h"

// All general registers but R11, and most of them back: R11 is saved and BP, AX
// to DX are restored where it is known how.
#define SAVE_GENERAL \
	MOVQ R15, Frame_R15(SP); \
	MOVQ R14, Frame_R14(SP); \
	MOVQ R13, Frame_R13(SP); \
	MOVQ R12, Frame_R12(SP); \
	MOVQ R10, Frame_R10(SP); \
	MOVQ R9, Frame_R9(SP); \
	MOVQ R8, Frame_R8(SP); \
	MOVQ DI, Frame_RDI(SP); \
	MOVQ SI, Frame_RSI(SP); \
	MOVQ BP, Frame_RBP(SP); \
	MOVQ BX, Frame_RBX(SP); \
	MOVQ DX, Frame_RDX(SP); \
	MOVQ CX, Frame_RCX(SP); \
	MOVQ AX, Frame_RAX(SP)

#define RESTORE_MOST \
	MOVQ Frame_R15(SP), R15; \
	MOVQ Frame_R14(SP), R14; \
	MOVQ Frame_R13(SP), R13; \
	MOVQ Frame_R12(SP), R12; \
	MOVQ Frame_R10(SP), R10; \
	MOVQ Frame_R9(SP), R9; \
	MOVQ Frame_R8(SP), R8; \
	MOVQ Frame_RDI(SP), DI; \
	MOVQ Frame_RSI(SP), SI

#define XSAVE64_SP  BYTE $0x48; BYTE $0x0f; BYTE $0xae; BYTE $0x24; BYTE $0x24
#define XRSTOR64_BX BYTE $0x48; BYTE $0x0f; BYTE $0xae; BYTE $0x2b

// trapCommon is where all vectors meet. On the stack, which the IDT chose by
// its IST field: vector, error code, RIP, CS, RFLAGS, RSP, SS.
TEXT ·trapCommon(SB),NOSPLIT|NOFRAME,$0
	SUBQ $Frame_Vector, SP
	SAVE_GENERAL
	MOVQ R11, Frame_R11(SP)
	MOVQ SP, BX

	// The Go code below may use any XMM register, and another thread may
	// run before we come back: save all that XCR0 enables. XSAVE leaves
	// most of its 64-byte header alone, and XRSTOR wants it zero.
	SUBQ ·xsaveBytes(SB), SP
	ANDQ $~63, SP
	MOVQ SP, Frame_FP(BX)
	XORL AX, AX
	MOVQ AX, 512(SP)
	MOVQ AX, 520(SP)
	MOVQ AX, 528(SP)
	MOVQ AX, 536(SP)
	MOVQ AX, 544(SP)
	MOVQ AX, 552(SP)
	MOVQ AX, 560(SP)
	MOVQ AX, 568(SP)
	MOVL ·xsaveMask(SB), AX
	MOVL ·xsaveMask+4(SB), DX
	XSAVE64_SP
	CLD

	SUBQ $16, SP
	MOVQ BX, 0(SP)
	MOVQ BX, 8(SP) // the callee owns 0(SP)
	CALL ·trap(SB)
	MOVQ 8(SP), SP
	JMP ·trapReturn(SB)

// trapStart is where a new thread starts, on the Frame that SP points to.
TEXT ·trapStart(SB),NOSPLIT|NOFRAME,$0
	MOVQ SP, BX
	SUBQ $16, SP
	MOVQ BX, 8(SP)
	CALL ·start(SB)
	MOVQ 8(SP), SP
	JMP ·trapReturn(SB)

// trapIdle is where a processor's idle loop starts, on a stack of its own.
TEXT ·trapIdle(SB),NOSPLIT|NOFRAME,$0
	CALL ·idle(SB)
	INT $3 // it does not return

// trapReturn restores the Frame that SP points to.
TEXT ·trapReturn(SB),NOSPLIT|NOFRAME,$0
	MOVQ Frame_FP(SP), BX
	TESTQ BX, BX
	JEQ general
	MOVL ·xsaveMask(SB), AX
	MOVL ·xsaveMask+4(SB), DX
	XRSTOR64_BX
general:
	RESTORE_MOST
	MOVQ Frame_R11(SP), R11
	ADDQ $Frame_RBP, SP
	POPQ BP
	POPQ BX
	POPQ DX
	POPQ CX
	POPQ AX
	ADDQ $16, SP // vector and error code
	IRETQ

// trapSyscall is LSTAR. SYSCALL in ring 0 leaves the stack alone, puts the
// return address into CX and clears IF (SFMASK). R11 is free: flags need not
// survive a system call.
//
// A call that the door serves (docs/ARCHITECTURE.md) and that comes from an
// ordinary goroutine is made to look like a Go function call at the place of
// the SYSCALL; all others are served here, on the thread's trap stack.
TEXT ·trapSyscall(SB),NOSPLIT|NOFRAME,$0
	CMPQ AX, $const_NumSyscalls
	JAE  trap
	LEAQ github·com∕hvgo∕hvgo∕runtime∕linux·Leaf(SB), R11
	MOVBLZX (R11)(AX*1), R11
	CMPL R11, $const_ClassDoor
	JEQ  door
	CMPL R11, $const_ClassByFD
	JNE  byargs
	MOVL DI, DI // a descriptor is an unsigned int: the upper half is nothing
	CMPQ DI, $const_MaxFD
	JAE  trap
	LEAQ github·com∕hvgo∕hvgo∕runtime∕sched·fdKind(SB), R11
	MOVBLZX (R11)(DI*1), R11
	CMPL R11, $const_FDDoor
	JNE  trap
	JMP  door

byargs:
	CMPL R11, $const_ClassByArgs
	JNE  trap
	CMPL AX, $const_sysMmap
	JNE  advice
	TESTL $const_anonymous, R10
	JEQ  door
	JMP  trap

advice:
	CMPL DX, $const_remove
	JNE  trap

door:
	// Only m.curg may run ordinary Go: g0 and the signal stack may not.
	MOVQ CX, CPU_Scratch(GS)
	BYTE $0x64; BYTE $0x4c; BYTE $0x8b; BYTE $0x1c; BYTE $0x25; LONG $-8 // MOVQ FS:-8, R11: g
	TESTQ R11, R11
	JEQ  notdoor
	MOVQ const_gM(R11), CX
	TESTQ CX, CX
	JEQ  notdoor
	CMPQ R11, const_mCurg(CX)
	JNE  notdoor
	MOVQ CPU_Scratch(GS), CX
	LEAQ -8(SP), SP
	MOVQ CX, 0(SP) // the return address of the call this becomes
	STI
	JMP  github·com∕hvgo∕hvgo∕runtime∕trap·doorEntry(SB)

notdoor:
	MOVQ CPU_Scratch(GS), CX

trap:
	MOVQ SP, CPU_UserSP(GS)
	MOVQ CPU_TrapStack(GS), SP
	SUBQ $Frame__size, SP
	MOVQ $0, Frame_FP(SP)
	SAVE_GENERAL
	MOVQ $0, Frame_R11(SP)
	MOVQ $const_VecSyscall, Frame_Vector(SP)
	MOVQ $0, Frame_Error(SP)
	MOVQ CX, Frame_RIP(SP)
	MOVQ $const_SelCode, Frame_CS(SP)
	MOVQ $const_UserFlags, Frame_RFLAGS(SP)
	MOVQ CPU_UserSP(GS), CX
	MOVQ CX, Frame_RSP(SP)
	MOVQ $const_SelData, Frame_SS(SP)
	MOVQ SP, BX
	SUBQ $16, SP
	MOVQ BX, 0(SP)
	MOVQ BX, 8(SP)
	CALL ·syscall(SB)
	MOVQ 8(SP), SP
	XORPS X15, X15 // Go's ABIInternal
	CMPQ Frame_Vector(SP), $const_VecSyscall
	JNE  full
	RESTORE_MOST
	MOVQ Frame_RBP(SP), BP
	MOVQ Frame_RBX(SP), BX
	MOVQ Frame_RDX(SP), DX
	MOVQ Frame_RAX(SP), AX
	MOVQ Frame_RIP(SP), CX
	MOVQ Frame_RSP(SP), SP
	STI // takes effect after the jump
	JMP  CX
full:
	JMP ·trapReturn(SB)

// func SwitchStack(save *uintptr, to uintptr)
//
// Stores the trap stack's position to *save and goes on at to, which an
// earlier SwitchStack stored or PrepareStack made.
TEXT ·SwitchStack(SB),NOSPLIT|NOFRAME,$0-16
	MOVQ save+0(FP), AX
	MOVQ to+8(FP), CX
	PUSHQ BP
	PUSHQ R14
	MOVQ SP, (AX)
	MOVQ CX, SP
	POPQ R14
	POPQ BP
	XORPS X15, X15
	RET

// func trapStartPC() uintptr
TEXT ·trapStartPC(SB),NOSPLIT,$0-8
	LEAQ ·trapStart(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func trapIdlePC() uintptr
TEXT ·trapIdlePC(SB),NOSPLIT,$0-8
	LEAQ ·trapIdle(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func trapVectorsPC() uintptr
TEXT ·trapVectorsPC(SB),NOSPLIT,$0-8
	LEAQ ·trapVectors(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func trapSyscallPC() uintptr
TEXT ·trapSyscallPC(SB),NOSPLIT,$0-8
	LEAQ ·trapSyscall(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// func ThisCPU() uintptr
TEXT ·ThisCPU(SB),NOSPLIT,$0-8
	MOVQ CPU_Self(GS), AX
	MOVQ AX, ret+0(FP)
	RET

// func copyUser(dst, src, n uintptr) bool
//
// A page fault at the REP MOVSB that cannot be resolved goes on at
// copyUserFault, on the same stack frame.
TEXT ·copyUser(SB),NOSPLIT|NOFRAME,$0-25
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	CLD
	REP; MOVSB
	MOVB $1, ret+24(FP)
	RET

TEXT ·copyUserFault(SB),NOSPLIT|NOFRAME,$0-25
	MOVB $0, ret+24(FP)
	RET

// func copyUserPCs() (start, fault uintptr)
TEXT ·copyUserPCs(SB),NOSPLIT,$0-16
	LEAQ ·copyUser(SB), AX
	MOVQ AX, start+0(FP)
	LEAQ ·copyUserFault(SB), AX
	MOVQ AX, fault+8(FP)
	RET

// func SaveFP(area uintptr)
//
// Saves the vector registers to a 64-byte aligned area of XSaveBytes bytes.
TEXT ·SaveFP(SB),NOSPLIT|NOFRAME,$0-8
	MOVQ area+0(FP), BX
	XORL AX, AX
	MOVQ AX, 512(BX)
	MOVQ AX, 520(BX)
	MOVQ AX, 528(BX)
	MOVQ AX, 536(BX)
	MOVQ AX, 544(BX)
	MOVQ AX, 552(BX)
	MOVQ AX, 560(BX)
	MOVQ AX, 568(BX)
	MOVL ·xsaveMask(SB), AX
	MOVL ·xsaveMask+4(SB), DX
	BYTE $0x48; BYTE $0x0f; BYTE $0xae; BYTE $0x23 // XSAVE64 (BX)
	RET

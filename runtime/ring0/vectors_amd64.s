// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// One 16-byte stub per vector: put a zero where the processor pushes no error
// code, push the vector, and go to trapCommon. (Intel SDM volume 3, 6.13: the
// exceptions 8, 10 to 14, 17, 21, 29 and 30 push an error code.)

#define NOERR(v) \
	BYTE $0x6a; BYTE $0x00; \
	BYTE $0x6a; BYTE $v; \
	JMP ·trapCommon(SB); \
	BYTE $0x0f; BYTE $0x1f; BYTE $0x80; LONG $0

#define ERR(v) \
	BYTE $0x66; BYTE $0x90; \
	BYTE $0x6a; BYTE $v; \
	JMP ·trapCommon(SB); \
	BYTE $0x0f; BYTE $0x1f; BYTE $0x80; LONG $0

TEXT ·trapVectors(SB),NOSPLIT|NOFRAME,$0
	NOERR(0)
	NOERR(1)
	NOERR(2)
	NOERR(3)
	NOERR(4)
	NOERR(5)
	NOERR(6)
	NOERR(7)
	ERR(8)
	NOERR(9)
	ERR(10)
	ERR(11)
	ERR(12)
	ERR(13)
	ERR(14)
	NOERR(15)
	NOERR(16)
	ERR(17)
	NOERR(18)
	NOERR(19)
	NOERR(20)
	ERR(21)
	NOERR(22)
	NOERR(23)
	NOERR(24)
	NOERR(25)
	NOERR(26)
	NOERR(27)
	NOERR(28)
	ERR(29)
	ERR(30)
	NOERR(31)
	NOERR(32)
	NOERR(33)
	NOERR(34)
	NOERR(35)
	NOERR(36)
	NOERR(37)
	NOERR(38)
	NOERR(39)
	NOERR(40)
	NOERR(41)
	NOERR(42)
	NOERR(43)
	NOERR(44)
	NOERR(45)
	NOERR(46)
	NOERR(47)
	NOERR(48)
	NOERR(49)
	NOERR(50)
	NOERR(51)
	NOERR(52)
	NOERR(53)
	NOERR(54)
	NOERR(55)
	NOERR(56)
	NOERR(57)
	NOERR(58)
	NOERR(59)
	NOERR(60)
	NOERR(61)
	NOERR(62)
	NOERR(63)

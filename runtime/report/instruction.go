// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"unsafe"

	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/serial"
	"golang.org/x/arch/x86/x86asm"
)

// longest is the size of the longest instruction (Intel SDM volume 2, 2.3.11).
const longest = 15

// Instruction prints the instruction at pc: its bytes, and in Intel's notation. The
// decoder allocates, so it gets [arena, arena+bytes) in place of Go's heap, for good:
// nothing may run behind it but the machine's end.
func Instruction(pc, arena, bytes uintptr) {
	var code [longest]byte
	n := 0
	for n < longest && ring0.CopyUser(uintptr(unsafe.Pointer(&code[n])), pc+uintptr(n), 1) {
		n++
	}
	serial.Print("code at ")
	serial.Hex(uint64(pc))
	serial.Print(":")
	for i := 0; i < n; i++ {
		serial.Print(" ")
		octet(code[i])
	}
	if n == 0 {
		serial.Print(" it cannot be read")
	}
	serial.Print("\n")
	if n == 0 || !replaceHeap(arena, bytes) {
		return
	}
	serial.Print("instruction: ")
	inst, err := x86asm.Decode(code[:n], 64)
	if err != nil {
		serial.Print("not known\n")
		return
	}
	show(&inst, pc)
	serial.Print("\n")
}

func octet(b byte) {
	const digits = "0123456789abcdef"
	serial.Print(digits[b>>4:][:1])
	serial.Print(digits[b&15:][:1])
}

// show prints an instruction as x86asm's Inst.String does, and where jumps lead to.
func show(in *x86asm.Inst, pc uintptr) {
	for _, p := range in.Prefix {
		if p == 0 {
			break
		}
		switch p {
		case x86asm.PrefixLOCK:
			serial.Print("LOCK ")
		case x86asm.PrefixREP:
			serial.Print("REP ")
		case x86asm.PrefixREPN:
			serial.Print("REPN ")
		}
	}
	serial.Print(in.Op.String())
	separator := " "
	for _, a := range in.Args {
		if a == nil {
			break
		}
		serial.Print(separator)
		separator = ", "
		switch a := a.(type) {
		case x86asm.Reg:
			serial.Print(a.String())
		case x86asm.Imm:
			serial.Hex(uint64(a))
		case x86asm.Mem:
			showMemory(in, a, pc)
		case x86asm.Rel:
			Place(pc + uintptr(in.Len) + uintptr(a))
		default:
			serial.Print("?")
		}
	}
}

func showMemory(in *x86asm.Inst, m x86asm.Mem, pc uintptr) {
	if m.Segment == x86asm.FS || m.Segment == x86asm.GS {
		serial.Print(m.Segment.String())
		serial.Print(":")
	}
	serial.Print("[")
	if m.Base == x86asm.RIP {
		serial.Hex(uint64(pc) + uint64(in.Len) + uint64(m.Disp))
		serial.Print("]")
		return
	}
	if m.Base != 0 {
		serial.Print(m.Base.String())
	}
	if m.Scale != 0 {
		if m.Base != 0 {
			serial.Print("+")
		}
		if m.Scale > 1 {
			serial.Dec(uint64(m.Scale))
			serial.Print("*")
		}
		serial.Print(m.Index.String())
	}
	switch {
	case m.Disp < 0:
		serial.Print("-")
		serial.Hex(-uint64(m.Disp))
	case m.Disp > 0 || m.Base == 0 && m.Scale == 0:
		serial.Print("+")
		serial.Hex(uint64(m.Disp))
	}
	serial.Print("]")
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package realmode is what a processor runs from its startup interrupt, which finds it
// in real mode (Intel SDM volume 3, 9.4), until it is in 64-bit mode on our page tables.
// boot copies it to a page below 1 MiB, one page of page tables behind it.
package realmode

import "unsafe"

// Size is the length of the code and its data, in bytes.
const Size = 0xB8

// Places in the page.
const (
	atCR4     = 0x0E
	atLowRoot = 0x17
	atJump    = 0x39
	atLong    = 0x40
	atGDTR    = 0x80
	atGDT     = 0x88
	atRoot    = 0xA0
	atStack   = 0xA8
	atEntry   = 0xB0
)

// code is the page, its data still zero. The instructions are those of code_test.go.
var code = [Size]byte{
	// Real mode. CS is the page, offsets count from its start.
	0x00: 0xFA,       // cli
	0x01: 0xFC,       // cld
	0x02: 0x8C, 0xC8, // mov ax, cs
	0x04: 0x8E, 0xD8, // mov ds, ax
	0x06: 0x66, 0x0F, 0x01, 0x16, atGDTR, 0, // lgdt [atGDTR]
	0x0C: 0x66, 0xB8, 0, 0, 0, 0, // mov eax, CR4
	0x12: 0x0F, 0x22, 0xE0, // mov cr4, eax
	0x15: 0x66, 0xB8, 0, 0, 0, 0, // mov eax, low root
	0x1B: 0x0F, 0x22, 0xD8, // mov cr3, eax
	0x1E: 0x66, 0xB9, 0x80, 0x00, 0x00, 0xC0, // mov ecx, EFER
	0x24: 0x0F, 0x32, // rdmsr
	0x26: 0x66, 0x0D, 0x00, 0x09, 0x00, 0x00, // or eax, LME and NXE
	0x2C: 0x0F, 0x30, // wrmsr
	0x2E: 0x66, 0xB8, 0x33, 0x00, 0x01, 0x80, // mov eax, PG WP NE ET MP PE
	0x34: 0x0F, 0x22, 0xC0, // mov cr0, eax
	0x37: 0x66, 0xEA, 0, 0, 0, 0, 0x08, 0x00, // jmp 8:atLong

	// 64-bit mode.
	0x40: 0x48, 0x8B, 0x05, 0x59, 0, 0, 0, // mov rax, [atRoot]
	0x47: 0x0F, 0x22, 0xD8, // mov cr3, rax
	0x4A: 0x48, 0x8B, 0x25, 0x57, 0, 0, 0, // mov rsp, [atStack]
	0x51: 0xB8, 0x10, 0, 0, 0, // mov eax, 0x10
	0x56: 0x8E, 0xD0, // mov ss, ax
	0x58: 0x8E, 0xD8, // mov ds, ax
	0x5A: 0x8E, 0xC0, // mov es, ax
	0x5C: 0xFF, 0x25, 0x4E, 0, 0, 0, // jmp [atEntry]

	atGDTR: 23, 0, // limit; base follows
	atGDT + 8: 0xFF, 0xFF, 0, 0, 0, 0x9B, 0xAF, 0, // 64-bit code, ring 0
	atGDT + 16: 0xFF, 0xFF, 0, 0, 0, 0x93, 0xCF, 0, // data
}

// Start says where a processor is to go.
type Start struct {
	CR4   uint32 // of the processor that starts it: PAE, and perhaps five levels
	Root  uint64 // CR3
	Stack uint64 // RSP
	Entry uint64 // RIP
}

// Put writes the page that lies at physical address pa, below 1 MiB, and is mapped at
// page. The top level of the page tables, as Root has it, lies in the page behind it:
// real mode reaches no other. The page itself must be mapped where it is, to execute.
func Put(page uintptr, pa uint32, s Start) {
	for i, b := range code {
		*at[byte](page + uintptr(i)) = b
	}
	*at[uint32](page + atCR4) = s.CR4
	*at[uint32](page + atLowRoot) = pa + pageSize
	*at[uint32](page + atJump) = pa + atLong
	*at[uint32](page + atGDTR + 2) = pa + atGDT
	*at[uint64](page + atRoot) = s.Root
	*at[uint64](page + atStack) = s.Stack
	*at[uint64](page + atEntry) = s.Entry
}

const pageSize = 4096

// at makes a pointer of an address outside Go's heap, which need not be aligned.
func at[T byte | uint32 | uint64](address uintptr) *T {
	return *(**T)(unsafe.Pointer(&address))
}

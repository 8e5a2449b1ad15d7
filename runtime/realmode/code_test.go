// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package realmode

import (
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/arch/x86/x86asm"
)

// TestCode decodes what Put writes, by a disassembler that is not ours.
func TestCode(t *testing.T) {
	var page [pageSize]byte
	Put(uintptr(unsafe.Pointer(&page)), 0x8000, Start{CR4: 0x6A0, Root: 0x1122334455667000, Stack: 0x66778899AABBCC00, Entry: 0x123456789ABCDEF0})
	for _, part := range []struct {
		mode, from, to int
		want           string
	}{
		{16, 0, 0x3F, `cli
cld
mov ax, cs
mov ds, ax
lgdt ptr [0x80]
mov eax, 0x6a0
mov cr4, eax
mov eax, 0x9000
mov cr3, eax
mov ecx, -0x3fffff80
rdmsr
or eax, 0x900
wrmsr
mov eax, -0x7ffeffcd
mov cr0, eax
jmp far 0x8040, 0x8`},
		{64, atLong, 0x62, `mov rax, qword ptr [rip+0x59]
mov cr3, rax
mov rsp, qword ptr [rip+0x57]
mov eax, 0x10
mov ss, ax
mov ds, ax
mov es, ax
jmp qword ptr [rip+0x4e]`},
	} {
		var got []string
		for at := part.from; at < part.to; {
			i, err := x86asm.Decode(page[at:], part.mode)
			if err != nil {
				t.Fatalf("%#x: %v", at, err)
			}
			got = append(got, x86asm.IntelSyntax(i, 0, nil))
			at += i.Len
		}
		if text := strings.Join(got, "\n"); text != part.want {
			t.Errorf("%d-bit code:\n%s\nwant:\n%s", part.mode, text, part.want)
		}
	}
	// What the instructions refer to, by their distances.
	for _, tt := range []struct {
		name      string
		at        int
		got, want uint64
	}{
		{"root", 0x47 + 0x59, *at[uint64](addr(&page, 0x47+0x59)), 0x1122334455667000},
		{"stack", 0x51 + 0x57, *at[uint64](addr(&page, 0x51+0x57)), 0x66778899AABBCC00},
		{"entry", 0x62 + 0x4E, *at[uint64](addr(&page, 0x62+0x4E)), 0x123456789ABCDEF0},
		{"GDT's base", atGDTR + 2, uint64(*at[uint32](addr(&page, atGDTR+2))), 0x8000 + atGDT},
		{"code segment", atGDT + 8, *at[uint64](addr(&page, atGDT+8)), 0x00AF9B000000FFFF},
		{"data segment", atGDT + 16, *at[uint64](addr(&page, atGDT+16)), 0x00CF93000000FFFF},
	} {
		if tt.got != tt.want {
			t.Errorf("%s at %#x: %#x, want %#x", tt.name, tt.at, tt.got, tt.want)
		}
	}
}

func addr(page *[pageSize]byte, i int) uintptr { return uintptr(unsafe.Pointer(page)) + uintptr(i) }

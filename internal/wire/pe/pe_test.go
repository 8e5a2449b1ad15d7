// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package pe

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func check[T interface {
	comparable
	AppendTo([]byte) []byte
}](t *testing.T, v T, golden string, decode func([]byte) (T, error)) {
	t.Helper()
	want, err := hex.DecodeString(strings.ReplaceAll(golden, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	if got := v.AppendTo([]byte("foo")); !bytes.Equal(got, append([]byte("foo"), want...)) {
		t.Errorf("encoded\n%x\nwant\n%x", got[3:], want)
	}
	if back, err := decode(want); err != nil || back != v {
		t.Errorf("decoded %+v, %v", back, err)
	}
	for n := range want {
		if _, err := decode(want[:n]); err == nil {
			t.Errorf("decoded a prefix of %d bytes", n)
		}
	}
}

func TestGolden(t *testing.T) {
	z := func(n int) string { return strings.Repeat("00", n) }
	check(t, DOSHeader{0x80}, "4d5a"+z(58)+"80000000", DecodeDOSHeader)
	check(t, FileHeader{MachineAMD64, 5, 0x01020304, 240, FileExecutable | FileLargeAddressAware},
		"50450000 6486 0500 04030201 "+z(8)+" f000 2200", DecodeFileHeader)
	check(t, OptionalHeader{
		SizeOfCode: 0x11, SizeOfData: 0x12, SizeOfBSS: 0x13, EntryPoint: 0x14, BaseOfCode: 0x15, ImageBase: 0x400000,
		SectionAlignment: 0x1000, FileAlignment: 0x200, SizeOfImage: 0x16, SizeOfHeaders: 0x17, Checksum: 0x18,
		Subsystem: 10, DLLCharacteristics: 0x160, Directories: [16]DataDirectory{5: {0x19, 0x1a}},
	}, "0b020000 11000000 12000000 13000000 14000000 15000000 0000400000000000 00100000 00020000"+z(16)+
		"16000000 17000000 18000000 0a00 6001"+z(36)+"10000000"+z(40)+"19000000 1a000000"+z(80), DecodeOptionalHeader)
	check(t, SectionHeader{[8]byte{'.', 't', 'e', 'x', 't'}, 1, 2, 3, 4, SectionCode | SectionExecute | SectionRead},
		"2e74657874000000 01000000 02000000 03000000 04000000"+z(12)+"20000060", DecodeSectionHeader)
	check(t, RelocBlock{0x1000, 12}, "00100000 0c000000", DecodeRelocBlock)
}

func FuzzDecode(f *testing.F) {
	f.Add(OptionalHeader{}.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		DecodeDOSHeader(b)
		DecodeFileHeader(b)
		DecodeOptionalHeader(b)
		DecodeSectionHeader(b)
		DecodeRelocBlock(b)
	})
}

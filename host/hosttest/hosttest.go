// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package hosttest holds small guests in machine code that test the host's own
// packages, and a PE file around them. They are written in assembly, apart from
// the guest runtime, so that a test of the host fails for the host's sake only.
package hosttest

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"sync"
	"testing"

	"github.com/hvgo/hvgo/host/kvm"
)

// Guest is one of the guests in testdata/guests.S, which says what each does.
type Guest int

// The guests, in the order of the table at the front of guests.bin.
const (
	Hello Guest = iota
	SynIC
	Crash
	Triple
	Invalid
	Spin
	Late
	Enforced
	Console
	Second
	absoluteWord // not a guest: the word that the relocation is for
	breaker
	whichWord // not a guest: which rule breaker breaks
	Starter   // starts processors by hypercall
	All       // starts processors by INIT and startup interrupts
)

//go:embed testdata/guests.bin
var guests []byte

const (
	preferredBase = 0x400000
	textRVA       = 0x1000
	scratchSize   = 32 << 10 // zeroed memory behind the code
)

// Image returns the PE file of a guest.
func (g Guest) Image() []byte {
	return PE(guests, scratchSize, g.offset(), []uint32{absoluteWord.offset()})
}

// Break is a rule that a guest breaks, and nothing else (testdata/guests.S).
type Break uint32

// What may be broken, in the order of the guest's table.
const (
	Nothing Break = iota
	NoEOM
	DirtySIMP
	DirtySIEFP
	NoRegister
	LowVector
	SINTTwice
	NoPrivilege
	ReservedBits
	FastCall
	Unaligned
	CrossingPage
	NoMemory
	TooLong
	NoType
	ReservedField
	LateEOM
	MaskedFirst // a SINT set up anew as it should be
	VariableHeader
	Repeated
	NoEOMWaits // as NoEOM, and waits for the next message
)

// Image returns the PE file of the guest that breaks the rule.
func (b Break) Image() []byte {
	code := bytes.Clone(guests)
	binary.LittleEndian.PutUint32(code[whichWord.offset():], uint32(b))
	return PE(code, scratchSize, breaker.offset(), []uint32{absoluteWord.offset()})
}

func (g Guest) offset() uint32 { return binary.LittleEndian.Uint32(guests[4*g:]) }

// PE makes a PE32+ UEFI application of one section, linked at 0x401000: code,
// followed by scratch zero bytes. entry and relocs are offsets in code; relocs name
// 64-bit words that hold addresses.
func PE(code []byte, scratch, entry uint32, relocs []uint32) []byte {
	le := binary.LittleEndian
	const fileAlign, page, headerSize = 512, 4096, 1024
	up := func(n, to uint32) uint32 { return (n + to - 1) / to * to }
	size := uint32(len(code)) + scratch
	relocRVA := textRVA + up(size, page)
	var reloc []byte
	for _, r := range relocs { // a block for each
		at := textRVA + r
		reloc = le.AppendUint32(reloc, at&^(page-1))
		reloc = le.AppendUint32(reloc, 12)
		reloc = le.AppendUint16(reloc, 10<<12|uint16(at%page))
		reloc = le.AppendUint16(reloc, 0)
	}
	h := make([]byte, headerSize)
	copy(h, "MZ")
	le.PutUint32(h[0x3C:], 64)
	copy(h[64:], "PE\x00\x00")
	coff := h[68:]
	le.PutUint16(coff, 0x8664)
	le.PutUint16(coff[2:], 2)
	le.PutUint16(coff[16:], 112+16*8)
	le.PutUint16(coff[18:], 0x22)
	o := coff[20:]
	le.PutUint16(o, 0x20B)
	le.PutUint32(o[16:], textRVA+entry)
	le.PutUint64(o[24:], preferredBase)
	le.PutUint32(o[32:], page)
	le.PutUint32(o[36:], fileAlign)
	le.PutUint32(o[56:], relocRVA+page)
	le.PutUint32(o[60:], headerSize)
	le.PutUint16(o[68:], 10)
	le.PutUint32(o[108:], 16)
	le.PutUint32(o[112+5*8:], relocRVA)
	le.PutUint32(o[116+5*8:], uint32(len(reloc)))
	s := o[112+16*8:]
	raw := up(uint32(len(code)), fileAlign)
	putSection(s, ".text", size, textRVA, raw, headerSize, 0xE0000020)
	putSection(s[40:], ".reloc", uint32(len(reloc)), relocRVA, fileAlign, headerSize+raw, 0x42000040)
	out := append(h, code...)
	out = append(out, make([]byte, headerSize+int(raw)-len(out))...)
	out = append(out, reloc...)
	return append(out, make([]byte, fileAlign-len(reloc))...)
}

func putSection(b []byte, name string, size, rva, raw, off, flags uint32) {
	copy(b[:8], name)
	for i, v := range []uint32{size, rva, raw, off} {
		binary.LittleEndian.PutUint32(b[8+4*i:], v)
	}
	binary.LittleEndian.PutUint32(b[36:], flags)
}

// usable is asked once: the answer takes a trial guest. The pin stays for the
// life of the process.
var usable = sync.OnceValue(func() error {
	if err := kvm.Usable(); err != nil {
		return err
	}
	_, err := kvm.Pin()
	return err
})

// NeedKVM skips a test where KVM with Hyper-V enlightenments is missing.
func NeedKVM(t testing.TB) {
	t.Helper()
	if err := usable(); err != nil {
		t.Skip(err)
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package madt

import (
	"encoding/binary"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tablesSize is the room of the tests' tables; before and behind is nothing, so that a
// read outside ends the test.
const (
	page       = 4096
	tablesSize = 2 * page
)

func tableMemory(t testing.TB) (b []byte, pa uint64) {
	m, err := unix.Mmap(-1, 0, tablesSize+2*page, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(m) })
	b = m[page : page+tablesSize]
	if err := unix.Mprotect(b, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		t.Fatal(err)
	}
	return b, uint64(uintptr(unsafe.Pointer(&b[0])))
}

// only makes the n bytes at pa all the memory there is.
func only(pa, n uint64) []Range { return []Range{{pa - n, pa - n}, {pa, pa + n}} }

// writeACPI writes an RSDP at 0, an XSDT with a table that nobody knows and the MADT, and
// the MADT with these entries.
func writeACPI(b []byte, pa uint64, entries ...[]byte) {
	clear(b)
	le := binary.LittleEndian
	const xsdt, other, madt = 64, 128, 256
	copy(b, "RSD PTR ")
	le.PutUint64(b[rsdpXSDT:], pa+xsdt)
	copy(b[xsdt:], "XSDT")
	le.PutUint32(b[xsdt+sdtLength:], sdtHeader+16)
	le.PutUint64(b[xsdt+sdtHeader:], pa+other)
	le.PutUint64(b[xsdt+sdtHeader+8:], pa+madt)
	copy(b[other:], "WXYZ")
	le.PutUint32(b[other+sdtLength:], sdtHeader)
	copy(b[madt:], "APIC")
	n := madtFirst
	for _, e := range entries {
		n += copy(b[madt+n:], e)
	}
	le.PutUint32(b[madt+sdtLength:], uint32(n))
}

func localAPIC(flags byte) []byte { return []byte{madtAPIC, 8, 0, 5, flags, 0, 0, 0} }

func TestProcessors(t *testing.T) {
	b, pa := tableMemory(t)
	ioAPIC := []byte{1, 12, 0, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0}
	x2 := []byte{madtX2APIC, 16, 0, 0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}
	for _, tt := range []struct {
		name    string
		entries [][]byte
		want    []uint32
	}{
		{"none", nil, nil},
		{"one", [][]byte{localAPIC(1), ioAPIC}, []uint32{5}},
		{"two of four", [][]byte{localAPIC(1), ioAPIC, localAPIC(0), localAPIC(2), localAPIC(3)}, []uint32{5, 5}},
		{"x2APIC", [][]byte{localAPIC(1), x2}, []uint32{5, 0x107}},
		{"no length", [][]byte{localAPIC(1), {7, 0}, localAPIC(1)}, []uint32{5}},
		{"too long", [][]byte{localAPIC(1), {madtAPIC, 200, 0, 0, 1, 0, 0, 0}}, []uint32{5}},
		{"too short", [][]byte{{madtAPIC, 4, 1, 1}, localAPIC(1)}, []uint32{5}},
		{"half an entry", [][]byte{localAPIC(1), {madtAPIC}}, []uint32{5}},
	} {
		writeACPI(b, pa, tt.entries...)
		var ids [4]uint32
		got := Processors(pa, only(pa, tablesSize), ids[:])
		if int(got) != len(tt.want) || !slices.Equal(ids[:got], tt.want) {
			t.Errorf("%s: %d %x, want %x", tt.name, got, ids, tt.want)
		}
	}
	writeACPI(b, pa, localAPIC(1), localAPIC(1), localAPIC(1))
	ids := []uint32{9, 9}
	if got := Processors(pa, only(pa, tablesSize), ids[:1]); got != 3 || ids[0] != 5 || ids[1] != 9 {
		t.Errorf("%d, no room: %d", got, ids)
	}
}

// Tables that lead out of memory, or are none.
func TestProcessorsHostile(t *testing.T) {
	b, pa := tableMemory(t)
	le := binary.LittleEndian
	for name, spoil := range map[string]func(){
		"signature":        func() { b[0] = 'X' },
		"XSDT nowhere":     func() { le.PutUint64(b[rsdpXSDT:], 0) },
		"XSDT wraps":       func() { le.PutUint64(b[rsdpXSDT:], ^uint64(0)-3) },
		"XSDT at the end":  func() { le.PutUint64(b[rsdpXSDT:], pa+tablesSize-8) },
		"XSDT long":        func() { le.PutUint32(b[64+sdtLength:], 1<<31) },
		"XSDT behind":      func() { le.PutUint32(b[64+sdtLength:], tablesSize) },
		"XSDT short":       func() { le.PutUint32(b[64+sdtLength:], 8) },
		"MADT outside":     func() { le.PutUint64(b[64+sdtHeader+8:], pa+tablesSize) },
		"MADT before":      func() { le.PutUint64(b[64+sdtHeader+8:], pa-8) },
		"MADT long":        func() { le.PutUint32(b[256+sdtLength:], maxTable+1) },
		"MADT only header": func() { le.PutUint32(b[256+sdtLength:], sdtHeader) },
	} {
		writeACPI(b, pa, localAPIC(1))
		spoil()
		if got := Processors(pa, only(pa, tablesSize), nil); got != 0 {
			t.Errorf("%s: %d", name, got)
		}
	}
	if Processors(0, only(pa, tablesSize), nil) != 0 {
		t.Error("no RSDP, but processors")
	}
}

func FuzzProcessors(f *testing.F) {
	b, pa := tableMemory(f)
	writeACPI(b, 0, localAPIC(1), localAPIC(0))
	f.Add(append([]byte(nil), b[:512]...))
	f.Fuzz(func(t *testing.T, in []byte) {
		clear(b)
		copy(b, in)
		// Addresses in the input count from the start of the tables.
		le := binary.LittleEndian
		xsdt := le.Uint64(b[rsdpXSDT:])
		le.PutUint64(b[rsdpXSDT:], xsdt+pa)
		for i := xsdt + sdtHeader; i < tablesSize-8 && i < xsdt+sdtHeader+64; i += 8 {
			le.PutUint64(b[i:], le.Uint64(b[i:])+pa)
		}
		if n := Processors(pa, only(pa, tablesSize), nil); n > tablesSize/8 {
			t.Errorf("%d processors", n)
		}
	})
}

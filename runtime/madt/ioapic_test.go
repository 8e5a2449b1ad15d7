// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package madt

import (
	"encoding/binary"
	"testing"
)

func ioAPIC(address, first uint32) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{madtIOAPIC, 12, 0, 0}, address)
	return binary.LittleEndian.AppendUint32(b, first)
}

func override(bus, irq byte, global uint32, flags uint16) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{madtOverride, 10, bus, irq}, global)
	return binary.LittleEndian.AppendUint16(b, flags)
}

func TestISA(t *testing.T) {
	b, pa := tableMemory(t)
	const at = 0xFEC00000
	for _, tt := range []struct {
		name    string
		entries [][]byte
		want    Line
	}{
		{"nothing", nil, Line{}},
		{"no I/O APIC", [][]byte{localAPIC(1)}, Line{}},
		{"as on a PC", [][]byte{localAPIC(1), ioAPIC(at, 0)}, Line{Address: at, Pin: 4}},
		{"elsewhere", [][]byte{override(0, 4, 20, 0), ioAPIC(at, 0)}, Line{Address: at, Pin: 20}},
		{"low, by level", [][]byte{ioAPIC(at, 0), override(0, 4, 9, 15)}, Line{Address: at, Pin: 9, Low: true, ByLevel: true}},
		{"high, by edge", [][]byte{ioAPIC(at, 0), override(0, 4, 9, 5)}, Line{Address: at, Pin: 9}},
		{"of another interrupt", [][]byte{override(0, 0, 2, 0), override(0, 9, 9, 15), ioAPIC(at, 0)}, Line{Address: at, Pin: 4}},
		{"of another bus", [][]byte{override(1, 4, 9, 15), ioAPIC(at, 0)}, Line{Address: at, Pin: 4}},
		{"the second I/O APIC", [][]byte{ioAPIC(at, 0), override(0, 4, 30, 0), ioAPIC(at+0x1000, 24), ioAPIC(at+0x2000, 48)}, Line{Address: at + 0x1000, Pin: 6}},
		{"in front of all", [][]byte{ioAPIC(at, 24)}, Line{}},
		{"cut off", [][]byte{localAPIC(1), ioAPIC(at, 0)[:8]}, Line{}},
		{"no length", [][]byte{{7, 0}, ioAPIC(at, 0)}, Line{}},
		{"short", [][]byte{{madtIOAPIC, 4, 0, 0}, {madtOverride, 4, 0, 4}, ioAPIC(at, 0)}, Line{Address: at, Pin: 4}},
	} {
		writeACPI(b, pa, tt.entries...)
		madt, n := Find(pa, only(pa, tablesSize))
		if got := ISA(madt, n, 4); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// FuzzISA has the whole table at the end of memory, so that a read behind it faults.
func FuzzISA(f *testing.F) {
	b, pa := tableMemory(f)
	f.Add(ioAPIC(0xFEC00000, 0))
	f.Add(append(override(0, 4, 9, 15), ioAPIC(0xFEC00000, 0)...))
	f.Fuzz(func(t *testing.T, entries []byte) {
		n := madtFirst + len(entries)
		if n > tablesSize {
			return
		}
		at := tablesSize - n
		copy(b[at+madtFirst:], entries)
		if l := ISA(uintptr(pa)+uintptr(at), uintptr(n), 4); l.Address == 0 && l != (Line{Low: l.Low, ByLevel: l.ByLevel}) {
			t.Errorf("%+v", l)
		}
	})
}

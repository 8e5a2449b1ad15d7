// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package madt finds a machine's processors in its ACPI tables, where they lie in
// memory: before there is a Go runtime, so that nothing here allocates.
//
//	RSDP -> XSDT -> MADT: [type|length|...] [type|length|...] ...
package madt

import "github.com/hvgo/hvgo/runtime/ring0"

// What the tables may hold at most, so that a wrong length costs nothing.
const (
	maxTable   = 1 << 20
	maxTables  = 256
	sdtHeader  = 36
	rsdpLength = 36
)

// Signatures of ACPI tables and offsets in them (ACPI 6.5, 5.2.5, 5.2.6, 5.2.8 and
// 5.2.12).
const (
	sigRSDP   = 0x2052545020445352 // "RSD PTR "
	sigXSDT   = 0x54445358
	Signature = 0x43495041 // "APIC"

	rsdpXSDT      = 24
	sdtLength     = 4
	madtFirst     = 44
	madtAPIC      = 0 // processor local APIC: 8 bytes, id at 3, flags at 4
	madtX2APIC    = 9 // processor local x2APIC: 16 bytes, id at 4, flags at 8
	madtIsEnabled = 1
)

// Range is physical memory that may be read, from Start up to, not including, End.
type Range struct{ Start, End uint64 }

// ram is all there is of it.
type ram []Range

// has tells whether n bytes at pa are memory.
func (r ram) has(pa, n uintptr) bool {
	for i := range r {
		if at := uint64(pa) - r[i].Start; uint64(pa) >= r[i].Start && uint64(pa) < r[i].End {
			return uint64(n) <= r[i].End-r[i].Start-at
		}
	}
	return false
}

// Processors is [Enabled] of the MADT that the RSDP leads to. Addresses are physical, and
// mapped one to one.
func Processors(rsdp uint64, memory []Range, ids []uint32) uint32 {
	madt, length := Find(rsdp, memory)
	return Enabled(madt, length, ids)
}

// table gives the bytes of the table at pa, 0 if it is none of that signature.
func (r ram) table(pa uintptr, signature uint32) uintptr {
	if !r.has(pa, sdtHeader) || half(pa) != signature {
		return 0
	}
	n := uintptr(half(pa + sdtLength))
	if n < sdtHeader || n > maxTable || !r.has(pa, n) {
		return 0
	}
	return n
}

// Enabled counts the enabled local APICs of the MADT of that many bytes, and stores their
// ids as far as there is room.
func Enabled(madt, length uintptr, ids []uint32) (count uint32) {
	for at := uintptr(madtFirst); at+2 <= length; {
		kind, n := octet(madt+at), uintptr(octet(madt+at+1))
		if n < 2 || at+n > length {
			return count
		}
		id, flags := uint32(0), uint32(0)
		switch {
		case kind == madtAPIC && n >= 8:
			id, flags = uint32(octet(madt+at+3)), half(madt+at+4)
		case kind == madtX2APIC && n >= 16:
			id, flags = half(madt+at+4), half(madt+at+8)
		}
		if flags&madtIsEnabled != 0 {
			if int(count) < len(ids) {
				ids[count] = id
			}
			count++
		}
		at += n
	}
	return count
}

func half(p uintptr) uint32 { return *(*uint32)(ring0.Pointer(p)) }

func octet(p uintptr) byte { return *(*byte)(ring0.Pointer(p)) }

func word(p uintptr) uintptr { return *(*uintptr)(ring0.Pointer(p)) }

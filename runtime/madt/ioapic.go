// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package madt

// Entries about interrupts (ACPI 6.5, 5.2.12.3 and 5.2.12.5), and the flags of the
// second (table 5.26); zero there is what the bus has, which is high and edge for ISA.
const (
	madtIOAPIC   = 1 // 12 bytes: address at 4, its first interrupt at 8
	madtOverride = 2 // 10 bytes: bus at 2, number there at 3, interrupt at 4, flags at 8

	polarityMask, polarityLow = 3, 3
	triggerMask, triggerLevel = 3 << 2, 3 << 2
)

// Line is where an interrupt of the ISA bus comes in.
type Line struct {
	Address uint64 // physical, of the I/O APIC's registers; 0 when there is none
	Pin     uint32
	Low     bool // active low
	ByLevel bool // triggered by level
}

// Find gives the MADT that the RSDP leads to and its bytes; 0 when there is none.
// Addresses are physical, and mapped one to one.
func Find(rsdp uint64, memory []Range) (at, length uintptr) {
	r, root := ram(memory), uintptr(rsdp)
	if root == 0 || !r.has(root, rsdpLength) || word(root) != sigRSDP {
		return 0, 0
	}
	xsdt := word(root + rsdpXSDT)
	n := r.table(xsdt, sigXSDT)
	for i := uintptr(sdtHeader); i+8 <= n && i < sdtHeader+8*maxTables; i += 8 {
		madt := word(xsdt + i)
		if length := r.table(madt, Signature); length != 0 {
			return madt, length
		}
	}
	return 0, 0
}

// ISA tells where interrupt irq of the ISA bus comes in, by the MADT of that many
// bytes.
func ISA(madt, length uintptr, irq uint8) (l Line) {
	global := uint32(irq)
	for at := uintptr(madtFirst); at != 0; {
		kind, next := entry(madt, at, length)
		if next == 0 {
			break
		}
		p := madt + at
		if kind == madtOverride && next-at >= 10 && octet(p+2) == 0 && octet(p+3) == irq {
			flags := half(p+6) >> 16 // the whole word lies in the entry
			global = half(p + 4)
			l.Low, l.ByLevel = flags&polarityMask == polarityLow, flags&triggerMask == triggerLevel
		}
		at = next
	}
	// The I/O APIC with the highest first interrupt that is not behind it.
	first := uint32(0)
	for at := uintptr(madtFirst); at != 0; {
		kind, next := entry(madt, at, length)
		if next == 0 {
			break
		}
		if p := madt + at; kind == madtIOAPIC && next-at >= 12 {
			if base := half(p + 8); base <= global && (l.Address == 0 || base >= first) {
				first = base
				l.Address, l.Pin = uint64(half(p+4)), global-base
			}
		}
		at = next
	}
	return l
}

// entry gives the kind of the entry at an offset of the table, and the offset behind
// it; 0 when there is none.
func entry(madt, at, length uintptr) (kind byte, next uintptr) {
	if at+2 > length {
		return 0, 0
	}
	kind, n := octet(madt+at), uintptr(octet(madt+at+1))
	if n < 2 || at+n > length {
		return 0, 0
	}
	return kind, at + n
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"unsafe"

	"github.com/hvgo/hvgo/runtime/acpi"
	"github.com/hvgo/hvgo/runtime/madt"
	"github.com/hvgo/hvgo/runtime/mem"
)

// survey counts memory and processors while the memory map is at hand and physical
// memory is mapped one to one. What cannot be read counts as nothing.
func survey() {
	Machine.MemoryBytes = totalRAM()
	at, n := uintptr(0), uintptr(0)
	if acpi.Host.N == 0 {
		at, n = madt.Find(Machine.RSDP, ramRanges())
	}
	for i := range acpi.Host.N { // these were found already, wherever they lie
		if t := &acpi.Host.Tables[i]; t.Signature == madt.Signature {
			at, n = uintptr(t.Address), uintptr(t.Size)
		}
	}
	Machine.Processors = madt.Enabled(at, n, Machine.APICs[:])
	com1 = madt.ISA(at, n, com1IRQ)
}

// com1 is where the interrupt of the console comes in.
var com1 madt.Line

const com1IRQ = 4

// totalRAM sums up what is memory, whoever uses it.
func totalRAM() (bytes uint64) {
	for i := uintptr(0); ; i++ {
		d, ok := entryOf(i)
		if !ok {
			return bytes
		}
		kept := d.typ == memReserved && d.attrib&memoryWB != 0
		if (isRAM(d.typ) || kept) && d.pages <= mem.MaxPhys>>mem.PageShift {
			bytes += d.pages << mem.PageShift
		}
	}
}

// The firmware's own memory is of the type of device registers, but may be cached
// (UEFI 2.10, 7.2.3: EFI_MEMORY_WB).
const (
	memReserved = 0
	memoryWB    = 1 << 3
)

func isRAM(typ uint32) bool { return typ <= 31 && allRAM>>typ&1 != 0 }

// ranges is room for the runs of memory: firmware of virtual machines has some ten,
// and tables in a run beyond these are not looked at.
var ranges [64]madt.Range

// ramRanges joins the memory map's entries to runs.
func ramRanges() []madt.Range {
	n := 0
	for i := uintptr(0); ; i++ {
		d, ok := entryOf(i)
		if !ok {
			return ranges[:n]
		}
		end := d.start + d.pages<<mem.PageShift
		switch {
		case !isRAM(d.typ) || d.pages > mem.MaxPhys>>mem.PageShift || end > mem.MaxPhys || end <= d.start:
		case n > 0 && ranges[n-1].End == d.start:
			ranges[n-1].End = end
		case n < len(ranges):
			ranges[n] = madt.Range{Start: d.start, End: end}
			n++
		}
	}
}

// mib rounds to the nearest: firmware keeps some KiB of the memory to itself.
func mib(bytes uint64) uint64 { return (bytes + 1<<19) >> 20 }

// digits is room for one number at a time.
var digits [20]byte

// decimal writes n in digits, for the time before anything can be allocated.
func decimal(n uint64) string {
	i := len(digits)
	for {
		i--
		digits[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return unsafe.String(&digits[i], len(digits)-i)
		}
	}
}

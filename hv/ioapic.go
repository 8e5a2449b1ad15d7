// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hv

import (
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// VecConsole is the vector of COM1.
const VecConsole = ring0.FirstInterrupt + 24

// Registers of an I/O APIC, behind a select and a data register (Intel 82093AA, 3.0).
const (
	ioapicVA      = 0xffff_d400_0000_0000
	ioapicSelect  = 0
	ioapicData    = 0x10
	ioapicVersion = 1
	ioapicTable   = 0x10

	ioapicLow   = 1 << 13
	ioapicLevel = 1 << 15
)

// Route makes an input of the I/O APIC whose registers are at pa an interrupt of this
// processor. It gives false when there is no such input.
//
//go:nosplit
func Route(pa uint64, pin uint32, low, byLevel bool, vector uint32) bool {
	page := pa &^ (mem.PageSize - 1)
	if pa == 0 || pa >= mem.MaxPhys || !mem.MapKernel(ioapicVA, page, mem.PageSize, mem.Writable|mem.NoExec|mem.Uncached|mem.Small) {
		return false
	}
	at := uintptr(ioapicVA + pa - page)
	if pin > ioapicRead(at, ioapicVersion)>>16&0xff {
		return false
	}
	entry := vector
	if low {
		entry |= ioapicLow
	}
	if byLevel {
		entry |= ioapicLevel
	}
	_, ebx, _, _ := ring0.Cpuid(1, 0)
	ioapicWrite(at, ioapicTable+2*pin+1, ebx&0xff000000) // to this processor's local APIC
	ioapicWrite(at, ioapicTable+2*pin, entry)
	return true
}

//go:nosplit
func ioapicRead(at uintptr, reg uint32) uint32 {
	*(*uint32)(ring0.Pointer(at + ioapicSelect)) = reg
	return *(*uint32)(ring0.Pointer(at + ioapicData))
}

//go:nosplit
func ioapicWrite(at uintptr, reg, value uint32) {
	*(*uint32)(ring0.Pointer(at + ioapicSelect)) = reg
	*(*uint32)(ring0.Pointer(at + ioapicData)) = value
}

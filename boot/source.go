// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"unsafe"

	"github.com/hvgo/hvgo/internal/wire/direct"
	"github.com/hvgo/hvgo/runtime/acpi"
	"github.com/hvgo/hvgo/runtime/handover"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/rtc"
	"github.com/hvgo/hvgo/runtime/trap"
)

// Who starts the image, in R12 of enter.
const (
	byUEFI  = 1
	byLinux = 2
	byPVH   = 3
)

// source is where the description of the machine comes from: UEFI firmware, or what
// a direct-booting host handed over.
type source struct {
	by uintptr
	fw firmware // with byUEFI
}

// handed is what a direct-booting host handed over. The command line is in it for
// UEFI too.
var handed handover.Info

// open finds out what the machine is: tables, memory map, command line, and how it
// is switched off. It gives what is wrong, or "".
func (s *source) open(a, b uintptr) string {
	if s.by == byUEFI {
		s.fw = firmware{a, b, word(b + sysBoot), word(b + sysRuntime)}
		s.fw.open()
		return ""
	}
	view := handover.View{End: directReach}
	why := ""
	if s.by == byPVH {
		why = handed.FromStartInfo(view, uint64(a))
	} else {
		why = handed.FromBootParams(view, uint64(a))
	}
	Machine.RSDP = handed.RSDP
	if acpi.Host.Read(view, Machine.RSDP); acpi.Host.N == 0 {
		Machine.RSDP = acpi.FindRSDP(view)
		acpi.Host.Read(view, Machine.RSDP)
	}
	for i := range acpi.Registers {
		if pa, ok := acpi.Host.InMemory(i); ok && pa < directReach {
			acpi.Host.MappedAt(i, uintptr(pa)) // for now: ownTables maps them anew
		}
	}
	Machine.SMBIOS = handover.FindSMBIOS(view)
	useMap()
	return why
}

const descriptorBytes = unsafe.Sizeof(descriptor{})

// useMap puts what was handed over into the form of UEFI's memory map. What is no
// RAM is left out.
func useMap() {
	memoryMap.bytes, memoryMap.perEntry = 0, descriptorBytes
	for _, r := range handed.Map.Ranges[:handed.Map.N] {
		typ := uint32(0)
		switch r.Type {
		case direct.RAM:
			typ = memConventional
		case direct.ACPI:
			typ = memACPIReclaim
		case direct.NVS, handover.TypeWindow:
			typ = memACPINVS
		default:
			continue
		}
		if end := min(r.End, mem.MaxPhys); r.Start < end && memoryMap.bytes+descriptorBytes <= mapBytes {
			memoryMap.bytes += descriptorBytes
			d, _ := entryOf(memoryMap.bytes/descriptorBytes - 1)
			*d = descriptor{typ: typ, start: r.Start, pages: (end - r.Start) >> mem.PageShift}
		}
	}
}

// directReach is the end of the memory that the image's page tables map.
const directReach = 4 << 30

// reach is the end of the memory that can be used before there are tables of our own.
func (s *source) reach() uint64 {
	if s.by == byUEFI {
		return mem.MaxPhys // UEFI 2.10, 2.3.4: all memory is mapped
	}
	return directReach
}

// seed takes the random bytes that there are into trap.Seed.
func (s *source) seed() {
	if s.by == byUEFI {
		s.fw.seed()
		return
	}
	for i := range handed.SeedLen {
		trap.Seed[i%len(trap.Seed)] ^= handed.Seed[i]
		handed.Seed[i] = 0
	}
	if handed.SeedLen >= enoughSeed {
		Machine.SeedSources |= seedFirmware
	}
}

// enoughSeed is what a host's seed has at least to be relied upon alone, in bytes.
const enoughSeed = 16

// now is the wall clock in ns since 1970, 0 when there is none.
func (s *source) now() int64 {
	switch {
	case s.by == byUEFI:
		return s.fw.now()
	case acpi.Host.NoRTC:
		return 0
	}
	return rtc.Now(acpi.Host.Century)
}

// leave takes the machine over from the firmware.
func (s *source) leave() bool { return s.by != byUEFI || s.fw.leave() }

// resetSystem is the firmware's service that ends the machine; 0: there is none.
func (s *source) resetSystem() uintptr {
	if s.by != byUEFI {
		return 0
	}
	return word(s.fw.runtime + rtReset)
}

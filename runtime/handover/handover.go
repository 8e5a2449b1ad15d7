// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package handover reads what a direct-booting virtual machine monitor hands to a
// kernel: Linux's boot_params or PVH's start info (internal/wire/direct), with the
// memory map, the command line and random bytes in them.
//
//	map.go       ranges that overlap become a sorted map without overlaps
//	cmdline.go   words of the command line: arguments and environment
//	smbios.go    the entry point that a PC has at 0xF0000
//
// It runs before the Go runtime does: nothing is allocated, and all that is kept is
// copied into Info. What is read was written by the host and is not to be trusted:
// every address is looked up in View first, every count is bounded.
package handover

import (
	"unsafe"

	"github.com/hvgo/hvgo/internal/wire/direct"
)

// View is the physical memory that may be read: addresses below End, the first of
// which lies at Base.
type View struct {
	Base uintptr
	End  uint64
}

// Bytes shows n bytes at a physical address, or nil when not all may be read. They
// are the memory itself, not a copy.
func (v View) Bytes(pa, n uint64) []byte {
	if pa == 0 || n == 0 || n > v.End || pa > v.End-n {
		return nil
	}
	base := v.Base + uintptr(pa)
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&base)), int(n))
}

// Info is what was handed over. It is large: keep it in a variable of the package.
type Info struct {
	Map     Map
	RSDP    uint64 // 0 when it is not told
	Line    Line
	Seed    [64]byte
	SeedLen int // bytes of Seed that were given
}

// maxSetupData bounds the list of setup data, which could be a ring.
const maxSetupData = 64

// FromBootParams reads boot_params at pa. It gives what is wrong, or "".
func (i *Info) FromBootParams(v View, pa uint64) string {
	b := v.Bytes(pa, direct.BootParamsSize)
	p, count, err := direct.DecodeBootParams(b)
	if err != nil {
		return "the boot_params lie outside of memory"
	}
	if count > direct.MaxE820 {
		return "the boot_params say more e820 ranges than they have room for"
	}
	i.RSDP = p.RSDP
	if why := i.addRanges(direct.E820Table(b), count, direct.E820EntrySize); why != "" {
		return why
	}
	if why := i.setupData(v, p.SetupData); why != "" {
		return why
	}
	i.Line.read(v, p.CommandLine)
	return i.Map.finish()
}

// setupData follows the list: more ranges, and random bytes.
func (i *Info) setupData(v View, at uint64) string {
	for n := 0; at != 0; n++ {
		head, err := direct.DecodeSetupData(v.Bytes(at, direct.SetupDataSize))
		if err != nil || n == maxSetupData {
			return "the list of setup_data is broken"
		}
		switch b := v.Bytes(at+direct.SetupDataSize, uint64(head.Length)); head.Type {
		case direct.SetupE820:
			if why := i.addRanges(b, len(b)/direct.E820EntrySize, direct.E820EntrySize); why != "" {
				return why
			}
		case direct.SetupRNGSeed:
			for k, c := range b {
				i.Seed[k%len(i.Seed)] ^= c
			}
			i.SeedLen = max(i.SeedLen, min(len(b), len(i.Seed)))
		}
		at = head.Next
	}
	return ""
}

// FromStartInfo reads PVH's start info at pa. It gives what is wrong, or "".
func (i *Info) FromStartInfo(v View, pa uint64) string {
	s, err := direct.DecodeStartInfo(v.Bytes(pa, direct.StartInfoSize))
	switch {
	case err != nil:
		return "the PVH start info lies outside of memory"
	case s.Magic != direct.StartMagic:
		return "EBX does not point to a PVH start info"
	case s.Version < direct.StartVersion:
		return "the PVH start info is of version 0, which has no memory map"
	case s.MemmapCount > maxRanges:
		return "the memory map has too many ranges"
	}
	i.RSDP = s.RSDP
	b := v.Bytes(s.Memmap, uint64(s.MemmapCount)*direct.MemmapEntrySize)
	if why := i.addRanges(b, int(s.MemmapCount), direct.MemmapEntrySize); why != "" {
		return why
	}
	i.Line.read(v, s.CommandLine)
	return i.Map.finish()
}

// addRanges adds count ranges that stand one after another in b.
func (i *Info) addRanges(b []byte, count, stride int) string {
	if count*stride > len(b) {
		return "the memory map lies outside of memory"
	}
	for ; count > 0; count-- {
		r, err := direct.DecodeRange(b)
		if err != nil || !i.Map.add(r) {
			return "the memory map has too many ranges"
		}
		b = b[stride:]
	}
	return ""
}

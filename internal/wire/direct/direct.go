// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package direct holds the structures by which a virtual machine monitor starts a
// kernel without firmware, as plain values. There are two:
//
// Linux's 64-bit boot protocol (Linux, Documentation/arch/x86/boot.rst and
// zero-page.rst). The kernel starts in long mode with RSI at boot_params:
//
//	0x000      0x1E8   0x1F1             0x2D0                     0x1000
//	+----------+-------+-----------------+-------------------------+
//	| RSDP at  | e820  | setup header:   | e820 table: 128 ranges  |
//	| 0x70 ... | count | command line    | of 20 bytes             |
//	+----------+-------+-----------------+-------------------------+
//
// PVH (Xen, docs/misc/pvh.pandoc and xen/include/public/arch-x86/hvm/start_info.h).
// An ELF note names the entry; the kernel starts there in 32-bit protected mode
// without paging, with EBX at the start info:
//
//	0      4        8      12        16        24       32    40      48       56
//	+------+--------+------+---------+---------+--------+-----+-------+--------+
//	|magic | version| flags| modules | modules | command| RSDP| memory| ranges |
//	|      |        |      | count   | at      | line at| at  | map at| count  |
//	+------+--------+------+---------+---------+--------+-----+-------+--------+
//
// All integers are little-endian, all addresses physical.
package direct

import (
	"encoding/binary"
	"errors"
)

var le = binary.LittleEndian

// ErrShort is the error of the decoders.
var ErrShort = errors.New("too short")

// Offsets in boot_params, and its size in bytes. Where an address has its high half
// apart, that is the Linux field with ext_ before its name.
const (
	BootParamsSize = 4096

	bootRSDP      = 0x070 // 8 bytes; many loaders leave it 0
	bootLineHigh  = 0x0C8
	bootE820Count = 0x1E8 // 1 byte
	bootFlag      = 0x1FE // 2 bytes: bootFlagMagic
	bootHeader    = 0x202 // 4 bytes: bootHeaderMagic
	bootVersion   = 0x206 // 2 bytes
	bootLoader    = 0x210 // 1 byte: who loads; loaderOther has no number of its own
	bootLine      = 0x228 // 4 bytes
	bootLineSize  = 0x238 // 4 bytes: the most that the kernel takes
	bootSetupData = 0x250 // 8 bytes: a list, 0 ends it
	bootE820Table = 0x2D0

	bootFlagMagic   = 0xAA55
	bootHeaderMagic = 0x53726448 // "HdrS"
	loaderOther     = 0xFF

	MaxE820       = 128 // ranges in boot_params
	E820EntrySize = 20

	SetupDataSize = 16 // head of an entry of the list
	SetupE820     = 1  // more ranges, as in the table
	SetupRNGSeed  = 9  // random bytes
)

// Numbers of PVH.
const (
	NoteName = "Xen" // of the ELF note that names the entry
	NoteType = 18    // XEN_ELFNOTE_PHYS32_ENTRY

	StartMagic      = 0x336EC578
	StartVersion    = 1  // the first with a memory map
	StartInfoSize   = 56 // from version 1 on
	StartInfoSize0  = 40 // of version 0
	MemmapEntrySize = 24

	startVersion     = 4
	startFlags       = 8
	startModuleCount = 12
	startModules     = 16
	startLine        = 24
	startRSDP        = 32
	startMemmap      = 40
	startMemmapCount = 48
)

// Types of a Range, in both protocols (ACPI 6.5, 15.1).
const (
	RAM      = 1
	Reserved = 2
	ACPI     = 3 // tables, RAM once they were read
	NVS      = 4 // the firmware's
	Unusable = 5
)

// Range is a stretch of the memory map, in bytes.
type Range struct {
	Start, Size uint64
	Type        uint32
}

// AppendE820 appends a Range as it stands in boot_params.
func (r Range) AppendE820(b []byte) []byte {
	return le.AppendUint32(le.AppendUint64(le.AppendUint64(b, r.Start), r.Size), r.Type)
}

// AppendMemmap appends a Range as it stands in PVH's memory map.
func (r Range) AppendMemmap(b []byte) []byte { return le.AppendUint32(r.AppendE820(b), 0) }

// DecodeRange reads a Range in either form.
func DecodeRange(b []byte) (r Range, err error) {
	if len(b) < E820EntrySize {
		return r, ErrShort
	}
	return Range{le.Uint64(b), le.Uint64(b[8:]), le.Uint32(b[16:])}, nil
}

// StartInfo is hvm_start_info of version 1.
type StartInfo struct {
	Magic, Version, Flags uint32
	ModuleCount           uint32
	Modules               uint64
	CommandLine           uint64 // 0: none
	RSDP                  uint64
	Memmap                uint64
	MemmapCount           uint32
}

// DecodeStartInfo reads a StartInfo. One of version 0 has no memory map.
func DecodeStartInfo(b []byte) (s StartInfo, err error) {
	if len(b) < StartInfoSize0 {
		return s, ErrShort
	}
	s = StartInfo{
		Magic: le.Uint32(b), Version: le.Uint32(b[startVersion:]), Flags: le.Uint32(b[startFlags:]),
		ModuleCount: le.Uint32(b[startModuleCount:]), Modules: le.Uint64(b[startModules:]),
		CommandLine: le.Uint64(b[startLine:]), RSDP: le.Uint64(b[startRSDP:]),
	}
	if s.Version == 0 {
		return s, nil
	}
	if len(b) < StartInfoSize {
		return s, ErrShort
	}
	s.Memmap, s.MemmapCount = le.Uint64(b[startMemmap:]), le.Uint32(b[startMemmapCount:])
	return s, nil
}

// AppendTo appends the encoded StartInfo.
func (s StartInfo) AppendTo(b []byte) []byte {
	for _, v := range [...]uint32{s.Magic, s.Version, s.Flags, s.ModuleCount} {
		b = le.AppendUint32(b, v)
	}
	for _, v := range [...]uint64{s.Modules, s.CommandLine, s.RSDP, s.Memmap} {
		b = le.AppendUint64(b, v)
	}
	return le.AppendUint32(le.AppendUint32(b, s.MemmapCount), 0)
}

// BootParams is the part of boot_params that a loader of 64-bit kernels fills in.
type BootParams struct {
	RSDP        uint64
	CommandLine uint64 // address of a text that ends with a zero byte
	SetupData   uint64
	E820        []Range // at most MaxE820
}

// AppendTo appends the BootParamsSize bytes of boot_params.
func (p BootParams) AppendTo(b []byte) []byte {
	at := len(b)
	b = append(b, make([]byte, BootParamsSize)...)
	z := b[at:]
	le.PutUint64(z[bootRSDP:], p.RSDP)
	le.PutUint32(z[bootLine:], uint32(p.CommandLine))
	le.PutUint32(z[bootLineHigh:], uint32(p.CommandLine>>32))
	le.PutUint32(z[bootLineSize:], 2047)
	le.PutUint16(z[bootFlag:], bootFlagMagic)
	le.PutUint32(z[bootHeader:], bootHeaderMagic)
	le.PutUint16(z[bootVersion:], 0x20F)
	z[bootLoader] = loaderOther
	le.PutUint64(z[bootSetupData:], p.SetupData)
	table := z[bootE820Table:bootE820Table]
	n := min(len(p.E820), MaxE820)
	for _, r := range p.E820[:n] {
		table = r.AppendE820(table)
	}
	z[bootE820Count] = byte(n)
	return b
}

// DecodeBootParams reads what a kernel needs; the ranges are left to E820Table, so that
// nothing is allocated. count is what the loader says, and may be above MaxE820.
func DecodeBootParams(b []byte) (p BootParams, count int, err error) {
	if len(b) < BootParamsSize {
		return p, 0, ErrShort
	}
	return BootParams{
		RSDP:        le.Uint64(b[bootRSDP:]),
		CommandLine: uint64(le.Uint32(b[bootLine:])) | uint64(le.Uint32(b[bootLineHigh:]))<<32,
		SetupData:   le.Uint64(b[bootSetupData:]),
	}, int(b[bootE820Count]), nil
}

// E820Table is where the ranges of boot_params stand.
func E820Table(b []byte) []byte {
	if len(b) < BootParamsSize {
		return nil
	}
	return b[bootE820Table : bootE820Table+MaxE820*E820EntrySize]
}

// SetupData heads an entry of the list of setup data; its contents follow it.
type SetupData struct {
	Next   uint64
	Type   uint32
	Length uint32
}

// DecodeSetupData reads the head.
func DecodeSetupData(b []byte) (s SetupData, err error) {
	if len(b) < SetupDataSize {
		return s, ErrShort
	}
	return SetupData{le.Uint64(b), le.Uint32(b[8:]), le.Uint32(b[12:])}, nil
}

// AppendTo appends the head.
func (s SetupData) AppendTo(b []byte) []byte {
	return le.AppendUint32(le.AppendUint32(le.AppendUint64(b, s.Next), s.Type), s.Length)
}

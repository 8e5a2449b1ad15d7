// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"fmt"

	"github.com/hvgo/hvgo/internal/guid"
)

// Regions, MS-VHDX 2.2.3.2.
var (
	RegionBAT      = guid.MustParse("2dc27766-f623-4200-9d64-115e9bfd4a08")
	RegionMetadata = guid.MustParse("8b7ca206-4790-4b9a-b8fe-575f050f886e")
)

// RegionTable says where the regions lie, MS-VHDX 2.2.3:
//
//	0      4      8       12     16           48
//	+------+------+-------+------+------------+-----    +------
//	| regi | crc  | count | zero | entry 0    | ...     | zero to 64 KiB
//	+------+------+-------+------+------------+-----    +------
type RegionTable struct {
	Checksum uint32
	Entries  []RegionEntry
}

// RegionEntry is one region:
//
//	0          16            24       28         32
//	+----------+-------------+--------+----------+
//	| region   | file offset | length | required |
//	+----------+-------------+--------+----------+
type RegionEntry struct {
	ID       guid.GUID
	Offset   uint64 // bytes from the start of the file
	Length   uint32 // bytes
	Required bool   // who does not know the region must not open the file
}

// Sizes of the region table.
const (
	RegionTableSize       = 64 * KiB
	RegionTableHeaderSize = 16
	RegionEntrySize       = 32
	MaxRegions            = 2047
)

// DecodeRegionTable reads a table; it does not check the checksum.
func DecodeRegionTable(b []byte) (RegionTable, error) {
	if err := check("region table", b, RegionTableSize, RegionTableSignature); err != nil {
		return RegionTable{}, err
	}
	n := le.Uint32(b[8:])
	if n > MaxRegions {
		return RegionTable{}, fmt.Errorf("vhdx: region table: %d entries, at most %d allowed", n, MaxRegions)
	}
	t := RegionTable{Checksum: le.Uint32(b[4:])}
	for i := range int(n) {
		e := b[RegionTableHeaderSize+i*RegionEntrySize:]
		t.Entries = append(t.Entries, RegionEntry{
			ID:       guid.GUID(e[:16]),
			Offset:   le.Uint64(e[16:]),
			Length:   le.Uint32(e[24:]),
			Required: le.Uint32(e[28:])&1 != 0,
		})
	}
	return t, nil
}

// AppendTo appends the RegionTableSize bytes of t. It writes at most MaxRegions
// entries.
func (t RegionTable) AppendTo(b []byte) []byte {
	b, p := grow(b, RegionTableSize)
	entries := t.Entries[:min(len(t.Entries), MaxRegions)]
	copy(p, RegionTableSignature)
	le.PutUint32(p[4:], t.Checksum)
	le.PutUint32(p[8:], uint32(len(entries)))
	for i, r := range entries {
		e := p[RegionTableHeaderSize+i*RegionEntrySize:]
		copy(e, r.ID[:])
		le.PutUint64(e[16:], r.Offset)
		le.PutUint32(e[24:], r.Length)
		if r.Required {
			e[28] = 1
		}
	}
	return b
}

// BATEntry is one entry of the block allocation table, MS-VHDX 2.5.1:
//
//	63                      20 19        3 2     0
//	+-------------------------+-----------+-------+
//	| file offset in MiB      | reserved  | state |
//	+-------------------------+-----------+-------+
type BATEntry uint64

// BATEntrySize is the encoded size of a BATEntry.
const BATEntrySize = 8

// BlockState is the state of a payload block, MS-VHDX 2.5.1.1. Sector bitmap
// blocks know NotPresent and FullyPresent only.
type BlockState uint8

const (
	NotPresent       BlockState = 0 // never written; reads as zero without a parent
	Undefined        BlockState = 1
	Zero             BlockState = 2
	Unmapped         BlockState = 3
	FullyPresent     BlockState = 6
	PartiallyPresent BlockState = 7 // differencing disks only
)

// NewBATEntry makes an entry for a block at offset, a multiple of 1 MiB.
func NewBATEntry(s BlockState, offset uint64) BATEntry {
	return BATEntry(offset&^(MiB-1) | uint64(s))
}

// State returns the block's state.
func (e BATEntry) State() BlockState { return BlockState(e & 7) }

// Offset returns the block's place in the file, in bytes.
func (e BATEntry) Offset() uint64 { return uint64(e) &^ (MiB - 1) }

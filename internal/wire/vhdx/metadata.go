// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"fmt"

	"github.com/hvgo/hvgo/internal/guid"
)

// Metadata items, MS-VHDX 2.6.2.
var (
	ItemFileParameters     = guid.MustParse("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
	ItemVirtualDiskSize    = guid.MustParse("2fa54224-cd1b-4876-b211-5dbed83bf4b8") // uint64, bytes
	ItemVirtualDiskID      = guid.MustParse("beca12ab-b2e6-4523-93ef-c309e000c746") // GUID, for SCSI page 83h
	ItemLogicalSectorSize  = guid.MustParse("8141bf1d-a96f-4709-ba47-f233a8faab5f") // uint32, bytes
	ItemPhysicalSectorSize = guid.MustParse("cda348c7-445d-4471-9cc9-e9885251c556") // uint32, bytes
	ItemParentLocator      = guid.MustParse("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
)

// MetadataTable starts the metadata region, MS-VHDX 2.6.1:
//
//	0          8     10      12            32
//	+----------+-----+-------+-------------+---------
//	| metadata | 0   | count | zero        | entries of 32 bytes ... zero to 64 KiB
//	+----------+-----+-------+-------------+---------
type MetadataTable struct {
	Entries []MetadataEntry
}

// MetadataEntry is one entry of the table:
//
//	0        16       20       24      28         32
//	+--------+--------+--------+-------+----------+
//	| item   | offset | length | flags | reserved |
//	+--------+--------+--------+-------+----------+
type MetadataEntry struct {
	ID     guid.GUID
	Offset uint32 // bytes from the start of the metadata region, at least 64 KiB
	Length uint32 // bytes
	Flags  uint32
}

// Flags of a MetadataEntry.
const (
	MetadataIsUser        = 1 << 0
	MetadataIsVirtualDisk = 1 << 1
	MetadataIsRequired    = 1 << 2
)

// Sizes of the metadata table.
const (
	MetadataTableSize       = 64 * KiB
	MetadataTableHeaderSize = 32
	MetadataEntrySize       = 32
	MaxMetadataEntries      = 2047
	MaxMetadataItem         = 1 * MiB // bytes in one item
)

// DecodeMetadataTable reads a table.
func DecodeMetadataTable(b []byte) (MetadataTable, error) {
	if err := check("metadata table", b, MetadataTableSize, MetadataTableSignature); err != nil {
		return MetadataTable{}, err
	}
	n := le.Uint16(b[10:])
	if n > MaxMetadataEntries {
		return MetadataTable{}, fmt.Errorf("vhdx: metadata table: %d entries, at most %d allowed", n, MaxMetadataEntries)
	}
	var t MetadataTable
	for i := range int(n) {
		e := b[MetadataTableHeaderSize+i*MetadataEntrySize:]
		t.Entries = append(t.Entries, MetadataEntry{
			ID:     guid.GUID(e[:16]),
			Offset: le.Uint32(e[16:]),
			Length: le.Uint32(e[20:]),
			Flags:  le.Uint32(e[24:]),
		})
	}
	return t, nil
}

// AppendTo appends the MetadataTableSize bytes of t. It writes at most
// MaxMetadataEntries entries.
func (t MetadataTable) AppendTo(b []byte) []byte {
	b, p := grow(b, MetadataTableSize)
	entries := t.Entries[:min(len(t.Entries), MaxMetadataEntries)]
	copy(p, MetadataTableSignature)
	le.PutUint16(p[10:], uint16(len(entries)))
	for i, m := range entries {
		e := p[MetadataTableHeaderSize+i*MetadataEntrySize:]
		copy(e, m.ID[:])
		le.PutUint32(e[16:], m.Offset)
		le.PutUint32(e[20:], m.Length)
		le.PutUint32(e[24:], m.Flags)
	}
	return b
}

// FileParameters is the item of that name, MS-VHDX 2.6.2.1:
//
//	0            4                                 8
//	+------------+---------------------------------+
//	| block size | bit 0 leave allocated, 1 parent |
//	+------------+---------------------------------+
type FileParameters struct {
	BlockSize            uint32 // bytes, a power of two from 1 MiB to 256 MiB
	LeaveBlocksAllocated bool   // a fixed disk
	HasParent            bool   // a differencing disk
}

// Limits of the format.
const (
	FileParametersSize = 8
	MinBlockSize       = 1 * MiB
	MaxBlockSize       = 256 * MiB
	MaxDiskSize        = 64 << 40 // bytes
	// SectorsPerBitmap is how many sectors one sector bitmap block of 1 MiB
	// describes; so many sectors make a chunk.
	SectorsPerBitmap = 1 << 23
)

// DecodeFileParameters reads the item.
func DecodeFileParameters(b []byte) (FileParameters, error) {
	if len(b) < FileParametersSize {
		return FileParameters{}, fmt.Errorf("vhdx: file parameters: %w", ErrShort)
	}
	flags := le.Uint32(b[4:])
	return FileParameters{
		BlockSize:            le.Uint32(b),
		LeaveBlocksAllocated: flags&1 != 0,
		HasParent:            flags&2 != 0,
	}, nil
}

// AppendTo appends the FileParametersSize bytes of p.
func (p FileParameters) AppendTo(b []byte) []byte {
	var flags uint32
	if p.LeaveBlocksAllocated {
		flags |= 1
	}
	if p.HasParent {
		flags |= 2
	}
	return le.AppendUint32(le.AppendUint32(b, p.BlockSize), flags)
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"cmp"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"github.com/hvgo/hvgo/internal/guid"
	wire "github.com/hvgo/hvgo/internal/wire/vhdx"
)

// extent is a part of the file that something occupies.
type extent struct {
	what     string
	off, end int64 // bytes
}

// checkExtents sorts x and refuses overlaps.
func checkExtents(x []extent) error {
	slices.SortFunc(x, func(a, b extent) int { return cmp.Compare(a.off, b.off) })
	for i := 1; i < len(x); i++ {
		if x[i].off < x[i-1].end {
			return corrupt("%s at offset %d overlaps %s", x[i].what, x[i].off, x[i-1].what)
		}
	}
	return nil
}

// readRegions finds the BAT and metadata regions. It appends to x what the
// table says is occupied.
func readRegions(r io.ReaderAt, fileSize int64, x []extent) (bat, meta wire.RegionEntry, _ []extent, err error) {
	t, err := readRegionTable(r, wire.RegionTable1Offset)
	if err != nil {
		var err2 error
		if t, err2 = readRegionTable(r, wire.RegionTable2Offset); err2 != nil {
			return bat, meta, nil, err
		}
	}
	seen := map[guid.GUID]bool{}
	for _, e := range t.Entries {
		switch {
		case seen[e.ID]:
			return bat, meta, nil, corrupt("region %v is listed twice", e.ID)
		case e.Offset%wire.Alignment != 0 || e.Length%wire.Alignment != 0 || e.Length == 0 || e.Offset < wire.HeaderSectionSize:
			return bat, meta, nil, corrupt("region %v at offset %d, length %d: want multiples of 1 MiB", e.ID, e.Offset, e.Length)
		case e.Offset > uint64(fileSize) || uint64(e.Length) > uint64(fileSize)-e.Offset:
			return bat, meta, nil, truncated("region %v lies at offset %d, length %d; the file ends at %d", e.ID, e.Offset, e.Length, fileSize)
		}
		seen[e.ID] = true
		what := "a region"
		switch e.ID {
		case wire.RegionBAT:
			bat, what = e, "the block allocation table"
		case wire.RegionMetadata:
			meta, what = e, "the metadata region"
		default:
			if e.Required {
				return bat, meta, nil, fmt.Errorf("%w: region %v", ErrUnsupported, e.ID)
			}
		}
		x = append(x, extent{what, int64(e.Offset), int64(e.Offset) + int64(e.Length)})
	}
	if bat.Length == 0 || meta.Length == 0 {
		return bat, meta, nil, corrupt("the region table lacks the block allocation table or the metadata")
	}
	return bat, meta, x, checkExtents(x)
}

func readRegionTable(r io.ReaderAt, off int64) (wire.RegionTable, error) {
	b := make([]byte, wire.RegionTableSize)
	if err := readFull(r, b, off, "region table"); err != nil {
		return wire.RegionTable{}, err
	}
	t, err := wire.DecodeRegionTable(b)
	if err != nil {
		return wire.RegionTable{}, corrupt("%v", err)
	}
	if got := checksum(b); got != t.Checksum {
		return wire.RegionTable{}, corrupt("region table: checksum %#08x, computed %#08x", t.Checksum, got)
	}
	return t, nil
}

// geometry is what the metadata says about the disk.
type geometry struct {
	size           int64 // bytes
	blockSize      int64 // bytes
	sectorSize     int
	physSectorSize int
	fixed          bool
	id             guid.GUID
}

// itemSize gives the metadata items that are understood, and their sizes.
var itemSize = map[guid.GUID]uint32{
	wire.ItemFileParameters:     wire.FileParametersSize,
	wire.ItemVirtualDiskSize:    8,
	wire.ItemVirtualDiskID:      guid.Size,
	wire.ItemLogicalSectorSize:  4,
	wire.ItemPhysicalSectorSize: 4,
}

func readMetadata(r io.ReaderAt, region wire.RegionEntry) (geometry, error) {
	b := make([]byte, wire.MetadataTableSize)
	if err := readFull(r, b, int64(region.Offset), "metadata table"); err != nil {
		return geometry{}, err
	}
	t, err := wire.DecodeMetadataTable(b)
	if err != nil {
		return geometry{}, corrupt("%v", err)
	}
	items := map[guid.GUID][]byte{}
	for _, e := range t.Entries {
		if e.Flags&wire.MetadataIsUser != 0 && e.Flags&wire.MetadataIsRequired == 0 {
			continue
		}
		if e.ID == wire.ItemParentLocator {
			return geometry{}, ErrDifferencing
		}
		size, known := itemSize[e.ID]
		switch {
		case !known && e.Flags&wire.MetadataIsRequired != 0:
			return geometry{}, fmt.Errorf("%w: metadata item %v", ErrUnsupported, e.ID)
		case !known:
			continue
		case items[e.ID] != nil:
			return geometry{}, corrupt("metadata item %v is listed twice", e.ID)
		case e.Length < size || e.Length > wire.MaxMetadataItem || e.Offset < wire.MetadataTableSize ||
			e.Offset > region.Length || e.Length > region.Length-e.Offset:
			return geometry{}, corrupt("metadata item %v at offset %d, length %d", e.ID, e.Offset, e.Length)
		}
		item := make([]byte, size)
		if err := readFull(r, item, int64(region.Offset)+int64(e.Offset), "metadata item"); err != nil {
			return geometry{}, err
		}
		items[e.ID] = item
	}
	for id := range itemSize {
		if items[id] == nil {
			return geometry{}, corrupt("metadata item %v is missing", id)
		}
	}
	return decodeGeometry(items)
}

func decodeGeometry(items map[guid.GUID][]byte) (geometry, error) {
	p, err := wire.DecodeFileParameters(items[wire.ItemFileParameters])
	if err != nil {
		return geometry{}, corrupt("%v", err)
	}
	if p.HasParent {
		return geometry{}, ErrDifferencing
	}
	size := le.Uint64(items[wire.ItemVirtualDiskSize])
	if size > wire.MaxDiskSize {
		return geometry{}, corrupt("a disk of %d bytes", size)
	}
	g := geometry{
		size:           int64(size),
		blockSize:      int64(p.BlockSize),
		sectorSize:     int(le.Uint32(items[wire.ItemLogicalSectorSize])),
		physSectorSize: int(le.Uint32(items[wire.ItemPhysicalSectorSize])),
		fixed:          p.LeaveBlocksAllocated,
		id:             guid.GUID(items[wire.ItemVirtualDiskID]),
	}
	if err := g.check(); err != nil {
		return geometry{}, corrupt("%v", err)
	}
	return g, nil
}

// check holds g against the limits of MS-VHDX 2.6.2.
func (g geometry) check() error {
	sector := func(n int) bool { return n == 512 || n == 4096 }
	switch {
	case !sector(g.sectorSize) || !sector(g.physSectorSize):
		return fmt.Errorf("sectors of %d bytes, physically %d: want 512 or 4096", g.sectorSize, g.physSectorSize)
	case g.blockSize < wire.MinBlockSize || g.blockSize > wire.MaxBlockSize || bits.OnesCount64(uint64(g.blockSize)) != 1:
		return fmt.Errorf("blocks of %d bytes: want a power of two from 1 MiB to 256 MiB", g.blockSize)
	case g.size <= 0 || g.size > wire.MaxDiskSize || g.size%int64(g.sectorSize) != 0:
		return fmt.Errorf("a disk of %d bytes: want a multiple of the sector size of %d bytes, at most 64 TiB", g.size, g.sectorSize)
	case g.batEntries() > maxBATEntries:
		return fmt.Errorf("%w: %d blocks, at most %d; use larger blocks", ErrUnsupported, g.blocks(), maxBATEntries)
	}
	return nil
}

// blocks is the number of payload blocks.
func (g geometry) blocks() int64 { return (g.size + g.blockSize - 1) / g.blockSize }

// chunkRatio is the number of payload blocks in a chunk. In the BAT each chunk's
// payload blocks are followed by the entry of its sector bitmap block
// (MS-VHDX 2.5).
func (g geometry) chunkRatio() int64 {
	return wire.SectorsPerBitmap * int64(g.sectorSize) / g.blockSize
}

// batEntries is the number of entries in the BAT; the bitmap of the last chunk
// has one only on a differencing disk.
func (g geometry) batEntries() int64 { return g.batIndex(g.blocks()-1) + 1 }

// batIndex is the place in the BAT of payload block i.
func (g geometry) batIndex(i int64) int64 { return i + i/g.chunkRatio() }

// used is the number of bytes of block i that lie on the disk.
func (g geometry) used(i int64) int64 { return min(g.blockSize, g.size-i*g.blockSize) }

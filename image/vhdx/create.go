// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"errors"
	"fmt"
	"os"
	"unicode/utf16"

	"github.com/hvgo/hvgo/internal/guid"
	wire "github.com/hvgo/hvgo/internal/wire/vhdx"
)

// Options say what disk to create.
type Options struct {
	Size               int64 // bytes, a multiple of SectorSize
	BlockSize          int   // bytes, a power of two from 1 MiB to 256 MiB; 0 means 1 MiB
	SectorSize         int   // logical, bytes: 512 or 4096; 0 means 512
	PhysicalSectorSize int   // bytes: 512 or 4096; 0 means 4096
	Fixed              bool  // allocate all blocks at once
	Creator            string
	// NewGUID gives the disk's identifiers; nil means random ones. With one that
	// always gives the same row, the same calls make the same file.
	NewGUID func() guid.GUID
}

func (o Options) geometry() geometry {
	or := func(n, otherwise int) int {
		if n == 0 {
			return otherwise
		}
		return n
	}
	return geometry{
		size:           o.Size,
		blockSize:      int64(or(o.BlockSize, wire.MinBlockSize)),
		sectorSize:     or(o.SectorSize, 512),
		physSectorSize: or(o.PhysicalSectorSize, 4096),
		fixed:          o.Fixed,
	}
}

// A new file: headers, log, metadata and BAT, then the blocks.
const (
	logOffset      = 1 * wire.MiB
	logLength      = 1 * wire.MiB
	metadataOffset = 2 * wire.MiB
	metadataLength = 1 * wire.MiB
	batOffset      = 3 * wire.MiB
)

// Create makes a disk of zeroes in f, whose contents are lost. Close closes f;
// a failed Create does not.
func Create(f File, o Options) (*Disk, error) {
	g := o.geometry()
	if err := g.check(); err != nil {
		return nil, fmt.Errorf("vhdx: %w", err)
	}
	if o.NewGUID == nil {
		o.NewGUID = guid.New
	}
	g.id = o.NewGUID()
	d := &Disk{geometry: g, f: f, r: f, newGUID: o.NewGUID, batOffset: batOffset, dirty: map[int64]struct{}{}}
	d.bat = make([]wire.BATEntry, g.batEntries())
	batLength := alignUp(int64(len(d.bat)) * wire.BATEntrySize)
	d.next = batOffset + batLength
	if g.fixed {
		for i := range g.blocks() {
			d.bat[g.batIndex(i)] = wire.NewBATEntry(wire.FullyPresent, uint64(d.next))
			d.next += g.blockSize
		}
	}
	d.fileSize = d.next
	if err := f.Truncate(0); err != nil {
		return nil, err
	}
	if err := f.Truncate(d.fileSize); err != nil {
		return nil, err
	}
	if err := d.writeNew(o.Creator, uint32(batLength)); err != nil {
		return nil, fmt.Errorf("create VHDX: %w", err)
	}
	d.touched.Store(true) // nobody has seen the identifiers yet
	return d, nil
}

func alignUp(n int64) int64 { return (n + wire.Alignment - 1) &^ (wire.Alignment - 1) }

// writeNew writes all but the blocks; the headers, which make it a VHDX, last.
func (d *Disk) writeNew(creator string, batLength uint32) error {
	var id wire.FileID
	copy(id.Creator[:len(id.Creator)-1], utf16.Encode([]rune(creator)))
	regions := seal(wire.RegionTable{Entries: []wire.RegionEntry{
		{ID: wire.RegionMetadata, Offset: metadataOffset, Length: metadataLength, Required: true},
		{ID: wire.RegionBAT, Offset: batOffset, Length: batLength, Required: true},
	}}.AppendTo(nil))
	table, items := d.encodeMetadata()
	writes := []struct {
		b   []byte
		off int64
	}{
		{id.AppendTo(nil), wire.FileIDOffset},
		{regions, wire.RegionTable1Offset},
		{regions, wire.RegionTable2Offset},
		{table, metadataOffset},
		{items, metadataOffset + wire.MetadataTableSize},
	}
	if d.fixed {
		bat := make([]byte, 0, len(d.bat)*wire.BATEntrySize)
		for _, e := range d.bat {
			bat = le.AppendUint64(bat, uint64(e))
		}
		writes = append(writes, struct {
			b   []byte
			off int64
		}{bat, batOffset})
	}
	for _, w := range writes {
		if _, err := d.f.WriteAt(w.b, w.off); err != nil {
			return err
		}
	}
	if err := d.f.Sync(); err != nil {
		return err
	}
	h := touch(wire.Header{Version: wire.Version, LogLength: logLength, LogOffset: logOffset}, d.newGUID)
	for range 2 {
		var err error
		if d.head, err = writeHeader(d.f, d.head, h); err != nil {
			return err
		}
	}
	return nil
}

// encodeMetadata gives the metadata table and the items behind it.
func (d *Disk) encodeMetadata() (table, items []byte) {
	var t wire.MetadataTable
	add := func(id guid.GUID, flags uint32, item []byte) {
		t.Entries = append(t.Entries, wire.MetadataEntry{
			ID:     id,
			Offset: wire.MetadataTableSize + uint32(len(items)),
			Length: uint32(len(item)),
			Flags:  flags | wire.MetadataIsRequired,
		})
		items = append(items, item...)
	}
	params := wire.FileParameters{BlockSize: uint32(d.blockSize), LeaveBlocksAllocated: d.fixed}
	add(wire.ItemFileParameters, 0, params.AppendTo(nil))
	add(wire.ItemVirtualDiskSize, wire.MetadataIsVirtualDisk, le.AppendUint64(nil, uint64(d.size)))
	add(wire.ItemVirtualDiskID, wire.MetadataIsVirtualDisk, d.id[:])
	add(wire.ItemLogicalSectorSize, wire.MetadataIsVirtualDisk, le.AppendUint32(nil, uint32(d.sectorSize)))
	add(wire.ItemPhysicalSectorSize, wire.MetadataIsVirtualDisk, le.AppendUint32(nil, uint32(d.physSectorSize)))
	return t.AppendTo(nil), items
}

// OpenFile opens the disk in the file of that name. A file open for writing is
// locked where the system can: two writers would destroy it.
func OpenFile(name string, readOnly bool) (*Disk, error) {
	mode := os.O_RDWR
	if readOnly {
		mode = os.O_RDONLY
	}
	f, err := os.OpenFile(name, mode, 0)
	if err != nil {
		return nil, err
	}
	d, err := openLocked(f, readOnly)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return d, nil
}

func openLocked(f *os.File, readOnly bool) (*Disk, error) {
	if st, err := f.Stat(); err != nil {
		return nil, err
	} else if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is not a regular file", ErrNotVHDX)
	}
	if err := lock(f, !readOnly); err != nil {
		return nil, err
	}
	return Open(f, readOnly)
}

// CreateFile creates the file, which must not exist, with a disk of zeroes.
// When it fails it leaves no file behind.
func CreateFile(name string, o Options) (*Disk, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	err = lock(f, true)
	var d *Disk
	if err == nil {
		d, err = Create(f, o)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close(), os.Remove(name))
	}
	return d, nil
}

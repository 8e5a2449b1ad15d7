// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package gpt writes and reads GUID partition tables (UEFI specification 2.10,
// section 5). hvgo build writes one on the boot disk; whoever mounts a disk
// reads one to find its partitions.
//
// The reader does not trust the disk: what it returns has right checksums, lies
// inside the disk, and does not overlap.
package gpt

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"unicode/utf16"

	"github.com/hvgo/hvgo/internal/guid"
	wire "github.com/hvgo/hvgo/internal/wire/gpt"
)

// Alignment is that of the first partition, in bytes.
const Alignment = 1 << 20

// Partition types.
var (
	TypeEFISystem      = wire.TypeEFISystem
	TypeMicrosoftBasic = wire.TypeMicrosoftBasic
	TypeLinuxData      = wire.TypeLinuxData
)

// Errors of Read; ErrNoTable means that there is nothing like a table.
var (
	ErrNoTable = errors.New("no GUID partition table")
	ErrCorrupt = errors.New("GUID partition table is damaged")
)

// limits on what Read takes from a disk
const (
	maxEntries   = 1024
	maxEntrySize = 4096
)

// Table is a disk's partitions.
type Table struct {
	ID         guid.GUID // of the disk
	Partitions []Partition
	FromBackup bool // Read found the primary table damaged and used the backup
}

// Partition is one of them.
type Partition struct {
	Number     int // 1 for the first entry of the table
	Type, ID   guid.GUID
	Offset     int64 // bytes from the start of the disk
	Size       int64 // bytes
	Attributes uint64
	Name       string // 36 UTF-16 code units at most
}

func corrupt(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, a...))
}

// layout is where the parts of a table lie, in sectors.
type layout struct {
	sector, total, entries int64 // bytes, sectors, sectors
}

func newLayout(diskSize int64, sectorSize int) (layout, error) {
	if sectorSize != 512 && sectorSize != 4096 {
		return layout{}, fmt.Errorf("gpt: sectors of %d bytes: want 512 or 4096", sectorSize)
	}
	s := int64(sectorSize)
	l := layout{sector: s, total: diskSize / s, entries: (wire.MinEntries*wire.EntrySize + s - 1) / s}
	if l.total < 2*l.entries+4 {
		return layout{}, fmt.Errorf("gpt: a disk of %d bytes is too small", diskSize)
	}
	return l, nil
}

func (l layout) firstUsable() int64 { return 2 + l.entries }
func (l layout) lastUsable() int64  { return l.total - 2 - l.entries }

// Usable is the part of a disk that partitions may take: from Alignment up to
// the backup table.
func Usable(diskSize int64, sectorSize int) (offset, size int64, err error) {
	l, err := newLayout(diskSize, sectorSize)
	if err != nil {
		return 0, 0, err
	}
	end := (l.lastUsable() + 1) * l.sector
	if end <= Alignment {
		return 0, 0, fmt.Errorf("gpt: a disk of %d bytes has no room for a partition", diskSize)
	}
	return Alignment, end - Alignment, nil
}

// Write puts the table on a disk of that size: backup first, so that a disk cut
// off in between keeps the table it had.
func Write(w io.WriterAt, diskSize int64, sectorSize int, t Table) error {
	l, err := newLayout(diskSize, sectorSize)
	if err != nil {
		return err
	}
	entries, err := encode(t, l)
	if err != nil {
		return err
	}
	primary := wire.Header{
		HeaderSize: wire.HeaderSize, MyLBA: 1, OtherLBA: uint64(l.total - 1),
		FirstUsable: uint64(l.firstUsable()), LastUsable: uint64(l.lastUsable()), DiskGUID: t.ID,
		EntriesLBA: 2, Entries: wire.MinEntries, EntrySize: wire.EntrySize, EntriesCRC: crc32.ChecksumIEEE(entries),
	}
	backup := primary
	backup.MyLBA, backup.OtherLBA, backup.EntriesLBA = primary.OtherLBA, primary.MyLBA, uint64(l.lastUsable()+1)
	mbr := wire.ProtectiveMBR{Sectors: uint32(min(l.total-1, 0xffffffff))}
	for _, part := range []struct {
		b   []byte
		lba int64
	}{
		{entries, l.lastUsable() + 1}, {seal(backup, l), l.total - 1},
		{entries, 2}, {seal(primary, l), 1}, {mbr.AppendTo(nil), 0},
	} {
		if _, err := w.WriteAt(part.b, part.lba*l.sector); err != nil {
			return fmt.Errorf("write partition table: %w", err)
		}
	}
	return nil
}

// seal encodes a header with its checksum, one sector long.
func seal(h wire.Header, l layout) []byte {
	h.Checksum = 0
	h.Checksum = crc32.ChecksumIEEE(h.AppendTo(nil))
	return append(h.AppendTo(nil), make([]byte, l.sector-wire.HeaderSize)...)
}

// encode checks the partitions and gives the entries, whole sectors.
func encode(t Table, l layout) ([]byte, error) {
	b := make([]byte, l.entries*l.sector)
	used := map[int]bool{}
	var extents []Partition
	for i, p := range t.Partitions {
		n := p.Number
		if n == 0 {
			n = i + 1
		}
		name := utf16.Encode([]rune(p.Name))
		switch {
		case n < 1 || n > wire.MinEntries || used[n]:
			return nil, fmt.Errorf("gpt: partition number %d", n)
		case p.Offset%l.sector != 0 || p.Size%l.sector != 0 || p.Size <= 0 || p.Offset/l.sector < l.firstUsable() ||
			p.Size/l.sector > l.lastUsable()+1-p.Offset/l.sector:
			return nil, fmt.Errorf("gpt: partition %d at offset %d, size %d does not fit the disk", n, p.Offset, p.Size)
		case len(name) > wire.NameLen:
			return nil, fmt.Errorf("gpt: partition name %q is longer than %d characters", p.Name, wire.NameLen)
		case p.Type.IsZero():
			return nil, fmt.Errorf("gpt: partition %d has no type", n)
		}
		used[n] = true
		extents = append(extents, p)
		e := wire.Entry{Type: p.Type, ID: p.ID, First: uint64(p.Offset / l.sector), Attributes: p.Attributes}
		e.Last = e.First + uint64(p.Size/l.sector) - 1
		copy(e.Name[:], name)
		copy(b[(n-1)*wire.EntrySize:], e.AppendTo(nil))
	}
	return b, overlap(extents)
}

func overlap(parts []Partition) error {
	parts = slices.Clone(parts)
	slices.SortFunc(parts, func(a, b Partition) int { return cmp.Compare(a.Offset, b.Offset) })
	for i := 1; i < len(parts); i++ {
		if parts[i].Offset < parts[i-1].Offset+parts[i-1].Size {
			return corrupt("partitions at offsets %d and %d overlap", parts[i-1].Offset, parts[i].Offset)
		}
	}
	return nil
}

// Read reads the table of a disk: the primary one, or the backup if that is
// damaged.
func Read(r io.ReaderAt, diskSize int64, sectorSize int) (Table, error) {
	l, err := newLayout(diskSize, sectorSize)
	if err != nil {
		return Table{}, err
	}
	t, err := readAt(r, l, 1)
	if err == nil {
		return t, nil
	}
	t, err2 := readAt(r, l, l.total-1)
	switch {
	case err2 == nil:
		t.FromBackup = true
		return t, nil
	case errors.Is(err, ErrNoTable) && !errors.Is(err2, ErrNoTable):
		return Table{}, err2
	}
	return Table{}, err
}

func readAt(r io.ReaderAt, l layout, lba int64) (Table, error) {
	h, err := readHeader(r, l, lba)
	if err != nil {
		return Table{}, err
	}
	b := make([]byte, int64(h.Entries)*int64(h.EntrySize))
	if err := read(r, b, int64(h.EntriesLBA)*l.sector); err != nil {
		return Table{}, err
	}
	if crc := crc32.ChecksumIEEE(b); crc != h.EntriesCRC {
		return Table{}, corrupt("entries: checksum %#08x, computed %#08x", h.EntriesCRC, crc)
	}
	t := Table{ID: h.DiskGUID}
	for i := range int(h.Entries) {
		e, err := wire.DecodeEntry(b[i*int(h.EntrySize):])
		if err != nil {
			return Table{}, corrupt("%v", err)
		}
		if e.Type.IsZero() {
			continue
		}
		if e.First < h.FirstUsable || e.Last < e.First || e.Last > h.LastUsable {
			return Table{}, corrupt("partition %d from sector %d to %d; usable are %d to %d", i+1, e.First, e.Last, h.FirstUsable, h.LastUsable)
		}
		t.Partitions = append(t.Partitions, Partition{
			Number: i + 1, Type: e.Type, ID: e.ID, Attributes: e.Attributes, Name: name(e.Name),
			Offset: int64(e.First) * l.sector, Size: int64(e.Last-e.First+1) * l.sector,
		})
	}
	return t, overlap(t.Partitions)
}

func readHeader(r io.ReaderAt, l layout, lba int64) (wire.Header, error) {
	b := make([]byte, l.sector)
	if err := read(r, b, lba*l.sector); err != nil {
		return wire.Header{}, err
	}
	h, err := wire.DecodeHeader(b)
	if errors.Is(err, wire.ErrSignature) {
		return wire.Header{}, ErrNoTable
	}
	if err != nil {
		return wire.Header{}, corrupt("%v", err)
	}
	if h.HeaderSize < wire.HeaderSize || int64(h.HeaderSize) > l.sector {
		return wire.Header{}, corrupt("a header of %d bytes", h.HeaderSize)
	}
	binary.LittleEndian.PutUint32(b[wire.ChecksumOffset:], 0)
	if crc := crc32.ChecksumIEEE(b[:h.HeaderSize]); crc != h.Checksum {
		return wire.Header{}, corrupt("header: checksum %#08x, computed %#08x", h.Checksum, crc)
	}
	return h, checkHeader(h, l, lba)
}

// checkHeader holds h against the disk.
func checkHeader(h wire.Header, l layout, lba int64) error {
	size := int64(h.Entries) * int64(h.EntrySize)
	sectors := uint64((size + l.sector - 1) / l.sector)
	total := uint64(l.total)
	switch {
	case h.MyLBA != uint64(lba):
		return corrupt("the header in sector %d says it is in %d", lba, h.MyLBA)
	case h.Entries == 0 || h.Entries > maxEntries || h.EntrySize < wire.EntrySize || h.EntrySize > maxEntrySize || h.EntrySize&(h.EntrySize-1) != 0:
		return corrupt("%d entries of %d bytes", h.Entries, h.EntrySize)
	case h.EntriesLBA < 2 || h.EntriesLBA >= total || sectors > total-h.EntriesLBA:
		return corrupt("entries in sector %d of %d", h.EntriesLBA, total)
	case h.FirstUsable < 2 || h.LastUsable < h.FirstUsable || h.LastUsable >= total:
		return corrupt("usable sectors %d to %d of %d", h.FirstUsable, h.LastUsable, total)
	case h.EntriesLBA <= h.LastUsable && h.EntriesLBA+sectors > h.FirstUsable:
		return corrupt("the entries lie in the usable sectors")
	}
	return nil
}

func read(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	return fmt.Errorf("read partition table: %w", orUnexpected(err))
}

func name(u [wire.NameLen]uint16) string {
	n := slices.Index(u[:], 0)
	if n < 0 {
		n = len(u)
	}
	return string(utf16.Decode(u[:n]))
}

func orUnexpected(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

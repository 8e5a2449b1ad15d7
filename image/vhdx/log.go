// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"fmt"
	"hash/crc32"
	"io"

	"github.com/hvgo/hvgo/internal/guid"
	wire "github.com/hvgo/hvgo/internal/wire/vhdx"
)

// maxLog is the longest log that is read, in bytes. It is held in memory while
// the file is opened; every known writer makes 1 MiB.
const maxLog = 16 << 20

// Limits on what replay does because a log says so, in bytes. Writers log
// tables, never payload, so theirs stay far below.
const (
	maxZeroed = 1 << 30
	maxGrowth = 64 << 30
)

// change is one write that the log asks for.
type change struct {
	off, length int64  // bytes
	data        []byte // nil: zeroes
}

// entry is a whole, checked entry of the log.
type entry struct {
	wire.LogEntry
	changes []change
}

// replayLog gives the changes that the log asks for, oldest first, and the
// length the file is to have at least (MS-VHDX 2.3.3).
func replayLog(f File, h wire.Header, fileSize int64) (changes []change, length int64, err error) {
	b := make([]byte, h.LogLength)
	if err := readFull(f, b, int64(h.LogOffset), "log"); err != nil {
		return nil, 0, err
	}
	entries := map[uint32]entry{}
	for at := uint32(0); at < h.LogLength; at += wire.LogSectorSize {
		if e, ok := readEntry(b, at, h); ok {
			entries[at] = e
		}
	}
	active := activeSequence(entries, h.LogLength)
	if len(active) == 0 {
		return nil, 0, corrupt("the log is in use but holds no whole entry")
	}
	last := active[len(active)-1]
	if last.FlushedOffset > uint64(fileSize) {
		return nil, 0, truncated("the log needs %d bytes, the file has %d", last.FlushedOffset, fileSize)
	}
	if last.LastOffset > uint64(fileSize)+maxGrowth {
		return nil, 0, corrupt("the log makes the file %d bytes long, now it has %d", last.LastOffset, fileSize)
	}
	zeroed := int64(0)
	for _, e := range active {
		for _, c := range e.changes {
			if c.data == nil {
				zeroed += c.length
			}
			if zeroed > maxZeroed {
				return nil, 0, fmt.Errorf("%w: a log that zeroes more than %d MiB", ErrUnsupported, maxZeroed>>20)
			}
			changes = append(changes, c)
		}
	}
	return changes, max(fileSize, int64(last.LastOffset)), nil
}

// activeSequence finds, of all runs of entries that follow each other in place
// and number, the one that ends with the highest number and holds the entry
// its last one calls the tail; and gives it from that tail on.
func activeSequence(entries map[uint32]entry, logLength uint32) []entry {
	var best []entry
	for at := uint32(0); at < logLength; at += wire.LogSectorSize {
		first, ok := entries[at]
		if !ok || len(best) > 0 && first.SequenceNumber <= best[len(best)-1].SequenceNumber && first.SequenceNumber >= best[0].SequenceNumber {
			continue // not a start, or inside the best run already
		}
		if run := runFrom(entries, at, logLength); len(run) > 0 &&
			(len(best) == 0 || run[len(run)-1].SequenceNumber > best[len(best)-1].SequenceNumber) {
			best = run
		}
	}
	return best
}

// runFrom gives the run of entries starting at a place of the log, cut to what
// its last entry's tail says; nil when the tail is not in it.
func runFrom(entries map[uint32]entry, start, logLength uint32) []entry {
	var run []entry
	index := map[uint32]int{} // place of an entry -> its place in run
	total := uint64(0)
	at := start
	for {
		e, ok := entries[at]
		if !ok || len(run) > 0 && e.SequenceNumber != run[len(run)-1].SequenceNumber+1 {
			break
		}
		if total += uint64(e.EntryLength); total > uint64(logLength) {
			break
		}
		index[at] = len(run)
		run = append(run, e)
		at = (at + e.EntryLength) % logLength
	}
	if len(run) == 0 {
		return nil
	}
	tail, ok := index[run[len(run)-1].Tail]
	if !ok {
		return nil
	}
	return run[tail:]
}

// readEntry reads and checks the entry at a place of the log, which is a ring.
// What is not a whole entry of this log is no error: most of the log is old.
func readEntry(log []byte, at uint32, h wire.Header) (entry, bool) {
	e, err := wire.DecodeLogEntry(log[at : at+wire.LogSectorSize])
	if err != nil || e.LogGUID != h.LogGUID || e.SequenceNumber == 0 {
		return entry{}, false
	}
	n := e.EntryLength
	if n == 0 || n%wire.LogSectorSize != 0 || n > h.LogLength || e.Tail >= h.LogLength || e.Tail%wire.LogSectorSize != 0 {
		return entry{}, false
	}
	sector := func(i uint32) []byte {
		off := (uint64(at) + uint64(i)*wire.LogSectorSize) % uint64(len(log))
		return log[off : off+wire.LogSectorSize]
	}
	changes, ok := readChanges(e, sector, h)
	if !ok {
		return entry{}, false
	}
	sum := checksum(sector(0))
	for i := uint32(1); i < n/wire.LogSectorSize; i++ {
		sum = crc32.Update(sum, castagnoli, sector(i))
	}
	return entry{e, changes}, sum == e.Checksum
}

// descriptorSectors is the number of sectors that an entry's header and n
// descriptors take.
func descriptorSectors(n uint32) uint32 {
	bytes := wire.LogEntryHeaderSize + uint64(n)*wire.LogDescriptorSize
	return uint32((bytes + wire.LogSectorSize - 1) / wire.LogSectorSize)
}

// readChanges reads the descriptors and data sectors of an entry.
func readChanges(e wire.LogEntry, sector func(uint32) []byte, h wire.Header) ([]change, bool) {
	sectors := e.EntryLength / wire.LogSectorSize
	if e.Descriptors > e.EntryLength/wire.LogDescriptorSize || descriptorSectors(e.Descriptors) > sectors {
		return nil, false
	}
	dataAt := descriptorSectors(e.Descriptors)
	var changes []change
	for i := range e.Descriptors {
		off := wire.LogEntryHeaderSize + i*wire.LogDescriptorSize
		d, err := wire.DecodeLogDescriptor(sector(off / wire.LogSectorSize)[off%wire.LogSectorSize:])
		if err != nil || d.SequenceNumber != e.SequenceNumber {
			return nil, false
		}
		c := change{off: int64(d.Offset), length: int64(d.Length)}
		if !d.Zero {
			if dataAt >= sectors {
				return nil, false
			}
			s, err := wire.DecodeDataSector(sector(dataAt))
			if err != nil || s.SequenceNumber != e.SequenceNumber {
				return nil, false
			}
			c.data = append(append(append(c.data, d.Leading[:]...), s.Data[:]...), d.Trailing[:]...)
			c.length = wire.LogSectorSize
			dataAt++
		}
		if !allowed(c, h) {
			return nil, false
		}
		changes = append(changes, c)
	}
	return changes, dataAt == sectors
}

// maxFile bounds offsets: a full disk of the greatest size with its tables.
const maxFile = wire.MaxDiskSize + 1<<40

// allowed reports whether the log may make a change there: not in the headers
// and not in the log itself.
func allowed(c change, h wire.Header) bool {
	if c.off < wire.RegionTable1Offset || c.off > maxFile || c.length < 0 || c.length > maxZeroed ||
		c.off%wire.LogSectorSize != 0 || c.length%wire.LogSectorSize != 0 {
		return false
	}
	logOff, logEnd := int64(h.LogOffset), int64(h.LogOffset)+int64(h.LogLength)
	return c.off >= logEnd || c.off+c.length <= logOff
}

// applyChanges writes the changes to the file, which gets the length given.
func applyChanges(f File, changes []change, fileSize, length int64) error {
	if length > fileSize {
		if err := f.Truncate(length); err != nil {
			return fmt.Errorf("replay VHDX log: %w", err)
		}
	}
	for _, c := range changes {
		var err error
		if c.data != nil {
			_, err = f.WriteAt(c.data, c.off)
		} else {
			err = writeZeroes(f, c.off, min(c.length, max(0, length-c.off)))
		}
		if err != nil {
			return fmt.Errorf("replay VHDX log: %w", err)
		}
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("replay VHDX log: %w", err)
	}
	return nil
}

// patched shows a file as it will be once its log is replayed, without writing
// to it: for opening a file read-only.
type patched struct {
	io.ReaderAt
	changes []change
	size    int64 // bytes after replay
}

func (p *patched) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 || off >= p.size {
		return 0, io.EOF
	}
	short := int64(len(b)) > p.size-off
	if short {
		b = b[:p.size-off]
	}
	n, err := p.ReaderAt.ReadAt(b, off)
	if err != nil && err != io.EOF {
		return n, err
	}
	clear(b[n:]) // replay makes the file this long, with zeroes
	for _, c := range p.changes {
		from, to := max(off, c.off), min(off+int64(len(b)), c.off+c.length)
		if from >= to {
			continue
		}
		if c.data != nil {
			copy(b[from-off:to-off], c.data[from-c.off:])
		} else {
			clear(b[from-off : to-off])
		}
	}
	if short {
		return len(b), io.EOF
	}
	return len(b), nil
}

// logWriter appends entries to the log of an open file.
type logWriter struct {
	guid     guid.GUID
	offset   int64  // of the log in the file
	length   uint32 // bytes
	at       uint32 // where the next entry goes
	sequence uint64 // of the next entry
}

// maxBatch is the number of sectors that one round of the log can carry: one
// entry with one sector of descriptors.
const maxBatch = (wire.LogSectorSize - wire.LogEntryHeaderSize) / wire.LogDescriptorSize

// write puts one entry into the log that sets the sectors at the offsets to the
// data. The entries before it must have reached their place: it is its own
// tail. At most maxBatch sectors.
func (w *logWriter) write(f File, offsets []int64, sectors [][]byte, fileSize int64) error {
	e := wire.LogEntry{
		EntryLength:    uint32(1+len(offsets)) * wire.LogSectorSize,
		Tail:           w.at,
		SequenceNumber: w.sequence,
		Descriptors:    uint32(len(offsets)),
		LogGUID:        w.guid,
		FlushedOffset:  uint64(fileSize),
		LastOffset:     uint64(fileSize),
	}
	b := e.AppendTo(nil)
	for i, off := range offsets {
		s := sectors[i]
		b = wire.LogDescriptor{
			Leading:        [8]byte(s[:8]),
			Trailing:       [4]byte(s[wire.LogSectorSize-4:]),
			Offset:         uint64(off),
			SequenceNumber: w.sequence,
		}.AppendTo(b)
	}
	b = append(b, make([]byte, wire.LogSectorSize-len(b))...)
	for _, s := range sectors {
		b = wire.DataSector{SequenceNumber: w.sequence, Data: [wire.LogSectorSize - 12]byte(s[8:])}.AppendTo(b)
	}
	seal(b)
	room := min(int(w.length-w.at), len(b))
	if _, err := f.WriteAt(b[:room], w.offset+int64(w.at)); err != nil {
		return fmt.Errorf("write VHDX log: %w", err)
	}
	if _, err := f.WriteAt(b[room:], w.offset); room < len(b) && err != nil {
		return fmt.Errorf("write VHDX log: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("flush VHDX log: %w", err)
	}
	w.at = (w.at + e.EntryLength) % w.length
	w.sequence++
	return nil
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hvgo/hvgo/internal/guid"
	wire "github.com/hvgo/hvgo/internal/wire/vhdx"
)

// maxBATEntries bounds the memory that the BAT takes: 8 bytes an entry.
const maxBATEntries = 8 << 20

// batSector is the number of entries in one 4 KiB sector of the BAT.
const batSector = wire.LogSectorSize / wire.BATEntrySize

// Disk is an open virtual disk. All methods may be called from several
// goroutines at once. Writes that overlap in time and place leave either's
// bytes, as on any disk.
type Disk struct {
	geometry
	f        File
	r        io.ReaderAt // f, or f as its log will leave it
	readOnly bool
	newGUID  func() guid.GUID
	touched  atomic.Bool // the header says that this session writes

	// mu guards the fields below. It is held for reading during the I/O to
	// blocks that exist, for writing while one is allocated.
	mu        sync.RWMutex
	closed    bool
	bat       []wire.BATEntry
	batOffset int64              // of the BAT in the file
	dirty     map[int64]struct{} // sectors of the BAT not yet in the file
	next      int64              // where the next block goes
	fileSize  int64

	// commitMu guards the fields below and is taken before mu.
	commitMu sync.Mutex
	head     header
	log      logWriter
	failed   error // the first failed write of the table; nothing is committed after it
}

// Open opens the disk in f. A file with a log in use is mended first; opened
// read-only, it is read as if it were. Close closes f; a failed Open does not.
func Open(f File, readOnly bool) (*Disk, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	fileSize := st.Size()
	if err := checkFileID(f, fileSize); err != nil {
		return nil, err
	}
	head, err := readHeader(f, fileSize)
	if err != nil {
		return nil, err
	}
	d := &Disk{f: f, r: f, readOnly: readOnly, newGUID: guid.New, head: head, fileSize: fileSize, dirty: map[int64]struct{}{}}
	if !head.LogGUID.IsZero() {
		if err := d.replay(); err != nil {
			return nil, err
		}
	}
	if err := d.load(); err != nil {
		return nil, err
	}
	return d, nil
}

func checkFileID(f File, fileSize int64) error {
	head := make([]byte, 34<<10)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return err
	}
	head = head[:n]
	if bytes.HasPrefix(head, []byte(wire.FileIDSignature)) {
		if fileSize < wire.HeaderSectionSize {
			return truncated("%d bytes, less than its headers", fileSize)
		}
		return nil
	}
	tail := make([]byte, 512)
	n, err = f.ReadAt(tail, max(0, fileSize-int64(len(tail))))
	if err != nil && err != io.EOF {
		return err
	}
	return notVHDX(head, tail[:n])
}

// replay applies the log to the file, or to what is seen of it.
func (d *Disk) replay() error {
	changes, length, err := replayLog(d.f, d.head.Header, d.fileSize)
	if err != nil {
		return err
	}
	if d.readOnly {
		d.r, d.fileSize = &patched{d.f, changes, length}, length
		return nil
	}
	if err := applyChanges(d.f, changes, d.fileSize, length); err != nil {
		return err
	}
	d.fileSize = length
	return d.retireLog()
}

// retireLog says in both headers that the log is empty: were the older one
// left, damage to the newer would bring an old log to life.
func (d *Disk) retireLog() error {
	h := d.head.Header
	h.LogGUID = guid.GUID{}
	for range 2 {
		var err error
		if d.head, err = writeHeader(d.f, d.head, h); err != nil {
			return err
		}
	}
	return nil
}

// load reads regions, metadata and BAT.
func (d *Disk) load() error {
	used := []extent{{"the log", int64(d.head.LogOffset), int64(d.head.LogOffset) + int64(d.head.LogLength)}}
	batRegion, metaRegion, used, err := readRegions(d.r, d.fileSize, used)
	if err != nil {
		return err
	}
	if d.geometry, err = readMetadata(d.r, metaRegion); err != nil {
		return err
	}
	d.batOffset = int64(batRegion.Offset)
	n := d.batEntries()
	if n*wire.BATEntrySize > int64(batRegion.Length) {
		return corrupt("%d blocks do not fit in a table of %d bytes", n, batRegion.Length)
	}
	b := make([]byte, n*wire.BATEntrySize)
	if err := readFull(d.r, b, d.batOffset, "block allocation table"); err != nil {
		return err
	}
	d.bat = make([]wire.BATEntry, n)
	for i := range d.bat {
		d.bat[i] = wire.BATEntry(le.Uint64(b[i*wire.BATEntrySize:]))
	}
	return d.checkBAT(used)
}

// checkBAT checks each entry and finds the end of what the file holds.
func (d *Disk) checkBAT(used []extent) error {
	for i := range d.blocks() {
		e := d.bat[d.batIndex(i)]
		switch e.State() {
		case wire.NotPresent, wire.Undefined, wire.Zero, wire.Unmapped:
			continue
		case wire.FullyPresent:
		default:
			return corrupt("block %d has state %d", i, e.State())
		}
		if e.Offset() < wire.HeaderSectionSize || e.Offset() > maxFile {
			return corrupt("block %d at offset %d", i, e.Offset())
		}
		off := int64(e.Offset())
		if end := off + d.used(i); end > d.fileSize {
			return truncated("block %d ends at offset %d, the file at %d", i, end, d.fileSize)
		}
		used = append(used, extent{"a block", off, off + d.blockSize})
	}
	// Without a parent the sector bitmaps have no meaning, but one that is
	// there takes its room.
	for i := d.chunkRatio(); i < int64(len(d.bat)); i += d.chunkRatio() + 1 {
		if e := d.bat[i]; e.State() == wire.FullyPresent && e.Offset() <= maxFile {
			used = append(used, extent{"a sector bitmap", int64(e.Offset()), int64(e.Offset()) + wire.MiB})
		}
	}
	if err := checkExtents(used); err != nil {
		return err
	}
	for _, x := range used {
		d.next = max(d.next, x.end)
	}
	return nil
}

// Size is the disk's size in bytes.
func (d *Disk) Size() int64 { return d.size }

// SectorSize is the logical sector size in bytes, 512 or 4096.
func (d *Disk) SectorSize() int { return d.sectorSize }

// PhysicalSectorSize is the physical sector size in bytes, 512 or 4096.
func (d *Disk) PhysicalSectorSize() int { return d.physSectorSize }

// BlockSize is the unit of allocation in bytes.
func (d *Disk) BlockSize() int { return int(d.blockSize) }

// Fixed reports whether the disk was made with all its blocks allocated.
func (d *Disk) Fixed() bool { return d.fixed }

// ReadOnly reports whether the disk refuses writes.
func (d *Disk) ReadOnly() bool { return d.readOnly }

// ID identifies the disk's contents to a guest (SCSI INQUIRY page 83h).
func (d *Disk) ID() guid.GUID { return d.id }

// ReadAt reads len(p) bytes at off, as io.ReaderAt asks. What was never written
// is zero.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("vhdx: read at offset %d", off)
	}
	var eof error
	if int64(len(p)) > d.size-off {
		p, eof = p[:max(0, min(int64(len(p)), d.size-off))], io.EOF
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return 0, ErrClosed
	}
	done := 0
	for done < len(p) {
		block, in, n := d.split(off+int64(done), len(p)-done)
		part := p[done : done+n]
		if e := d.bat[d.batIndex(block)]; e.State() == wire.FullyPresent {
			if err := readFull(d.r, part, int64(e.Offset())+in, "block"); err != nil {
				return done, err
			}
		} else {
			clear(part)
		}
		done += n
	}
	return done, eof
}

// split gives the block that off lies in, the distance into it, and how many
// of n bytes it holds.
func (d *Disk) split(off int64, n int) (block, in int64, part int) {
	block, in = off/d.blockSize, off%d.blockSize
	return block, in, int(min(int64(n), d.blockSize-in))
}

// WriteAt writes p at off. It is on the medium after the next Flush. Zeroes do
// not allocate a block.
func (d *Disk) WriteAt(p []byte, off int64) (int, error) {
	switch {
	case d.readOnly:
		return 0, ErrReadOnly
	case off < 0 || off > d.size || int64(len(p)) > d.size-off:
		return 0, fmt.Errorf("vhdx: write of %d bytes at offset %d: the disk has %d bytes", len(p), off, d.size)
	}
	if !d.touched.Load() && len(p) > 0 {
		if err := d.beginWriting(); err != nil {
			return 0, err
		}
	}
	done := 0
	for done < len(p) {
		block, in, n := d.split(off+int64(done), len(p)-done)
		if err := d.writeBlock(block, in, p[done:done+n]); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// beginWriting tells the world, before the first write, that the file changes.
func (d *Disk) beginWriting() error {
	d.commitMu.Lock()
	defer d.commitMu.Unlock()
	if d.touched.Load() {
		return nil
	}
	d.mu.RLock()
	closed := d.closed
	d.mu.RUnlock()
	if closed {
		return ErrClosed
	}
	var err error
	if d.head, err = writeHeader(d.f, d.head, touch(d.head.Header, d.newGUID)); err == nil {
		d.touched.Store(true)
	}
	return err
}

func (d *Disk) writeBlock(block, in int64, p []byte) error {
	if done, err := d.overwrite(block, in, p); done {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrClosed
	}
	i := d.batIndex(block)
	switch e := d.bat[i]; {
	case e.State() == wire.FullyPresent: // another goroutine was first
		_, err := d.f.WriteAt(p, int64(e.Offset())+in)
		return err
	case isZero(p) && (e.State() == wire.NotPresent || e.State() == wire.Zero):
		return nil
	}
	off, err := d.allocate(in, p)
	if err != nil {
		return fmt.Errorf("vhdx: allocate a block: %w", err)
	}
	d.bat[i] = wire.NewBATEntry(wire.FullyPresent, uint64(off))
	d.dirty[i/batSector] = struct{}{}
	return nil
}

// overwrite writes to a block that exists, sharing the lock.
func (d *Disk) overwrite(block, in int64, p []byte) (done bool, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return true, ErrClosed
	}
	e := d.bat[d.batIndex(block)]
	if e.State() != wire.FullyPresent {
		return false, nil
	}
	_, err = d.f.WriteAt(p, int64(e.Offset())+in)
	return true, err
}

// allocate appends a block to the file that holds p at the distance in, and
// zeroes elsewhere.
func (d *Disk) allocate(in int64, p []byte) (int64, error) {
	off, end := d.next, d.next+d.blockSize
	if off < d.fileSize { // left over by a crash: not zero
		if err := writeZeroes(d.f, off, min(end, d.fileSize)-off); err != nil {
			return 0, err
		}
	}
	if end > d.fileSize {
		if err := d.f.Truncate(end); err != nil {
			return 0, err
		}
		d.fileSize = end
	}
	if _, err := d.f.WriteAt(p, off+in); err != nil {
		return 0, err
	}
	d.next = end
	return off, nil
}

// Flush puts all that was written before onto the medium.
func (d *Disk) Flush() error {
	if d.readOnly {
		return nil
	}
	d.commitMu.Lock()
	defer d.commitMu.Unlock()
	return d.commit()
}

// commit is Flush with commitMu held; doc.go has the order of its steps.
func (d *Disk) commit() error {
	if d.failed != nil {
		return d.failed
	}
	offsets, sectors, fileSize, err := d.takeDirty()
	if err != nil {
		return err
	}
	if err := d.f.Sync(); err != nil {
		d.failed = fmt.Errorf("flush VHDX: %w", err)
		return d.failed
	}
	for len(offsets) > 0 {
		n := min(len(offsets), maxBatch)
		if d.failed = d.commitBAT(offsets[:n], sectors[:n], fileSize); d.failed != nil {
			return d.failed
		}
		offsets, sectors = offsets[n:], sectors[n:]
	}
	return nil
}

// takeDirty gives the changed sectors of the BAT and where they go.
func (d *Disk) takeDirty() (offsets []int64, sectors [][]byte, fileSize int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, nil, 0, ErrClosed
	}
	for s := range d.dirty {
		offsets = append(offsets, d.batOffset+s*wire.LogSectorSize)
	}
	clear(d.dirty)
	slices.Sort(offsets)
	for _, off := range offsets {
		first := (off - d.batOffset) / wire.BATEntrySize
		b := make([]byte, wire.LogSectorSize)
		for i, e := range d.bat[first:min(first+batSector, int64(len(d.bat)))] {
			le.PutUint64(b[i*wire.BATEntrySize:], uint64(e))
		}
		sectors = append(sectors, b)
	}
	return offsets, sectors, d.fileSize, nil
}

// commitBAT writes sectors of the BAT through the log. It ends with a Sync, so
// that the next entry may call itself the tail.
func (d *Disk) commitBAT(offsets []int64, sectors [][]byte, fileSize int64) error {
	if d.log.guid.IsZero() {
		d.log = logWriter{guid: d.newGUID(), offset: int64(d.head.LogOffset), length: d.head.LogLength, sequence: 1}
	}
	if err := d.log.write(d.f, offsets, sectors, fileSize); err != nil {
		return err
	}
	if d.head.LogGUID != d.log.guid {
		h := d.head.Header
		h.LogGUID = d.log.guid
		var err error
		if d.head, err = writeHeader(d.f, d.head, h); err != nil {
			return err
		}
	}
	for i, off := range offsets {
		if _, err := d.f.WriteAt(sectors[i], off); err != nil {
			return fmt.Errorf("write VHDX block allocation table: %w", err)
		}
	}
	if err := d.f.Sync(); err != nil {
		return fmt.Errorf("flush VHDX block allocation table: %w", err)
	}
	return nil
}

// Close flushes, marks the log empty and closes the file. It waits for calls
// under way; later ones give ErrClosed.
func (d *Disk) Close() error {
	d.commitMu.Lock()
	defer d.commitMu.Unlock()
	var err error
	if !d.readOnly {
		if err = d.commit(); errors.Is(err, ErrClosed) {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrClosed
	}
	d.closed = true
	if err == nil && len(d.dirty) > 0 {
		err = errors.New("vhdx: closed while being written to") // a write slipped in after the flush
	}
	if err == nil && !d.readOnly && !d.head.LogGUID.IsZero() {
		err = d.retireLog()
	}
	return errors.Join(err, d.f.Close())
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsc

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/internal/wire/scsi"
	"github.com/hvgo/hvgo/internal/wire/vstor"
)

// Disk is one LUN. All methods may be called from several goroutines.
type Disk struct {
	Target, LUN               uint8
	Vendor, Product, Revision string // as INQUIRY tells them

	c         *Controller
	blockSize int    // bytes
	blocks    uint64 // of blockSize
	readOnly  bool

	// partial is held for writing while a block is read, changed and written,
	// and for reading by writes of whole blocks.
	partial sync.RWMutex
}

// Size is the capacity in bytes.
func (d *Disk) Size() int64 { return int64(d.blocks) * int64(d.blockSize) }

// BlockSize is the unit of the disk in bytes, 512 to 4096.
func (d *Disk) BlockSize() int { return d.blockSize }

// ReadOnly reports whether the host has write-protected the disk.
func (d *Disk) ReadOnly() bool { return d.readOnly }

// Model is vendor, product and revision in one text.
func (d *Disk) Model() string { return d.Vendor + " " + d.Product + " " + d.Revision }

func (d *Disk) same(o *Disk) bool {
	return d.Target == o.Target && d.LUN == o.LUN && d.blocks == o.blocks && d.blockSize == o.blockSize &&
		d.readOnly == o.readOnly && d.Model() == o.Model()
}

// ReadAt is io.ReaderAt. Offsets and lengths that are not multiples of the
// block size cost a copy of the blocks at either end. Errors of the disk are
// *Error.
func (d *Disk) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("%w: offset %d", ErrOutOfRange, off)
	}
	if off >= d.Size() {
		return 0, io.EOF
	}
	short := error(nil)
	if int64(len(p)) > d.Size()-off {
		p, short = p[:d.Size()-off], io.EOF
	}
	err = d.pieces(p, off, func(q []byte, at int64, whole bool) error {
		if whole {
			m, err := d.transfer(scsi.OpRead10, q, uint64(at)/uint64(d.blockSize))
			n += m
			return err
		}
		block := make([]byte, d.blockSize)
		start := at / int64(d.blockSize) * int64(d.blockSize)
		if _, err := d.transfer(scsi.OpRead10, block, uint64(start)/uint64(d.blockSize)); err != nil {
			return err
		}
		n += copy(q, block[at-start:])
		return nil
	})
	if err != nil {
		return n, d.c.cause(err)
	}
	return n, short
}

// WriteAt is io.WriterAt. A write beyond the end writes nothing. What it wrote
// is durable after Flush.
func (d *Disk) WriteAt(p []byte, off int64) (n int, err error) {
	if d.readOnly {
		return 0, ErrReadOnly
	}
	if off < 0 || off > d.Size() || int64(len(p)) > d.Size()-off {
		return 0, fmt.Errorf("%w: %d bytes at %d, size %d", ErrOutOfRange, len(p), off, d.Size())
	}
	err = d.pieces(p, off, func(q []byte, at int64, whole bool) error {
		if whole {
			d.partial.RLock()
			defer d.partial.RUnlock()
			m, err := d.transfer(scsi.OpWrite10, q, uint64(at)/uint64(d.blockSize))
			n += m
			return err
		}
		d.partial.Lock()
		defer d.partial.Unlock()
		if err := d.change(q, at); err != nil {
			return err
		}
		n += len(q)
		return nil
	})
	return n, d.c.cause(err)
}

// change writes a part of one block.
func (d *Disk) change(p []byte, off int64) error {
	block := make([]byte, d.blockSize)
	lba := uint64(off) / uint64(d.blockSize)
	if _, err := d.transfer(scsi.OpRead10, block, lba); err != nil {
		return err
	}
	copy(block[off%int64(d.blockSize):], p)
	_, err := d.transfer(scsi.OpWrite10, block, lba)
	return err
}

// pieces cuts p into a part of a block, whole blocks, and a part of a block.
func (d *Disk) pieces(p []byte, off int64, f func(q []byte, at int64, whole bool) error) error {
	bs := int64(d.blockSize)
	for len(p) > 0 {
		n, whole := int64(len(p))/bs*bs, true
		if r := off % bs; r != 0 || n == 0 {
			n, whole = min(bs-r, int64(len(p))), false
		}
		if err := f(p[:n], off, whole); err != nil {
			return err
		}
		p, off = p[n:], off+n
	}
	return nil
}

// Flush makes all completed writes durable (SYNCHRONIZE CACHE). A disk that
// does not know the command has no cache.
func (d *Disk) Flush() error {
	s, err := d.c.q.acquire(true)
	if err != nil {
		return d.c.cause(err)
	}
	defer d.c.q.release(s)
	var cdb [16]byte
	d.encode(s, scsi.ReadWrite{Op: scsi.OpSynchronizeCache10}.AppendTo(cdb[:0]), vstor.DataUnused, 0)
	_, err = d.perform(s, scsi.OpSynchronizeCache10, 0)
	var e *Error
	if errors.As(err, &e) && e.HasSense && e.Sense.Key == scsi.IllegalRequest && e.Sense.Code == scsi.CodeInvalidOpcode {
		return nil
	}
	return d.c.cause(err)
}

// encode puts an EXECUTE_SRB for n bytes of data into a slot.
func (d *Disk) encode(s *slot, cdb []byte, direction uint8, n int) {
	v := d.c.version
	r := vstor.Request{
		Length: uint16(v.RequestSize()), Target: d.Target, LUN: d.LUN,
		CDBLength: uint8(len(cdb)), SenseLength: uint8(v.SenseSize()), DataIn: direction, DataTransferLength: uint32(n),
		QueueTag: 0xFF, QueueAction: vstor.QueueTagSimple, // SP_UNTAGGED
		// After an error the queue must go on: nobody here would release it.
		SRBFlags:       vstor.SRBFlagDisableSynchTransfer | vstor.SRBFlagQueueActionEnable | vstor.SRBFlagNoQueueFreeze,
		TimeoutSeconds: 60,
	}
	switch direction {
	case vstor.DataIn:
		r.SRBFlags |= vstor.SRBFlagDataIn
	case vstor.DataOut:
		r.SRBFlags |= vstor.SRBFlagDataOut
	}
	copy(r.Data[:vstor.CDBSize], cdb)
	m := vstor.Packet{Operation: vstor.OpExecuteSRB, Flags: vstor.FlagRequestCompletion}
	var b [vstor.RequestSize]byte
	m.SetPayload(r.AppendTo(b[:0]))
	s.encode(m, v.PacketSize())
}

// Attempts of a command that fails temporarily, and the first pause of a busy
// one (doubled each time: a second and a half in all).
const (
	attempts  = 8
	busyPause = 10 * time.Millisecond
)

// perform sends a slot and gives how many bytes were transferred.
func (d *Disk) perform(s *slot, op scsi.Op, lba uint64) (int, error) {
	p, err := d.c.exchange(s)
	return d.finish(s, op, lba, p, err)
}

// finish judges the answer to a slot, and sends it again while that may help.
func (d *Disk) finish(s *slot, op scsi.Op, lba uint64, p vstor.Packet, err error) (int, error) {
	pause := busyPause
	for try := 1; ; try++ {
		if err != nil {
			return 0, err
		}
		n, oerr := outcome(p, op, d.LUN, lba, s.length)
		e, failed := oerr.(*Error)
		if !failed {
			return n, oerr
		}
		again, wait := e.temporary()
		if !again || try == attempts {
			return 0, e
		}
		if wait {
			select {
			case <-time.After(pause):
			case <-d.c.dead:
			}
			pause *= 2
		}
		p, err = d.c.exchange(s)
	}
}

// window is how many requests one call has under way.
const window = 8

// flight is one request of a transfer.
type flight struct {
	s      *slot
	bounce *vmbus.Pages // nil: the caller's pages
	p      []byte
	lba    uint64
}

// transfer reads or writes whole blocks and gives how many bytes from the
// start went well. It returns when the host has let go of p.
func (d *Disk) transfer(op scsi.Op, p []byte, lba uint64) (n int, err error) {
	var list [window]flight
	var first, count int
	whole := p
	for err == nil && len(p) > 0 || count > 0 {
		var batch [window]*slot
		ready := 0
		for err == nil && len(p) > 0 && count < window {
			f := &list[(first+count)%window]
			var size int
			if size, err = d.prepare(f, op, p, lba, count == 0); size == 0 {
				break
			}
			p, lba = p[size:], lba+uint64(size/d.blockSize)
			batch[ready] = f.s
			ready, count = ready+1, count+1
		}
		if ready > 0 {
			if serr := d.c.q.send(batch[:ready]); serr != nil {
				d.c.abandon(serr)
			}
		}
		if count == 0 {
			break
		}
		f := &list[first]
		m, ferr := d.land(f, op)
		if err == nil {
			n += m
			err = ferr
		}
		first, count = (first+1)%window, count-1
	}
	runtime.KeepAlive(whole)
	return n, err
}

// prepare makes a slot ready for the first part of p and gives its size. With
// block it waits for what it needs, otherwise zero may come back.
func (d *Disk) prepare(f *flight, op scsi.Op, p []byte, lba uint64, block bool) (int, error) {
	*f = flight{lba: lba}
	direct := address(p)%directAlign == 0
	limit := d.c.max
	if !direct {
		limit = min(limit, bounceSize)
	}
	size := min(len(p), limit)
	f.p = p[:size]
	var err error
	if !direct {
		if f.bounce, err = d.c.bounce.get(block); f.bounce == nil {
			return 0, err
		}
	}
	if f.s, err = d.c.q.acquire(block); f.s != nil {
		if err = d.fill(f, op); err == nil {
			return size, nil
		}
		d.c.q.release(f.s)
	}
	if f.bounce != nil {
		d.c.bounce.put(f.bounce)
	}
	return 0, err
}

// fill puts the command and the pages of a flight into its slot.
func (d *Disk) fill(f *flight, op scsi.Op) (err error) {
	write := op == scsi.OpWrite10
	offset := 0
	if f.bounce != nil {
		f.s.pfns = append(f.s.pfns[:0], f.bounce.PFN...)
		if write {
			copy(f.bounce.Mem, f.p)
		}
	} else {
		offset = int(address(f.p) % vmbus.PageSize)
		if f.s.pfns, err = d.c.p.PFNs(f.p, f.s.pfns[:0]); err != nil {
			return fmt.Errorf("storvsc: pages of the buffer: %w", err)
		}
	}
	direction := vstor.DataIn
	if write {
		direction = vstor.DataOut
	}
	var cdb [16]byte
	d.encode(f.s, readWrite(op, f.lba, len(f.p)/d.blockSize).AppendTo(cdb[:0]), direction, len(f.p))
	return f.s.data(offset, len(f.p))
}

// readWrite chooses the form of READ or WRITE that holds LBA and count.
func readWrite(op scsi.Op, lba uint64, blocks int) scsi.ReadWrite {
	c := scsi.ReadWrite{Op: op, LBA: lba, Blocks: uint32(blocks)}
	if c.Check() != nil {
		c.Op = scsi.OpRead16
		if op == scsi.OpWrite10 {
			c.Op = scsi.OpWrite16
		}
	}
	return c
}

// land waits for a flight and gives up its slot and bounce pages.
func (d *Disk) land(f *flight, op scsi.Op) (int, error) {
	p, err := d.c.q.wait(f.s)
	n, err := d.finish(f.s, op, f.lba, p, err)
	if err == nil && n != len(f.p) {
		err = fmt.Errorf("storvsc: LUN %d: %v at LBA %d: %d bytes of %d: %w", d.LUN, op, f.lba, n, len(f.p), io.ErrUnexpectedEOF)
	}
	if err == nil && f.bounce != nil && op == scsi.OpRead10 {
		copy(f.p, f.bounce.Mem)
	}
	d.c.q.release(f.s)
	if f.bounce != nil {
		d.c.bounce.put(f.bounce)
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"fmt"
	"sync"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Range is a run of bytes over pages that need not be adjacent, for
// GPA-direct packets.
type Range struct {
	Length uint32   // bytes
	Offset uint32   // bytes into the first page, less than PageSize
	PFN    []uint64 // guest page numbers, as many as Offset and Length need
}

// Tx writes packets to a channel's ring. It is got from Channel.Begin, which
// locks the ring, and given up by End, which publishes all packets at once:
// one look at the host's state and at most one hypercall, however many there
// are. When the ring is full, packets wait for room.
type Tx struct {
	mu      sync.Mutex
	c       *Channel
	ring    sendRing
	scratch []byte // one encoded packet
	gone    bool   // the ring's pages may be free
	err     error  // first error since Begin
}

func (t *Tx) init(c *Channel) {
	t.c = c
	t.scratch = make([]byte, 0, 512)
}

// Begin starts a batch. Other senders wait until End.
func (c *Channel) Begin() *Tx {
	c.tx.mu.Lock()
	c.tx.err = c.Err()
	return &c.tx
}

// End publishes the batch and gives its first error.
func (t *Tx) End() error {
	defer t.mu.Unlock()
	if t.gone || t.c.Err() != nil {
		return t.err
	}
	if err := t.publish(); err != nil && t.err == nil {
		t.err = err
	}
	return t.err
}

// close makes sure that no sender touches the ring any more.
func (t *Tx) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = true
}

func (t *Tx) publish() error {
	if t.ring.publish() {
		t.c.stats.signals.Add(1)
		return t.c.signal()
	}
	return nil
}

// InBand sends a packet whose data is in the ring. With completion the host is
// asked to answer with a completion packet of the same transaction id.
func (t *Tx) InBand(payload []byte, transaction uint64, completion bool) error {
	t.header(wire.PacketInBand, wire.PacketHeaderSize, len(payload), transaction, completion)
	return t.send(payload)
}

// Completion answers a packet of the host's.
func (t *Tx) Completion(transaction uint64, payload []byte) error {
	t.header(wire.PacketCompletion, wire.PacketHeaderSize, len(payload), transaction, false)
	return t.send(payload)
}

// GPADirect sends a packet whose data is in pages of ours. The pages must stay
// where they are until the completion has come.
func (t *Tx) GPADirect(ranges []Range, payload []byte, transaction uint64) error {
	size := wire.PacketHeaderSize + wire.GPADirectHeaderSize
	for i := range ranges {
		r := &ranges[i]
		n := wire.GPARange{ByteCount: r.Length, ByteOffset: r.Offset}.Pages()
		if r.Length == 0 || r.Offset >= PageSize || n != len(r.PFN) {
			return t.fault(fmt.Errorf("vmbus: range of %d bytes at %d over %d pages", r.Length, r.Offset, len(r.PFN)))
		}
		size += wire.GPARangeSize + n*wire.PFNSize
	}
	if len(ranges) == 0 || size/8 > wire.MaxPacketLen8 {
		return t.fault(fmt.Errorf("vmbus: GPA-direct packet of %d ranges, %d bytes: %w", len(ranges), size, ErrTooLarge))
	}
	t.header(wire.PacketGPADirect, size, len(payload), transaction, true)
	t.scratch = wire.GPADirectHeader{RangeCount: uint32(len(ranges))}.AppendTo(t.scratch)
	for i := range ranges {
		r := &ranges[i]
		t.scratch = wire.GPARange{ByteCount: r.Length, ByteOffset: r.Offset}.AppendTo(t.scratch)
		t.scratch = appendPFNs(t.scratch, r.PFN)
	}
	return t.send(payload)
}

// TransferPage sends a packet whose data lies in a buffer that the device knows
// as set.
func (t *Tx) TransferPage(set uint16, ranges []wire.TransferPageRange, payload []byte, transaction uint64, completion bool) error {
	size := wire.PacketHeaderSize + wire.TransferPageHeaderSize + len(ranges)*wire.TransferPageRangeSize
	if size/8 > wire.MaxPacketLen8 {
		return t.fault(fmt.Errorf("vmbus: transfer-page packet of %d ranges: %w", len(ranges), ErrTooLarge))
	}
	t.header(wire.PacketTransferPage, size, len(payload), transaction, completion)
	t.scratch = wire.TransferPageHeader{SetID: set, RangeCount: uint32(len(ranges))}.AppendTo(t.scratch)
	for _, r := range ranges {
		t.scratch = r.AppendTo(t.scratch)
	}
	return t.send(payload)
}

// header starts a packet in scratch. offset is where the payload will be.
func (t *Tx) header(typ uint16, offset, payload int, transaction uint64, completion bool) {
	h := wire.PacketHeader{Type: typ, Off8: uint16(offset / 8), Len8: uint16((offset + payload + 7) / 8), Transaction: transaction}
	if completion {
		h.Flags = wire.PacketCompletionRequested
	}
	t.scratch = h.AppendTo(t.scratch[:0])
}

var padding [8]byte

// send completes the packet in scratch and writes it to the ring, waiting for
// room as long as it takes.
func (t *Tx) send(payload []byte) error {
	if t.err != nil {
		return t.err
	}
	size := (len(t.scratch)+len(payload)+7)&^7 + wire.PacketTrailerSize
	if size > int(t.ring.max()) || size/8 > wire.MaxPacketLen8 {
		return t.fault(fmt.Errorf("%w: %d bytes", ErrTooLarge, size))
	}
	t.scratch = append(t.scratch, payload...)
	t.scratch = append(t.scratch, padding[:-len(t.scratch)&7]...)
	room, err := t.ring.free()
	if err == nil && room < uint32(size) {
		err = t.waitForRoom(uint32(size))
	}
	if err != nil {
		return t.broken(err)
	}
	t.ring.write(t.scratch)
	t.c.stats.sent.Add(1)
	return nil
}

// waitForRoom publishes what there is, then sleeps until size bytes are free.
func (t *Tx) waitForRoom(size uint32) error {
	c := t.c
	c.stats.roomWaits.Add(1)
	if err := t.publish(); err != nil {
		return err
	}
	defer t.ring.pending.Store(0)
	for {
		ticket := c.waker.ticket()
		if err := c.Err(); err != nil {
			return err
		}
		t.ring.pending.Store(size)
		room, err := t.ring.free()
		if err != nil || room >= size {
			return err
		}
		if c.rx.features.Load()&wire.RingFeaturePendingSend != 0 {
			c.waker.wait(ticket)
		} else {
			c.pollRoom()
		}
	}
}

// fault records an error of the caller's: the channel lives on.
func (t *Tx) fault(err error) error {
	if t.err == nil {
		t.err = err
	}
	return err
}

// broken records an error that ends the channel.
func (t *Tx) broken(err error) error {
	t.c.fail(err)
	return t.fault(err)
}

// SendInBand is a batch of one InBand.
func (c *Channel) SendInBand(payload []byte, transaction uint64, completion bool) error {
	t := c.Begin()
	t.InBand(payload, transaction, completion)
	return t.End()
}

// SendCompletion is a batch of one Completion.
func (c *Channel) SendCompletion(transaction uint64, payload []byte) error {
	t := c.Begin()
	t.Completion(transaction, payload)
	return t.End()
}

// SendGPADirect is a batch of one GPADirect.
func (c *Channel) SendGPADirect(ranges []Range, payload []byte, transaction uint64) error {
	t := c.Begin()
	t.GPADirect(ranges, payload, transaction)
	return t.End()
}

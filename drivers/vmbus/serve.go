// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"errors"
	"fmt"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Packet is a private copy of a packet of the host's. It lives until the
// handler returns.
type Packet struct {
	Type                uint16 // wire.PacketInBand ...; others are possible
	CompletionRequested bool
	Transaction         uint64
	Descriptor          []byte // what precedes the payload: ranges
	Payload             []byte // a multiple of 8 bytes: the last up to 7 are padding
}

// Limits of a batch, so that a handler gives room back and sees the channel's
// end in good time.
const (
	maxBatchPackets = 64
	maxBatchBytes   = 64 << 10 // more only for a single larger packet
)

// TransferPages reads the ranges of a transfer-page packet to dst[:0].
func (p *Packet) TransferPages(dst []wire.TransferPageRange) (set uint16, ranges []wire.TransferPageRange, err error) {
	h, err := wire.DecodeTransferPageHeader(p.Descriptor)
	if err != nil {
		return 0, nil, err
	}
	b := p.Descriptor[wire.TransferPageHeaderSize:]
	if uint64(h.RangeCount) > uint64(len(b)/wire.TransferPageRangeSize) {
		return 0, nil, fmt.Errorf("vmbus: %d transfer-page ranges in %d bytes: %w", h.RangeCount, len(b), wire.ErrMalformed)
	}
	dst = dst[:0]
	for range h.RangeCount {
		r, err := wire.DecodeTransferPageRange(b)
		if err != nil {
			return 0, nil, err
		}
		dst, b = append(dst, r), b[wire.TransferPageRangeSize:]
	}
	return h.SetID, dst, nil
}

// Serve receives packets and calls handler with batches of them, in this
// goroutine, until the channel fails or handler gives an error, which Serve
// returns. It returns ErrClosed after Close. One goroutine at a time may serve.
func (c *Channel) Serve(handler func(batch []Packet) error) error {
	if err := c.startServing(); err != nil {
		return err
	}
	defer c.stopServing()
	var b batch
	for {
		ticket := c.waker.ticket()
		if err := c.Err(); err != nil {
			return err
		}
		err := b.fill(&c.rx)
		if len(b.packets) > 0 {
			// What preceded a corrupt packet is still good.
			if herr := c.deliver(&b, handler); herr != nil {
				return herr
			}
			if err == nil {
				continue
			}
		}
		if err != nil {
			c.fail(err)
			return err
		}
		if err := c.sleep(ticket); err != nil {
			c.fail(err)
			return err
		}
	}
}

func (c *Channel) startServing() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if c.serving {
		return errors.New("vmbus: channel is served already")
	}
	c.serving = true
	c.refs++
	return nil
}

func (c *Channel) stopServing() {
	c.rx.mask.Store(1)
	c.mu.Lock()
	c.serving = false
	c.mu.Unlock()
	c.drop()
}

// deliver gives the ring space back, since the packets are copies, and then
// calls the handler.
func (c *Channel) deliver(b *batch, handler func([]Packet) error) error {
	if c.rx.publish() {
		c.stats.roomSignals.Add(1)
		if err := c.signal(); err != nil {
			return err
		}
	}
	c.stats.batches.Add(1)
	c.stats.received.Add(uint64(len(b.packets)))
	return handler(b.packets)
}

// sleep waits with the mask cleared, unless a packet came before it was.
func (c *Channel) sleep(ticket uint64) error {
	c.rx.mask.Store(0)
	defer c.rx.mask.Store(1)
	n, err := c.rx.available()
	if err != nil || n > 0 {
		return err
	}
	c.waker.wait(ticket)
	c.stats.wakes.Add(1)
	return nil
}

// batch holds copies of packets; its memory is used again and again.
type batch struct {
	packets []Packet
	mem     []byte
	full    bool // the last batch ended for want of memory
}

// fill takes as many packets as there are, within the limits.
func (b *batch) fill(r *receiveRing) error {
	b.packets = b.packets[:0]
	if b.full && len(b.mem) < maxBatchBytes {
		b.mem = make([]byte, 2*len(b.mem))
	}
	b.full = false
	used := 0
	for len(b.packets) < maxBatchPackets {
		h, ok, err := r.peek()
		if err != nil || !ok {
			return err
		}
		n := h.Length() - wire.PacketHeaderSize
		if used+n > len(b.mem) {
			if used > 0 { // packets lie in mem: end the batch here
				b.full = true
				return nil
			}
			b.mem = make([]byte, max(4096, n))
		}
		body := b.mem[used : used+n : used+n]
		r.take(h, body)
		used += n
		split := h.Offset() - wire.PacketHeaderSize
		b.packets = append(b.packets, Packet{
			Type:                h.Type,
			CompletionRequested: h.Flags&wire.PacketCompletionRequested != 0,
			Transaction:         h.Transaction,
			Descriptor:          body[:split:split],
			Payload:             body[split:],
		})
	}
	return nil
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Channel is a channel while the guest has it open: two rings and the signals.
//
// ReadPacket is for one goroutine; all else may be called from several.
type Channel struct {
	// UserData is what the guest sent along with OPEN_CHANNEL.
	UserData [wire.UserDataSize]byte
	// SubIndex is 0, or the number of a sub-channel from 1 on.
	SubIndex uint16

	port   *port
	server *Server
	gpadl  wire.GPADLID // of the rings

	vpMu sync.RWMutex // held while an interrupt goes to vp: none comes there once it is another
	vp   uint32

	cancel context.CancelFunc
	done   chan struct{} // closed when Serve has returned
	tape   *tape         // nil: nothing is recorded

	in       receiver
	readWake chan struct{} // capacity 1: the guest signalled

	turn      chan struct{} // capacity 1: held by the one writer that may wait for room
	writeWake chan struct{} // capacity 1: the guest signalled
	writeMu   sync.Mutex    // guards out and closed
	out       sender
	closed    bool
}

// Packet is a packet that the guest sent.
type Packet struct {
	Type            uint16 // wire Packet numbers
	Transaction     uint64
	WantsCompletion bool
	Payload         []byte   // a private copy; padded to a multiple of 8 bytes
	Buffers         []Buffer // GPA-direct: guest memory, one Buffer for each range
	SetID           uint16   // transfer page
	Ranges          []wire.TransferPageRange
}

// ReadPacket waits for the guest's next packet. It returns ctx's error when ctx ends,
// and an error that wraps ErrProtocol when the guest broke the ring; the channel is
// then of no further use and Serve should return the error.
func (c *Channel) ReadPacket(ctx context.Context) (Packet, error) {
	for {
		p, err := c.TryReadPacket()
		if !errors.Is(err, errRingEmpty) {
			return p, err
		}
		c.in.mask(false)
		if !c.in.empty() { // written before the mask fell: no signal will come
			c.in.mask(true)
			continue
		}
		select {
		case <-c.readWake:
			c.in.mask(true)
		case <-ctx.Done():
			return Packet{}, fmt.Errorf("vmbus: read: %w", context.Cause(ctx))
		}
	}
}

// Empty says whether err, from TryReadPacket, means that there is no packet now.
func Empty(err error) bool { return errors.Is(err, errRingEmpty) }

// TryReadPacket returns the next packet if there is one; otherwise Empty(err) is true.
func (c *Channel) TryReadPacket() (Packet, error) {
	at := c.in.out
	h, raw, signal, err := c.in.next()
	if err != nil {
		return Packet{}, err
	}
	if signal {
		c.signal()
	}
	if began := uint32(c.in.trailer >> 32); began != at {
		c.server.report(RuleRingTrailer, "channel %d: trailer says %#x, packet is at %#x", c.port.id, began, at)
	}
	p, err := c.decode(h, raw)
	if c.tape != nil {
		c.tape.received(&c.in, at, raw, p)
	}
	return p, err
}

func (c *Channel) decode(h wire.PacketHeader, raw []byte) (Packet, error) {
	p := Packet{
		Type: h.Type, Transaction: h.Transaction, WantsCompletion: h.Flags&wire.PacketCompletionRequested != 0,
		Payload: raw[h.Offset():],
	}
	extra := raw[wire.PacketHeaderSize:h.Offset()]
	switch h.Type {
	case wire.PacketInBand, wire.PacketCompletion:
		return p, nil
	case wire.PacketGPADirect:
		g, err := wire.DecodeGPADirectHeader(extra)
		if err != nil || g.RangeCount == 0 {
			return p, broken(RuleRingPacket, "GPA-direct packet with %d ranges: %v", g.RangeCount, err)
		}
		p.Buffers, err = decodeRanges(c.server.vm.Memory(), extra[wire.GPADirectHeaderSize:], int(g.RangeCount), RuleRingPacket, RuleRingMemory)
		return p, err
	case wire.PacketTransferPage:
		return c.decodeTransfer(p, extra)
	}
	return p, broken(RuleRingPacket, "packet type %d", h.Type)
}

func (c *Channel) decodeTransfer(p Packet, extra []byte) (Packet, error) {
	t, err := wire.DecodeTransferPageHeader(extra)
	if err != nil {
		return p, broken(RuleRingPacket, "transfer-page packet: %v", err)
	}
	p.SetID = t.SetID
	extra = extra[wire.TransferPageHeaderSize:]
	if uint64(t.RangeCount)*wire.TransferPageRangeSize > uint64(len(extra)) {
		return p, broken(RuleRingPacket, "transfer-page packet: %d ranges in %d bytes", t.RangeCount, len(extra))
	}
	for ; t.RangeCount > 0; t.RangeCount-- {
		r, err := wire.DecodeTransferPageRange(extra)
		if err != nil {
			return p, broken(RuleRingPacket, "transfer-page packet: %v", err)
		}
		p.Ranges = append(p.Ranges, r)
		extra = extra[wire.TransferPageRangeSize:]
	}
	return p, nil
}

// OutPacket is a packet to the guest. Its size with headers must fit the ring and
// 65535 * 8 bytes, else ErrPacketSize.
type OutPacket struct {
	Type            uint16 // PacketInBand, PacketTransferPage or PacketCompletion
	Transaction     uint64
	WantsCompletion bool
	Payload         []byte                   // padded to a multiple of 8 bytes
	SetID           uint16                   // transfer page
	Ranges          []wire.TransferPageRange // transfer page
}

func (p *OutPacket) encode(pad byte) ([]byte, error) {
	size := wire.PacketHeaderSize
	if p.Type == wire.PacketTransferPage {
		size += wire.TransferPageHeaderSize + len(p.Ranges)*wire.TransferPageRangeSize
	}
	len8 := (size + len(p.Payload) + 7) / 8
	if len8 > wire.MaxPacketLen8 {
		return nil, ErrPacketSize
	}
	h := wire.PacketHeader{Type: p.Type, Off8: uint16(size / 8), Len8: uint16(len8), Transaction: p.Transaction}
	if p.WantsCompletion {
		h.Flags = wire.PacketCompletionRequested
	}
	b := h.AppendTo(make([]byte, 0, len8*8))
	if p.Type == wire.PacketTransferPage {
		b = wire.TransferPageHeader{SetID: p.SetID, RangeCount: uint32(len(p.Ranges))}.AppendTo(b)
		for _, r := range p.Ranges {
			b = r.AppendTo(b)
		}
	}
	b = append(b, p.Payload...)
	for len(b) < len8*8 {
		b = append(b, pad)
	}
	return b, nil
}

// WritePacket sends a packet. While the ring is full it waits until the guest made
// room (it asks the guest to signal that by the pending send size), or ctx ends.
func (c *Channel) WritePacket(ctx context.Context, p OutPacket) error {
	pad := c.server.garbage()
	b, err := p.encode(pad)
	if err != nil {
		return err
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return fmt.Errorf("vmbus: write: %w", context.Cause(ctx))
	}
	for {
		if err := c.write(b, pad, true); !errors.Is(err, errRingFull) {
			return err
		}
		select {
		case <-c.writeWake: // perhaps for another reason: look again
		case <-ctx.Done():
			return fmt.Errorf("vmbus: write: %w", context.Cause(ctx))
		}
	}
}

// TryWritePacket is WritePacket without waiting: ok is false if the ring is full.
func (c *Channel) TryWritePacket(p OutPacket) (ok bool, err error) {
	pad := c.server.garbage()
	b, err := p.encode(pad)
	if err != nil {
		return false, err
	}
	if err = c.write(b, pad, false); errors.Is(err, errRingFull) {
		return false, nil
	}
	return err == nil, err
}

// Complete sends a completion packet with the transaction id of the packet it answers.
func (c *Channel) Complete(ctx context.Context, transaction uint64, payload []byte) error {
	return c.WritePacket(ctx, OutPacket{Type: wire.PacketCompletion, Transaction: transaction, Payload: payload})
}

// write puts b into the ring and signals. If the ring is full and wait is true, the
// guest has been asked to signal when b fits.
func (c *Channel) write(b []byte, pad byte, wait bool) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if c.closed {
		return ErrClosed
	}
	reserved := uint32(pad) * 0x01010101
	signal, err := c.out.write(b, reserved)
	if wait && errors.Is(err, errRingFull) {
		c.out.await(len(b) + wire.PacketTrailerSize)
		// The guest may have made room before it could see the wish.
		if signal, err = c.out.write(b, reserved); errors.Is(err, errRingFull) {
			return err
		}
	}
	if wait {
		c.out.await(0)
	}
	if signal {
		c.signal()
	}
	return err
}

// signal interrupts the guest.
func (c *Channel) signal() {
	c.vpMu.RLock()
	defer c.vpMu.RUnlock()
	if c.vp == wire.VPDisableInterrupt {
		return
	}
	c.server.signalGuest(c.vp, c.port)
}

// retarget moves the interrupts of a channel that has some to another processor. Once
// it has returned, no more come to the old one.
func (c *Channel) retarget(vp uint32) error {
	c.vpMu.Lock()
	defer c.vpMu.Unlock()
	if c.vp == wire.VPDisableInterrupt || vp >= c.server.vm.VPs() { // it cannot be switched on or off
		return broken(RuleTargetVP, "channel %d, from VP %#x to VP %#x", c.port.id, c.vp, vp)
	}
	c.vp = vp
	return nil
}

// wake is the guest's signal.
func (c *Channel) wake() {
	for _, ch := range [...]chan struct{}{c.readWake, c.writeWake} {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// finish makes all further writes fail: the guest may use the ring's pages anew.
func (c *Channel) finish() {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	c.closed = true
}

// Version returns the protocol version of the connection.
func (c *Channel) Version() wire.Version { return c.port.version }

// ID returns the channel id, for logs.
func (c *Channel) ID() wire.ChannelID { return c.port.id }

// Report tells Options.Strict that the guest broke a rule of the device's protocol in a
// way that the device survives. If it does not, Serve returns Broken instead.
func (c *Channel) Report(format string, args ...any) {
	c.server.report(RuleDevice, format, args...)
}

// Memory returns the guest's RAM, for devices that the guest tells page numbers in
// messages of their own.
func (c *Channel) Memory() Memory { return c.server.vm.Memory() }

// Log returns the server's log, for devices.
func (c *Channel) Log() *slog.Logger { return c.server.log }

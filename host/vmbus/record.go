// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"bytes"
	"encoding/binary"
	"sync"

	"github.com/hvgo/hvgo/host/record"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// tape records a channel. Messages and packets are recorded before the other side can
// act on them, so that an answer never stands before its question; signals of the
// guest's afterwards, with their outcome.
type tape struct {
	r       *record.Recorder
	channel uint32

	mu    sync.Mutex
	pages map[uint64]lent // guarded by mu: GPA-direct packets by transaction
}

// lent is memory that the guest lends to the host until the completion.
type lent struct {
	buffers []Buffer
	seen    []byte // as recorded with the packet
}

// recordMessage is PostMessage of a server that records.
func (s *Server) recordMessage(connection, msgType uint32, payload []byte) tlfs.Status {
	s.opt.Record.Message(false, connection, SINT, payload)
	status := s.postMessage(connection, msgType, payload)
	if status != tlfs.StatusSuccess {
		s.opt.Record.Refused(connection, status)
	}
	return status
}

// recordSignal is SignalEvent of a server that records.
func (s *Server) recordSignal(connection uint32, flag uint16) tlfs.Status {
	s.signalMu.RLock()
	var channel uint32
	if p := s.byConn[connection]; p != nil {
		channel = uint32(p.id)
	}
	s.signalMu.RUnlock()
	status := s.signalEvent(connection, flag)
	s.opt.Record.Signal(false, channel, connection, flag, status)
	return status
}

// newTape begins to record a channel; nil if nothing is recorded.
func (s *Server) newTape(c *Channel) *tape {
	if s.opt.Record == nil {
		return nil
	}
	t := &tape{r: s.opt.Record, channel: uint32(c.port.id), pages: map[uint64]lent{}}
	t.r.Add(record.Record{Kind: record.Channel, Channel: t.channel, Opened: record.Opened{
		Interface: c.port.offer.Interface, Instance: c.port.offer.Instance, SubIndex: uint32(c.port.subIndex),
		ToHost: c.in.size, ToGuest: c.out.size,
	}})
	c.out.sent = t.sent
	return t
}

// received records a packet of the guest's and remembers the memory that it lends.
func (t *tape) received(in *receiver, at uint32, raw []byte, p Packet) {
	rec := record.Record{
		Kind: record.Packet, Channel: t.channel, Data: raw, Ring: in.words(), Position: at, Trailer: in.trailer,
	}
	rec.Total, rec.Memory = t.first(p.Buffers)
	t.r.Add(rec)
	if len(p.Buffers) == 0 || !p.WantsCompletion {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.pages) < maxLent {
		t.pages[p.Transaction] = lent{p.Buffers, rec.Memory}
	}
}

// sent records a packet to the guest that is about to be seen, and before a
// completion what the host has put into the memory lent to it.
func (t *tape) sent(out *sender, packet, trailer []byte) {
	if h, err := wire.DecodePacketHeader(packet); err == nil && h.Type == wire.PacketCompletion {
		t.returned(h.Transaction)
	}
	t.r.Add(record.Record{
		Kind: record.Packet, ToGuest: true, Channel: t.channel, Data: packet, Ring: out.words(), Position: out.in,
		Trailer: binary.LittleEndian.Uint64(trailer),
	})
}

// returned records the memory of a transaction if the host has changed it.
func (t *tape) returned(transaction uint64) {
	t.mu.Lock()
	l, ok := t.pages[transaction]
	delete(t.pages, transaction)
	t.mu.Unlock()
	if !ok {
		return
	}
	total, now := t.first(l.buffers)
	if bytes.Equal(now, l.seen) {
		return
	}
	t.r.Add(record.Record{
		Kind: record.Memory, ToGuest: true, Channel: t.channel, Origin: record.OriginPages, ID: transaction, Total: total, Memory: now,
	})
}

// first copies the first bytes of some buffers, and counts all.
func (t *tape) first(buffers []Buffer) (total uint32, b []byte) {
	room := t.r.Payload()
	for _, buf := range buffers {
		total += uint32(buf.Len())
		n := min(room-len(b), buf.Len())
		b = append(b, make([]byte, n)...)
		_, _ = buf.ReadAt(b[len(b)-n:], 0) // n bytes are there
	}
	return total, b
}

// RecordMemory records n bytes of a shared buffer, where the device's protocol says
// that one side gives them to the other. It does nothing if nothing is recorded.
func (c *Channel) RecordMemory(toGuest bool, g *GPADL, offset, n int) {
	if c.tape == nil || g == nil || len(g.Ranges) == 0 {
		return
	}
	part, err := g.Ranges[0].Slice(offset, n)
	if err != nil {
		return // the device will say what is wrong
	}
	total, b := c.tape.first([]Buffer{part})
	c.tape.r.Add(record.Record{
		Kind: record.Memory, ToGuest: toGuest, Channel: c.tape.channel, Origin: record.OriginGPADL,
		ID: uint64(g.ID), Offset: uint64(offset), Total: total, Memory: b,
	})
}

// words reads a ring's control page, as either side has it now.
func (r *ring) words() record.Ring {
	w := func(off int) uint32 { return word(r.control, off).Load() }
	return record.Ring{
		In: w(wire.RingInOffset), Out: w(wire.RingOutOffset), Mask: w(wire.RingInterruptMask),
		Pending: w(wire.RingPendingSendSize), Features: w(wire.RingFeatureBits),
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
	"context"

	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/wire/nvsp"
	"github.com/hvgo/hvgo/internal/wire/rndis"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

const (
	// packetHeader is what stands before the frame in a slot: the RNDIS packet
	// message and one piece of per-packet information, on checksums.
	packetHeader = rndis.PacketSize + rndis.PPI32Size

	maxBatch      = 32 // frames in one transfer to the guest
	reservedSlots = 16 // at most, for control messages: frames never take the last ones
	packAlign     = 8
)

// receiveBuffer is the guest's memory that the host writes to. A slot is free, or
// in out until the guest completes the transfer that holds it.
type receiveBuffer struct {
	gpadl    *vmbus.GPADL // nil: none
	id       uint16       // the guest's name for it
	slotSize int          // bytes
	reserved int          // free slots that frames leave
	free     []int
	out      map[uint64][]int // by transaction
	next     uint64           // transaction
}

// share begins the use of a buffer.
func (r *receiveBuffer) share(g *vmbus.GPADL, id uint16, size, slots int) {
	r.gpadl, r.id, r.slotSize, r.reserved = g, id, size, min(reservedSlots, slots/4)
	if r.out == nil {
		r.out = map[uint64][]int{}
	}
	for i := slots - 1; i >= 0; i-- {
		r.free = append(r.free, i)
	}
}

// revoke ends it. The guest may complete what is under way all the same, even when it
// has shared another buffer.
func (r *receiveBuffer) revoke() {
	r.gpadl.Release()
	r.gpadl, r.free = nil, nil
	for transaction := range r.out {
		r.out[transaction] = nil
	}
}

// poke wakes pump.
func (s *session) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// pump writes to the ring until ctx ends. Completions go first: they give the guest
// the means to go on.
func (s *session) pump(ctx context.Context) error {
	for {
		select {
		case c := <-s.done:
			if err := s.ch.Complete(ctx, c.transaction, c.payload); err != nil {
				return err
			}
			continue
		default:
		}
		p, ok := s.nextTransfer()
		s.nic.tellRoom()
		if ok {
			if err := s.ch.WritePacket(ctx, p); err != nil {
				return err
			}
			continue
		}
		select {
		case c := <-s.done:
			if err := s.ch.Complete(ctx, c.transaction, c.payload); err != nil {
				return err
			}
		case <-s.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// nextTransfer puts an answer, or as many frames as there are, into free slots and
// returns the packet that names them.
func (s *session) nextTransfer() (vmbus.OutPacket, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.receive
	if r.gpadl == nil || len(r.free) == 0 {
		return vmbus.OutPacket{}, false
	}
	if len(s.controls) > 0 {
		b := s.controls[0]
		s.controls = s.controls[1:]
		return s.transferPacket(nvsp.ChannelControl, []slot{r.take(b)}), true
	}
	var slots []slot
	for len(slots) < maxBatch && len(r.free) > r.reserved && s.listening.Load() {
		b := s.fillSlot()
		if len(b) == 0 {
			break
		}
		slots = append(slots, r.take(b))
	}
	if len(slots) == 0 {
		return vmbus.OutPacket{}, false
	}
	s.nic.stats.toGuestTransfers.Add(1)
	return s.transferPacket(nvsp.ChannelData, slots), true
}

// slot is a slot with what was written to it.
type slot struct{ index, length int }

// take writes b into a free slot.
func (r *receiveBuffer) take(b []byte) slot {
	i := r.free[len(r.free)-1]
	r.free = r.free[:len(r.free)-1]
	n, _ := r.gpadl.Ranges[0].WriteAt(b[:min(len(b), r.slotSize)], i*r.slotSize)
	return slot{i, n}
}

// transferPacket enters a transfer and returns its packet. mu is held.
func (s *session) transferPacket(channel uint32, slots []slot) vmbus.OutPacket {
	r := &s.receive
	m := nvsp.SendRNDISPacket{ChannelType: channel, SectionIndex: nvsp.NoSection}
	p := vmbus.OutPacket{
		Type: wire.PacketTransferPage, Transaction: r.next, WantsCompletion: true,
		Payload: s.pad(m.AppendTo(nil)), SetID: r.id,
	}
	var taken []int
	for _, sl := range slots {
		s.ch.RecordMemory(true, r.gpadl, sl.index*r.slotSize, sl.length)
		taken = append(taken, sl.index)
		p.Ranges = append(p.Ranges, wire.TransferPageRange{ByteCount: uint32(sl.length), ByteOffset: uint32(sl.index * r.slotSize)})
	}
	r.out[r.next] = taken
	r.next++
	return p
}

// fillSlot returns the contents of one slot: the next frame as an RNDIS packet
// message, or several with Options.Pack; nothing if no frame waits. mu is held.
func (s *session) fillSlot() (b []byte) {
	for {
		room := s.receive.slotSize - len(b)
		if len(b) > 0 && (!s.nic.opt.Pack || room < packetHeader+s.mtu+packAlign) {
			return b
		}
		q, ok := s.nic.next()
		if !ok {
			return b
		}
		if !s.wants(q.frame) || s.nic.lose(true, q.frame) {
			continue
		}
		if s.nic.opt.Pack {
			b = appendPacket(b, q.frame, s.rxChecksum(q), packAlign)
		} else {
			b = appendPacket(b, q.frame, s.rxChecksum(q), 1)
		}
		s.nic.stats.toGuest.Add(1)
		s.nic.stats.toGuestBytes.Add(uint64(len(q.frame)))
	}
}

// wants tells whether the guest is to get a frame. mu is held.
func (s *session) wants(frame []byte) bool {
	if len(frame) > s.mtu {
		s.nic.stats.toGuestBad.Add(1)
		return false
	}
	if !passes(s.filter.Load(), frame, s.nic.opt.MAC) {
		s.nic.stats.toGuestFiltered.Add(1)
		return false
	}
	return true
}

// passes applies a packet filter.
func passes(filter uint32, frame []byte, mac [6]byte) bool {
	dst := [6]byte(frame)
	switch {
	case filter&rndis.FilterPromiscuous != 0:
		return true
	case dst == [6]byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}:
		return filter&rndis.FilterBroadcast != 0
	case dst[0]&1 != 0:
		return filter&(rndis.FilterMulticast|rndis.FilterAllMulticast) != 0
	}
	return filter&rndis.FilterDirected != 0 && dst == mac
}

// appendPacket appends frame as an RNDIS packet message, padded to a multiple of align.
func appendPacket(b, frame []byte, c rndis.ChecksumRx, align int) []byte {
	length := packetHeader + len(frame)
	pad := -length & (align - 1)
	m := rndis.Packet{
		Length: uint32(length + pad), DataOffset: packetHeader - rndis.HeaderSize, DataLength: uint32(len(frame)),
		PPIOffset: rndis.PacketSize - rndis.HeaderSize, PPILength: rndis.PPI32Size,
	}
	b = rndis.AppendPPI32(m.AppendTo(b), rndis.PPIChecksum, uint32(c))
	b = append(b, frame...)
	return append(b, make([]byte, pad)...)
}

// completed takes slots back from the guest.
func (s *session) completed(p vmbus.Packet) error {
	if m, err := nvsp.DecodeSendRNDISPacketComplete(p.Payload); err != nil {
		s.report(RuleCompletion, "transaction %#x: %v", p.Transaction, err)
	} else if m.Status != nvsp.StatusSuccess {
		s.nic.stats.toGuestRejected.Add(1)
	}
	s.mu.Lock()
	r := &s.receive
	slots, ok := r.out[p.Transaction]
	delete(r.out, p.Transaction)
	if r.gpadl != nil {
		r.free = append(r.free, slots...)
	}
	s.mu.Unlock()
	if !ok {
		return broken(RuleCompletion, "transaction %#x is not under way", p.Transaction)
	}
	s.poke()
	return nil
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
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
	slots    int
	free     []int
	out      map[uint64]transfer // by transaction
	next     uint64              // transaction
}

// transfer is what is under way to the guest.
type transfer struct {
	queue int   // by which it went, and must be completed
	slots []int // nil after the buffer was revoked
}

// share begins the use of a buffer.
func (r *receiveBuffer) share(g *vmbus.GPADL, id uint16, size, slots int) {
	r.gpadl, r.id, r.slotSize, r.slots, r.reserved = g, id, size, slots, min(reservedSlots, slots/4)
	if r.out == nil {
		r.out = map[uint64]transfer{}
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
	for transaction, t := range r.out {
		r.out[transaction] = transfer{queue: t.queue}
	}
}

// forget takes back what went by a channel that is closed now.
func (r *receiveBuffer) forget(queue int) {
	for transaction, t := range r.out {
		if t.queue == queue {
			r.free = append(r.free, t.slots...)
			delete(r.out, transaction)
		}
	}
}

// nextPacket returns what the channel sends next: a notice or an answer if it is the
// primary one, or as many frames as there are, in free slots.
func (q *queue) nextPacket() (vmbus.OutPacket, bool) {
	s := q.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.index == 0 && len(s.notices) > 0 {
		b := s.notices[0]
		s.notices = s.notices[1:]
		return vmbus.OutPacket{Type: wire.PacketInBand, Payload: b}, true
	}
	r := &s.receive
	if r.gpadl == nil || len(r.free) == 0 {
		return vmbus.OutPacket{}, false
	}
	if q.index == 0 && len(s.controls) > 0 {
		b := s.controls[0]
		s.controls = s.controls[1:]
		return q.transferPacket(nvsp.ChannelControl, []slot{r.take(b)}), true
	}
	var slots []slot
	for len(slots) < maxBatch && len(r.free) > r.reserved && s.listening.Load() {
		b := q.fillSlot()
		if len(b) == 0 {
			break
		}
		slots = append(slots, r.take(b))
	}
	if len(slots) == 0 {
		return vmbus.OutPacket{}, false
	}
	s.nic.stats.toGuestTransfers.Add(1)
	return q.transferPacket(nvsp.ChannelData, slots), true
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
func (q *queue) transferPacket(channel uint32, slots []slot) vmbus.OutPacket {
	r := &q.s.receive
	m := nvsp.SendRNDISPacket{ChannelType: channel, SectionIndex: nvsp.NoSection}
	p := vmbus.OutPacket{
		Type: wire.PacketTransferPage, Transaction: r.next, WantsCompletion: true,
		Payload: q.s.pad(m.AppendTo(nil)), SetID: r.id,
	}
	var taken []int
	for _, sl := range slots {
		q.ch.RecordMemory(true, r.gpadl, sl.index*r.slotSize, sl.length)
		taken = append(taken, sl.index)
		p.Ranges = append(p.Ranges, wire.TransferPageRange{ByteCount: uint32(sl.length), ByteOffset: uint32(sl.index * r.slotSize)})
	}
	r.out[r.next] = transfer{q.index, taken}
	r.next++
	return p
}

// fillSlot returns the contents of one slot: the next frame as an RNDIS packet
// message, or several with Options.Pack; nothing if no frame waits. mu is held.
func (q *queue) fillSlot() (b []byte) {
	s := q.s
	for {
		room := s.receive.slotSize - len(b)
		if len(b) > 0 && (!s.nic.opt.Pack || room < packetHeader+s.mtu+packAlign) {
			return b
		}
		f, ok := q.next()
		if !ok {
			return b
		}
		if !s.wants(f.frame) || s.nic.lose(true, f.frame) {
			continue
		}
		align := 1
		if s.nic.opt.Pack {
			align = packAlign
		}
		c := s.rxChecksum(f)
		b = appendPacket(b, f.frame, c, align)
		if c != 0 {
			s.nic.stats.checkedToGuest.Add(1)
		}
		s.nic.stats.toGuest.Add(1)
		s.nic.stats.toGuestBytes.Add(uint64(len(f.frame)))
		s.nic.channels[q.index].toGuest.Add(1)
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
func (q *queue) completed(p vmbus.Packet) error {
	s := q.s
	if m, err := nvsp.DecodeSendRNDISPacketComplete(p.Payload); err != nil {
		s.report(RuleCompletion, "transaction %#x: %v", p.Transaction, err)
	} else if m.Status != nvsp.StatusSuccess {
		s.nic.stats.toGuestRejected.Add(1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.receive
	t, ok := r.out[p.Transaction]
	if !ok || t.queue != q.index {
		return broken(RuleCompletion, "transaction %#x is not under way on channel %d", p.Transaction, q.index)
	}
	delete(r.out, p.Transaction)
	if r.gpadl != nil {
		r.free = append(r.free, t.slots...)
	}
	if len(r.free)-len(t.slots) > r.reserved { // nobody else waits for slots
		q.poke()
		return nil
	}
	for _, q := range s.queues {
		if q != nil {
			q.poke()
		}
	}
	return nil
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"encoding/binary"
	"errors"
	"fmt"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

var (
	errRingEmpty = errors.New("vmbus: ring empty")
	errRingFull  = errors.New("vmbus: ring full")
	// ErrPacketSize is returned for a packet that could never fit in the ring.
	ErrPacketSize = errors.New("vmbus: packet larger than the ring")
)

func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// ring is one direction of a channel: a control page and data pages, all in guest
// memory. Indices count bytes in the data pages and are multiples of 8.
type ring struct {
	control []byte
	data    [][]byte
	size    uint32 // bytes of data
}

// newRing makes a ring of whole guest pages, the first being the control page.
func newRing(pages [][]byte) (ring, error) {
	if len(pages) < 2 {
		return ring{}, fmt.Errorf("vmbus: ring of %d pages", len(pages))
	}
	for _, p := range pages {
		if len(p) != wire.PageSize || !aligned(p) {
			return ring{}, errors.New("vmbus: ring page incomplete or unaligned")
		}
	}
	return ring{pages[0], pages[1:], uint32(len(pages)-1) * wire.PageSize}, nil
}

// load reads an index of the control page and checks it.
func (r *ring) load(off int) (uint32, error) {
	v := word(r.control, off).Load()
	if v >= r.size || v%8 != 0 {
		return 0, broken(RuleRingIndex, "index at %d is %#x in a ring of %#x bytes", off, v, r.size)
	}
	return v, nil
}

// used returns the bytes between two indices. Never the whole size: a full ring keeps
// 8 bytes free, else it would look empty.
func (r *ring) used(in, out uint32) uint32 {
	if in >= out {
		return in - out
	}
	return r.size - out + in
}

func (r *ring) free(in, out uint32) uint32 { return r.size - 8 - r.used(in, out) }

func (r *ring) add(index, n uint32) uint32 { return (index + n) % r.size }

// copyOut copies len(dst) bytes at index out of the ring; copyIn copies into it. Both wrap.
func (r *ring) copyOut(index uint32, dst []byte) {
	for len(dst) > 0 {
		n := copy(dst, r.data[index/wire.PageSize][index%wire.PageSize:])
		dst, index = dst[n:], r.add(index, uint32(n))
	}
}

func (r *ring) copyIn(index uint32, src []byte) {
	for len(src) > 0 {
		n := copy(r.data[index/wire.PageSize][index%wire.PageSize:], src)
		src, index = src[n:], r.add(index, uint32(n))
	}
}

// receiver is the reading end. out is ours: it is written to the control page, never
// read back but to see that the guest left it alone.
type receiver struct {
	ring
	out     uint32
	trailer uint64 // of the last packet: its high half is the offset at which the guest says it began
}

// next takes the next packet out of the ring, without its trailer, as a private copy.
// signal says that the sender waits for room and now has it.
func (r *receiver) next() (h wire.PacketHeader, packet []byte, signal bool, err error) {
	if got := word(r.control, wire.RingOutOffset).Load(); got != r.out {
		return h, nil, false, broken(RuleRingOwner, "the receiver's index became %#x, was %#x", got, r.out)
	}
	in, err := r.load(wire.RingInOffset)
	if err != nil {
		return h, nil, false, err
	}
	avail := r.used(in, r.out)
	if avail == 0 {
		return h, nil, false, errRingEmpty
	}
	if h, packet, err = r.packet(avail); err != nil {
		return h, nil, false, err
	}
	return h, packet, r.advance(uint32(len(packet)) + wire.PacketTrailerSize), nil
}

// packet copies and checks the packet at out; avail bytes are there.
func (r *receiver) packet(avail uint32) (h wire.PacketHeader, packet []byte, err error) {
	if avail < wire.PacketHeaderSize+wire.PacketTrailerSize {
		return h, nil, broken(RuleRingPacket, "%d bytes in the ring are no packet", avail)
	}
	var header [wire.PacketHeaderSize]byte
	r.copyOut(r.out, header[:])
	if h, err = wire.DecodePacketHeader(header[:]); err != nil {
		return h, nil, broken(RuleRingPacket, "%v", err)
	}
	if uint32(h.Length())+wire.PacketTrailerSize > avail {
		return h, nil, broken(RuleRingPacket, "packet of %d bytes, %d in the ring", h.Length(), avail)
	}
	if h.Flags&^wire.PacketCompletionRequested != 0 {
		return h, nil, broken(RuleRingPacket, "unknown flags %#x", h.Flags)
	}
	packet = make([]byte, h.Length()+wire.PacketTrailerSize)
	r.copyOut(r.out, packet)
	copy(packet, header[:]) // the header as checked, whatever the guest wrote since
	r.trailer = le64(packet[h.Length():])
	return h, packet[:h.Length():h.Length()], nil
}

// advance frees n bytes and says whether the sender asked to be signalled for that:
// its pending send size lies above the room there was and not above the room there is.
// The low bits of the pending size are dropped: some guests ask for the ring's size
// minus one, which never comes.
func (r *receiver) advance(n uint32) (signal bool) {
	old := r.out
	r.out = r.add(r.out, n)
	word(r.control, wire.RingOutOffset).Store(r.out)
	pending := word(r.control, wire.RingPendingSendSize).Load() &^ 7
	in, err := r.load(wire.RingInOffset)
	if pending == 0 || err != nil {
		return false
	}
	return r.free(in, old) < pending && r.free(in, r.out) >= pending
}

// mask tells the sender whether to signal new packets (false) or not (true).
func (r *receiver) mask(on bool) {
	v := uint32(0)
	if on {
		v = 1
	}
	word(r.control, wire.RingInterruptMask).Store(v)
}

// empty says whether there is nothing to read; a broken index counts as something.
func (r *receiver) empty() bool {
	in, err := r.load(wire.RingInOffset)
	return err == nil && in == r.out
}

// sender is the writing end. in is ours.
type sender struct {
	ring
	in   uint32
	sent func(w *sender, packet, trailer []byte) // nil, or told of each packet before it can be seen
}

// write puts a packet (header to payload, a multiple of 8 bytes) and its trailer into
// the ring. signal says that the receiver must be told: it has not masked signals, and
// had read everything before this packet, so it may be asleep.
func (w *sender) write(packet []byte, reserved uint32) (signal bool, err error) {
	if got := word(w.control, wire.RingInOffset).Load(); got != w.in {
		return false, broken(RuleRingOwner, "the sender's index became %#x, was %#x", got, w.in)
	}
	need := uint64(len(packet)) + wire.PacketTrailerSize
	if need > uint64(w.size-8) || len(packet)%8 != 0 {
		return false, ErrPacketSize
	}
	out, err := w.load(wire.RingOutOffset)
	if err != nil {
		return false, err
	}
	if uint64(w.free(w.in, out)) < need {
		return false, errRingFull
	}
	old := w.in
	trailer := binary.LittleEndian.AppendUint32(nil, reserved)
	trailer = binary.LittleEndian.AppendUint32(trailer, old)
	w.copyIn(old, packet)
	w.copyIn(w.add(old, uint32(len(packet))), trailer)
	if w.sent != nil {
		w.sent(w, packet, trailer)
	}
	w.in = w.add(old, uint32(need))
	word(w.control, wire.RingInOffset).Store(w.in)
	if word(w.control, wire.RingInterruptMask).Load() != 0 {
		return false, nil
	}
	return word(w.control, wire.RingOutOffset).Load() == old, nil
}

// await sets the room in bytes at which the receiver shall signal; 0 takes it back.
func (w *sender) await(n int) {
	word(w.control, wire.RingPendingSendSize).Store(uint32(n))
}

// init announces that the pending send size is honoured.
func (w *sender) init() {
	f := word(w.control, wire.RingFeatureBits)
	f.Store(f.Load() | wire.RingFeaturePendingSend)
	w.await(0)
}

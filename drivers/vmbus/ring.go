// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// A ring is a control page and a data area:
//
//	 out                in
//	  v                  v
//	+----+--------------+------------------+
//	|    | packets      |      free        |      in == out: empty
//	+----+--------------+------------------+
//
// The sender moves in, the receiver moves out; both wrap at the data area's
// end. A full ring must not look like an empty one, so 8 bytes stay free.
//
// The contract about signals, which both sides must keep or the channel stops:
//
//   - Sender: store in, then load the interrupt mask. Signal when the mask is
//     clear and the receiver had emptied the ring (out equals the old in).
//     Otherwise the receiver is awake, or was signalled and has not come yet.
//   - Receiver: set the mask, drain, clear the mask, then look once more. A
//     packet stored between the last look and the clearing was not signalled.
//   - Sender that waits for room: store the pending send size, then look at
//     out once more, then sleep.
//   - Receiver: store out, then load the pending send size. Signal when the
//     free space was below it before and no longer is.
//
// Each rule is a store followed by a load of the other side's word. Go's
// atomic operations are sequentially consistent, which is what that needs.

// CorruptError says what was wrong in a ring that the host writes to. It wraps
// ErrCorrupt.
type CorruptError struct {
	Ring   string // "send" or "receive"
	Detail string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("vmbus: corrupt %s ring: %s", e.Ring, e.Detail)
}

// Unwrap gives ErrCorrupt.
func (e *CorruptError) Unwrap() error { return ErrCorrupt }

// ringMem is the shared part of a ring.
type ringMem struct {
	in, out, mask, pending, features *atomic.Uint32
	data                             []byte
	size                             uint32 // of data, in bytes; a multiple of PageSize
}

// maxRing keeps index arithmetic far from 32 bits.
const maxRing = 1 << 28

func newRingMem(mem []byte) (ringMem, error) {
	if len(mem) < 2*PageSize || len(mem)%PageSize != 0 || len(mem) > maxRing || !aligned(mem, 8) {
		return ringMem{}, fmt.Errorf("vmbus: %d bytes cannot hold a ring", len(mem))
	}
	return ringMem{
		in:       word(mem, wire.RingInOffset),
		out:      word(mem, wire.RingOutOffset),
		mask:     word(mem, wire.RingInterruptMask),
		pending:  word(mem, wire.RingPendingSendSize),
		features: word(mem, wire.RingFeatureBits),
		data:     mem[wire.RingControlSize:],
		size:     uint32(len(mem) - wire.RingControlSize),
	}, nil
}

func (r *ringMem) valid(index uint32) bool { return index < r.size && index%8 == 0 }

// distance is how far it is from one index forward to another.
func (r *ringMem) distance(from, to uint32) uint32 {
	if to >= from {
		return to - from
	}
	return to + r.size - from
}

func (r *ringMem) add(index, n uint32) uint32 {
	index += n
	if index >= r.size {
		index -= r.size
	}
	return index
}

// copyIn writes b, at most size bytes, to the data area.
func (r *ringMem) copyIn(index uint32, b []byte) {
	n := copy(r.data[index:], b)
	copy(r.data, b[n:])
}

// copyOut fills b, at most size bytes, from the data area.
func (r *ringMem) copyOut(b []byte, index uint32) {
	n := copy(b, r.data[index:])
	copy(b[n:], r.data)
}

// sendRing is the ring whose packets we write. It is used under Tx.mu.
type sendRing struct {
	ringMem
	next      uint32 // where the next packet begins
	published uint32 // what the host knows as in
	hostOut   uint32 // the last valid out of the host's
}

func newSendRing(mem []byte) (sendRing, error) {
	m, err := newRingMem(mem)
	if err != nil {
		return sendRing{}, err
	}
	m.features.Store(wire.RingFeaturePendingSend)
	return sendRing{ringMem: m}, nil
}

// max is the largest packet, trailer included, that may be written.
func (s *sendRing) max() uint32 { return s.size - 16 }

// free gives the room for packets in bytes. The host's index must lie between
// where it was and what we published.
func (s *sendRing) free() (uint32, error) {
	out := s.out.Load()
	if !s.valid(out) || s.distance(s.hostOut, out) > s.distance(s.hostOut, s.published) {
		return 0, &CorruptError{"send", fmt.Sprintf("out %#x, was %#x, in %#x, size %#x", out, s.hostOut, s.published, s.size)}
	}
	s.hostOut = out
	return s.size - 8 - s.distance(out, s.next), nil
}

// write puts one encoded packet (a multiple of 8 bytes, without trailer) behind
// the others. There must be room for it and its trailer.
func (s *sendRing) write(packet []byte) {
	s.copyIn(s.next, packet)
	end := s.add(s.next, uint32(len(packet)))
	binary.LittleEndian.PutUint64(s.data[end:], uint64(s.next)<<32)
	s.next = s.add(end, wire.PacketTrailerSize)
}

// publish shows the written packets to the host and reports whether it must be
// signalled.
func (s *sendRing) publish() (signal bool) {
	old := s.published
	if old == s.next {
		return false
	}
	s.published = s.next
	s.in.Store(s.next)
	return s.mask.Load() == 0 && s.out.Load() == old
}

// receiveRing is the ring whose packets the host writes. It is used by the
// goroutine in Channel.Serve only.
type receiveRing struct {
	ringMem
	next      uint32 // where the next packet begins
	published uint32 // what the host knows as out
	hostIn    uint32 // the last valid in of the host's
}

func newReceiveRing(mem []byte) (receiveRing, error) {
	m, err := newRingMem(mem)
	if err != nil {
		return receiveRing{}, err
	}
	m.mask.Store(1) // until Serve listens
	return receiveRing{ringMem: m}, nil
}

// available gives the number of bytes to read, zero or at least a header. The
// host's index must lie between where it was and what we published.
func (r *receiveRing) available() (uint32, error) {
	in := r.in.Load()
	n := r.distance(r.published, in)
	if !r.valid(in) || n < r.distance(r.published, r.hostIn) {
		return 0, &CorruptError{"receive", fmt.Sprintf("in %#x, was %#x, out %#x, size %#x", in, r.hostIn, r.published, r.size)}
	}
	r.hostIn = in
	return r.distance(r.next, in), nil
}

// peek reads the header of the next packet and checks that all of the packet
// is there. ok is false when the ring is empty.
func (r *receiveRing) peek() (h wire.PacketHeader, ok bool, err error) {
	n, err := r.available()
	if err != nil || n == 0 {
		return h, false, err
	}
	if n < wire.PacketHeaderSize+wire.PacketTrailerSize {
		return h, false, &CorruptError{"receive", fmt.Sprintf("%d bytes are no packet", n)}
	}
	var b [wire.PacketHeaderSize]byte
	r.copyOut(b[:], r.next)
	h, err = wire.DecodePacketHeader(b[:])
	if err != nil {
		return h, false, &CorruptError{"receive", err.Error()}
	}
	if uint32(h.Length())+wire.PacketTrailerSize > n {
		return h, false, &CorruptError{"receive", fmt.Sprintf("packet of %d bytes, %d available", h.Length(), n)}
	}
	return h, true, nil
}

// take copies the packet of header h, without header, to b (h.Length() -
// PacketHeaderSize bytes) and moves on.
func (r *receiveRing) take(h wire.PacketHeader, b []byte) {
	r.copyOut(b, r.add(r.next, wire.PacketHeaderSize))
	r.next = r.add(r.next, uint32(h.Length())+wire.PacketTrailerSize)
}

// publish gives the space of taken packets back and reports whether the host
// waits for it.
func (r *receiveRing) publish() (signal bool) {
	old := r.published
	if old == r.next {
		return false
	}
	r.published = r.next
	r.out.Store(r.next)
	// Some hosts ask for size-1, meaning "empty"; at most size-8 can be free.
	want := r.pending.Load() &^ 7
	if want == 0 {
		return false
	}
	in := r.in.Load()
	if !r.valid(in) {
		return false // found and reported by the next available
	}
	before := r.size - 8 - r.distance(old, in)
	after := r.size - 8 - r.distance(r.next, in)
	return before < want && after >= want
}

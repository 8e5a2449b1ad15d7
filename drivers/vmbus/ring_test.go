// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"testing"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

func TestRingMemory(t *testing.T) {
	for _, n := range []int{0, PageSize, 2*PageSize - 8, 2*PageSize + 8} {
		if _, err := newRingMem(alignedMem(n)); err == nil {
			t.Errorf("ring of %d bytes", n)
		}
	}
	if _, err := newRingMem(alignedMem(3 * PageSize)[4:][:2*PageSize]); err == nil {
		t.Error("unaligned ring")
	}
}

// The receiver signals a waiting sender exactly once, when the wanted room is
// there, and understands hosts that want size-1.
func TestPendingSendSize(t *testing.T) {
	mem := alignedMem(2 * PageSize)
	s, _ := newSendRing(mem)
	r, _ := newReceiveRing(mem)
	packet := wire.PacketHeader{Type: wire.PacketInBand, Off8: 2, Len8: 127}.AppendTo(make([]byte, 0, 1016))[:1016]
	for range 3 {
		s.write(packet)
	}
	s.publish()
	take := func() bool {
		h, ok, err := r.peek()
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		r.take(h, make([]byte, h.Length()-16))
		return r.publish()
	}
	if take() {
		t.Error("signal though nobody waits")
	}
	s.pending.Store(3000)
	if !take() || take() {
		t.Error("3000 bytes: wrong signals")
	}
	for range 2 {
		s.write(packet)
	}
	s.publish()
	s.pending.Store(r.size - 1)
	if take() || !take() {
		t.Error("size-1: wrong signals")
	}
}

// FuzzReceiveRing lets a host write anything anywhere in its ring, twice.
func FuzzReceiveRing(f *testing.F) {
	good := wire.PacketHeader{Type: wire.PacketInBand, Off8: 2, Len8: 3}.AppendTo(nil)
	f.Add(uint32(0), uint32(32), uint32(0), good, uint32(32))
	f.Add(uint32(4080), uint32(32), uint32(4095), append(make([]byte, 4080), good...), uint32(8))
	f.Fuzz(func(t *testing.T, start, in, pending uint32, data []byte, in2 uint32) {
		mem := alignedMem(2 * PageSize)
		r, err := newReceiveRing(mem)
		if err != nil {
			t.Fatal(err)
		}
		start = start % r.size &^ 7
		r.next, r.published, r.hostIn = start, start, start
		r.pending.Store(pending)
		copy(r.data, data)
		var b batch
		for _, index := range []uint32{in, in2} {
			r.in.Store(index)
			for total := 0; ; {
				err := b.fill(&r)
				r.publish()
				for i := range b.packets {
					total += 24 + len(b.packets[i].Descriptor) + len(b.packets[i].Payload)
					b.packets[i].TransferPages(nil)
				}
				if !r.valid(r.next) || total > int(r.size) {
					t.Fatalf("next %#x, %d bytes of packets", r.next, total)
				}
				if err != nil || len(b.packets) == 0 {
					break
				}
			}
		}
	})
}

// FuzzSendRing lets a host set out to anything between packets.
func FuzzSendRing(f *testing.F) {
	f.Add(uint16(8), uint32(0), uint32(32))
	f.Fuzz(func(t *testing.T, size uint16, out1, out2 uint32) {
		s, err := newSendRing(alignedMem(2 * PageSize))
		if err != nil {
			t.Fatal(err)
		}
		packet := make([]byte, (16+int(size)%4000)&^7)
		for _, out := range []uint32{0, out1, out2} {
			s.out.Store(out)
			for {
				room, err := s.free()
				if err != nil || room < uint32(len(packet)+8) {
					break
				}
				s.write(packet)
				if !s.valid(s.next) || s.next == s.hostOut {
					t.Fatalf("next %#x, out %#x: full looks like empty", s.next, s.hostOut)
				}
			}
			s.publish()
		}
	})
}

// FuzzMessages lets a host send any message in any state.
func FuzzMessages(f *testing.F) {
	f.Add([]byte{8, 1, 0, 0, 0, 0, 0, 0, 0})
	o := Offer{ChannelID: 4}
	f.Add(append([]byte{196}, o.AppendTo(nil)...))
	f.Fuzz(func(t *testing.T, stream []byte) {
		h := newFakeHost(t)
		b := mustConnect(h)
		b.expect(requestKey{wire.MsgGPADLCreated, 3, 1}, 3)
		for len(stream) > 0 {
			n := min(int(stream[0]), len(stream)-1, wire.MaxMessageSize)
			b.dispatch(stream[1 : 1+n])
			stream = stream[1+n:]
		}
		if n := len(b.Offers()); n > int(maxChannelID) {
			t.Errorf("%d offers", n)
		}
	})
}

func BenchmarkSend(b *testing.B) {
	for name, batch := range map[string]int{"one": 1, "batch16": 16} {
		b.Run(name, func(b *testing.B) {
			s, _ := newSendRing(alignedMem(17 * PageSize))
			packet := make([]byte, 112)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := s.free(); err != nil {
					b.Fatal(err)
				}
				s.write(packet)
				if i%batch == batch-1 {
					s.publish()
					s.out.Store(s.in.Load())
				}
			}
		})
	}
}

func BenchmarkReceive(b *testing.B) {
	mem := alignedMem(17 * PageSize)
	s, _ := newSendRing(mem)
	r, _ := newReceiveRing(mem)
	packet := wire.PacketHeader{Type: wire.PacketCompletion, Off8: 2, Len8: 10}.AppendTo(make([]byte, 0, 80))[:80]
	var got batch
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.write(packet)
		if i%16 == 15 {
			s.publish()
			if err := got.fill(&r); err != nil || len(got.packets) != 16 {
				b.Fatal(err)
			}
			r.publish()
		}
	}
}

func BenchmarkGPADirect(b *testing.B) {
	h := newFakeHost(b)
	c := mustOpen(mustConnect(h), 33)
	defer c.Close()
	pfns := make([]uint64, 64)
	ranges := []Range{{Length: 64 * PageSize, PFN: pfns}}
	payload := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.SendGPADirect(ranges, payload, 1); err != nil {
			b.Fatal(err)
		}
		h.open.rx.out.Store(h.open.rx.in.Load())
	}
}

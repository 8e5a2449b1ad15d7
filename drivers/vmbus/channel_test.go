// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"testing"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

func TestPacketTypes(t *testing.T) {
	h := newFakeHost(t)
	c := mustOpen(mustConnect(h), 4)
	defer c.Close()
	ranges := []Range{{Length: 100, Offset: 4090, PFN: []uint64{0x11, 0x12}}, {Length: 4096, PFN: []uint64{0x13}}}
	tx := c.Begin()
	tx.InBand([]byte("in band"), 1, true)
	tx.GPADirect(ranges, []byte("gpa"), 2)
	tx.Completion(3, []byte("done"))
	tx.TransferPage(0xCAFE, []wire.TransferPageRange{{ByteCount: 5, ByteOffset: 6}}, nil, 4, false)
	if err := tx.End(); err != nil {
		t.Fatal(err)
	}
	r := h.open
	check := func(typ uint16, tr uint64, flags uint16, desc, payload string) {
		t.Helper()
		p := r.read()
		if p == nil || p.Type != typ || p.Transaction != tr || p.Flags != flags || string(p.desc) != desc || string(bytes.TrimRight(p.payload, "\x00")) != payload {
			t.Errorf("packet %+v", p)
		}
	}
	var gpa []byte
	for _, v := range []uint64{2 << 32, 100 | 4090<<32, 0x11, 0x12, 4096, 0x13} {
		gpa = binary.LittleEndian.AppendUint64(gpa, v)
	}
	check(wire.PacketInBand, 1, wire.PacketCompletionRequested, "", "in band")
	check(wire.PacketGPADirect, 2, wire.PacketCompletionRequested, string(gpa), "gpa")
	check(wire.PacketCompletion, 3, 0, "", "done")
	check(wire.PacketTransferPage, 4, 0, "\xfe\xca\x00\x00\x01\x00\x00\x00\x05\x00\x00\x00\x06\x00\x00\x00", "")

	for _, bad := range [][]Range{nil, {{Length: 0, PFN: []uint64{1}}}, {{Length: 1, Offset: 4096, PFN: []uint64{1}}}, {{Length: 4097, PFN: []uint64{1}}}} {
		if err := c.SendGPADirect(bad, nil, 1); err == nil {
			t.Errorf("ranges %+v are sent", bad)
		}
	}
	if err := c.SendInBand(make([]byte, 3*PageSize), 0, false); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if c.Err() != nil || r.read() != nil {
		t.Error("a caller's mistake reaches the host")
	}
}

// The host sleeps (mask clear): the first packet wakes it, the others do not
// until it has emptied the ring.
func TestSignalOnlyWhenEmpty(t *testing.T) {
	h := newFakeHost(t)
	c := mustOpen(mustConnect(h), 4)
	defer c.Close()
	send := func() {
		if err := c.SendInBand([]byte("x"), 0, false); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		send()
	}
	if h.signals != 1 {
		t.Errorf("%d signals for 10 packets", h.signals)
	}
	for h.open.read() != nil {
	}
	send()
	if h.signals != 2 {
		t.Errorf("%d signals after the ring was emptied", h.signals)
	}
	h.open.rx.mask.Store(1)
	for h.open.read() != nil {
	}
	send()
	if h.signals != 2 {
		t.Error("signal although masked")
	}
	h.open.rx.mask.Store(0)
	for h.open.read() != nil {
	}
	tx := c.Begin()
	for range 10 {
		tx.InBand(nil, 0, false)
	}
	if h.signals != 2 || h.open.read() != nil {
		t.Error("packets are visible before End")
	}
	tx.End()
	if s := c.Stats(); h.signals != 3 || s.Sent != 22 || s.Signals != 3 || s.SignalsSpared != 19 {
		t.Errorf("%d signals, %+v", h.signals, s)
	}
}

// echo serves the guest's side: every packet goes back as a completion.
func echo(c *Channel) error {
	return c.Serve(func(batch []Packet) error {
		tx := c.Begin()
		for i := range batch {
			tx.Completion(batch[i].Transaction, batch[i].Payload)
		}
		return tx.End()
	})
}

// Both rings are tiny and the host is slow to read: the guest's handler must
// wait for room in its own goroutine, and nothing may get lost or reordered.
func TestEchoUnderPressure(t *testing.T) {
	for _, announce := range []bool{true, false} {
		h := newFakeHost(t)
		c := mustOpen(mustConnect(h), 2)
		r := h.open
		if !announce {
			r.tx.features.Store(0)
		}
		served := make(chan error)
		go func() { served <- echo(c) }()
		const n = 3000
		payload := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 8+8*(i%180)) }
		sent := 0
		send := func() bool {
			if sent == n || !r.write(wire.PacketHeader{Type: wire.PacketInBand, Transaction: uint64(sent)}, nil, payload(sent)) {
				return false
			}
			sent++
			return true
		}
		for c.Stats().RoomWaits == 0 { // nothing is read yet: the answers fill their ring, however many processors there are
			if !send() {
				runtime.Gosched()
			}
		}
		for got := 0; got < n; {
			for send() {
			}
			p := r.read()
			if p == nil {
				runtime.Gosched()
				continue
			}
			if p.Transaction != uint64(got) || !bytes.Equal(p.payload, payload(got)) {
				t.Fatalf("packet %d comes back as %d, %d bytes", got, p.Transaction, len(p.payload))
			}
			got++
		}
		if s := c.Stats(); s.Received != n || s.Sent != n || s.RoomWaits == 0 {
			t.Errorf("%+v", s)
		}
		c.Close()
		if err := <-served; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if h.freed != 4 {
			t.Errorf("%d pages freed", h.freed)
		}
	}
}

// Many senders, none serving: they wait for room on their own.
func TestSendersWithoutServe(t *testing.T) {
	h := newFakeHost(t)
	c := mustOpen(mustConnect(h), 2)
	defer c.Close()
	var wg sync.WaitGroup
	const each = 500
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				if err := c.SendInBand(make([]byte, 200), uint64(g*each+i), true); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	seen := map[uint64]bool{}
	for len(seen) < 4*each {
		if p := h.open.read(); p != nil {
			if seen[p.Transaction] {
				t.Fatalf("packet %d twice", p.Transaction)
			}
			seen[p.Transaction] = true
		}
	}
	wg.Wait()
}

// Close and rescind reach a sender that waits for room.
func TestCloseWakesSender(t *testing.T) {
	h := newFakeHost(t)
	c := mustOpen(mustConnect(h), 2)
	blocked := make(chan error)
	go func() {
		for {
			if err := c.SendInBand(make([]byte, 1000), 0, false); err != nil {
				blocked <- err
				return
			}
		}
	}()
	for c.Stats().RoomWaits == 0 {
	}
	c.Close()
	if err := <-blocked; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestHandlerError(t *testing.T) {
	h := newFakeHost(t)
	c := mustOpen(mustConnect(h), 2)
	stop := errors.New("stop")
	h.open.write(wire.PacketHeader{Type: wire.PacketInBand}, nil, []byte("x"))
	err := c.Serve(func([]Packet) error {
		c.Close() // allowed here
		return stop
	})
	if !errors.Is(err, stop) || h.freed != 4 {
		t.Errorf("%v, %d pages freed", err, h.freed)
	}
}

func TestCorruptRings(t *testing.T) {
	write := func(r *hostRings, h wire.PacketHeader) {
		copy(r.tx.data, h.AppendTo(nil))
		r.tx.in.Store(64)
	}
	for name, spoil := range map[string]func(r *hostRings){
		"in outside":           func(r *hostRings) { r.tx.in.Store(r.tx.size) },
		"in far outside":       func(r *hostRings) { r.tx.in.Store(0xFFFFFFF8) },
		"in unaligned":         func(r *hostRings) { r.tx.in.Store(4) },
		"less than a header":   func(r *hostRings) { r.tx.in.Store(16) },
		"offset in the header": func(r *hostRings) { write(r, wire.PacketHeader{Type: 6, Off8: 1, Len8: 3}) },
		"length below offset":  func(r *hostRings) { write(r, wire.PacketHeader{Type: 6, Off8: 3, Len8: 2}) },
		"length of all zero":   func(r *hostRings) { write(r, wire.PacketHeader{}) },
		"length above in":      func(r *hostRings) { write(r, wire.PacketHeader{Type: 6, Off8: 2, Len8: 8}) },
		"largest length":       func(r *hostRings) { write(r, wire.PacketHeader{Type: 6, Off8: 2, Len8: 0xFFFF}) },
	} {
		h := newFakeHost(t)
		c := mustOpen(mustConnect(h), 2)
		spoil(h.open)
		err := c.Serve(func(b []Packet) error { t.Errorf("%s: packet %+v", name, b); return nil })
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) || !errors.Is(c.Err(), ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// in must not move back over packets that were seen.
func TestInMovesBack(t *testing.T) {
	h := newFakeHost(t)
	c := mustOpen(mustConnect(h), 2)
	defer c.Close()
	for range 70 { // more than a batch
		h.open.write(wire.PacketHeader{Type: wire.PacketInBand}, nil, nil)
	}
	err := c.Serve(func([]Packet) error {
		h.open.tx.in.Store(h.open.tx.out.Load())
		return nil
	})
	if !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
}

func TestCorruptOut(t *testing.T) {
	for _, out := range []uint32{4, 8, 4096, 0xFFFFFFF8} {
		h := newFakeHost(t)
		c := mustOpen(mustConnect(h), 2)
		h.open.rx.out.Store(out)
		if err := c.SendInBand(nil, 0, false); !errors.Is(err, ErrCorrupt) {
			t.Errorf("out %#x: %v", out, err)
		}
		c.Close()
	}
}

func TestTransferPagesDecoder(t *testing.T) {
	good := wire.TransferPageRange{ByteCount: 1, ByteOffset: 2}.AppendTo(wire.TransferPageHeader{SetID: 9, RangeCount: 1}.AppendTo(nil))
	p := Packet{Descriptor: good}
	if set, r, err := p.TransferPages(nil); err != nil || set != 9 || len(r) != 1 || r[0].ByteOffset != 2 {
		t.Error(set, r, err)
	}
	for n := range good {
		p := Packet{Descriptor: good[:n]}
		if _, _, err := p.TransferPages(nil); err == nil {
			t.Errorf("decoded from %d bytes", n)
		}
	}
	p.Descriptor = wire.TransferPageHeader{RangeCount: 0xFFFFFFFF}.AppendTo(nil)
	if _, _, err := p.TransferPages(nil); err == nil {
		t.Error("4 billion ranges decoded")
	}
}

// Versions before 2.4 share one interrupt.
func TestSharedInterrupts(t *testing.T) {
	h := newFakeHost(t)
	h.max, h.only1 = wire.Version0_13, true
	h.offers[0].DedicatedInterrupt = false
	b := mustConnect(h)
	c := mustOpen(b, 2)
	if err := c.SendInBand(nil, 1, false); err != nil {
		t.Fatal(err)
	}
	if last := h.conns[len(h.conns)-1]; last != wire.ConnectionSharedEvent || h.shared[guestBits] != 1<<3 {
		t.Errorf("signalled connection %d, bits %#x", last, h.shared[guestBits])
	}
	got := make(chan uint64)
	go c.Serve(func(b []Packet) error { got <- b[0].Transaction; return nil })
	for c.rx.mask.Load() != 0 {
	}
	h.open.flag = 0 // the flag that all channels share
	word64(h.shared, 0).Or(1 << 3)
	h.open.write(wire.PacketHeader{Type: wire.PacketInBand, Transaction: 5}, nil, nil)
	if tr := <-got; tr != 5 {
		t.Error(tr)
	}
	c.Close()
	b.interrupts.close()
}

func TestNoAllocationPerPacket(t *testing.T) {
	h := newFakeHost(t)
	c := mustOpen(mustConnect(h), 16)
	defer c.Close()
	ranges := []Range{{Length: 8192, PFN: []uint64{1, 2}}}
	payload := make([]byte, 64)
	drain := func() { h.open.rx.out.Store(h.open.rx.in.Load()) }
	if n := testing.AllocsPerRun(200, func() {
		c.SendGPADirect(ranges, payload, 1)
		c.SendInBand(payload, 1, true)
		c.SendCompletion(1, payload)
		drain()
	}); n != 0 {
		t.Errorf("%v allocations for three packets sent", n)
	}
	var b batch
	packet := wire.PacketHeader{Type: wire.PacketInBand, Off8: 2, Len8: 10}.AppendTo(nil)
	receive := func() {
		in := h.open.tx.in.Load()
		h.open.tx.copyIn(in, packet)
		h.open.tx.in.Store(h.open.tx.add(in, 88))
		if err := b.fill(&c.rx); err != nil || len(b.packets) != 1 {
			t.Fatal(err, len(b.packets))
		}
		c.rx.publish()
	}
	receive()
	if n := testing.AllocsPerRun(200, receive); n != 0 {
		t.Errorf("%v allocations for a packet received", n)
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// The rings of gpadl1: the guest's in pages 0x10 (control) and 0x12, the host's in 0x11
// and 0x13. Offsets of the control page, in bytes: in 0, out 4, mask 8, pending 12.

// publish writes bytes into the guest's ring at 0 and moves the index behind them.
func (v *fakeVM) publish(packet string) {
	b := unhex(v.t, packet)
	copy(v.page(0x12), b)
	word(v.page(0x10), 0).Store(uint32(len(b)))
}

// await waits until f holds; it fails the test after half a minute.
func await(t testing.TB, what string, f func() bool) {
	t.Helper()
	for start := time.Now(); !f(); time.Sleep(100 * time.Microsecond) {
		if time.Since(start) > 30*time.Second {
			t.Fatalf("%s: in vain", what)
		}
	}
}

// TestPackets writes packets into the ring by hand and reads the answers by hand.
func TestPackets(t *testing.T) {
	v := connected(t, echo{}, Options{})
	v.post(1, gpadl1, open1("e1000000", "02000000"))
	if f := word(v.page(0x11), 64).Load(); f != 1 {
		t.Errorf("feature bits %#x: the host says not that it minds the pending send size", f)
	}
	await(t, "the host unmasks", func() bool { return word(v.page(0x10), 8).Load() == 0 })
	v.publish("0600 0200 0400 0100 8877665544332211" + "48656c6c6f2c20566d42757321212121" + "00000000 00000000")
	v.s.SignalEvent(0x2001, 0)
	if flag := <-v.signals; flag != 1 {
		t.Errorf("event flag %d", flag)
	}
	want := unhex(t, "0b00 0200 0400 0000 8877665544332211"+"48656c6c6f2c20566d42757321212121"+"00000000 00000000")
	if got := word(v.page(0x11), 0).Load(); got != uint32(len(want)) || !bytes.Equal(v.page(0x13)[:len(want)], want) {
		t.Errorf("answer of %d bytes: %x", got, v.page(0x13)[:len(want)])
	}
	if got := word(v.page(0x10), 4).Load(); got != 40 {
		t.Errorf("the host read up to %d", got)
	}
	if _, rules := v.take(); rules != nil {
		t.Errorf("broken %v", rules)
	}
}

// TestTargetVP moves the interrupt from one processor to the next, and tries to move it
// to one that does not exist, and to none.
func TestTargetVP(t *testing.T) {
	const success, unsuccessful = "00000000", "ffff0080"
	v := connected(t, echo{manual: make(chan *Channel, 1)}, Options{})
	v.post(1, gpadl1, open1("e1000000", "02000000"))
	ch := v.s.ports[1].channel.Load()
	for _, tt := range []struct {
		vp, status string
		goes       uint32
	}{
		{"07000000", success, 7},
		{"08000000", unsuccessful, 7},
		{"00000000", success, 0},
		{"ffffffff", unsuccessful, 0},
		{"feffffff", unsuccessful, 0},
		{"02000000", success, 2},
	} {
		sent, rules := v.post(1, "16000000 00000000 01000000 "+tt.vp)
		if !slices.Equal(sent, []string{squeeze("0/2 1800000000000000 01000000 " + tt.status)}) {
			t.Errorf("MODIFY_CHANNEL: %v", sent)
		}
		if (tt.status == success) != (len(rules) == 0) || len(rules) > 0 && rules[0] != RuleTargetVP {
			t.Errorf("VP %s: broken %v", tt.vp, rules)
		}
		word(v.page(0x11), 4).Store(word(v.page(0x11), 0).Load()) // the guest has read all
		v.targets = nil
		if err := ch.Complete(t.Context(), 1, nil); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(v.targets, []uint32{tt.goes}) {
			t.Errorf("after VP %s interrupts go to %v", tt.vp, v.targets)
		}
	}
}

// TestNoInterrupts opens a channel for no processor: no interrupt comes, and none can be
// asked for later.
func TestNoInterrupts(t *testing.T) {
	v := connected(t, echo{manual: make(chan *Channel, 1)}, Options{})
	v.post(1, gpadl1, strings.Replace(open1("e1000000", "02000000"), " 03000000 ", " ffffffff ", 1))
	ch := v.s.ports[1].channel.Load()
	if _, rules := v.post(1, "16000000 00000000 01000000 01000000"); !slices.Equal(rules, []string{RuleTargetVP}) {
		t.Errorf("MODIFY_CHANNEL: broken %v", rules)
	}
	if err := ch.Complete(t.Context(), 1, nil); err != nil || len(v.targets) != 0 {
		t.Errorf("interrupts to %v, %v", v.targets, err)
	}
}

// TestGPADirect reads the ranges of a GPA-direct packet, with a stale page number behind
// them as Linux sends.
func TestGPADirect(t *testing.T) {
	e := echo{manual: make(chan *Channel, 1)}
	v := connected(t, e, Options{})
	v.post(1, gpadl1, open1("e1000000", "02000000"))
	ch := <-e.manual
	for i := range v.page(0x30) {
		v.page(0x30)[i], v.page(0x2F)[i] = 0x30, 0x2F
	}
	v.publish("0900 0800 0900 0100 0500000000000000" + "dddddddd 01000000" + "00010000 800f0000 3000000000000000 2f00000000000000 ffffffffffffffff ffffffffffffffff" +
		"1111111111111111" + "00000000 00000000")
	p, err := ch.TryReadPacket()
	if err != nil || len(p.Buffers) != 1 || p.Buffers[0].Len() != 256 || p.Transaction != 5 || !p.WantsCompletion || !bytes.Equal(p.Payload, bytes.Repeat([]byte{0x11}, 8)) {
		t.Fatalf("%+v, %v", p, err)
	}
	got := make([]byte, 256)
	p.Buffers[0].ReadAt(got, 0)
	if want := slices.Concat(bytes.Repeat([]byte{0x30}, 128), bytes.Repeat([]byte{0x2F}, 128)); !bytes.Equal(got, want) {
		t.Errorf("buffer holds %x", got)
	}
	if _, err := ch.TryReadPacket(); !Empty(err) {
		t.Errorf("empty ring: %v", err)
	}
	word(v.page(0x10), 0).Store(0)
}

// TestTransferPage reads the ranges of a transfer-page packet.
func TestTransferPage(t *testing.T) {
	e := echo{manual: make(chan *Channel, 1)}
	v := connected(t, e, Options{})
	v.post(1, gpadl1, open1("e1000000", "02000000"))
	ch := <-e.manual
	v.publish("0700 0500 0500 0000 0000000000000000" + "0700 dddd 02000000" + "10000000 20000000" + "30000000 40000000" + "00000000 00000000")
	p, err := ch.TryReadPacket()
	if err != nil || p.SetID != 7 || !slices.Equal(p.Ranges, []wire.TransferPageRange{{ByteCount: 0x10, ByteOffset: 0x20}, {ByteCount: 0x30, ByteOffset: 0x40}}) {
		t.Errorf("%+v, %v", p, err)
	}
	if err := ch.WritePacket(t.Context(), OutPacket{Type: wire.PacketTransferPage, WantsCompletion: true, Transaction: 1, SetID: 0xCAFE,
		Ranges: []wire.TransferPageRange{{ByteCount: 0x55, ByteOffset: 0x700}}, Payload: []byte("nvsp")}); err != nil {
		t.Fatal(err)
	}
	want := unhex(t, "0700 0400 0500 0100 0100000000000000"+"feca 0000 01000000"+"55000000 00070000"+"6e76737000000000"+"00000000 00000000")
	if !bytes.Equal(v.page(0x13)[:len(want)], want) {
		t.Errorf("sent %x", v.page(0x13)[:len(want)])
	}
}

// TestBrokenRings gives the host a ring that makes no sense; it must say so and stop.
func TestBrokenRings(t *testing.T) {
	packet := func(header, rest string) func(v *fakeVM) {
		return func(v *fakeVM) { v.publish(header + " 0000000000000000" + rest + "00000000 00000000") }
	}
	for _, tt := range []struct {
		name    string
		corrupt func(v *fakeVM)
		rule    string
	}{
		{"in beyond the ring", func(v *fakeVM) { word(v.page(0x10), 0).Store(4096) }, RuleRingIndex},
		{"in unaligned", func(v *fakeVM) { word(v.page(0x10), 0).Store(44) }, RuleRingIndex},
		{"out written by the guest", func(v *fakeVM) { word(v.page(0x10), 4).Store(8); word(v.page(0x10), 0).Store(64) }, RuleRingOwner},
		{"16 bytes", func(v *fakeVM) { word(v.page(0x10), 0).Store(16) }, RuleRingPacket},
		{"header beyond the packet", packet("0600 0400 0200 0100", "0000000000000000"), RuleRingPacket},
		{"no header", packet("0600 0000 0200 0100", "0000000000000000"), RuleRingPacket},
		{"longer than the ring's content", packet("0600 0200 0400 0100", "0000000000000000"), RuleRingPacket},
		{"longest", packet("0600 0200 ffff 0100", "0000000000000000"), RuleRingPacket},
		{"unknown flags", packet("0600 0200 0300 0300", "0000000000000000"), RuleRingPacket},
		{"unknown type", packet("0500 0200 0300 0100", "0000000000000000"), RuleRingPacket},
		{"GPA-direct without header", packet("0900 0200 0300 0100", "0000000000000000"), RuleRingPacket},
		{"GPA-direct without ranges", packet("0900 0300 0300 0100", "0000000000000000"), RuleRingPacket},
		{"GPA-direct, 2^32 ranges", packet("0900 0500 0500 0100", "00000000ffffffff 0000000000000000 0000000000000000"), RuleRingPacket},
		{"GPA-direct, page numbers missing", packet("0900 0500 0500 0100", "0000000001000000 0010000001000000 1000000000000000"), RuleRingPacket},
		{"GPA-direct, not RAM", packet("0900 0500 0500 0100", "0000000001000000 0010000000000000 0000000000000000"), RuleRingMemory},
		{"transfer page without header", packet("0700 0200 0300 0100", "0000000000000000"), RuleRingPacket},
		{"transfer page, 2^32 ranges", packet("0700 0400 0400 0100", "00000000ffffffff 0000000000000000"), RuleRingPacket},
	} {
		v := connected(t, echo{}, Options{})
		v.post(1, gpadl1, open1("e1000000", "02000000"))
		await(t, "the host sleeps", func() bool { return word(v.page(0x10), 8).Load() == 0 })
		tt.corrupt(v)
		v.s.SignalEvent(0x2001, 0)
		var rules []string
		await(t, tt.name, func() bool {
			_, r := v.take()
			rules = append(rules, r...)
			return len(rules) > 0
		})
		if rules[0] != tt.rule {
			t.Errorf("%s: broken %v, want %s", tt.name, rules, tt.rule)
		}
		if sent, _ := v.post(1, closeCh1, tearCh1); len(sent) != 1 {
			t.Errorf("%s: afterwards %v", tt.name, sent)
		}
	}
	// Indices that are broken when the channel is opened.
	for _, at := range []struct{ page, off int }{{0x10, 0}, {0x10, 4}, {0x11, 0}, {0x11, 4}} {
		v := connected(t, echo{}, Options{})
		word(v.page(at.page), at.off).Store(4100)
		if sent, rules := v.post(1, gpadl1, open1("e1000000", "02000000")); !slices.Equal(rules, []string{RuleRingIndex}) || !strings.HasSuffix(sent[1], "ffff0080") {
			t.Errorf("%+v: sent %v, broken %v", at, sent, rules)
		}
	}
	// A wrong trailer is reported, the packet counts.
	v := connected(t, echo{}, Options{})
	v.post(1, gpadl1, open1("e1000000", "02000000"))
	v.publish("0600 0200 0300 0100 0000000000000000" + "0000000000000000" + "00000000 08000000")
	v.s.SignalEvent(0x2001, 0)
	<-v.signals
	if _, rules := v.take(); !slices.Equal(rules, []string{RuleRingTrailer}) {
		t.Errorf("trailer: broken %v", rules)
	}
}

// TestPendingSend fills the guest's ring until the host waits; when the guest makes just
// enough room and signals, the host goes on.
func TestPendingSend(t *testing.T) {
	e := echo{manual: make(chan *Channel, 1)}
	v := connected(t, e, Options{})
	v.post(1, gpadl1, open1("e1000000", "02000000"))
	ch := <-e.manual
	out := OutPacket{Type: wire.PacketInBand, Payload: make([]byte, 1000)} // 1024 in the ring
	for range 3 {
		if ok, err := ch.TryWritePacket(out); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if ok, err := ch.TryWritePacket(out); ok || err != nil { // 4096 would look empty
		t.Fatalf("full ring: %t, %v", ok, err)
	}
	if n := word(v.page(0x11), 12).Load(); n != 0 {
		t.Errorf("TryWritePacket left a pending send size of %d", n)
	}
	wrote := make(chan error, 1)
	go func() { wrote <- ch.WritePacket(t.Context(), out) }()
	await(t, "pending send size", func() bool { return word(v.page(0x11), 12).Load() == 1024 })
	v.s.SignalEvent(0x2001, 0) // spurious: nothing has changed
	word(v.page(0x11), 4).Store(1024)
	v.s.SignalEvent(0x2001, 0)
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	if in, n := word(v.page(0x11), 0).Load(), word(v.page(0x11), 12).Load(); in != 0 || n != 0 {
		t.Errorf("index %d, pending send size %d", in, n)
	}
	for _, n := range []int{4096 - 16 - 8, 4096, 8 * 65536} { // the largest that fits is 8 shorter than the first
		if _, err := ch.TryWritePacket(OutPacket{Type: wire.PacketInBand, Payload: make([]byte, n)}); !errors.Is(err, ErrPacketSize) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { wrote <- ch.WritePacket(ctx, out) }()
	await(t, "pending send size", func() bool { return word(v.page(0x11), 12).Load() == 1024 })
	cancel()
	if err := <-wrote; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	word(v.page(0x11), 0).Store(8)
	if _, err := ch.TryWritePacket(out); !errors.Is(err, ErrProtocol) {
		t.Errorf("the guest wrote the host's index: %v", err)
	}
}

// TestRoomSignal drains the guest's ring while the guest waits for room: one signal, when
// the room crosses the pending send size.
func TestRoomSignal(t *testing.T) {
	e := echo{manual: make(chan *Channel, 1)}
	v := connected(t, e, Options{})
	v.post(1, gpadl1, open1("e1000000", "02000000"))
	ch := <-e.manual
	for i := range 4 { // four packets of 1000 bytes
		b := wire.PacketHeader{Type: wire.PacketInBand, Off8: 2, Len8: 124}.AppendTo(nil)
		b = append(b, make([]byte, 1000-len(b)-4)...)
		b = binary.LittleEndian.AppendUint32(b, uint32(i*1000))
		copy(v.page(0x12)[i*1000:], b)
	}
	word(v.page(0x10), 0).Store(4000)
	word(v.page(0x10), 12).Store(2088 + 7) // 88 are free; the low bits do not count
	for i, want := range []int{0, 1, 1, 1} {
		if _, err := ch.TryReadPacket(); err != nil {
			t.Fatal(err)
		}
		if len(v.signals) != want {
			t.Errorf("after %d packets %d signals, want %d", i+1, len(v.signals), want)
		}
	}
}

// FuzzRing lets the guest fill its ring's pages as it likes; the host must end with an
// error or an empty ring.
func FuzzRing(f *testing.F) {
	f.Add(unhex(f, "0600 0200 0400 0100 8877665544332211"+"48656c6c6f2c20566d42757321212121"+"00000000 00000000"), uint32(40), uint32(0))
	f.Add(unhex(f, "0900 0800 0900 0100 0500000000000000"+"dddddddd 01000000"+"00010000 800f0000 3000000000000000 2f00000000000000 ffffffffffffffff ffffffffffffffff 1111111111111111 0000000000000000"), uint32(80), uint32(0))
	f.Add(unhex(f, "0700 0500 0500 0000 0000000000000000"+"0700 dddd 02000000"+"10000000 20000000 30000000 40000000 0000000000000000"), uint32(48), uint32(2048))
	f.Fuzz(func(t *testing.T, b []byte, in, pending uint32) {
		pages := [][]byte{make([]byte, wire.PageSize), make([]byte, wire.PageSize), make([]byte, wire.PageSize)}
		for i := 0; i < len(b); i++ {
			pages[1+i/wire.PageSize%2][i%wire.PageSize] = b[i]
		}
		r, err := newRing(pages)
		if err != nil {
			t.Fatal(err)
		}
		v := &fakeVM{t: t, ram: make([]byte, ramPages*wire.PageSize), signals: make(chan uint16, 1000)}
		c := &Channel{in: receiver{ring: r}, port: &port{}, server: &Server{vm: v, log: discard}}
		word(pages[0], 0).Store(in)
		word(pages[0], 12).Store(pending)
		for n := 0; ; n++ {
			p, err := c.TryReadPacket()
			if err != nil {
				if !Empty(err) && !errors.Is(err, ErrProtocol) {
					t.Fatal(err)
				}
				return
			}
			if n > 2*wire.PageSize/24 {
				t.Fatal("more packets than fit")
			}
			for _, buf := range p.Buffers {
				if n, err := buf.ReadAt(make([]byte, buf.Len()), 0); n != buf.Len() || err != nil {
					t.Fatal(n, err)
				}
			}
		}
	})
}

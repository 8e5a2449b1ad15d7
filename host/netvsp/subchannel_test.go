// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	guest "github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/host/netvsp"
	"github.com/hvgo/hvgo/internal/wire/rndis"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// subChannels asks for n sub-channels and opens them.
func (g *raw) subChannels(n int) (subs []*raw) {
	g.t.Helper()
	w := g.bus.Watch()
	defer w.Stop()
	g.call(fmt.Sprintf("85000000 01000000 %02x000000", n), fmt.Sprintf("85000000 01000000 %02x000000", n))
	for i := 1; i <= n; i++ {
		subs = append(subs, g.openSub(w, uint16(i)))
	}
	return subs
}

func (g *raw) openSub(w *guest.Watch, index uint16) *raw {
	g.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		for _, o := range g.bus.Offers() {
			if o.InterfaceID != wire.InterfaceNetwork || o.SubchannelIndex != index {
				continue
			}
			sub := *g
			sub.packets, sub.moved = make(chan guest.Packet, 1000), make(chan guest.Packet, 1000)
			var err error
			if sub.ch, err = g.bus.Open(o.ChannelID, guest.OpenOptions{SendPages: 3, ReceivePages: 3}); err != nil {
				g.t.Fatal(err)
			}
			go sub.serve()
			return &sub
		}
		select {
		case <-w.C:
		case <-timeout:
			g.t.Fatalf("sub-channel %d is not offered", index)
		}
	}
}

// spreadOver sets receive scaling so that all flows go to a channel.
func (g *raw) spreadOver(channel uint32) {
	g.t.Helper()
	p := rndis.RSSParameters{
		Hash: rndis.HashToeplitz | rndis.HashIPv4 | rndis.HashTCPv4, Table: []uint32{channel, channel}, Key: make([]byte, rndis.RSSKeySize),
	}
	g.rndis(hex.EncodeToString(rndis.AppendRequest(nil, rndis.TypeSet, 11, rndis.OIDGenRSSParameters, p.AppendTo(nil))), "05000080 10000000 0b000000 00000000")
}

// ipFrame is a frame for the guest with an IPv4 packet.
func (g *raw) ipFrame(text string) []byte {
	f := g.toGuest("")
	f[12], f[13] = 8, 0
	ip := make([]byte, 20)
	ip[0], ip[9] = 0x45, 253 // experimental
	binary.BigEndian.PutUint16(ip[2:], uint16(20+len(text)))
	return append(append(f, ip...), text...)
}

// expect takes one frame off a channel and completes the transfer there.
func (g *raw) expect(frame []byte) {
	g.t.Helper()
	p := receive(g.t, g.moved)
	_, ranges, err := p.TransferPages(nil)
	if err != nil || len(ranges) != 1 {
		g.t.Fatalf("%+v: %v", p, err)
	}
	got := g.pages["receive"].Mem[ranges[0].ByteOffset:][:ranges[0].ByteCount]
	if !strings.HasSuffix(string(got), string(frame)) {
		g.t.Fatalf("%q, want %q", got, frame)
	}
	if err := g.ch.SendCompletion(p.Transaction, g.bytes(packetDone)); err != nil {
		g.t.Fatal(err)
	}
}

func TestSubChannels(t *testing.T) {
	g := newRaw(t, netvsp.Options{Queues: 3}, false)
	g.negotiate(true)
	caps := "88021200 01030000 01000000 03000000 8000"
	g.rndis("04000000 1c000000 0c000000 03020100 00000000 14000000 00000000", "04000080 2a000000 0c000000 00000000 12000000 10000000"+caps)
	subs := g.subChannels(2)
	// The table comes when all are open: 16 entries behind 12 bytes.
	if p, want := receive(t, g.packets), "86000000 10000000 0c000000"+strings.Repeat("00000000 01000000 02000000", 5)+"00000000"; p.Type != wire.PacketInBand || p.CompletionRequested ||
		!strings.HasPrefix(hex.EncodeToString(p.Payload), strings.ReplaceAll(want, " ", "")) {
		t.Errorf("packet of type %d: %x", p.Type, p.Payload)
	}

	// From the guest: each channel completes what came by it.
	for _, c := range []*raw{g, subs[0], subs[1]} {
		c.section(data, c.frame(plainHead), packetDone)
	}
	g.net.until(t, "frames", func() bool { return len(g.net.frames) == 3 })

	// To the guest: as receive scaling says, and what is not IP by the primary channel.
	g.card.Deliver(g.ipFrame("before"), false)
	g.expect(g.ipFrame("before"))
	for i, c := range []*raw{g, subs[0], subs[1]} {
		g.spreadOver(uint32(i))
		for range 100 { // more than there are slots
			g.card.Deliver(g.ipFrame("flow"), false)
			c.expect(g.ipFrame("flow"))
		}
		g.card.Deliver(g.toGuest("other"), false)
		g.expect(g.toGuest("other"))
	}
	want := []netvsp.ChannelStats{{ToGuest: 104, FromGuest: 1}, {ToGuest: 100, FromGuest: 1}, {ToGuest: 100, FromGuest: 1}}
	if got := g.card.Channels(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}

	// A closed channel's flows go by the primary one, with what was under way in it.
	for range 40 {
		g.card.Deliver(g.ipFrame("under way"), false)
	}
	receive(t, subs[1].moved)
	if err := subs[1].ch.Close(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		g.card.Deliver(g.ipFrame("after"), false)
	}
	for end := time.Now().Add(20 * time.Second); ; {
		p := receive(t, g.moved)
		_, ranges, err := p.TransferPages(nil)
		if err != nil {
			t.Fatal(err)
		}
		last := ranges[len(ranges)-1]
		text := string(g.pages["receive"].Mem[last.ByteOffset:][:last.ByteCount])
		if err := g.ch.SendCompletion(p.Transaction, g.bytes(packetDone)); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(text, "after") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("nothing comes after the close")
		}
	}
	// Shared buffers come back while a sub-channel is still open.
	g.section(control, "03000000 0c000000 0c000000", packetDone)
	g.call("67000000 feca", "")
	g.call("6a000000 0000", "")
	if err := g.ch.Close(); err != nil {
		t.Error(err)
	}
	if !g.card.Deliver(g.ipFrame("late"), false) {
		t.Error("a closed card has no room")
	}
}

func TestSubChannelRules(t *testing.T) {
	for _, c := range []struct {
		rule, name string
		do         func(g *raw)
	}{
		{netvsp.RuleOrder, "before the receive buffer", func(g *raw) {
			g.call(init5, initDone)
			g.call("85000000 01000000 01000000", "85000000 02000000 00000000")
		}},
		{netvsp.RuleOrder, "twice", func(g *raw) {
			g.negotiate(true)
			g.subChannels(1)
			receive(g.t, g.packets) // the table
			g.call("85000000 01000000 01000000", "85000000 02000000 00000000")
		}},
		{netvsp.RuleMessage, "operation", func(g *raw) { g.negotiate(true); g.call("85000000 02000000 01000000", "85000000 02000000 00000000") }},
		{netvsp.RuleOrder, "negotiation on a sub-channel", func(g *raw) { g.negotiate(true); g.subChannels(1)[0].send(init5) }},
		{netvsp.RuleOrder, "control on a sub-channel", func(g *raw) {
			g.negotiate(true)
			g.subChannels(1)[0].send(control + "0c000000")
		}},
		{netvsp.RuleCompletion, "on another channel", func(g *raw) {
			g.negotiate(true)
			sub := g.subChannels(1)[0]
			g.card.Deliver(g.toGuest("x"), false)
			sub.ch.SendCompletion(receive(g.t, g.moved).Transaction, g.bytes(packetDone))
		}},
		{netvsp.RuleRNDIS, "receive scaling", func(g *raw) {
			g.negotiate(true)
			p := rndis.RSSParameters{Hash: rndis.HashToeplitz, Table: []uint32{9}, Key: make([]byte, rndis.RSSKeySize)}
			g.rndis(hex.EncodeToString(rndis.AppendRequest(nil, rndis.TypeSet, 11, rndis.OIDGenRSSParameters, p.AppendTo(nil))), "05000080 10000000 0b000000 150001c0")
		}},
	} {
		t.Run(c.rule+" "+c.name, func(t *testing.T) {
			g := newRaw(t, netvsp.Options{Queues: 2}, true)
			c.do(g)
			g.broken(c.rule)
		})
	}
}

// What waits for a guest that opens and closes a channel, and takes nothing, is bounded.
func TestSubChannelsAgain(t *testing.T) {
	const queue = 8
	g := newRaw(t, netvsp.Options{Queues: 2, Queue: queue}, false)
	g.negotiate(true)
	w := g.bus.Watch()
	defer w.Stop()
	sub := g.subChannels(1)[0]
	receive(t, g.packets) // the table
	g.spreadOver(1)
	accepted := uint64(0)
	for range 40 {
		for end := time.Now().Add(20 * time.Second); g.card.Deliver(g.ipFrame("flow"), false); accepted++ {
			if time.Now().After(end) {
				t.Fatal("the card takes any number of frames")
			}
		}
		if err := sub.ch.Close(); err != nil {
			t.Fatal(err)
		}
		sub = g.openSub(w, 1)
	}
	if s := g.card.Stats(); accepted-s.ToGuest-s.ToGuestDown > 2*queue {
		t.Errorf("of %d frames %d wait, or are lost uncounted", accepted, accepted-s.ToGuest-s.ToGuestDown)
	}
}

// More than there are is no broken rule: the guest has to ask.
func TestSubChannelsRefused(t *testing.T) {
	for queues, ask := range map[int]string{1: "01000000", 2: "02000000", 64: "3f000000", 3: "00000000"} { // 36 slots are too few for 64
		g := newRaw(t, netvsp.Options{Queues: queues}, false)
		g.negotiate(true)
		g.call("85000000 01000000 "+ask, "85000000 02000000 00000000")
		g.section(data, g.frame(plainHead), packetDone)
	}
}

// A large frame of the guest's reaches the network in segments, or as it is.
func TestLargeSend(t *testing.T) {
	for _, uncut := range []bool{false, true} {
		g := newRaw(t, netvsp.Options{Uncut: uncut, MAC: [6]byte{0, 0x15, 0x5D, 1, 2, 3}}, false)
		g.negotiate(true)
		on := rndis.OffloadParameters{LSOv2IPv4: rndis.LSOOn}.AppendTo(nil, rndis.OffloadParametersSize)
		g.rndis(hex.EncodeToString(rndis.AppendRequest(nil, rndis.TypeSet, 9, rndis.OIDTCPOffloadParameters, on)), "05000080 10000000 09000000 00000000")
		payload := strings.Repeat("0123456789", 400)
		tcp := "03e8 07d0 00000001 00000000 5018 ffff 1409 0000" // sum of the pseudo header without length
		ip := "45000000 00010000 40060000 0a000001 0a000002"
		head := "01000000 %s 34000000 %s 00000000 00000000 00000000 24000000 10000000 00000000 00000000" +
			"10000000 02000000 0c000000 e8032042" // MSS 1000, TCP at 34
		le := func(n int) string { return hex.EncodeToString(binary.LittleEndian.AppendUint32(nil, uint32(n))) }
		frame := "020000000009 00155d010203 0800" + ip + tcp + hex.EncodeToString([]byte(payload))
		msg := fmt.Sprintf(head, le(44+16+54+len(payload)), le(54+len(payload))) + frame
		g.section(data, msg, packetDone)
		want := 4
		if uncut {
			want = 1
		}
		g.net.until(t, "segments", func() bool { return len(g.net.frames) == want })
		var got string
		for _, f := range g.net.frames {
			got += f[54:]
		}
		if got != payload {
			t.Errorf("uncut %t: %d bytes in %d frames", uncut, len(got), want)
		}
	}
}

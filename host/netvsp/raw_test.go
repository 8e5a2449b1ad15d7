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
	"github.com/hvgo/hvgo/internal/loopback"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// raw is a guest that sends what it is told, byte by byte: a mistake in the wire
// packages, which both real sides share, shows here.
type raw struct {
	*rig
	t       testing.TB
	ch      *guest.Channel
	packets chan guest.Packet // from the host, transfers apart
	moved   chan guest.Packet // transfers
	pages   map[string]*guest.Pages
	gpadl   map[string]uint32
	next    uint64
}

func newRaw(t testing.TB, opt netvsp.Options, allowBroken bool) *raw {
	g := &raw{
		rig: newBareRig(t, opt, loopback.Options{AllowBroken: allowBroken}), t: t,
		packets: make(chan guest.Packet, 1000), moved: make(chan guest.Packet, 1000),
		pages: map[string]*guest.Pages{}, gpadl: map[string]uint32{},
	}
	var err error
	if g.ch, err = g.bus.Open(g.bus.Find(wire.InterfaceNetwork)[0].ChannelID, guest.OpenOptions{SendPages: 9, ReceivePages: 9}); err != nil {
		t.Fatal(err)
	}
	go g.serve()
	return g
}

// serve keeps what the host sends.
func (g *raw) serve() {
	g.ch.Serve(func(batch []guest.Packet) error {
		for _, p := range batch {
			p.Payload, p.Descriptor = slices.Clone(p.Payload), slices.Clone(p.Descriptor)
			to := g.packets
			if p.Type == wire.PacketTransferPage {
				to = g.moved
			}
			select {
			case to <- p:
			default: // a test that does not look
			}
		}
		return nil
	})
}

// share makes memory known to the host by a GPADL with a name.
func (g *raw) share(name string, pages int) {
	g.t.Helper()
	p, err := g.m.Guest.AllocPages(pages)
	if err != nil {
		g.t.Fatal(err)
	}
	l, err := g.ch.NewGPADL(p)
	if err != nil {
		g.t.Fatal(err)
	}
	g.pages[name], g.gpadl[name] = p, uint32(l.ID)
}

// bytes reads hex; {name} is the id of a GPADL.
func (g *raw) bytes(s string) []byte {
	g.t.Helper()
	for name, id := range g.gpadl {
		s = strings.ReplaceAll(s, "{"+name+"}", fmt.Sprintf("%08x", binary.BigEndian.Uint32(binary.LittleEndian.AppendUint32(nil, id))))
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		g.t.Fatal(err)
	}
	return b
}

func (g *raw) send(s string) {
	g.t.Helper()
	b := g.bytes(s)
	if len(b) < 28 && len(b) > 4 {
		b = append(b, make([]byte, 28-len(b))...)
	}
	g.next++
	if err := g.ch.SendInBand(b, g.next, true); err != nil {
		g.t.Fatal(err)
	}
}

func receive(t testing.TB, c chan guest.Packet) guest.Packet {
	t.Helper()
	select {
	case p := <-c:
		return p
	case <-time.After(20 * time.Second):
		t.Fatal("no answer")
		panic(0)
	}
}

// call sends a message and compares the beginning of its completion.
func (g *raw) call(s, want string) {
	g.t.Helper()
	g.send(s)
	p := receive(g.t, g.packets)
	w := g.bytes(want)
	if p.Type != wire.PacketCompletion || p.Transaction != g.next || len(p.Payload) < len(w) || hex.EncodeToString(p.Payload[:len(w)]) != hex.EncodeToString(w) {
		g.t.Fatalf("%s is answered %x, want %x", s, p.Payload, w)
	}
}

// broken waits until the guest has broken a rule.
func (g *raw) broken(rule string) {
	g.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if slices.ContainsFunc(g.m.Broken(), func(s string) bool { return strings.HasPrefix(s, "device: "+rule+":") }) {
			return
		}
	}
	g.t.Fatalf("rule %s is not broken, but %q", rule, g.m.Broken())
}

// Messages, byte by byte.
const (
	init5       = "01000000 00000500 00000500"
	init4       = "01000000 00000400 00000400"
	init61      = "01000000 01000600 01000600 0000000000000000000000000000000000000000000000000000000000"
	initDone    = "02000000 ffffffff 22000000 01000000"
	config      = "7d000000 ea050000 00000000 0800000000000000"
	ndisVersion = "64000000 06000000 1e000000"
	receiveBuf  = "65000000 {receive} feca 0000"
	receiveDone = "66000000 01000000 01000000 00000000 0e070000" // slots of 1806 bytes
	sendBuf     = "68000000 {send} 0000 0000"
	sendDone    = "69000000 01000000 00180000" // sections of 6144 bytes
	control     = "6b000000 01000000 00000000" // in section 0; the size follows
	data        = "6b000000 00000000 00000000" // likewise
	packetDone  = "6c000000 01000000"          // success
	packetBad   = "6c000000 05000000"          // invalid RNDIS packet
	failure     = "6c000000 02000000"          // failure
	initialize  = "02000000 18000000 07000000 01000000 00000000 00400000"
	initialized = "02000080 34000000 07000000 00000000 01000000 00000000 01000000 00000000 08000000 00000200 03000000 00000000 00000000"
	setFilter   = "05000000 20000000 09000000 0e010100 04000000 14000000 00000000 0d000000"
)

// negotiate brings the card up to RNDIS, or to frames.
func (g *raw) negotiate(frames bool) {
	g.t.Helper()
	g.call(init5, initDone)
	g.call(config, "")
	g.call(ndisVersion, "")
	g.share("receive", 16)
	g.share("send", 16)
	g.call(receiveBuf, receiveDone)
	g.call(sendBuf, sendDone)
	if !frames {
		return
	}
	g.rndis(initialize, initialized)
	g.rndis(setFilter, "05000080 10000000 09000000 00000000")
}

// section puts bytes into section 0 and sends them.
func (g *raw) section(head, body, want string) {
	g.t.Helper()
	b := g.bytes(body)
	copy(g.pages["send"].Mem, b)
	g.call(fmt.Sprintf("%s %08x", head, binary.BigEndian.Uint32(binary.LittleEndian.AppendUint32(nil, uint32(len(b))))), want)
}

// rndis sends a control message and compares the beginning of the answer, which it
// then completes.
func (g *raw) rndis(msg, want string) {
	g.t.Helper()
	g.section(control, msg, packetDone)
	p := receive(g.t, g.moved)
	set, ranges, err := p.TransferPages(nil)
	if err != nil || set != 0xCAFE || len(ranges) != 1 || !p.CompletionRequested {
		g.t.Fatalf("transfer %+v: %v", p, err)
	}
	r := ranges[0]
	got := g.pages["receive"].Mem[r.ByteOffset : r.ByteOffset+r.ByteCount]
	w := g.bytes(want)
	if len(got) < len(w) || hex.EncodeToString(got[:len(w)]) != hex.EncodeToString(w) {
		g.t.Errorf("%s\nis answered %x\nwant        %x", msg, got, w)
	}
	if err := g.ch.SendCompletion(p.Transaction, g.bytes(packetDone)); err != nil {
		g.t.Fatal(err)
	}
}

// frame is a packet message around a frame of the card's with 2 bytes of payload.
func (g *raw) frame(head string) string {
	mac := g.card.MAC()
	return head + "020000000009" + hex.EncodeToString(mac[:]) + "88b5" + "6869"
}

const plainHead = "01000000 3c000000 24000000 10000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000"

// The whole conversation in bytes, with queries.
func TestRawConversation(t *testing.T) {
	g := newRaw(t, netvsp.Options{MAC: [6]byte{0, 0x15, 0x5D, 1, 2, 3}}, false)
	g.call("01000000 00000700 00000700", "02000000 00000000 00000000 00000000") // 7.0 does not exist
	g.negotiate(true)
	query := func(id, oid, want string) {
		t.Helper()
		g.rndis("04000000 1c000000 "+id+" "+oid+" 00000000 14000000 00000000", want)
	}
	query("01000000", "02010101", "04000080 1e000000 01000000 00000000 06000000 10000000 00155d010203")
	query("02000000", "06010100", "04000080 1c000000 02000000 00000000 04000000 10000000 dc050000")
	query("03000000", "14010100", "04000080 1c000000 03000000 00000000 04000000 10000000 00000000")
	query("04000000", "0e010100", "04000080 1c000000 04000000 00000000 04000000 10000000 0d000000")
	query("05000000", "78563412", "04000080 18000000 05000000 bb0000c0 00000000")
	query("06000000", "0d0201fc", "04000080 b4000000 06000000 00000000 9c000000 10000000 a7039c00 02000000 55010000 02000000 55010000 02000000 55000000 02000000 00000000")
	g.rndis("08000000 0c000000 0a000000", "08000080 10000000 0a000000 00000000") // keepalive

	g.section(data, g.frame(plainHead), packetDone)
	g.net.until(t, "the frame", func() bool { return len(g.net.frames) == 1 })
	if g.net.frames[0] != string(g.fromGuest("hi")) {
		t.Errorf("%x", g.net.frames[0])
	}
	g.card.Deliver(g.toGuest("there"), false)
	p := receive(t, g.moved)
	_, ranges, _ := p.TransferPages(nil)
	got := hex.EncodeToString(g.pages["receive"].Mem[ranges[0].ByteOffset:][:ranges[0].ByteCount])
	// Header, data behind 36 + 16 bytes, one piece of information: checksums, not looked at.
	want := "01000000 4f000000 34000000 13000000 00000000 00000000 00000000 24000000 10000000 00000000 00000000" +
		"10000000 00000000 0c000000 00000000" + "00155d010203 020000000009 88b5 7468657265"
	if got != strings.ReplaceAll(want, " ", "") {
		t.Errorf("\n%s\n%s", got, strings.ReplaceAll(want, " ", ""))
	}
	g.ch.SendCompletion(p.Transaction, g.bytes(packetDone))
	g.rndis("06000000 0c000000 00000000", "06000080 10000000 00000000 01000000") // reset
	query("0b000000", "0e010100", "04000080 1c000000 0b000000 00000000 04000000 10000000 00000000")
	g.section(control, "03000000 0c000000 0c000000", packetDone) // halt: no answer
	g.call("67000000 feca", "")
	g.call("6a000000 0000", "")
}

// Each rule, broken; the channel lives where the answer says so.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		rule, name string
		do         func(g *raw)
	}{
		{netvsp.RuleOrder, "version before Init", func(g *raw) { g.send(ndisVersion) }},
		{netvsp.RuleOrder, "Init twice", func(g *raw) { g.call(init5, initDone); g.send(init5) }},
		{netvsp.RuleOrder, "receive buffer before config", func(g *raw) { g.call(init5, initDone); g.share("receive", 16); g.send(receiveBuf) }},
		{netvsp.RuleOrder, "config after receive buffer", func(g *raw) { g.negotiate(false); g.send(config) }},
		{netvsp.RuleOrder, "two receive buffers", func(g *raw) { g.negotiate(false); g.send(receiveBuf) }},
		{netvsp.RuleOrder, "two send buffers", func(g *raw) { g.negotiate(false); g.send(sendBuf) }},
		{netvsp.RuleOrder, "RNDIS before receive buffer", func(g *raw) { g.call(init5, initDone); g.send(control + "00000000") }},
		{netvsp.RuleOrder, "revoke of nothing", func(g *raw) { g.call(init5, initDone); g.call("6a000000 0000", ""); g.call(config, "") }},
		{netvsp.RuleOrder, "revoke before halt", func(g *raw) { g.negotiate(true); g.call("67000000 feca", ""); g.call(config, "") }},
		{netvsp.RuleOrder, "data path", func(g *raw) { g.call(init4, initDone); g.call("81000000 01000000", "81000000") }},
		{netvsp.RuleVersion, "sub-channels in version 4", func(g *raw) { g.call(init4, initDone); g.call("85000000 01000000 01000000", failure) }},
		{netvsp.RuleMessage, "unknown type", func(g *raw) { g.negotiate(true); g.call("e7030000 00000000", failure) }},
		{netvsp.RuleMessage, "two versions", func(g *raw) { g.call("01000000 00000500 00000400", initDone) }},
		{netvsp.RuleMessage, "short in 6.1", func(g *raw) { g.call(init61, initDone); g.call(ndisVersion, "") }},
		{netvsp.RuleMessage, "channel type", func(g *raw) { g.negotiate(true); g.call("6b000000 02000000 00000000 00000000", failure) }},
		{netvsp.RuleMessage, "transfer page", func(g *raw) {
			x := g.ch.Begin()
			x.TransferPage(1, []wire.TransferPageRange{{ByteCount: 8}}, g.bytes(packetDone), 9, true)
			x.End()
		}},
		{netvsp.RuleBuffer, "unknown GPADL", func(g *raw) {
			g.call(init5, initDone)
			g.call(config, "")
			g.call("65000000 99999999 feca 0000", "66000000 02000000 00000000")
			g.call("68000000 99999999 0000 0000", "69000000 02000000 00000000")
			g.share("receive", 16)
			g.call(receiveBuf, receiveDone)
		}},
		{netvsp.RuleBuffer, "small receive buffer", func(g *raw) {
			g.call(init5, initDone)
			g.call(config, "")
			g.share("receive", 1)
			g.call(receiveBuf, "66000000 02000000 00000000")
		}},
		{netvsp.RuleBuffer, "small send buffer", func(g *raw) {
			g.call(init5, initDone)
			g.share("send", 1)
			g.call(sendBuf, "69000000 02000000 00000000")
		}},
		{netvsp.RuleSection, "section beyond the buffer", func(g *raw) {
			g.negotiate(true)
			g.call("6b000000 00000000 0a000000 00100000", packetBad) // up to the very end: zeros, no RNDIS
			if strings.Contains(fmt.Sprint(g.m.Broken()), netvsp.RuleSection) {
				g.t.Error("the last section is not usable")
			}
			g.call("6b000000 00000000 0a000000 01100000", packetBad)
		}},
		{netvsp.RuleSection, "section number", func(g *raw) { g.negotiate(true); g.call("6b000000 00000000 feffffff 10000000", packetBad) }},
		{netvsp.RuleSection, "section size", func(g *raw) { g.negotiate(true); g.call("6b000000 00000000 00000000 01180000", packetBad) }},
		{netvsp.RuleTransfer, "size", func(g *raw) {
			g.negotiate(true)
			pages, err := g.m.Guest.AllocPages(33)
			if err != nil {
				g.t.Fatal(err)
			}
			head := g.bytes("6b000000 00000000 ffffffff 00000000 000000000000000000000000")
			g.ch.SendGPADirect([]guest.Range{{Length: 33 * wire.PageSize, PFN: pages.PFN}}, head, 5)
		}},
		{netvsp.RuleCompletion, "of nothing", func(g *raw) { g.negotiate(true); g.ch.SendCompletion(99, g.bytes(packetDone)) }},
		{netvsp.RuleCompletion, "without a status", func(g *raw) {
			g.negotiate(true)
			g.card.Deliver(g.toGuest("x"), false)
			g.ch.SendCompletion(receive(g.t, g.moved).Transaction, nil)
		}},
		{netvsp.RuleRNDISOrder, "query before Initialize", func(g *raw) {
			g.negotiate(false)
			g.rndis("04000000 1c000000 01000000 02010101 00000000 14000000 00000000", "04000080 18000000 01000000 010000c0")
		}},
		{netvsp.RuleRNDISOrder, "Initialize twice", func(g *raw) {
			g.negotiate(true)
			g.rndis(initialize, "02000080 34000000 07000000 010000c0")
		}},
		{netvsp.RuleRNDISOrder, "frames before Initialize", func(g *raw) { g.negotiate(false); g.section(data, g.frame(plainHead), packetBad) }},
		{netvsp.RuleRNDISOrder, "halt before Initialize", func(g *raw) { g.negotiate(false); g.section(control, "03000000 0c000000 0c000000", packetDone) }},
		{netvsp.RuleRNDIS, "other RNDIS", func(g *raw) {
			g.negotiate(false)
			g.rndis("02000000 18000000 07000000 02000000 00000000 00400000", "02000080 34000000 07000000 bb0000c0")
		}},
		{netvsp.RuleRNDIS, "length", func(g *raw) { g.negotiate(true); g.section(control, "08000000 ffffffff 0a000000", packetDone) }},
		{netvsp.RuleRNDIS, "control type", func(g *raw) { g.negotiate(true); g.section(control, "63000000 0c000000 0a000000", packetDone) }},
		{netvsp.RuleRNDIS, "information beyond the message", func(g *raw) {
			g.negotiate(true)
			g.rndis("05000000 1c000000 09000000 0e010100 04000000 14000000 00000000", "05000080 10000000 09000000 150001c0")
		}},
		{netvsp.RuleRNDIS, "packet length", func(g *raw) {
			g.negotiate(true)
			g.section(data, g.frame(strings.Replace(plainHead, "3c000000", "3d000000", 1)), packetBad)
		}},
		{netvsp.RuleRNDIS, "data beyond the packet", func(g *raw) {
			g.negotiate(true)
			g.section(data, g.frame(strings.Replace(plainHead, "10000000", "11000000", 1)), packetBad)
		}},
		{netvsp.RuleFrame, "from another station", func(g *raw) {
			g.negotiate(true)
			g.section(data, plainHead+"020000000009 020202020202 88b5 6869", packetDone)
		}},
		{netvsp.RuleOffload, "checksum not switched on", func(g *raw) {
			g.negotiate(true)
			head := "01000000 4c000000 34000000 10000000 00000000 00000000 00000000 24000000 10000000 00000000 00000000" +
				"10000000 00000000 0c000000 05002200"
			g.section(data, g.frame(head), packetDone)
		}},
		{netvsp.RuleOffload, "large send", func(g *raw) {
			g.negotiate(true)
			head := "01000000 4c000000 34000000 10000000 00000000 00000000 00000000 24000000 10000000 00000000 00000000" +
				"10000000 02000000 0c000000 b4050040"
			g.section(data, g.frame(head), packetDone)
		}},
		{netvsp.RuleBatch, "alignment", func(g *raw) { g.negotiate(true); g.section(data, g.frame(plainHead)+g.frame(plainHead), packetDone) }},
		{netvsp.RuleControl, "answers not taken", func(g *raw) {
			g.negotiate(true)
			copy(g.pages["send"].Mem, g.bytes("08000000 0c000000 0a000000"))
			for range 64 + 36 + 1 { // more than slots and queue hold
				g.next++
				if g.ch.SendInBand(append(g.bytes(control+"0c000000"), make([]byte, 12)...), g.next, true) != nil {
					return
				}
			}
		}},
	} {
		t.Run(c.rule+" "+c.name, func(t *testing.T) {
			g := newRaw(t, netvsp.Options{}, true)
			c.do(g)
			g.broken(c.rule)
		})
	}
}

// A GPA-direct packet of several ranges, with and without a section before it.
func TestRawGPADirect(t *testing.T) {
	g := newRaw(t, netvsp.Options{}, false)
	g.negotiate(true)
	msg := g.bytes(g.frame(plainHead))
	pages, err := g.m.Guest.AllocPages(2)
	if err != nil {
		t.Fatal(err)
	}
	copy(pages.Mem[4000:], msg[:20])
	copy(pages.Mem[5000:], msg[20:])
	ranges := []guest.Range{{Length: 20, Offset: 4000, PFN: pages.PFN[:1]}, {Length: uint32(len(msg) - 20), Offset: 5000 - 4096, PFN: pages.PFN[1:]}}
	head := g.bytes("6b000000 00000000 ffffffff 00000000 000000000000000000000000")
	if err := g.ch.SendGPADirect(ranges, head, 77); err != nil {
		t.Fatal(err)
	}
	if p := receive(t, g.packets); p.Transaction != 77 || hex.EncodeToString(p.Payload[:8]) != strings.ReplaceAll(packetDone, " ", "") {
		t.Errorf("%+v", p)
	}
	copy(g.pages["send"].Mem, msg[:20])
	head = g.bytes("6b000000 00000000 00000000 14000000 000000000000000000000000")
	if err := g.ch.SendGPADirect(ranges[1:], head, 78); err != nil {
		t.Fatal(err)
	}
	receive(t, g.packets)
	g.net.until(t, "both frames", func() bool { return len(g.net.frames) == 2 })
	for _, f := range g.net.frames {
		if f != string(g.fromGuest("hi")) {
			t.Errorf("%x", f)
		}
	}
}

// FuzzGuest gives a card packets of a guest's choice: after negotiation, in a section, in
// band, or as completions, on the primary channel or a sub-channel. It must neither
// panic nor hang.
func FuzzGuest(f *testing.F) {
	g := newRaw(f, netvsp.Options{}, true)
	for _, s := range []string{initialize, setFilter, g.frame(plainHead), control + "0c000000", "03000000 0c000000 0c000000", receiveBufLike} {
		for kind := range byte(4) {
			f.Add(kind, g.bytes(s))
			f.Add(kind|0x40, g.bytes(s))
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		g := newRaw(t, netvsp.Options{Queues: 2}, true)
		g.negotiate(kind&0x80 == 0)
		if kind&0x40 != 0 {
			g = g.subChannels(1)[0]
		}
		switch kind & 3 {
		case 0, 1:
			b = b[:min(len(b), 6144)]
			copy(g.pages["send"].Mem, b)
			head := data
			if kind&1 != 0 {
				head = control
			}
			b = binary.LittleEndian.AppendUint32(g.bytes(head), uint32(len(b)))
			g.ch.SendInBand(append(b, make([]byte, 12)...), 1000, true)
		case 2:
			g.ch.SendInBand(b[:min(len(b), 8000)], 1000, true)
		case 3:
			g.ch.SendCompletion(uint64(len(b)%8), b[:min(len(b), 8000)])
		}
		g.card.Deliver(g.toGuest("x"), true)
		g.m.Server.RemoveDevice(g.card) // returns when the card has
	})
}

const receiveBufLike = "65000000 e0e10100 feca 0000"

// A guest that takes its receive buffer back with a transfer under way, shares it anew,
// and only then completes the transfer.
func TestRawShareAgain(t *testing.T) {
	g := newRaw(t, netvsp.Options{}, false)
	g.negotiate(true)
	g.card.Deliver(g.toGuest("x"), false)
	late := receive(t, g.moved)
	g.section(control, "03000000 0c000000 0c000000", packetDone) // halt
	g.call("67000000 feca", "")
	g.call(receiveBuf, receiveDone)
	g.rndis(initialize, initialized)
	if err := g.ch.SendCompletion(late.Transaction, g.bytes(packetDone)); err != nil {
		t.Fatal(err)
	}
	g.rndis(setFilter, "05000080 10000000 09000000 00000000")
	for i := range 100 { // more than there are slots
		text := fmt.Sprint("frame", i)
		g.card.Deliver(g.toGuest(text), false)
		p := receive(t, g.moved)
		_, ranges, err := p.TransferPages(nil)
		if err != nil || len(ranges) != 1 {
			t.Fatalf("%+v: %v", p, err)
		}
		got := g.pages["receive"].Mem[ranges[0].ByteOffset:][:ranges[0].ByteCount]
		if !strings.HasSuffix(string(got), text) {
			t.Fatalf("%q, want %s", got, text)
		}
		if err := g.ch.SendCompletion(p.Transaction, g.bytes(packetDone)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRawShareForEver is a guest that takes buffers back with transfers under way, and
// completes none.
func TestRawShareForEver(t *testing.T) {
	g := newRaw(t, netvsp.Options{}, true)
	g.negotiate(true)
	for n := 0; ; {
		for range 16 {
			g.card.Deliver(g.toGuest("x"), false)
			receive(t, g.moved)
		}
		g.section(control, "03000000 0c000000 0c000000", packetDone) // halt
		g.call("67000000 feca", "")
		if n++; n*16 > 1024 { // transfers
			g.send(receiveBuf)
			g.broken(netvsp.RuleBuffer)
			return
		}
		g.call(receiveBuf, receiveDone)
		g.rndis(initialize, initialized)
		g.rndis(setFilter, "05000080 10000000 09000000 00000000")
	}
}

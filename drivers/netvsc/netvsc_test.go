// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsc

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hvgo/hvgo/internal/wire/nvsp"
	"github.com/hvgo/hvgo/internal/wire/rndis"
)

// sink collects what a NIC delivers.
type sink struct {
	mu      sync.Mutex
	frames  []string
	checked []bool
	links   []bool
	rooms   int
	idles   int
}

func (s *sink) start(t testing.TB, n *NIC) {
	t.Helper()
	err := n.Start(
		func(f []byte, c bool) {
			s.mu.Lock()
			s.frames, s.checked = append(s.frames, string(f)), append(s.checked, c)
			s.mu.Unlock()
		},
		func() { s.mu.Lock(); s.idles++; s.mu.Unlock() },
		func() { s.mu.Lock(); s.rooms++; s.mu.Unlock() },
		func(up bool) { s.mu.Lock(); s.links = append(s.links, up); s.mu.Unlock() })
	if err != nil {
		t.Fatal(err)
	}
}

func (s *sink) until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		ok := cond()
		s.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func frame(s string) []byte { return append(make([]byte, ethernetHeader), s...) }

func TestVersions(t *testing.T) {
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			h := newFakeHost()
			h.version = v
			n := open(t, h, Options{})
			if n.Version() != v {
				t.Errorf("version = %v", n.Version())
			}
			want := "config version receive send rndis"
			if v == nvsp.Version1 {
				want = "version receive send rndis"
			}
			if got := strings.Join(h.order, " "); got != want {
				t.Errorf("order = %q, want %q", got, want)
			}
			if n.MAC() != [6]byte{2, 0x15, 0x5D, 1, 2, 3} || n.PermanentMAC() != [6]byte{0, 0x15, 0x5D, 1, 2, 3} || !n.LinkUp() || n.MTU() != 1500 {
				t.Errorf("mac %x, %x, link %v, mtu %d", n.MAC(), n.PermanentMAC(), n.LinkUp(), n.MTU())
			}
			if v != nvsp.Version1 && h.mtu != 1514 {
				t.Errorf("host was told MTU %d", h.mtu)
			}
		})
	}
}

func TestNoVersion(t *testing.T) {
	h := newFakeHost()
	h.version = 0x00070000
	if _, err := Open(h, Options{Log: quiet()}); !errors.Is(err, ErrRefused) {
		t.Errorf("err = %v", err)
	}
	if !h.closed || !h.freed {
		t.Error("channel left open or memory not freed")
	}
}

func TestMuteHost(t *testing.T) {
	h := newFakeHost()
	h.mute = true
	if _, err := Open(h, Options{Log: quiet(), Timeout: 20 * time.Millisecond}); !errors.Is(err, ErrTimeout) {
		t.Errorf("err = %v", err)
	}
}

func TestRescindWhileOpening(t *testing.T) {
	h := newFakeHost()
	h.mute = true
	go h.rescind()
	if _, err := Open(h, Options{Log: quiet()}); err == nil {
		t.Error("Open succeeds")
	}
}

func section(offset, size, slots uint32) nvsp.Section {
	return nvsp.Section{Offset: offset, SlotSize: size, Slots: slots}
}

func TestBadSections(t *testing.T) {
	for _, s := range [][]nvsp.Section{{}, {section(0, 0, 10)}, {section(0, 1806, 0)}, {section(0, 1806, 2000)},
		{section(0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF)}, {section(2<<20, 1, 1)}} {
		h := newFakeHost()
		h.sections = s
		if _, err := Open(h, Options{Log: quiet()}); !errors.Is(err, ErrProtocol) {
			t.Errorf("%v: %v", s, err)
		}
	}
	for _, size := range []int{0, 1<<20 + 1, 1 << 31} {
		h := newFakeHost()
		h.sectionSize = size
		if _, err := Open(h, Options{Log: quiet()}); !errors.Is(err, ErrProtocol) {
			t.Errorf("section size %d: %v", size, err)
		}
	}
}

// Every reply of the negotiation cut short or garbled: an error, no panic.
func TestGarbledReplies(t *testing.T) {
	for cut := range 12 {
		for nth := 1; nth < 12; nth++ {
			h := newFakeHost()
			i := 0
			h.reply = func(_ uint64, b []byte) []byte {
				if i++; i == nth {
					return b[:min(len(b), cut)]
				}
				return b
			}
			n, err := Open(h, Options{Log: quiet(), Timeout: time.Second})
			if err == nil {
				n.Close()
			}
			if err == nil && nth < 4 && cut < 8 {
				t.Errorf("reply %d cut to %d: accepted", nth, cut)
			}
		}
	}
}

func TestReceive(t *testing.T) {
	h := newFakeHost()
	n := open(t, h, Options{})
	h.deliver(frame("too early"))
	h.until(t, "it is dropped", func() bool { return n.Stats().RxDropped == 1 })
	var s sink
	s.start(t, n)
	if h.filter != rndis.FilterDirected|rndis.FilterAllMulticast|rndis.FilterBroadcast {
		t.Errorf("filter = %x", h.filter)
	}
	h.deliver(frame("one"))
	h.deliver(frame("two"), frame("three"), frame("four"))
	ok := rndis.AppendPPI32(rndis.AppendPPI32(nil, rndis.PPIHashValue, 7), rndis.PPIChecksum, uint32(rndis.ChecksumRxTCPSucceeded))
	h.deliverRaw(nvsp.ChannelData, packetMessage(frame("checked"), ok))
	h.deliverRaw(nvsp.ChannelData, packetMessage(frame("bad sum"), rndis.AppendPPI32(nil, rndis.PPIChecksum, uint32(rndis.ChecksumRxTCPFailed))))
	h.deliverRaw(nvsp.ChannelData, packetMessage(frame("vlan"), rndis.AppendPPI32(nil, rndis.PPIVLAN, uint32(rndis.NewVLAN(7, 0, false)))))
	h.deliverRaw(nvsp.ChannelData, packetMessage(frame("priority"), rndis.AppendPPI32(nil, rndis.PPIVLAN, uint32(rndis.NewVLAN(0, 3, false)))))
	s.until(t, "seven frames", func() bool { return len(s.frames) == 7 })
	want := []string{"one", "two", "three", "four", "checked", "bad sum", "priority"}
	for i, w := range want {
		if s.frames[i] != string(frame(w)) {
			t.Errorf("frame %d = %q", i, s.frames[i])
		}
		if s.checked[i] != (w == "checked") {
			t.Errorf("frame %s: checked %v", w, s.checked[i])
		}
	}
	// All slots went back, each once: those of the control answers too.
	h.until(t, "receive completions", func() bool { return len(h.returned) == h.nextSlot })
	got := slices.Clone(h.returned)
	slices.Sort(got)
	if len(slices.Compact(got)) != h.nextSlot {
		t.Errorf("completions %v", h.returned)
	}
	if st := n.Stats(); st.RxPackets != 7 || st.RxDropped != 2 || st.HostErrors != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestHostileReceive(t *testing.T) {
	h := newFakeHost()
	n := open(t, h, Options{})
	var s sink
	s.start(t, n)
	good := packetMessage(frame("good"), nil)
	change := func(at int, v uint32) []byte {
		b := bytes.Clone(good)
		b[at], b[at+1], b[at+2], b[at+3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
		return b
	}
	var msgs [][]byte
	for _, v := range []uint32{0, 1, 43, 0x7FFFFFFF, 0xFFFFFFFF} {
		msgs = append(msgs, change(0, v+2), change(4, v), change(8, v|1<<20), change(12, v|1<<20), change(28, 35), change(32, v|1<<20))
	}
	msgs = append(msgs, []byte{}, []byte{1}, good[:20], packetMessage([]byte("short"), nil), packetMessage(frame("x"), make([]byte, 16)),
		packetMessage(frame("x"), bytes.Repeat([]byte{0xFF}, 600)))
	for _, m := range msgs {
		h.deliverRaw(nvsp.ChannelData, m)
		h.deliverRaw(nvsp.ChannelControl, m)
	}
	h.mu.Lock()
	base := h.place(nvsp.ChannelData, good)
	for _, r := range []Range{{1, 2 << 20}, {0xFFFFFFFF, 0}, {0, 0xFFFFFFFF}, {0xFFFFFFFF, 0xFFFFFFFF}, {2<<20 + 1, 0}} {
		p := base
		p.Ranges = []Range{r}
		h.push(p)
	}
	for _, p := range []Packet{
		{Kind: TransferPages, SetID: 1, Payload: base.Payload, Ranges: base.Ranges},
		{Kind: TransferPages, SetID: receiveBufferID, Payload: nil, Ranges: base.Ranges},
		{Kind: TransferPages, SetID: receiveBufferID, Payload: nvsp.SendRNDISPacket{ChannelType: 9}.AppendTo(nil), Ranges: base.Ranges},
		{Kind: Completion, Transaction: 12345},
		{Kind: Completion, Transaction: firstTransfer},
		{Kind: Completion, Transaction: firstTransfer + 1<<31},
		{Kind: Completion, Transaction: firstAnonymous - 1},
		{Kind: Completion, Transaction: 1<<64 - 1},
		{Kind: InBand, Payload: []byte{1}},
		{Kind: InBand, Payload: []byte{99, 0, 0, 0}, WantsCompletion: true},
		{Kind: InBand, Payload: nvsp.SendVFAssociation{}.AppendTo(nil)},
		{Kind: 77},
	} {
		h.push(p)
	}
	h.push(h.place(nvsp.ChannelData, good))
	h.mu.Unlock()
	s.until(t, "the good frame", func() bool { return len(s.frames) > 0 && s.frames[len(s.frames)-1] == string(frame("good")) })
	if len(n.tx.free) != len(n.tx.sectionBusy) {
		t.Errorf("%d sections free of %d", len(n.tx.free), len(n.tx.sectionBusy))
	}
	if n.Stats().HostErrors < 50 {
		t.Errorf("%+v", n.Stats())
	}
}

func TestTransmit(t *testing.T) {
	h := newFakeHost()
	n := open(t, h, Options{})
	var want []string
	for i := range 200 {
		f := frame(fmt.Sprint("frame ", i, strings.Repeat("x", i*7)))
		want = append(want, string(f))
		// Several parts make one frame.
		if ok, err := n.Transmit([][]byte{f[:5], f[5:14], nil, f[14:]}, 0, 0); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	n.Flush()
	h.until(t, "200 frames", func() bool { return len(h.frames) == 200 })
	for i, w := range want {
		if string(h.frames[i]) != w {
			t.Fatalf("frame %d = %q", i, h.frames[i])
		}
	}
	st := n.Stats()
	if st.TxPackets != 200 || st.TxDirect != 0 || int(st.TxMessages) != h.messages || h.messages > 100 {
		t.Errorf("%d messages, %+v", h.messages, st)
	}
	for _, size := range []int{0, 13, 1515} {
		if ok, err := n.Transmit([][]byte{make([]byte, size)}, 0, 0); ok || !errors.Is(err, ErrSize) {
			t.Errorf("%d bytes: %v, %v", size, ok, err)
		}
	}
}

// Without room Transmit says so, and room comes when the host completes.
func TestBackPressure(t *testing.T) {
	h := newFakeHost()
	h.holdTx = true
	n := open(t, h, Options{SendBuffer: 8 * 6144, DirectSlots: 2})
	var s sink
	s.start(t, n)
	sent := 0
	f := frame(strings.Repeat("y", 1400))
	for ; ; sent++ {
		ok, err := n.Transmit([][]byte{f}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
	}
	if sent != 8*4+2 { // four frames to a section, then the direct slots
		t.Errorf("%d frames before the end of room", sent)
	}
	h.until(t, "all before are sent", func() bool { return len(h.frames) == sent })
	if s.rooms != 0 {
		t.Error("room before any completion")
	}
	h.releaseAll()
	s.until(t, "room", func() bool { return s.rooms == 1 })
	if ok, err := n.Transmit([][]byte{f}, 0, 0); !ok || err != nil {
		t.Error(ok, err)
	}
	n.Flush()
	h.until(t, "one more", func() bool { return len(h.frames) == sent+1 })
	if st := n.Stats(); st.TxDirect != 2 {
		t.Errorf("%+v", st)
	}
}

// Frames larger than a section go out of pages of the driver's own.
func TestJumbo(t *testing.T) {
	h := newFakeHost()
	n := open(t, h, Options{MTU: 9000})
	if h.mtu != 9014 || n.MTU() != 9000 {
		t.Fatalf("mtu %d, %d", h.mtu, n.MTU())
	}
	small, large := frame("small"), frame(strings.Repeat("j", 9000))
	for _, f := range [][]byte{small, large, small} {
		if ok, err := n.Transmit([][]byte{f}, 0, 0); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	n.Flush()
	h.until(t, "three frames", func() bool { return len(h.frames) == 3 })
	if !bytes.Equal(h.frames[0], small) || !bytes.Equal(h.frames[1], large) || !bytes.Equal(h.frames[2], small) || h.direct != 1 {
		t.Errorf("order or content wrong, %d direct", h.direct)
	}
}

func TestOffload(t *testing.T) {
	h := newFakeHost()
	h.offload = &rndis.Offload{IPv4Tx: 0x155, IPv4Rx: 0x155, IPv6Tx: 0x55, IPv6Rx: 0x55}
	n := open(t, h, Options{})
	if !n.TxChecksum() {
		t.Fatal("offload not taken")
	}
	want := rndis.OffloadParameters{IPv4: rndis.ChecksumReceive, TCPv4: rndis.ChecksumBoth, UDPv4: rndis.ChecksumBoth, TCPv6: 1, UDPv6: 1, LSOv1: 1, LSOv2IPv4: 1, LSOv2IPv6: 1}
	if h.params != want {
		t.Errorf("parameters %+v", h.params)
	}
	n.Transmit([][]byte{frame("tcp")}, 34, 16)
	n.Transmit([][]byte{frame("none")}, 0, 0)
	n.Transmit([][]byte{frame("udp")}, 38, 6)
	n.Flush()
	h.until(t, "three frames", func() bool { return len(h.frames) == 3 })
	if h.csums[0] != (rndis.ChecksumTxIPv4|rndis.ChecksumTxTCP).WithOffset(34) || h.csums[1] != 0 ||
		h.csums[2] != (rndis.ChecksumTxIPv4|rndis.ChecksumTxUDP).WithOffset(38) || string(h.frames[2][14:]) != "udp" {
		t.Errorf("checksum info %x", h.csums)
	}
}

func TestNoOffload(t *testing.T) {
	for name, change := range map[string]func(*fakeHost){
		"unknown": func(h *fakeHost) {},
		"set refused": func(h *fakeHost) {
			h.offload = &rndis.Offload{IPv4Tx: 0x155}
			h.refuse[rndis.OIDTCPOffloadParameters] = true
		},
		"no UDP":    func(h *fakeHost) { h.offload = &rndis.Offload{IPv4Tx: 0x115} },
		"version 4": func(h *fakeHost) { h.offload = &rndis.Offload{IPv4Tx: 0x155}; h.version = nvsp.Version4 },
	} {
		h := newFakeHost()
		change(h)
		if n := open(t, h, Options{}); n.TxChecksum() {
			t.Errorf("%s: offload claimed", name)
		}
	}
}

func TestOnlyPermanentMAC(t *testing.T) {
	h := newFakeHost()
	h.refuse[rndis.OID8023CurrentAddress] = true
	h.refuse[rndis.OIDGenMediaConnectStatus] = true
	if n := open(t, h, Options{}); n.MAC() != n.PermanentMAC() || !n.LinkUp() {
		t.Errorf("mac %x, link %v", n.MAC(), n.LinkUp())
	}
}

func TestLink(t *testing.T) {
	h := newFakeHost()
	n := open(t, h, Options{})
	var s sink
	s.start(t, n)
	for _, st := range []rndis.Status{rndis.StatusMediaDisconnect, rndis.StatusMediaConnect, rndis.StatusNetworkChange, 0x1234} {
		h.deliverRaw(nvsp.ChannelControl, rndis.AppendIndicateStatus(nil, st, nil))
	}
	s.until(t, "link changes", func() bool { return slices.Equal(s.links, []bool{false, true, false, true}) })
	h.deliverRaw(nvsp.ChannelControl, rndis.Keepalive{RequestID: 5}.AppendTo(nil))
	h.until(t, "keepalive answered", func() bool { return slices.Contains(h.order, "keepalive") })
}

func TestRescind(t *testing.T) {
	h := newFakeHost()
	n := open(t, h, Options{})
	var s sink
	s.start(t, n)
	h.rescind()
	<-n.Done()
	s.until(t, "link down and room", func() bool { return len(s.links) == 1 && !s.links[0] && s.rooms == 1 })
	if ok, err := n.Transmit([][]byte{frame("x")}, 0, 0); ok || !errors.Is(err, ErrClosed) {
		t.Errorf("Transmit = %v, %v", ok, err)
	}
	if err := n.Start(nil, nil, nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Start = %v", err)
	}
}

func TestClose(t *testing.T) {
	h := newFakeHost()
	n := open(t, h, Options{})
	var s sink
	s.start(t, n)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(h.order[len(h.order)-3:], " "); got != "halt revoke revoke" || h.filter != 0 {
		t.Errorf("order %q, filter %d", got, h.filter)
	}
}

// FuzzHandle feeds arbitrary packets and receive-buffer contents.
func FuzzHandle(f *testing.F) {
	h := newFakeHost()
	n := open(f, h, Options{ReceiveBuffer: 64 << 10, SendBuffer: 64 << 10})
	if err := n.Start(func(b []byte, _ bool) {
		for range b {
		}
	}, func() {}, func() {}, func(bool) {}); err != nil {
		f.Fatal(err)
	}
	head := nvsp.SendRNDISPacket{ChannelType: 0, SectionIndex: nvsp.NoSection}.AppendTo(nil)
	ctl := nvsp.SendRNDISPacket{ChannelType: 1, SectionIndex: nvsp.NoSection}.AppendTo(nil)
	good := packetMessage(frame("good"), rndis.AppendPPI32(nil, rndis.PPIChecksum, 8))
	f.Add(uint8(TransferPages), uint64(1), head, good, uint32(len(good)), uint32(0))
	f.Add(uint8(TransferPages), uint64(1), head, append(good, good...), uint32(2*len(good)), uint32(0))
	f.Add(uint8(TransferPages), uint64(1), ctl, rndis.AppendIndicateStatus(nil, rndis.StatusMediaDisconnect, nil), uint32(20), uint32(0))
	f.Add(uint8(Completion), uint64(firstTransfer), receiveDone, []byte{}, uint32(0), uint32(0))
	f.Add(uint8(InBand), uint64(9), nvsp.SendIndirectionTable{Count: 16, Offset: 44}.AppendTo(nil), []byte{}, uint32(0), uint32(0))
	f.Fuzz(func(t *testing.T, kind uint8, id uint64, payload, memory []byte, count, offset uint32) {
		done := make(chan struct{})
		h.mu.Lock()
		copy(h.recv.Bytes, memory)
		h.returned, h.errs = h.returned[:0], nil
		h.push(Packet{Kind: Kind(kind), Transaction: id, SetID: receiveBufferID, Payload: payload, Ranges: []Range{{count, offset}, {uint32(len(memory)), 0}}})
		h.mu.Unlock()
		go func() { n.query32(rndis.OIDGenMediaConnectStatus); close(done) }() // still alive
		<-done
	})
}

func BenchmarkReceive(b *testing.B) {
	h := newFakeHost()
	n := open(b, h, Options{})
	got := 0
	n.Start(func(f []byte, _ bool) { got += len(f) }, func() {}, func() {}, func(bool) {})
	h.mu.Lock()
	p := h.place(nvsp.ChannelData, packetMessage(make([]byte, 1514), rndis.AppendPPI32(nil, rndis.PPIChecksum, 8)))
	h.mu.Unlock()
	sub := &NIC{ch: discard{h}, o: n.o, log: n.log}
	sub.receive.Store(n.receive.Load())
	sub.handlers.Store(n.handlers.Load())
	batch := slices.Repeat([]Packet{p}, 16)
	b.SetBytes(1514)
	b.ReportAllocs()
	for i := 0; i < b.N; i += len(batch) {
		sub.handle(batch)
	}
}

// discard is a channel whose host does nothing.
type discard struct{ Channel }

func (discard) SendCompletions([]Done) error                        { return nil }
func (d discard) SendInBand(uint64, []byte, bool) error             { return nil }
func (d discard) SendGPADirect(uint64, []byte, []uint64, int) error { return nil }

func BenchmarkTransmit(b *testing.B) {
	h := newFakeHost()
	n := open(b, h, Options{})
	n.ch = discard{h}
	defer func() { n.ch = h }()
	f := [][]byte{make([]byte, 54), make([]byte, 1460)}
	b.SetBytes(1514)
	b.ReportAllocs()
	for i := range b.N {
		ok, err := n.Transmit(f, 0, 0)
		if !ok || err != nil {
			b.Fatal(ok, err)
		}
		if i%16 == 15 {
			n.Flush()
			for j, busy := range n.tx.sectionBusy {
				if busy {
					n.tx.release(uint64(j))
				}
			}
		}
	}
}

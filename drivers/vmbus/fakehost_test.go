// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hvgo/hvgo/internal/guid"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// fakeHost is the least that Connect and Open need, with hooks to misbehave.
type fakeHost struct {
	t        testing.TB
	max      wire.Version
	respSize int
	connID   uint32 // told in VERSION_RESPONSE
	only1    bool   // connection 4 does not exist
	offers   []Offer
	post     func(msg []byte) (handled bool, err error) // first look at each message

	toGuest chan []byte

	mu      sync.Mutex
	pfn     uint64
	pages   map[uint64][]byte
	freed   int
	events  map[uint16]*fakeEvent
	lists   map[wire.GPADLID]*list
	posted  []wire.MessageType
	conns   []uint32
	open    *hostRings
	signals int
	signal  chan struct{}
	shared  []byte // interrupt page
}

type list struct {
	want int
	data []byte
	ch   wire.ChannelID
}

func newFakeHost(t testing.TB) *fakeHost {
	return &fakeHost{
		t: t, max: wire.Version6_0, respSize: wire.VersionResponseFeaturesSize, connID: 7,
		offers:  []Offer{{InterfaceID: wire.InterfaceSCSI, ChannelID: 3, ConnectionID: 0x2003, DedicatedInterrupt: true}},
		toGuest: make(chan []byte, 4096), pfn: 0x1000, pages: map[uint64][]byte{}, events: map[uint16]*fakeEvent{},
		lists: map[wire.GPADLID]*list{}, signal: make(chan struct{}, 1),
	}
}

var testTiming = timing{answer: 10 * time.Second, post: 10 * time.Second, backoff: time.Microsecond, poll: time.Millisecond}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func mustConnect(h *fakeHost) *Bus {
	h.t.Helper()
	b, err := connect(h, quiet(), testTiming)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { close(h.toGuest); <-b.ended })
	return b
}

func mustOpen(b *Bus, pages int) *Channel {
	t := b.p.(*fakeHost).t
	t.Helper()
	c, err := b.Open(3, OpenOptions{SendPages: pages, ReceivePages: pages})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (h *fakeHost) say(msg []byte) { h.toGuest <- msg }

func (h *fakeHost) PostMessage(conn uint32, msg []byte) error {
	typ, err := wire.DecodeType(msg)
	if err != nil || len(msg) > wire.MaxMessageSize {
		h.t.Errorf("guest posts %x: %v", msg, err)
	}
	if h.post != nil {
		if handled, err := h.post(msg); handled || err != nil {
			return err
		}
	}
	if conn == wire.ConnectionMessagesMulti && h.only1 {
		return ErrNoConnection
	}
	h.mu.Lock()
	h.posted, h.conns = append(h.posted, typ), append(h.conns, conn)
	h.mu.Unlock()
	h.handle(typ, msg)
	return nil
}

func (h *fakeHost) handle(typ wire.MessageType, msg []byte) {
	switch typ {
	case wire.MsgInitiateContact:
		m, err := wire.DecodeInitiateContact(msg)
		if err != nil {
			h.t.Error(err)
		}
		if m.Version < wire.Version5_0 {
			h.mu.Lock()
			h.shared = h.pages[m.InterruptPageGPA/PageSize]
			h.mu.Unlock()
		}
		r := wire.VersionResponse{Supported: m.Version <= h.max, VersionOrConnID: h.connID}
		h.say(r.AppendTo(nil, h.respSize))
	case wire.MsgRequestOffers:
		for _, o := range h.offers {
			h.say(o.AppendTo(nil))
		}
		h.say(wire.AppendHeader(nil, wire.MsgAllOffersDelivered))
	case wire.MsgGPADLHeader:
		m, err := wire.DecodeGPADLHeader(msg)
		if err != nil || m.RangeCount != 1 {
			h.t.Error(m, err)
		}
		h.extend(m.GPADLID, &list{want: int(m.Length), ch: m.ChannelID}, m.Data)
	case wire.MsgGPADLBody:
		m, err := wire.DecodeGPADLBody(msg)
		if err != nil {
			h.t.Error(err)
		}
		h.extend(m.GPADLID, nil, m.Data)
	case wire.MsgGPADLTeardown:
		m, _ := wire.DecodeGPADLTeardown(msg)
		h.say(wire.GPADLTorndown{GPADLID: m.GPADLID}.AppendTo(nil))
	case wire.MsgOpenChannel:
		m, err := wire.DecodeOpenChannel(msg)
		if err != nil {
			h.t.Error(err)
		}
		h.mu.Lock()
		h.open = h.rings(h.lists[m.RingGPADL], int(m.DownstreamPageOffset))
		h.mu.Unlock()
		h.say(wire.OpenResult{ChannelID: m.ChannelID, OpenID: m.OpenID}.AppendTo(nil))
	case wire.MsgUnload:
		h.say(wire.AppendHeader(nil, wire.MsgUnloadComplete))
	}
}

func (h *fakeHost) extend(id wire.GPADLID, l *list, data []byte) {
	h.mu.Lock()
	if l == nil {
		l = h.lists[id]
	}
	h.lists[id] = l
	l.data = append(l.data, data...)
	h.mu.Unlock()
	if len(l.data) > l.want {
		h.t.Errorf("GPADL %d: %d bytes of %d", id, len(l.data), l.want)
	}
	if len(l.data) == l.want {
		h.say(wire.GPADLCreated{ChannelID: l.ch, GPADLID: id}.AppendTo(nil))
	}
}

func (l *list) pfns() (pfns []uint64) {
	for b := l.data[wire.GPARangeSize:]; len(b) > 0; b = b[8:] {
		pfns = append(pfns, binary.LittleEndian.Uint64(b))
	}
	return pfns
}

func (h *fakeHost) SignalEvent(conn uint32, flag uint16) error {
	h.mu.Lock()
	h.signals++
	h.conns = append(h.conns, conn)
	h.mu.Unlock()
	select {
	case h.signal <- struct{}{}:
	default:
	}
	return nil
}

func (h *fakeHost) NextMessage(buf *[240]byte) (int, error) {
	msg, ok := <-h.toGuest
	if !ok {
		return 0, io.EOF
	}
	return copy(buf[:], msg), nil
}

func (h *fakeHost) AllocPages(n int) (*Pages, error) {
	p := &Pages{Mem: alignedMem(n * PageSize)}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range n {
		h.pfn += 3 // not adjacent
		p.PFN = append(p.PFN, h.pfn)
		h.pages[h.pfn] = p.Mem[i*PageSize:]
	}
	p.Release = func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.freed += n
	}
	return p, nil
}

func (h *fakeHost) PFNs(b []byte, dst []uint64) ([]uint64, error) {
	return dst, errors.New("not here")
}

type fakeEvent struct {
	set    chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (h *fakeHost) Listen(flag uint16) (Event, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := &fakeEvent{set: make(chan struct{}, 1), closed: make(chan struct{})}
	h.events[flag] = e
	return e, nil
}

func (e *fakeEvent) Wait() error {
	select {
	case <-e.closed:
		return ErrClosed
	case <-e.set:
		return nil
	}
}

func (e *fakeEvent) Close() error { e.once.Do(func() { close(e.closed) }); return nil }

func (h *fakeHost) interrupt(flag uint16) {
	h.mu.Lock()
	e := h.events[flag]
	h.mu.Unlock()
	select {
	case e.set <- struct{}{}:
	default:
	}
}

// hostRings is the host's naive view of a channel's memory.
type hostRings struct {
	h    *fakeHost
	flag uint16
	rx   ringMem // guest to host
	tx   ringMem // host to guest
}

// rings needs the guest's pages to be one slice, which AllocPages provides.
func (h *fakeHost) rings(l *list, split int) *hostRings {
	pfns := l.pfns()
	mem := h.pages[pfns[0]][: len(pfns)*PageSize : len(pfns)*PageSize]
	rx, err := newRingMem(mem[:split*PageSize])
	if err != nil {
		h.t.Fatal(err)
	}
	tx, err := newRingMem(mem[split*PageSize:])
	if err != nil {
		h.t.Fatal(err)
	}
	tx.features.Store(wire.RingFeaturePendingSend)
	return &hostRings{h: h, flag: uint16(l.ch), rx: rx, tx: tx}
}

type hostPacket struct {
	wire.PacketHeader
	desc, payload []byte
}

// read takes one packet, or gives nil.
func (r *hostRings) read() *hostPacket {
	out, in := r.rx.out.Load(), r.rx.in.Load()
	if in == out {
		return nil
	}
	b := make([]byte, r.rx.distance(out, in))
	r.rx.copyOut(b, out)
	hd, err := wire.DecodePacketHeader(b)
	if err != nil {
		r.h.t.Error(err)
	}
	if trailer := binary.LittleEndian.Uint64(b[hd.Length():]); trailer != uint64(out)<<32 {
		r.h.t.Errorf("trailer %#x, packet at %#x", trailer, out)
	}
	n := uint32(hd.Length() + wire.PacketTrailerSize)
	r.rx.out.Store(r.rx.add(out, n))
	free := r.rx.size - 8 - r.rx.distance(out, r.rx.in.Load()) // the guest may have written meanwhile
	if want := r.rx.pending.Load(); want != 0 && free < want && free+n >= want {
		r.h.interrupt(r.flag)
	}
	return &hostPacket{hd, b[wire.PacketHeaderSize:hd.Offset()], b[hd.Offset():hd.Length()]}
}

// write puts one packet into the guest's ring, or says that there is no room.
func (r *hostRings) write(hd wire.PacketHeader, desc, payload []byte) bool {
	hd.Off8 = uint16((wire.PacketHeaderSize + len(desc)) / 8)
	hd.Len8 = hd.Off8 + uint16((len(payload)+7)/8)
	b := append(hd.AppendTo(nil), desc...)
	b = append(b, payload...)
	b = append(b, make([]byte, hd.Length()-len(b)+8)...)
	in, out := r.tx.in.Load(), r.tx.out.Load()
	if int(r.tx.size-8-r.tx.distance(out, in)) < len(b) {
		return false
	}
	r.tx.copyIn(in, b)
	r.tx.in.Store(r.tx.add(in, uint32(len(b))))
	if r.tx.mask.Load() == 0 && r.tx.out.Load() == in {
		r.h.interrupt(r.flag)
	}
	return true
}

func testInstance() guid.GUID { return guid.MustParse("00112233-4455-6677-8899-aabbccddeeff") }

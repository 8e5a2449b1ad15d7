// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	guest "github.com/hvgo/hvgo/drivers/vmbus"
	host "github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/guid"
	"github.com/hvgo/hvgo/internal/loopback"
	"github.com/hvgo/hvgo/internal/wire/nvsp"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// vsp puts a fakeHost behind a real channel: rings, GPADLs, guest page numbers.
type vsp struct {
	h  *fakeHost
	ch *host.Channel

	send, recv *host.GPADL
}

func (v *vsp) Offer() host.Offer {
	return host.Offer{Interface: wire.InterfaceNetwork, Instance: guid.MustParse("99999999-2222-3333-4444-555555555555")}
}

func (v *vsp) Serve(ctx context.Context, ch *host.Channel) error {
	v.ch = ch
	ctx, cancel := context.WithCancel(ctx)
	pumped := make(chan struct{})
	go func() { v.pump(ctx); close(pumped) }()
	defer func() {
		cancel()
		v.h.rescind()
		<-pumped
		v.send.Release()
		v.recv.Release()
	}()
	for {
		p, err := ch.ReadPacket(ctx)
		if err != nil {
			return err
		}
		if err := v.take(p); err != nil {
			return err
		}
	}
}

// take hands a packet of the guest's to the fake host.
func (v *vsp) take(p host.Packet) error {
	switch p.Type {
	case wire.PacketCompletion:
		return v.h.SendCompletions([]Done{{p.Transaction, p.Payload}})
	case wire.PacketGPADirect:
		m, err := nvsp.DecodeSendRNDISPacket(p.Payload)
		if err != nil || len(p.Buffers) != 1 {
			return fmt.Errorf("GPA-direct: %v, %d buffers", err, len(p.Buffers))
		}
		b := make([]byte, p.Buffers[0].Len())
		p.Buffers[0].ReadAt(b, 0)
		v.h.mu.Lock()
		defer v.h.mu.Unlock()
		if m.ChannelType == nvsp.ChannelData {
			v.h.direct++
		}
		v.h.transfer(p.Transaction, m.ChannelType, b)
		return nil
	}
	payload := p.Payload[:min(len(p.Payload), v.h.version.MessageSize())]
	switch t, _ := nvsp.DecodeType(payload); t {
	case nvsp.TypeSendReceiveBuffer, nvsp.TypeSendSendBuffer:
		m, _ := nvsp.DecodeSharedBuffer(payload, t)
		g, err := v.ch.GPADL(wire.GPADLID(m.GPADL))
		if err != nil {
			return err
		}
		v.h.mu.Lock()
		v.h.gpadls[m.GPADL] = &Memory{Bytes: make([]byte, g.Ranges[0].Len()), GPADL: m.GPADL}
		v.h.mu.Unlock()
		if t == nvsp.TypeSendSendBuffer {
			v.send = g
		} else {
			v.recv = g
		}
	case nvsp.TypeRevokeReceiveBuffer:
		v.recv.Release()
	case nvsp.TypeRevokeSendBuffer:
		v.send.Release()
	case nvsp.TypeSendRNDISPacket:
		m, _ := nvsp.DecodeSendRNDISPacket(payload)
		off := int(m.SectionIndex) * v.h.sectionSize
		if m.SectionIndex == nvsp.NoSection || off+int(m.SectionSize) > len(v.h.send.Bytes) {
			return fmt.Errorf("section %+v", m)
		}
		v.send.Ranges[0].ReadAt(v.h.send.Bytes[off:off+int(m.SectionSize)], off)
	}
	return v.h.SendInBand(p.Transaction, payload, p.WantsCompletion)
}

// pump writes what the fake host has for the guest.
func (v *vsp) pump(ctx context.Context) {
	v.h.Serve(func(batch []Packet) {
		for _, p := range batch {
			out := host.OutPacket{Type: wire.PacketCompletion, Transaction: p.Transaction, Payload: p.Payload}
			if p.Kind == TransferPages {
				out.Type, out.SetID, out.WantsCompletion = wire.PacketTransferPage, p.SetID, true
				for _, r := range p.Ranges {
					v.recv.Ranges[0].WriteAt(v.h.recv.Bytes[r.Offset:r.Offset+r.Count], int(r.Offset))
					out.Ranges = append(out.Ranges, wire.TransferPageRange{ByteCount: r.Count, ByteOffset: r.Offset})
				}
			}
			if err := v.ch.WritePacket(ctx, out); err != nil {
				return
			}
		}
	})
}

// The driver on the real client: buffers by GPADL, packets through rings, and
// all guest memory given back at the end.
func TestOnVMBus(t *testing.T) {
	for _, max := range []wire.Version{wire.Version3_0, wire.Version4_0, wire.Version6_0} {
		for _, nv := range []nvsp.Version{nvsp.Version2, nvsp.Version61} {
			t.Run(fmt.Sprint(max, " ", nv), func(t *testing.T) {
				m := loopback.New(t, loopback.Options{Host: host.Options{MaxVersion: max}})
				h := newFakeHost()
				h.version = nv
				m.Server.AddDevice(&vsp{h: h})
				bus, err := guest.Connect(m.Guest, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				offers := bus.Find(wire.InterfaceNetwork)
				if len(offers) != 1 {
					t.Fatalf("%d offers", len(offers))
				}
				free := m.FreePages()
				n, err := Attach(m.Guest, bus, offers[0], Options{Log: quiet(), MTU: 9000})
				if err != nil {
					t.Fatal(err)
				}
				var s sink
				s.start(t, n)
				const count = 500
				large := strings.Repeat("L", 8000)
				for i := range count {
					if i%2 == 0 {
						h.deliver(frame(fmt.Sprint("a", i)), frame(fmt.Sprint("b", i)))
					}
					f := frame(fmt.Sprint("frame", i))
					if i%50 == 0 {
						f = append(f, large...)
					}
					for {
						ok, err := n.Transmit([][]byte{f}, 0, 0)
						if err != nil {
							t.Fatal(err)
						}
						if ok {
							break
						}
						s.mu.Lock()
						rooms := s.rooms
						s.mu.Unlock()
						s.until(t, "room", func() bool { return s.rooms > rooms || n.hasRoom() })
					}
				}
				n.Flush()
				h.until(t, "all frames at the host", func() bool { return len(h.frames) == count })
				s.until(t, "all frames at the guest", func() bool { return len(s.frames) == count })
				for i, f := range h.frames {
					if !strings.HasPrefix(string(f[ethernetHeader:]), fmt.Sprint("frame", i)) {
						t.Fatalf("frame %d is %q", i, f[ethernetHeader:ethernetHeader+12])
					}
				}
				if s.frames[0] != string(frame("a0")) || s.frames[count-1] != string(frame(fmt.Sprint("b", count-2))) {
					t.Error("received frames out of order")
				}
				h.until(t, "all slots back", func() bool { return len(h.returned) == h.nextSlot })
				if h.direct != count/50 {
					t.Errorf("%d direct transfers", h.direct)
				}
				if err := n.Close(); err != nil {
					t.Error(err)
				}
				h.check(t)
				if got := m.FreePages(); got != free {
					t.Errorf("%d of %d pages free after Close", got, free)
				}
				if st := n.Stats(); st.HostErrors != 0 {
					t.Errorf("%+v", st)
				}
			})
		}
	}
}

// hasRoom tells whether the next Transmit would find room.
func (n *NIC) hasRoom() bool {
	n.tx.mu.Lock()
	defer n.tx.mu.Unlock()
	return len(n.tx.free) > 0 || len(n.tx.directFree) > 0
}

// Pages that packets lent to the host are free only when it has let go of the channel.
func TestLentPages(t *testing.T) {
	m := loopback.New(t, loopback.Options{})
	m.Server.AddDevice(&vsp{h: newFakeHost()})
	bus, err := guest.Connect(m.Guest, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, closed := range []bool{false, true} {
		c, err := bus.Open(bus.Find(wire.InterfaceNetwork)[0].ChannelID, guest.OpenOptions{SendPages: ringPages, ReceivePages: ringPages})
		if err != nil {
			t.Fatal(err)
		}
		b := &busChannel{c: c, p: m.Guest}
		free := m.FreePages()
		if _, err := b.Lend(3); err != nil || m.FreePages() != free-3 {
			t.Fatalf("%v, %d of %d pages free", err, m.FreePages(), free)
		}
		if closed {
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			free += 2 * ringPages
		}
		err = b.Free()
		if closed && (err != nil || m.FreePages() != free) || !closed && (!errors.Is(err, errNotReleased) || m.FreePages() != free-3) {
			t.Errorf("closed %t: %v, %d of %d pages free", closed, err, m.FreePages(), free)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

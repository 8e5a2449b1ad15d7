// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package loopback

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	guest "github.com/hvgo/hvgo/drivers/vmbus"
	host "github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/guid"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

var echoInterface = guid.MustParse("11111111-2222-3333-4444-555555555555")

// echo completes in-band packets with their payload, and GPA-direct packets after
// turning each byte of the guest's buffer upside down.
type echo struct{}

func (echo) Offer() host.Offer {
	return host.Offer{Interface: echoInterface, Instance: guid.MustParse("99999999-2222-3333-4444-555555555555")}
}

func (echo) Serve(ctx context.Context, ch *host.Channel) error {
	for {
		p, err := ch.ReadPacket(ctx)
		if err != nil {
			return err
		}
		for _, b := range p.Buffers {
			data := make([]byte, b.Len())
			b.ReadAt(data, 0)
			for i := range data {
				data[i] ^= 0xFF
			}
			b.WriteAt(data, 0)
		}
		if err := ch.Complete(ctx, p.Transaction, p.Payload); err != nil {
			return err
		}
	}
}

func connect(t *testing.T, m *Machine) *guest.Bus {
	t.Helper()
	bus, err := guest.Connect(m.Guest, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return bus
}

// exchange sends n packets of many sizes through small rings and checks the answers.
func exchange(t *testing.T, m *Machine, bus *guest.Bus, n int) {
	t.Helper()
	offers := bus.Find(echoInterface)
	if len(offers) != 1 {
		t.Fatalf("%d echo offers", len(offers))
	}
	ch, err := bus.Open(offers[0].ChannelID, guest.OpenOptions{SendPages: 3, ReceivePages: 2})
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan guest.Packet, n)
	served := make(chan error, 1)
	go func() {
		served <- ch.Serve(func(batch []guest.Packet) error {
			for _, p := range batch {
				p.Payload = bytes.Clone(p.Payload)
				answers <- p
			}
			return nil
		})
	}()
	r := rand.New(rand.NewPCG(1, 2))
	sent := make([][]byte, n)
	buffer := make([]byte, 3*wire.PageSize)
	for i := range sent {
		sent[i] = make([]byte, 8*r.IntN(200))
		for j := range sent[i] {
			sent[i][j] = byte(r.Uint32())
		}
	}
	go func() {
		for i, p := range sent {
			if err := ch.SendInBand(p, uint64(i), true); err != nil {
				t.Errorf("send %d: %v", i, err)
				return
			}
		}
	}()
	for i := range sent {
		select {
		case p := <-answers:
			if p.Transaction != uint64(i) || p.Type != wire.PacketCompletion || !bytes.Equal(p.Payload, sent[i]) {
				t.Fatalf("answer %d: type %d, transaction %d, %d bytes of %d", i, p.Type, p.Transaction, len(p.Payload), len(sent[i]))
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("no answer to packet %d", i)
		}
	}
	part := buffer[100 : len(buffer)-100]
	pfns, err := m.Guest.PFNs(part, nil)
	if err != nil {
		t.Fatal(err)
	}
	off := (100 + pageOffset(buffer)) % wire.PageSize
	if err := ch.SendGPADirect([]guest.Range{{Length: uint32(len(part)), Offset: uint32(off), PFN: pfns}}, []byte("directly"), 7); err != nil {
		t.Fatal(err)
	}
	if p := <-answers; p.Transaction != 7 || string(p.Payload) != "directly" {
		t.Fatalf("GPA-direct answer %+v", p)
	}
	for i, b := range buffer {
		if want := i >= 100 && i < len(buffer)-100; (b == 0xFF) != want {
			t.Fatalf("byte %d of the buffer is %#x", i, b)
		}
	}
	if err := ch.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; !errors.Is(err, guest.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// TestEcho runs guest and host against each other on hosts of every kind.
func TestEcho(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	tests := map[string]Options{
		"spurious signals": {Spurious: true},
		"busy slots":       {Busy: func(n int) bool { return n%3 != 2 }},
		"far connections":  {Host: host.Options{EventConnection: FarConnections}},
		"garbage":          {Host: host.Options{Garbage: true}},
		"no connection 4":  {Host: host.Options{NoMultiConnection: true, MaxVersion: wire.Version4_0, ShortVersionResponse: true}},
		"other message id": {Host: host.Options{MessageConnection: 0x77}},
	}
	for _, v := range []wire.Version{wire.Version0_13, wire.Version1_1, wire.Version2_4, wire.Version3_0, wire.Version4_0,
		wire.Version4_1, wire.Version5_0, wire.Version5_1, wire.Version5_2, wire.Version5_3, wire.Version6_0} {
		tests["version "+v.String()] = Options{Host: host.Options{MaxVersion: v}}
	}
	for name, opt := range tests {
		t.Run(name, func(t *testing.T) {
			opt.Host.Log = quiet
			m := New(t, opt)
			m.Server.AddDevice(echo{})
			free := m.FreePages()
			connections := 2 // the second must work like the first
			if opt.Host.MaxVersion == wire.Version0_13 {
				connections = 1 // without UNLOAD_COMPLETE the first still waits for messages
			}
			for range connections {
				bus := connect(t, m)
				if max := opt.Host.MaxVersion; max != 0 && bus.Version() != max {
					t.Errorf("version %v, host has %v", bus.Version(), max)
				}
				exchange(t, m, bus, 300)
				exchange(t, m, bus, 10)
				if err := bus.Unload(); err != nil {
					t.Fatal(err)
				}
			}
			if got := m.FreePages(); got != free {
				t.Errorf("%d pages leaked", free-got)
			}
		})
	}
}

// TestRescind takes the device away while the guest waits for a packet, and gives it back.
func TestRescind(t *testing.T) {
	m := New(t, Options{Host: host.Options{Log: slog.New(slog.DiscardHandler)}})
	m.Server.AddDevice(echo{})
	bus := connect(t, m)
	ch, err := bus.Open(bus.Find(echoInterface)[0].ChannelID, guest.OpenOptions{SendPages: 2, ReceivePages: 2})
	if err != nil {
		t.Fatal(err)
	}
	m.Server.RemoveDevice(echo{})
	if err := ch.Serve(func([]guest.Packet) error { return nil }); !errors.Is(err, guest.ErrRescinded) {
		t.Fatalf("Serve: %v", err)
	}
	if err := ch.Close(); err != nil {
		t.Fatal(err)
	}
	w := bus.Watch()
	defer w.Stop()
	m.Server.AddDevice(echo{})
	for len(bus.Find(echoInterface)) == 0 {
		select {
		case <-w.C:
		case <-time.After(30 * time.Second):
			t.Fatal("device did not come back")
		}
	}
	exchange(t, m, bus, 20)
	if err := bus.Unload(); err != nil {
		t.Fatal(err)
	}
}

// TestReset forgets the guest in the middle of its work; a new guest starts afresh.
func TestReset(t *testing.T) {
	m := New(t, Options{Host: host.Options{Log: slog.New(slog.DiscardHandler)}, AllowBroken: true})
	m.Server.AddDevice(echo{})
	bus := connect(t, m)
	if _, err := bus.Open(bus.Find(echoInterface)[0].ChannelID, guest.OpenOptions{SendPages: 2, ReceivePages: 2}); err != nil {
		t.Fatal(err)
	}
	m.Server.Reset()
	if n := len(m.Broken()); n != 0 {
		t.Errorf("broken rules: %v", m.Broken())
	}
}

func TestMemory(t *testing.T) {
	mem := newMemory(100)
	b, pfns, release := mem.alloc(128)
	if b == nil || mem.free() != 0 {
		t.Fatal("128 pages of 128 are not to be had")
	}
	seen := map[uint64]bool{}
	for i, pfn := range pfns {
		p, err := mem.Bytes(pfn*wire.PageSize, wire.PageSize)
		if err != nil || &p[0] != &b[i*wire.PageSize] || seen[pfn] {
			t.Fatalf("page %d, number %#x: %v", i, pfn, err)
		}
		seen[pfn] = true
	}
	release()
	if mem.free() != 128 {
		t.Error("pages not given back")
	}
	for _, gpa := range []uint64{0, 0xDEAD000, 1 << 63, (firstPFN + 128) * wire.PageSize} {
		if _, err := mem.Bytes(gpa, 8); err == nil {
			t.Errorf("%#x is RAM", gpa)
		}
	}
	if _, err := mem.Bytes(pfns[0]*wire.PageSize+4090, 8); err == nil {
		t.Error("crossing a page is allowed")
	}
	own := make([]byte, 10000)
	var got []byte
	for i, pfn := range mem.pfns(own, nil) {
		p, err := mem.Bytes(pfn*wire.PageSize, wire.PageSize)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			p = p[pageOffset(own):]
		}
		got = append(got, p...)
	}
	if !bytes.Equal(got[:len(own)], own) {
		t.Error("own memory looks different from the host")
	}
}

func ExampleFarConnections() {
	fmt.Printf("%#x %#x\n", FarConnections(1), FarConnections(2))
	// Output: 0xc0fdee 0xc0fbee
}

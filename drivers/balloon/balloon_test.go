// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package balloon

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hvgo/hvgo/drivers/vmbus"
	hostballoon "github.com/hvgo/hvgo/host/balloon"
	"github.com/hvgo/hvgo/internal/loopback"
	"github.com/hvgo/hvgo/internal/wire/dynmem"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// machine is Memory on the pages of a loopback machine.
type machine struct {
	t     *testing.T
	guest *loopback.Guest
	total uint64

	mu    sync.Mutex
	free  uint64
	pages map[uint64]*vmbus.Pages // taken
}

func newMachine(t *testing.T, m *loopback.Machine) *machine {
	total := uint64(m.FreePages())
	return &machine{t: t, guest: m.Guest, total: total, free: total, pages: map[uint64]*vmbus.Pages{}}
}

// Take takes one page: those of a loopback machine are not adjacent.
func (m *machine) Take(n uint32, keep uint64) dynmem.Range {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n == 0 || m.free <= keep {
		return dynmem.Range{}
	}
	p, err := m.guest.AllocPages(1)
	if err != nil {
		return dynmem.Range{}
	}
	m.free--
	m.pages[p.PFN[0]] = p
	return dynmem.Range{Start: p.PFN[0], Count: 1}
}

func (m *machine) Give(r dynmem.Range) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := r.Start; n < r.End(); n++ {
		p := m.pages[n]
		if p == nil {
			m.t.Errorf("page %#x is given back, but was not taken", n)
			return
		}
		p.Free()
		delete(m.pages, n)
		m.free++
	}
}

func (m *machine) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Stats{Total: m.total, Free: m.free}
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// attach joins the driver to a host's device. It is closed at the end.
func attach(t *testing.T, opt loopback.Options, host hostballoon.Options) (*Balloon, *hostballoon.Balloon, *machine) {
	t.Helper()
	m := loopback.New(t, opt)
	host.Verify = true
	device := hostballoon.New(host)
	m.Server.AddDevice(device)
	log := slog.New(slog.DiscardHandler)
	bus, err := vmbus.Connect(m.Guest, log)
	if err != nil {
		t.Fatal(err)
	}
	memory := newMachine(t, m)
	b, err := Attach(bus, bus.Find(wire.InterfaceDynamicMemory)[0], memory, Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b, device, memory
}

func TestNegotiation(t *testing.T) {
	for _, want := range versions {
		b, host, mem := attach(t, loopback.Options{}, hostballoon.Options{
			Refuse: func(v dynmem.Version) bool { return v > want }, MaxPages: 1 << 20,
		})
		if err := host.WaitReports(deadline(t), 2); err != nil {
			t.Fatal(err)
		}
		<-b.Agreed()
		g, least := host.Guest(), floor(mem.total)
		if g.Version != want || g.Capabilities != (dynmem.Capabilities{Balloon: true, MaxPage: ^uint64(0)}) {
			t.Errorf("version %v, want %v; capabilities %+v", g.Version, want, g.Capabilities)
		}
		if want := (dynmem.Status{Available: mem.total, ZeroFree: mem.total, Committed: least}); g.Status != want {
			t.Errorf("status %+v, want %+v", g.Status, want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		opt  hostballoon.Options
		want error
	}{
		{hostballoon.Options{Refuse: func(dynmem.Version) bool { return true }}, ErrNoVersion},
		{hostballoon.Options{RefuseCapabilities: true}, ErrRefused},
	} {
		b, _, _ := attach(t, loopback.Options{}, c.opt)
		<-b.Done()
		if err := b.ch.Err(); !errors.Is(err, c.want) {
			t.Errorf("%v, want %v", err, c.want)
		}
	}
}

func TestInflateDeflate(t *testing.T) {
	b, host, mem := attach(t, loopback.Options{}, hostballoon.Options{NoReports: true})
	ctx := deadline(t)
	if err := host.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	spare := mem.total - floor(mem.total)
	for _, c := range []struct {
		ask  uint32
		give uint64
		got  uint64
		held uint64
	}{
		{ask: 0, got: 0, held: 0},
		{ask: 1, got: 1, held: 1},
		{ask: 2000, got: 2000, held: 2001}, // several messages
		{give: 1000, got: 1000, held: 1001},
		{ask: ^uint32(0), got: spare - 1001, held: spare},
		{ask: 1, got: 0, held: spare},
		{give: 1 << 40, got: spare, held: 0},
		{give: 1, got: 0, held: 0},
		{ask: 100, got: 100, held: 100},
	} {
		var got uint64
		var err error
		if c.give > 0 {
			got, err = host.Deflate(ctx, c.give)
		} else {
			got, err = host.Inflate(ctx, c.ask)
		}
		if err != nil || got != c.got || host.Guest().Held != c.held || b.Out() != c.held {
			t.Fatalf("%+v: got %d, %v; the host has %d, the guest counts %d", c, got, err, host.Guest().Held, b.Out())
		}
		if s := mem.Stats(); s.Free != s.Total-c.held {
			t.Fatalf("%+v: %d of %d pages free", c, s.Free, s.Total)
		}
	}
	if g := host.Guest(); g.Reports != 0 {
		t.Errorf("%d reports that the host did not want", g.Reports)
	}
}

// TestRescind sees that the service ends, and that what the host has stays out of use.
func TestRescind(t *testing.T) {
	m := loopback.New(t, loopback.Options{})
	host := hostballoon.New(hostballoon.Options{})
	m.Server.AddDevice(host)
	bus, err := vmbus.Connect(m.Guest, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	mem := newMachine(t, m)
	b, err := Attach(bus, bus.Find(wire.InterfaceDynamicMemory)[0], mem, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx := deadline(t)
	if err := host.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := host.Inflate(ctx, 50); got != 50 || err != nil {
		t.Fatal(got, err)
	}
	m.Server.RemoveDevice(host)
	<-b.Done()
	if b.Out() != 50 || len(mem.pages) != 50 {
		t.Errorf("%d pages with the host, %d taken", b.Out(), len(mem.pages))
	}
	if _, err := host.Inflate(ctx, 1); !errors.Is(err, hostballoon.ErrNotReady) {
		t.Error(err)
	}
	b.Close() // once more does no harm
}

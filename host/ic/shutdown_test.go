// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ic

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	guest "github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/loopback"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Messages with their pipe headers.
const (
	offered = `01000000 34000000
		0000 0000 0000 0000 0000 2000 00000000 00 03 0000
		0200 0400 00000000 0100 0000 0300 0000  0100 0000 0300 0000 0300 0100 0300 0200`
	chosen = `01000000 24000000
		0000 0000 0000 0000 0000 1000 00000000 00 05 0000
		0100 0100 00000000 0300 0000 0300 0200`
	asked = `01000000 20080000
		0300 0000 0300 0300 0200 0c08 00000000 00 03 0000
		00000080 00000000 03000000`
	obeyed  = `01000000 14000000  0300 0000 0300 0300 0200 0000 00000000 00 05 0000`
	refused = `01000000 14000000  0300 0000 0300 0300 0200 0000 05400080 00 05 0000`
)

type raw struct {
	t  testing.TB
	m  *loopback.Machine
	s  *Shutdown
	ch *guest.Channel
	in chan []byte
}

// newRaw makes a guest that has opened the channel and does nothing by itself.
func newRaw(t testing.TB, broken bool) *raw {
	s := NewShutdown()
	g := newRawOf(t, broken, s)
	g.s = s
	return g
}

// newRawOf is newRaw for any service.
func newRawOf(t testing.TB, broken bool, d vmbus.Device) *raw {
	quiet := slog.New(slog.DiscardHandler)
	m := loopback.New(t, loopback.Options{AllowBroken: broken, Host: vmbus.Options{Log: quiet}, Pages: 64})
	m.Server.AddDevice(d)
	bus, err := guest.Connect(m.Guest, quiet)
	if err != nil {
		t.Fatal(err)
	}
	offer := bus.Find(d.Offer().Interface)[0]
	if offer.Flags != wire.OfferEnumerateInterface|wire.OfferNamedPipe || offer.UserDefined[0] != wire.PipeMessage {
		t.Errorf("offer flags %#x, pipe type %d", offer.Flags, offer.UserDefined[0])
	}
	ch, err := bus.Open(offer.ChannelID, guest.OpenOptions{SendPages: 2, ReceivePages: 2})
	if err != nil {
		t.Fatal(err)
	}
	g := &raw{t: t, m: m, ch: ch, in: make(chan []byte, 10)}
	go ch.Serve(func(batch []guest.Packet) error {
		for _, p := range batch {
			g.in <- bytes.Clone(p.Payload)
		}
		return nil
	})
	return g
}

func (g *raw) expect(want string) {
	g.t.Helper()
	select {
	case got := <-g.in:
		if w := unhex(g.t, want); !bytes.HasPrefix(got, w) {
			g.t.Fatalf("got  %x\nwant %x", got[:min(len(got), len(w))], w)
		}
	case <-time.After(30 * time.Second):
		g.t.Fatal("the host says nothing")
	}
}

func (g *raw) send(message string) {
	g.t.Helper()
	if err := g.ch.SendInBand(unhex(g.t, message), 0, false); err != nil {
		g.t.Fatal(err)
	}
}

func (g *raw) ready() {
	g.t.Helper()
	g.expect(offered)
	g.send(chosen)
	ctx, cancel := context.WithTimeout(g.t.Context(), 30*time.Second)
	defer cancel()
	if err := g.s.WaitReady(ctx); err != nil {
		g.t.Fatal(err)
	}
}

// TestShutdown is the whole conversation byte by byte, with both answers.
func TestShutdown(t *testing.T) {
	g := newRaw(t, false)
	ctx := t.Context()
	if err := g.s.RequestShutdown(ctx, false, false); !errors.Is(err, ErrNotReady) {
		t.Errorf("before negotiation: %v", err)
	}
	g.ready()
	for answer, status := range map[string]uint32{obeyed: 0, refused: 0x80004005} {
		done := make(chan error, 1)
		go func() { done <- g.s.RequestShutdown(ctx, true, true) }()
		g.expect(asked)
		if err := g.s.RequestShutdown(ctx, false, false); !errors.Is(err, ErrInProgress) {
			t.Errorf("a second request: %v", err)
		}
		g.send(answer)
		err := <-done
		if r, ok := errors.AsType[*RefusedError](err); (err == nil) != (status == 0) || ok && uint32(r.Status) != status {
			t.Errorf("status %#x: %v", status, err)
		}
	}
}

// TestGone closes the channel instead of an answer.
func TestGone(t *testing.T) {
	g := newRaw(t, false)
	g.ready()
	done := make(chan error, 1)
	go func() { done <- g.s.RequestShutdown(t.Context(), false, false) }()
	g.expect("01000000 20080000")
	if err := g.ch.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrGone) {
		t.Errorf("%v", err)
	}
	if err := g.s.RequestShutdown(t.Context(), false, false); !errors.Is(err, ErrNotReady) {
		t.Errorf("afterwards: %v", err)
	}
}

// TestContext gives up waiting; the late answer is not taken for another request's.
func TestContext(t *testing.T) {
	g := newRaw(t, false)
	g.ready()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.s.RequestShutdown(ctx, true, true) }()
	g.expect(asked)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := g.s.RequestShutdown(t.Context(), true, true); !errors.Is(err, ErrInProgress) {
		t.Errorf("before the late answer: %v", err)
	}
}

// TestBroken sends what a guest must not.
func TestBroken(t *testing.T) {
	for name, messages := range map[string][]string{
		"no versions":        {`01000000 1c000000 0000 0000 0000 0000 0000 0800 00000000 00 05 0000 0000 0000 00000000`},
		"foreign versions":   {strings.Replace(chosen, "0300 0200", "0900 0200", 1)},
		"twice":              {chosen, chosen},
		"not asked for":      {chosen, obeyed},
		"a request":          {strings.Replace(obeyed, "05 0000", "03 0000", 1)},
		"size beyond packet": {strings.Replace(chosen, "1000 00000000", "ff00 00000000", 1)},
		"pipe type":          {strings.Replace(chosen, "01000000", "02000000", 1)},
		"pipe length":        {strings.Replace(chosen, "24000000", "24000001", 1)},
		"another service":    {`01000000 14000000  0300 0000 0100 0300 0200 0000 00000000 00 05 0000`},
	} {
		g := newRaw(t, true)
		g.expect(offered)
		for _, m := range messages {
			g.send(m)
		}
		for start := time.Now(); len(g.m.Broken()) == 0; time.Sleep(time.Millisecond) {
			if time.Since(start) > 30*time.Second {
				t.Fatalf("%s: not reported", name)
			}
		}
		if got := g.m.Broken()[0]; !strings.HasPrefix(got, vmbus.RuleDevice+": ic: ") {
			t.Errorf("%s: reported as %q", name, got)
		}
	}
}

func FuzzGuest(f *testing.F) {
	f.Add(unhex(f, chosen))
	f.Add(unhex(f, obeyed))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1000 {
			return
		}
		g := newRaw(t, true)
		g.expect(offered)
		g.ch.SendInBand(b, 0, true)
		if err := g.ch.Close(); err != nil { // returns when the host has stopped
			t.Error(err)
		}
	})
}

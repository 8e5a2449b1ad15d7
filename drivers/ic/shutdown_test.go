// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ic

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/hvgo/hvgo/drivers/vmbus"
	hostic "github.com/hvgo/hvgo/host/ic"
	"github.com/hvgo/hvgo/internal/loopback"
	wireic "github.com/hvgo/hvgo/internal/wire/ic"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

func TestShutdownByHost(t *testing.T) {
	m := loopback.New(t, loopback.Options{})
	host := hostic.NewShutdown()
	m.Server.AddDevice(host)
	log := slog.New(slog.DiscardHandler)
	bus, err := vmbus.Connect(m.Guest, log)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan Request, 10)
	s, err := AttachShutdown(bus, bus.Find(wire.InterfaceShutdown)[0], log, func(r Request) { got <- r })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := host.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	for _, want := range []Request{{}, {Force: true}, {Restart: true}, {Force: true, Restart: true}} {
		if err := host.RequestShutdown(ctx, want.Force, want.Restart); err != nil {
			t.Error(err)
		}
		want.Reason = wireic.ReasonPlanned
		if r := <-got; r != want {
			t.Errorf("request %+v, want %+v", r, want)
		}
	}
	s.Close()
	if err := host.RequestShutdown(ctx, false, false); !errors.Is(err, hostic.ErrNotReady) {
		t.Error(err)
	}
	if _, err := AttachShutdown(bus, bus.Find(wire.InterfaceShutdown)[0], log, nil); err != nil {
		t.Errorf("second opening: %v", err)
	}
}

func TestRescind(t *testing.T) {
	m := loopback.New(t, loopback.Options{})
	host := hostic.NewShutdown()
	m.Server.AddDevice(host)
	bus, err := vmbus.Connect(m.Guest, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := AttachShutdown(bus, bus.Find(wire.InterfaceShutdown)[0], slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Server.RemoveDevice(host)
	<-s.Done()
}

func message(h wireic.Header, body []byte) []byte {
	h.Size = uint16(len(body))
	b := wire.PipeHeader{Type: wire.PipeData, Length: uint32(wireic.HeaderSize + len(body))}.AppendTo(nil)
	return append(h.AppendTo(b), body...)
}

// answerTo gives the answer's header and body, and does what is to be done after it.
func answerTo(t *testing.T, s *Service, msg []byte) (wireic.Header, []byte) {
	t.Helper()
	b, after, err := s.answer(msg)
	if err != nil {
		t.Fatal(err)
	}
	h, body, err := wireic.DecodeHeader(b[wire.PipeHeaderSize:])
	if err != nil || h.Flags != wireic.FlagTransaction|wireic.FlagResponse {
		t.Fatalf("%+v, %v", h, err)
	}
	if after != nil {
		after()
	}
	return h, body
}

func TestNegotiation(t *testing.T) {
	v := func(n ...uint16) (list []wireic.Version) {
		for i := 0; i < len(n); i += 2 {
			list = append(list, wireic.Version{Major: n[i], Minor: n[i+1]})
		}
		return list
	}
	for _, c := range []struct{ frameworks, messages, framework, message []wireic.Version }{
		{v(1, 0, 3, 0), v(1, 0, 3, 0, 3, 1, 3, 2), v(3, 0), v(3, 2)},
		{v(3, 0, 1, 0), v(3, 1, 3, 0), v(3, 0), v(3, 1)},
		{v(1, 0), v(1, 0, 9, 9), v(1, 0), v(1, 0)},
		{v(2, 0), v(7, 0), nil, nil},
		{nil, nil, nil, nil},
	} {
		s := newShutdown(slog.New(slog.DiscardHandler), nil)
		n := wireic.Negotiate{Frameworks: c.frameworks, Messages: c.messages}
		h, body := answerTo(t, s, message(wireic.Header{Type: wireic.MsgNegotiate, Transaction: 5, Flags: wireic.FlagRequest}, n.AppendTo(nil)))
		want := wireic.Negotiate{Frameworks: c.framework, Messages: c.message}.AppendTo(nil)
		if h.Transaction != 5 || string(body) != string(want) {
			t.Errorf("%+v: answer %x, want %x", c, body, want)
		}
	}
}

func TestRequests(t *testing.T) {
	var act *Request
	s := newShutdown(slog.New(slog.DiscardHandler), func(r Request) { act = &r })
	ask := func(m wireic.Shutdown) (wireic.Status, *Request) {
		act = nil
		h, body := answerTo(t, s, message(wireic.Header{Type: wireic.MsgShutdown}, m.AppendTo(nil)))
		if len(body) != wireic.ShutdownSize {
			t.Errorf("answer of %d bytes", len(body))
		}
		return h.Status, act
	}
	if st, act := ask(wireic.Shutdown{}); st != wireic.StatusFail || act != nil {
		t.Error("shutdown before negotiation:", st, act)
	}
	s.message = wireic.Version{Major: 3}
	if st, act := ask(wireic.Shutdown{Flags: wireic.ShutdownForce, Timeout: 9, Text: "x"}); st != 0 || *act != (Request{Force: true, Timeout: 9, Text: "x"}) {
		t.Error(st, act)
	}
	if st, act := ask(wireic.Shutdown{Flags: wireic.ShutdownHibernate}); st != wireic.StatusNotSupported || act != nil {
		t.Error(st, act)
	}
	if st, act := ask(wireic.Shutdown{Flags: 8}); st != wireic.StatusFail || act != nil {
		t.Error(st, act)
	}
	if h, _ := answerTo(t, s, message(wireic.Header{Type: wireic.MsgKVP}, nil)); h.Status != wireic.StatusNotSupported {
		t.Error(h.Status)
	}
	if _, _, err := s.answer(message(wireic.Header{Flags: wireic.FlagResponse}, nil)); err == nil {
		t.Error("an answer is answered")
	}
}

func FuzzAnswer(f *testing.F) {
	n := wireic.Negotiate{Frameworks: wireic.FrameworkVersions, Messages: wireic.ShutdownVersions}
	f.Add(message(wireic.Header{Type: wireic.MsgNegotiate}, n.AppendTo(nil)))
	f.Add(message(wireic.Header{Type: wireic.MsgShutdown}, wireic.Shutdown{}.AppendTo(nil)))
	f.Fuzz(func(t *testing.T, msg []byte) {
		s := newShutdown(slog.New(slog.DiscardHandler), nil)
		s.message = wireic.Version{Major: 1}
		b, act, err := s.answer(msg)
		if err != nil {
			return
		}
		if len(b) > len(msg) {
			t.Errorf("%d bytes answer %d", len(b), len(msg))
		}
		if h, _, err := wireic.DecodeHeader(b[wire.PipeHeaderSize:]); err != nil || act != nil && h.Status != 0 {
			t.Errorf("%+v, %v", h, err)
		}
	})
}

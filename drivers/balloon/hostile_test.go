// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package balloon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/hvgo/hvgo/drivers/vmbus"
	host "github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/loopback"
	"github.com/hvgo/hvgo/internal/wire/dynmem"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// script is a host that does what a test says.
type script struct {
	play func(*stage) error
	done chan error
}

// stage is where a script plays.
type stage struct {
	ctx context.Context
	ch  *host.Channel
}

func (s *script) Offer() host.Offer {
	return host.Offer{Interface: wire.InterfaceDynamicMemory, Instance: dynmem.Instance}
}

func (s *script) Serve(ctx context.Context, ch *host.Channel) error {
	err := s.play(&stage{ctx, ch})
	s.done <- err
	<-ctx.Done()
	return nil
}

// send sends a message with any body.
func (s *stage) send(t dynmem.MessageType, body []byte) error {
	return s.raw(wire.PacketInBand, dynmem.Message(t, 99, body))
}

func (s *stage) raw(packet uint16, payload []byte) error {
	return s.ch.WritePacket(s.ctx, host.OutPacket{Type: packet, Payload: payload})
}

// next gives the guest's next message; status reports are left out.
func (s *stage) next(want dynmem.MessageType) ([]byte, error) {
	for {
		p, err := s.ch.ReadPacket(s.ctx)
		if err != nil {
			return nil, fmt.Errorf("waiting for %v: %w", want, err)
		}
		h, body, err := dynmem.DecodeHeader(p.Payload)
		if err != nil {
			return nil, err
		}
		if h.Type == dynmem.MsgStatusReport && want != dynmem.MsgStatusReport {
			continue
		}
		if h.Type != want {
			return nil, fmt.Errorf("%v instead of %v", h.Type, want)
		}
		return body, nil
	}
}

// agree takes the first version and the capabilities.
func (s *stage) agree() error {
	if _, err := s.next(dynmem.MsgVersionRequest); err != nil {
		return err
	}
	if err := s.send(dynmem.MsgVersionResponse, dynmem.VersionResponse{Accepted: true}.AppendTo(nil)); err != nil {
		return err
	}
	if _, err := s.next(dynmem.MsgCapabilitiesReport); err != nil {
		return err
	}
	return s.send(dynmem.MsgCapabilitiesResponse, dynmem.CapabilitiesResponse{Accepted: true}.AppendTo(nil))
}

// inflate asks for pages, and gives the ranges of all responses.
func (s *stage) inflate(pages uint32) (all []dynmem.Range, err error) {
	if err := s.send(dynmem.MsgBalloonRequest, dynmem.BalloonRequest{Pages: pages}.AppendTo(nil)); err != nil {
		return nil, err
	}
	for {
		body, err := s.next(dynmem.MsgBalloonResponse)
		if err != nil {
			return nil, err
		}
		m, err := dynmem.DecodeBalloonResponse(body)
		if err != nil {
			return nil, err
		}
		if all = append(all, m.Ranges...); !m.More {
			return all, nil
		}
		if len(m.Ranges) == 0 {
			return nil, errors.New("a response without pages that is not the last")
		}
	}
}

// deflate gives ranges back, and waits for the answer unless there is more.
func (s *stage) deflate(more bool, ranges ...dynmem.Range) error {
	m := dynmem.UnballoonRequest{More: more, Ranges: ranges}
	if err := s.send(dynmem.MsgUnballoonRequest, m.AppendTo(nil)); err != nil || more {
		return err
	}
	_, err := s.next(dynmem.MsgUnballoonResponse)
	return err
}

// perform runs the driver against a script, and gives both when the script ended.
func perform(t *testing.T, play func(*stage) error) (*Balloon, *machine) {
	t.Helper()
	m := loopback.New(t, loopback.Options{})
	s := &script{play: play, done: make(chan error, 1)}
	m.Server.AddDevice(s)
	log := slog.New(slog.DiscardHandler)
	bus, err := vmbus.Connect(m.Guest, log)
	if err != nil {
		t.Fatal(err)
	}
	mem := newMachine(t, m)
	b, err := Attach(bus, bus.Find(wire.InterfaceDynamicMemory)[0], mem, Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	select {
	case err := <-s.done:
		if err != nil {
			t.Error(err)
		}
	case <-deadline(t).Done():
		t.Fatal("the script does not end")
	}
	return b, mem
}

func count(ranges []dynmem.Range) (n uint64) {
	for _, r := range ranges {
		n += uint64(r.Count)
	}
	return n
}

// TestFalseReturns gives back what the guest never gave, in all ways: none of it is
// used, every request is answered, and what is true is done.
func TestFalseReturns(t *testing.T) {
	b, mem := perform(t, func(s *stage) error {
		if err := s.agree(); err != nil {
			return err
		}
		if err := s.deflate(false, dynmem.Range{Start: 0x1000, Count: 1}); err != nil {
			return err
		}
		got, err := s.inflate(10)
		if err != nil || count(got) != 10 {
			return fmt.Errorf("got %v, %w", got, err)
		}
		r := got[0]
		for _, bad := range [][]dynmem.Range{
			nil,
			{{Start: r.Start, Count: 0}},
			{{Start: 0, Count: 1}},
			{{Start: r.Start, Count: 5000}},
			{{Start: r.Start - 1, Count: 2}},
			{{Start: 0, Count: dynmem.MaxRangeCount}},
			{{Start: dynmem.MaxRangeStart, Count: dynmem.MaxRangeCount}},
			slices.Repeat([]dynmem.Range{{Start: 7, Count: 7}}, dynmem.MaxUnballoonRanges),
		} {
			if err := s.deflate(false, bad...); err != nil {
				return fmt.Errorf("%v: %w", bad, err)
			}
		}
		// The first page twice in one message, and once more.
		one := dynmem.Range{Start: r.Start, Count: 1}
		if err := s.deflate(false, one, one); err != nil {
			return err
		}
		return s.deflate(false, one)
	})
	if b.Out() != 9 || len(mem.pages) != 9 {
		t.Errorf("%d pages with the host, %d taken; want 9", b.Out(), len(mem.pages))
	}
}

// TestMorePages sees that only the last request of several is answered, and that
// a host that never sends the last harms nothing.
func TestMorePages(t *testing.T) {
	b, _ := perform(t, func(s *stage) error {
		if err := s.agree(); err != nil {
			return err
		}
		got, err := s.inflate(3)
		if err != nil || count(got) != 3 {
			return fmt.Errorf("got %v, %w", got, err)
		}
		first := dynmem.Range{Start: got[0].Start, Count: 1}
		if err := s.deflate(true, first); err != nil {
			return err
		}
		for range 100 {
			if err := s.deflate(true); err != nil {
				return err
			}
		}
		// The first answer is that of this request, not of one that said more.
		again, err := s.inflate(1)
		if err != nil || count(again) != 1 {
			return fmt.Errorf("got %v, %w", again, err)
		}
		return s.deflate(false)
	})
	if b.Out() != 3 {
		t.Errorf("%d pages with the host, want 3", b.Out())
	}
}

// TestGarbage sends what no host should, in each state; the service lives.
func TestGarbage(t *testing.T) {
	nonsense := func(s *stage) error {
		for _, p := range [][]byte{
			nil, {6}, make([]byte, 8), make([]byte, 16), make([]byte, 3000),
			dynmem.Message(dynmem.MsgBalloonRequest, 1, nil),
			dynmem.Message(dynmem.MsgUnballoonRequest, 1, []byte{0, 0, 0, 0, 255, 255, 255, 255}),
			dynmem.Message(dynmem.MsgHotAddRequest, 1, make([]byte, 9)),
			dynmem.Message(dynmem.MsgHotRemoveRequest, 1, make([]byte, 16)),
			dynmem.Message(dynmem.MsgStatusReport, 1, make([]byte, 40)),
			dynmem.Message(dynmem.MsgInfo, 1, []byte{0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255}),
			dynmem.Message(dynmem.MsgInfo, 1, dynmem.Info{Type: 77, Data: make([]byte, 8)}.AppendTo(nil)),
			dynmem.Message(dynmem.MessageType(999), 1, make([]byte, 100)),
			{6, 0, 0xff, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, // longer than it is
		} {
			if err := s.raw(wire.PacketInBand, p); err != nil {
				return err
			}
		}
		return s.raw(wire.PacketCompletion, dynmem.Message(dynmem.MsgBalloonRequest, 1, dynmem.BalloonRequest{Pages: 5}.AppendTo(nil)))
	}
	b, _ := perform(t, func(s *stage) error {
		early := dynmem.Message(dynmem.MsgBalloonRequest, 1, dynmem.BalloonRequest{Pages: 5}.AppendTo(nil))
		if err := errors.Join(nonsense(s), s.raw(wire.PacketInBand, early), s.agree(), nonsense(s)); err != nil {
			return err
		}
		// Agreement once more, and refusal afterwards, change nothing.
		for _, accepted := range []bool{true, false} {
			if err := errors.Join(
				s.send(dynmem.MsgVersionResponse, dynmem.VersionResponse{Accepted: accepted}.AppendTo(nil)),
				s.send(dynmem.MsgCapabilitiesResponse, dynmem.CapabilitiesResponse{Accepted: accepted}.AppendTo(nil)),
			); err != nil {
				return err
			}
		}
		got, err := s.inflate(5)
		if err == nil && count(got) != 5 {
			err = fmt.Errorf("got %v", got)
		}
		return err
	})
	if b.Out() != 5 {
		t.Errorf("%d pages with the host, want 5", b.Out())
	}
}

// TestHotAdd sees the refusal that hosts take as one for good.
func TestHotAdd(t *testing.T) {
	perform(t, func(s *stage) error {
		if err := s.agree(); err != nil {
			return err
		}
		r := dynmem.Range{Start: 1 << 20, Count: 1 << 15}
		for _, m := range []dynmem.HotAddRequest{{Range: r}, {Range: r, HasRegion: true, Region: r}} {
			if err := s.send(dynmem.MsgHotAddRequest, m.AppendTo(nil)); err != nil {
				return err
			}
			body, err := s.next(dynmem.MsgHotAddResponse)
			if err != nil {
				return err
			}
			if got, err := dynmem.DecodeHotAddResponse(body); err != nil || got != (dynmem.HotAddResponse{Pages: 0, Success: true}) {
				return fmt.Errorf("answer %+v, %w", got, err)
			}
		}
		return nil
	})
}

// TestCompletions sees that a host that asks for completions gets them.
func TestCompletions(t *testing.T) {
	perform(t, func(s *stage) error {
		if err := s.agree(); err != nil {
			return err
		}
		p := host.OutPacket{Type: wire.PacketInBand, Transaction: 4711, WantsCompletion: true, Payload: []byte{1, 2, 3}}
		if err := s.ch.WritePacket(s.ctx, p); err != nil {
			return err
		}
		for {
			p, err := s.ch.ReadPacket(s.ctx)
			if err != nil {
				return err
			}
			if p.Type == wire.PacketCompletion {
				if p.Transaction != 4711 {
					return fmt.Errorf("completion of %d", p.Transaction)
				}
				return nil
			}
		}
	})
}

// TestFloodOfRequests has the host ask without ever reading an answer: the driver
// waits for room, and ends when it is told to.
func TestFloodOfRequests(t *testing.T) {
	b, mem := perform(t, func(s *stage) error {
		if err := s.agree(); err != nil {
			return err
		}
		for range 50 {
			if err := s.send(dynmem.MsgBalloonRequest, dynmem.BalloonRequest{Pages: 500}.AppendTo(nil)); err != nil {
				return err
			}
		}
		return nil
	})
	b.Close()
	if free := mem.Stats().Free; free < floor(mem.total) {
		t.Errorf("%d pages free, the floor is %d", free, floor(mem.total))
	}
	if b.Out() != uint64(len(mem.pages)) {
		t.Errorf("%d pages taken, %d counted as the host's", len(mem.pages), b.Out())
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ic

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hvgo/hvgo/drivers/vmbus"
	hostic "github.com/hvgo/hvgo/host/ic"
	host "github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/loopback"
	wireic "github.com/hvgo/hvgo/internal/wire/ic"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

var discard = slog.New(slog.DiscardHandler)

// connect makes a guest that has found a service.
func connect(t *testing.T, d host.Device) (*vmbus.Bus, vmbus.Offer) {
	t.Helper()
	m := loopback.New(t, loopback.Options{})
	m.Server.AddDevice(d)
	bus, err := vmbus.Connect(m.Guest, discard)
	if err != nil {
		t.Fatal(err)
	}
	return bus, bus.Find(d.Offer().Interface)[0]
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 30*time.Second {
			t.Fatalf("%s: does not happen", what)
		}
	}
}

func TestHeartbeatByHost(t *testing.T) {
	h := hostic.NewHeartbeat()
	h.Period = time.Millisecond
	bus, offer := connect(t, h)
	s, err := AttachHeartbeat(bus, offer, discard)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "ten beats", func() bool { return h.Beat().Answered >= 10 })
	s.Close()
	until(t, "the end", func() bool { return !h.Beat().Open })
}

// fakeClock is a clock that stands still at a reference time.
type fakeClock struct {
	mu              sync.Mutex
	reference, real int64
	set             int
}

func (c *fakeClock) Reference() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reference
}

func (c *fakeClock) Realtime() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.real
}

func (c *fakeClock) SetRealtime(ns int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.real = ns
	c.set++
}

func TestTimeSyncByHost(t *testing.T) {
	for name, clock := range map[string]hostic.Clock{
		"4.0": func() (time.Time, uint64, error) { return time.Unix(1_800_000_000, 0), 5_000_000, nil },
		"3.0": nil,
	} {
		t.Run(name, func(t *testing.T) {
			h := hostic.NewTimeSync()
			h.Period = time.Millisecond
			h.SetClock(clock)
			bus, offer := connect(t, h)
			c := &fakeClock{reference: 700_000_000} // 200 ms after the host's
			s, err := AttachTimeSync(bus, offer, discard, c)
			if err != nil {
				t.Fatal(err)
			}
			until(t, "a sample", func() bool { return h.Stats().Samples > 0 })
			s.Close()
			if clock != nil && c.real != 1_800_000_000_200_000_000 {
				t.Errorf("the clock is at %d", c.real)
			}
			if off := time.Since(time.Unix(0, c.real)); clock == nil && off.Abs() > time.Minute {
				t.Errorf("the clock is %v off", off)
			}
			if c.set == 0 {
				t.Error("the clock was not set")
			}
		})
	}
}

func TestTimeSync(t *testing.T) {
	v3, v4 := wireic.Version{Major: 3}, wireic.Version{Major: 4}
	const now = 1_800_000_000_000_000_000
	for _, c := range []struct {
		name    string
		version wireic.Version
		body    []byte
		was     int64
		status  wireic.Status
		want    int64 // 0: not set
	}{
		{"set", v4, wireic.TimeV4{Parent: wireic.FileTime(now), Reference: 10, Flags: wireic.TimeSync}.AppendTo(nil), now - 1, 0, now + 9000},
		{"sample far off", v4, wireic.TimeV4{Parent: wireic.FileTime(now), Reference: 10, Flags: wireic.TimeSample}.AppendTo(nil), 5, 0, now + 9000},
		{"sample off", v4, wireic.TimeV4{Parent: wireic.FileTime(now), Reference: 10, Flags: wireic.TimeSample}.AppendTo(nil), now + 30_000_000, 0, now + 9000},
		{"sample near", v4, wireic.TimeV4{Parent: wireic.FileTime(now), Reference: 10, Flags: wireic.TimeSample}.AppendTo(nil), now + 10_000_000, 0, 0},
		{"neither", v4, wireic.TimeV4{Parent: wireic.FileTime(now), Reference: 10}.AppendTo(nil), 5, 0, 0},
		{"reference of the future", v4, wireic.TimeV4{Parent: wireic.FileTime(now), Reference: 1000, Flags: wireic.TimeSync}.AppendTo(nil), 5, 0, now},
		{"reference that wraps", v4, wireic.TimeV4{Parent: wireic.FileTime(now), Reference: 1 << 63, Flags: wireic.TimeSync}.AppendTo(nil), 5, 0, now},
		{"before 1970", v4, wireic.TimeV4{Parent: 5, Flags: wireic.TimeSync}.AppendTo(nil), 5, wireic.StatusFail, 0},
		{"after 2262", v4, wireic.TimeV4{Parent: 1 << 62, Flags: wireic.TimeSync}.AppendTo(nil), 5, wireic.StatusFail, 0},
		{"short", v4, make([]byte, 10), 5, wireic.StatusFail, 0},
		{"short 3.0", v3, make([]byte, 24), 5, wireic.StatusFail, 0},
		{"set 3.0", v3, wireic.Time{Parent: wireic.FileTime(now), Flags: wireic.TimeSync}.AppendTo(nil), 5, 0, now},
	} {
		clock := &fakeClock{reference: 10_000, real: c.was}
		s := newTimeSync(discard, clock)
		s.message = c.version
		h, body := answerTo(t, s, message(wireic.Header{Type: wireic.MsgTimeSync}, c.body))
		if h.Status != c.status || len(body) != len(c.body) {
			t.Errorf("%s: status %#x, %d bytes", c.name, h.Status, len(body))
		}
		if (clock.set > 0) != (c.want != 0) || c.want != 0 && clock.real != c.want {
			t.Errorf("%s: set %d times, to %d", c.name, clock.set, clock.real)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	s := newHeartbeat(discard)
	msg := message(wireic.Header{Type: wireic.MsgHeartbeat}, wireic.Heartbeat{Sequence: 7}.AppendTo(nil))
	if h, _ := answerTo(t, s, msg); h.Status != wireic.StatusFail {
		t.Errorf("status %#x before negotiation", h.Status)
	}
	s.message = wireic.Version{Major: 3}
	h, body := answerTo(t, s, msg)
	if m, err := wireic.DecodeHeartbeat(body); h.Status != 0 || err != nil || m != (wireic.Heartbeat{Sequence: 8}) || len(body) != wireic.HeartbeatSize {
		t.Errorf("%+v, %+v, %v", h, m, err)
	}
	if h, _ := answerTo(t, s, message(wireic.Header{Type: wireic.MsgHeartbeat}, make([]byte, 7))); h.Status != wireic.StatusFail {
		t.Errorf("status %#x without a number", h.Status)
	}
}

func FuzzServices(f *testing.F) {
	f.Add(message(wireic.Header{Type: wireic.MsgHeartbeat}, wireic.Heartbeat{Sequence: 7}.AppendTo(nil)), uint16(3))
	f.Add(message(wireic.Header{Type: wireic.MsgTimeSync}, wireic.TimeV4{Parent: wireic.FileTime(0), Flags: wireic.TimeSync}.AppendTo(nil)), uint16(4))
	f.Add(message(wireic.Header{Type: wireic.MsgTimeSync}, wireic.Time{Parent: wireic.FileTime(0), Flags: wireic.TimeSync}.AppendTo(nil)), uint16(3))
	f.Fuzz(func(t *testing.T, msg []byte, major uint16) {
		clock := &fakeClock{}
		for _, s := range []*Service{newHeartbeat(discard), newTimeSync(discard, clock)} {
			s.message = wireic.Version{Major: major}
			b, _, err := s.answer(msg)
			if err != nil {
				continue
			}
			if len(b) > len(msg) {
				t.Errorf("%s: %d bytes answer %d", s.name, len(b), len(msg))
			}
			if _, _, err := wireic.DecodeHeader(b[wire.PipeHeaderSize:]); err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
		}
		if clock.real < 0 {
			t.Errorf("the clock is at %d", clock.real)
		}
	})
}

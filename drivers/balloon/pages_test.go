// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package balloon

import (
	"encoding/binary"
	"log/slog"
	"slices"
	"testing"

	"github.com/hvgo/hvgo/internal/wire/dynmem"
)

func TestFloor(t *testing.T) {
	for _, p := range floorPoints {
		if got := floor(p.total); got != p.floor {
			t.Errorf("floor of %d MiB: %d pages, want %d", p.total/mib, got, p.floor)
		}
	}
	for _, c := range []struct{ total, want uint64 }{
		{8 * mib, 8 * mib}, {24 * mib, 20 * mib}, {64 * mib, 40 * mib}, {256 * mib, 104 * mib}, {1024 * mib, 232 * mib}, {65536 * mib, 2536 * mib},
	} {
		if got := floor(c.total); got != c.want {
			t.Errorf("floor of %d MiB: %d MiB, want %d", c.total/mib, got/mib, c.want/mib)
		}
	}
	last := uint64(0)
	for total := uint64(0); total < 1<<50; total += total/7 + 1 {
		if f := floor(total); f > max(total, 1) || f < last {
			t.Fatalf("floor of %d pages: %d, of fewer %d", total, f, last)
		} else {
			last = f
		}
	}
	floor(^uint64(0))
}

func TestPageSet(t *testing.T) {
	var s pageSet
	a := dynmem.Range{Start: chunkPages - 70, Count: 200} // over a chunk's end
	if s.contains(a) {
		t.Error("an empty set contains pages")
	}
	s.add(a)
	s.add(dynmem.Range{Start: chunkPages, Count: 10}) // twice
	if s.count != 200 || !s.contains(a) {
		t.Errorf("%d pages", s.count)
	}
	for _, r := range []dynmem.Range{{Start: a.Start - 1, Count: 2}, {Start: a.End() - 1, Count: 2}, {Start: a.End(), Count: 1}, {Start: 1 << 39, Count: 1}} {
		if s.contains(r) {
			t.Errorf("contains %v", r)
		}
	}
	s.remove(dynmem.Range{Start: chunkPages - 1, Count: 2})
	if s.count != 198 || s.contains(a) || !s.contains(dynmem.Range{Start: chunkPages + 1, Count: 100}) {
		t.Errorf("%d pages after removal", s.count)
	}
}

func TestJoin(t *testing.T) {
	r := func(v ...uint64) (list []dynmem.Range) {
		for i := 0; i < len(v); i += 2 {
			list = append(list, dynmem.Range{Start: v[i], Count: uint32(v[i+1])})
		}
		return list
	}
	for _, c := range []struct{ in, want []dynmem.Range }{
		{nil, nil},
		{r(5, 1), r(5, 1)},
		{r(5, 1, 7, 1), r(5, 1, 7, 1)},
		{r(7, 1, 6, 1, 5, 1), r(5, 3)},
		{r(5, 2, 9, 2, 7, 2), r(5, 6)},
		{r(100, 10, 0, 10, 10, 90), r(0, 110)},
		{r(0, dynmem.MaxRangeCount, dynmem.MaxRangeCount, 1), r(0, dynmem.MaxRangeCount, dynmem.MaxRangeCount, 1)},
	} {
		if got := join(slices.Clone(c.in)); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.in, got, c.want)
		}
	}
}

// bench is Memory of adjacent pages from 1000 on, taken from above in pieces, that
// checks what it is given.
type bench struct {
	t     testing.TB
	taken map[uint64]bool
	free  []uint64
}

func newBench(t testing.TB, pages uint64) *bench {
	m := &bench{t: t, taken: map[uint64]bool{}}
	for n := range pages {
		m.free = append(m.free, 1000+n)
	}
	return m
}

func (m *bench) Take(n uint32, keep uint64) dynmem.Range {
	free := uint64(len(m.free))
	if free <= keep || n == 0 {
		return dynmem.Range{}
	}
	size := min(uint64(n), free-keep, 64)
	last := m.free[free-1]
	r := dynmem.Range{Start: last + 1, Count: 0}
	for uint64(r.Count) < size && m.free[len(m.free)-1] == r.Start-1 {
		r.Start--
		r.Count++
		m.taken[r.Start] = true
		m.free = m.free[:len(m.free)-1]
	}
	return r
}

func (m *bench) Give(r dynmem.Range) {
	for n := r.Start; n < r.End(); n++ {
		if !m.taken[n] {
			m.t.Fatalf("page %d is given back, but was not taken", n)
		}
		delete(m.taken, n)
		m.free = append(m.free, n)
	}
}

func (m *bench) Stats() Stats {
	return Stats{Total: uint64(len(m.free) + len(m.taken)), Free: uint64(len(m.free))}
}

// TestAnswers looks at the responses of an allocator with adjacent pages.
func TestAnswers(t *testing.T) {
	mem := newBench(t, 2*512*mib)
	var sent [][]byte
	b := &Balloon{mem: mem, log: slog.New(slog.DiscardHandler), opt: Options{Resized: func(uint64) {}}, state: ready}
	b.post = func(message []byte) error {
		sent = append(sent, message)
		return nil
	}
	const ask = 100_000
	if err := b.message(dynmem.Message(dynmem.MsgBalloonRequest, 1, dynmem.BalloonRequest{Pages: ask}.AppendTo(nil))); err != nil {
		t.Fatal(err)
	}
	if len(sent) != 1 {
		t.Fatalf("%d messages for pages that are all adjacent", len(sent))
	}
	h, body, err := dynmem.DecodeHeader(sent[0])
	if err != nil || h.Type != dynmem.MsgBalloonResponse || h.Transaction != 1 {
		t.Fatalf("%+v, %v", h, err)
	}
	m, err := dynmem.DecodeBalloonResponse(body)
	want := []dynmem.Range{{Start: 1000 + 2*512*mib - ask, Count: ask}}
	if err != nil || m.More || !slices.Equal(m.Ranges, want) {
		t.Errorf("%+v, %v; want %v", m, err, want)
	}
}

// FuzzMessages has the host say anything, once all is agreed on: the driver does
// not fail, never gives away more than it may, and never uses a page twice.
func FuzzMessages(f *testing.F) {
	seed := func(messages ...[]byte) {
		var b []byte
		for _, m := range messages {
			b = append(binary.LittleEndian.AppendUint16(b, uint16(len(m))), m...)
		}
		f.Add(b)
	}
	inflate := dynmem.Message(dynmem.MsgBalloonRequest, 1, dynmem.BalloonRequest{Pages: 100}.AppendTo(nil))
	deflate := func(more bool, ranges ...dynmem.Range) []byte {
		return dynmem.Message(dynmem.MsgUnballoonRequest, 2, dynmem.UnballoonRequest{More: more, Ranges: ranges}.AppendTo(nil))
	}
	top := uint64(1000 + 64*mib)
	seed(inflate, deflate(false, dynmem.Range{Start: top - 100, Count: 100}))
	seed(inflate, deflate(true, dynmem.Range{Start: top - 50, Count: 20}), inflate, deflate(false, dynmem.Range{Start: top - 100, Count: 30}))
	seed(dynmem.Message(dynmem.MsgBalloonRequest, 1, dynmem.BalloonRequest{Pages: ^uint32(0)}.AppendTo(nil)), deflate(false, dynmem.Range{Start: 0, Count: 1}))
	seed(dynmem.Message(dynmem.MsgHotAddRequest, 1, make([]byte, 16)), dynmem.Message(dynmem.MsgInfo, 1, dynmem.Info{Data: make([]byte, 8)}.AppendTo(nil)))
	f.Fuzz(func(t *testing.T, script []byte) {
		const total = 64 * mib
		mem := newBench(t, total)
		host := map[uint64]bool{} // as the host would know
		b := &Balloon{mem: mem, log: slog.New(slog.DiscardHandler), opt: Options{Resized: func(uint64) {}}, state: ready}
		b.post = func(message []byte) error {
			h, body, err := dynmem.DecodeHeader(message)
			if err != nil || len(message) > dynmem.MaxMessageSize {
				t.Fatalf("message of %d bytes: %v", len(message), err)
			}
			if h.Type != dynmem.MsgBalloonResponse {
				return nil
			}
			m, err := dynmem.DecodeBalloonResponse(body)
			if err != nil || m.More && len(m.Ranges) == 0 {
				t.Fatalf("%+v, %v", m, err)
			}
			for _, r := range m.Ranges {
				for n := r.Start; n < r.End(); n++ {
					if host[n] || !mem.taken[n] {
						t.Fatalf("page %d is given twice, or in use", n)
					}
					host[n] = true
				}
			}
			return nil
		}
		for messages := 0; len(script) >= 2 && messages < 50; messages++ {
			n := min(int(binary.LittleEndian.Uint16(script)), len(script)-2)
			if err := b.message(script[2 : 2+n]); err != nil {
				t.Fatal(err)
			}
			script = script[2+n:]
			for n := range host {
				if !mem.taken[n] {
					delete(host, n) // given back
				}
			}
			if uint64(len(mem.free)) < floor(total) || b.Out() != uint64(len(mem.taken)) {
				t.Fatalf("%d pages free, %d taken, %d counted", len(mem.free), len(mem.taken), b.Out())
			}
		}
	})
}

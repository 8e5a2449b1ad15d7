// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package balloon

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/internal/wire/dynmem"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// packets handles what the host sent. An error ends the service.
func (b *Balloon) packets(batch []vmbus.Packet) error {
	for i := range batch {
		p := &batch[i]
		if p.CompletionRequested {
			if err := b.ch.SendCompletion(p.Transaction, nil); err != nil {
				return err
			}
		}
		if p.Type != wire.PacketInBand {
			b.skip(fmt.Errorf("packet of type %d", p.Type))
			continue
		}
		if err := b.message(p.Payload); err != nil {
			return err
		}
	}
	return nil
}

// skip logs the first messages that are of no use, and goes on.
func (b *Balloon) skip(err error) error {
	if b.skipped++; b.skipped <= 8 {
		b.log.Warn("balloon: message skipped", "err", err)
	}
	return nil
}

func (b *Balloon) message(payload []byte) error {
	h, body, err := dynmem.DecodeHeader(payload)
	if err != nil {
		return b.skip(err)
	}
	switch h.Type {
	case dynmem.MsgVersionResponse:
		return handle(b, dynmem.DecodeVersionResponse, body, b.versionAnswered)
	case dynmem.MsgCapabilitiesResponse:
		return handle(b, dynmem.DecodeCapabilitiesResponse, body, b.capabilitiesAnswered)
	}
	if b.state != ready {
		return b.skip(fmt.Errorf("%v before versions and capabilities are agreed on", h.Type))
	}
	switch h.Type {
	case dynmem.MsgBalloonRequest:
		return handle(b, dynmem.DecodeBalloonRequest, body, b.inflate)
	case dynmem.MsgUnballoonRequest:
		return handle(b, dynmem.DecodeUnballoonRequest, body, b.deflate)
	case dynmem.MsgHotAddRequest:
		return handle(b, dynmem.DecodeHotAddRequest, body, b.hotAdd)
	case dynmem.MsgInfo:
		return handle(b, dynmem.DecodeInfo, body, b.info)
	}
	return b.skip(fmt.Errorf("%v of %d bytes", h.Type, h.Size))
}

// handle decodes a body and acts on it; one that cannot be read is skipped.
func handle[T any](b *Balloon, decode func([]byte) (T, error), body []byte, act func(T) error) error {
	m, err := decode(body)
	if err != nil {
		return b.skip(err)
	}
	return act(m)
}

// inflate takes pages out of use, as many as asked for or as can be spared, and
// tells the host which. A page is the host's from the moment that it is told, so
// should telling fail, whether it was cannot be known, and the page stays out.
func (b *Balloon) inflate(m dynmem.BalloonRequest) error {
	keep := floor(b.mem.Stats().Total)
	want, taken := m.Pages, uint32(0)
	next := b.mem.Take(want, keep)
	for {
		var ranges []dynmem.Range
		for next.Count > 0 && len(ranges) < dynmem.MaxBalloonRanges {
			taken += next.Count
			ranges = append(ranges, next)
			next = dynmem.Range{}
			if ranges = joinLast(ranges); taken < want {
				next = b.mem.Take(want-taken, keep)
			}
		}
		if ranges = join(ranges); len(ranges) > 0 {
			b.record(ranges)
		}
		answer := dynmem.BalloonResponse{More: next.Count > 0, Ranges: ranges}
		if err := b.send(dynmem.MsgBalloonResponse, answer.AppendTo(nil)); err != nil {
			b.record([]dynmem.Range{next})
			return err
		}
		if next.Count == 0 {
			break
		}
	}
	b.log.Debug("balloon: pages to the host", "asked", want, "given", taken, "total", b.Out())
	return nil
}

// record counts ranges as the host's.
func (b *Balloon) record(ranges []dynmem.Range) {
	b.mu.Lock()
	for _, r := range ranges {
		b.out.add(r)
	}
	out := b.out.count
	b.mu.Unlock()
	b.opt.Resized(out)
}

// joinLast joins the last range to the one before it if they touch: an allocator
// that takes from one end gives its pages in pieces.
func joinLast(ranges []dynmem.Range) []dynmem.Range {
	if len(ranges) < 2 {
		return ranges
	}
	a, z := ranges[len(ranges)-2], ranges[len(ranges)-1]
	if z.End() == a.Start {
		a, z = z, a
	}
	if a.End() != z.Start || a.Count > dynmem.MaxRangeCount-z.Count {
		return ranges
	}
	a.Count += z.Count
	ranges[len(ranges)-2] = a
	return ranges[:len(ranges)-1]
}

// join sorts ranges and joins those that touch.
func join(ranges []dynmem.Range) []dynmem.Range {
	slices.SortFunc(ranges, func(a, z dynmem.Range) int { return cmp.Compare(a.Start, z.Start) })
	joined := ranges[:0]
	for _, r := range ranges {
		joined = joinLast(append(joined, r))
	}
	return joined
}

// deflate puts pages that the host gives back into use again. A range that is not
// the host's to give, wholly or in part, is left alone: to use it would be to
// use a page twice. The answer comes all the same, since the host waits for it.
func (b *Balloon) deflate(m dynmem.UnballoonRequest) error {
	for _, r := range m.Ranges {
		if !b.forget(r) {
			b.skip(fmt.Errorf("%d pages from %#x on are given back, but the host does not have them", r.Count, r.Start))
			continue
		}
		b.mem.Give(r)
	}
	b.opt.Resized(b.Out())
	if m.More {
		return nil
	}
	b.log.Debug("balloon: pages from the host", "total", b.Out())
	return b.send(dynmem.MsgUnballoonResponse, nil)
}

// forget takes r out of the host's pages, if all of it is there.
func (b *Balloon) forget(r dynmem.Range) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Count == 0 || !b.out.contains(r) {
		return false
	}
	b.out.remove(r)
	return true
}

// hotAdd refuses. Success with no pages tells the host that it will always be so;
// a failure would make it ask again.
func (b *Balloon) hotAdd(dynmem.HotAddRequest) error {
	return b.send(dynmem.MsgHotAddResponse, dynmem.HotAddResponse{Success: true}.AppendTo(nil))
}

func (b *Balloon) info(m dynmem.Info) error {
	pages, err := m.MaxPageCount()
	if err != nil {
		return b.skip(err)
	}
	b.log.Debug("balloon: the host's limit for this machine", "pages", pages)
	return nil
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"errors"
	"fmt"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// GPADL is memory that the host has mapped: a ring, or a device's own buffer.
type GPADL struct {
	ID  wire.GPADLID
	bus *Bus
	ch  wire.ChannelID
}

// maxGPADLPages follows from the 16-bit length of the range data.
const maxGPADLPages = (1<<16 - 1 - wire.GPARangeSize) / wire.PFNSize

// NewGPADL shows pages to the host's device behind c. On error the pages may
// still be freed only if MayFree says so.
func (c *Channel) NewGPADL(p *Pages) (*GPADL, error) {
	if err := c.Err(); err != nil {
		return nil, err
	}
	return c.bus.newGPADL(c.offer.ChannelID, p.PFN)
}

func (b *Bus) newGPADL(ch wire.ChannelID, pfns []uint64) (*GPADL, error) {
	if len(pfns) == 0 || len(pfns) > maxGPADLPages {
		return nil, fmt.Errorf("vmbus: GPADL of %d pages, at most %d", len(pfns), maxGPADLPages)
	}
	g := &GPADL{ID: b.nextGPADL(), bus: b, ch: ch}
	r, err := b.expect(requestKey{wire.MsgGPADLCreated, ch, uint32(g.ID)}, ch)
	if err != nil {
		return nil, err
	}
	for i, msg := range gpadlMessages(ch, g.ID, pfns) {
		if err := b.post(msg); err != nil {
			b.forget(r)
			if i > 0 { // the host has the header, and the pages that fit it
				err = &uncertainError{err}
			}
			return nil, fmt.Errorf("vmbus: creating GPADL: %w", err)
		}
	}
	answer, err := b.await(r)
	if err != nil {
		return nil, fmt.Errorf("vmbus: creating GPADL: %w", &uncertainError{err})
	}
	m, err := wire.DecodeGPADLCreated(answer)
	if err != nil { // the host answered, and we cannot tell what
		return nil, fmt.Errorf("vmbus: creating GPADL: %w", &uncertainError{err})
	}
	if m.Status != wire.StatusSuccess {
		return nil, &RefusedError{"GPADL", m.Status}
	}
	return g, nil
}

// nextGPADL never gives zero.
func (b *Bus) nextGPADL() wire.GPADLID {
	for {
		if id := b.gpadls.Add(1); id != 0 {
			return wire.GPADLID(id)
		}
	}
}

// gpadlMessages encodes one range of whole pages: as many page numbers as the
// header holds, the others in bodies.
func gpadlMessages(ch wire.ChannelID, id wire.GPADLID, pfns []uint64) [][]byte {
	head := wire.GPADLHeader{
		ChannelID: ch, GPADLID: id, RangeCount: 1,
		Length: uint16(wire.GPARangeSize + len(pfns)*wire.PFNSize),
		Data:   wire.GPARange{ByteCount: uint32(len(pfns)) * PageSize}.AppendTo(nil),
	}
	n := min(len(pfns), wire.GPADLHeaderMaxPFNs)
	head.Data = appendPFNs(head.Data, pfns[:n])
	msgs := [][]byte{head.AppendTo(nil)}
	for n < len(pfns) {
		end := min(len(pfns), n+wire.GPADLBodyMaxPFNs)
		body := wire.GPADLBody{GPADLID: id, Data: appendPFNs(nil, pfns[n:end])}
		msgs = append(msgs, body.AppendTo(nil))
		n = end
	}
	return msgs
}

func appendPFNs(b []byte, pfns []uint64) []byte {
	for _, pfn := range pfns {
		b = wire.AppendPFN(b, pfn)
	}
	return b
}

// Teardown takes the pages back. They may be freed once it succeeded, or when
// MayFree says so of its error. After a rescind the host has let go of them
// already.
func (g *GPADL) Teardown() error {
	if g.bus.gone(g.ch) {
		return nil
	}
	msg := wire.GPADLTeardown{ChannelID: g.ch, GPADLID: g.ID}.AppendTo(nil)
	_, err := g.bus.ask(msg, requestKey{wire.MsgGPADLTorndown, 0, uint32(g.ID)}, g.ch)
	if err == nil || errors.Is(err, ErrRescinded) {
		return nil
	}
	return fmt.Errorf("vmbus: tearing down GPADL: %w", &uncertainError{err})
}

// uncertainError marks failures after which the host may or may not hold
// pages of ours.
type uncertainError struct{ err error }

func (e *uncertainError) Error() string { return e.err.Error() }
func (e *uncertainError) Unwrap() error { return e.err }

// MayFree reports whether, after err from NewGPADL or Teardown, the pages are
// certainly not in the host's hands. If not, they must never be used again.
func MayFree(err error) bool {
	var u *uncertainError
	return !errors.As(err, &u) || errors.Is(err, ErrRescinded)
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsc

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hvgo/hvgo/drivers/vmbus"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// ringPages is the size of each ring: control page and 128 KiB. That holds a
// completion for every slot of the default receive buffer beside all transfers
// under way.
const ringPages = 1 + 32

// Attach opens the network card that offer describes. Pages for its buffers
// come from p.
func Attach(p vmbus.Platform, bus *vmbus.Bus, offer vmbus.Offer, o Options) (*NIC, error) {
	c, err := bus.Open(offer.ChannelID, vmbus.OpenOptions{SendPages: ringPages, ReceivePages: ringPages})
	if err != nil {
		return nil, err
	}
	// Hosts before Windows 10 want the buffers back before the channel closes,
	// later ones want it the other way round.
	return Open(&busChannel{c: c, p: p, buffersFirst: bus.Version() < wire.Version4_0}, o)
}

// errNotReleased: the host may still read pages that packets named.
var errNotReleased = errors.New("the host did not say that it has closed the channel")

// busChannel is a Channel on VMBus.
type busChannel struct {
	c            *vmbus.Channel
	p            vmbus.Platform
	buffersFirst bool
	out          [1]vmbus.Range // used between Begin and End

	mu     sync.Mutex // guards shared
	shared []share
}

type share struct {
	gpadl *vmbus.GPADL // nil once torn down, and of lent pages
	pages *vmbus.Pages
	lent  bool  // the host has the pages as long as the channel
	err   error // of the teardown
}

func (b *busChannel) SendInBand(transaction uint64, payload []byte, completion bool) error {
	return b.c.SendInBand(payload, transaction, completion)
}

func (b *busChannel) SendGPADirect(transaction uint64, payload []byte, pfns []uint64, size int) error {
	t := b.c.Begin()
	b.out[0] = vmbus.Range{Length: uint32(size), PFN: pfns}
	t.GPADirect(b.out[:], payload, transaction)
	return t.End()
}

func (b *busChannel) SendCompletions(done []Done) error {
	t := b.c.Begin()
	for _, d := range done {
		t.Completion(d.Transaction, d.Payload)
	}
	return t.End()
}

func (b *busChannel) Share(n int) (*Memory, error) {
	pages, err := b.p.AllocPages(n)
	if err != nil {
		return nil, fmt.Errorf("%d pages: %w", n, err)
	}
	gpadl, err := b.c.NewGPADL(pages)
	if err != nil {
		if vmbus.MayFree(err) {
			pages.Free()
		}
		return nil, fmt.Errorf("sharing %d pages: %w", n, err)
	}
	b.mu.Lock()
	b.shared = append(b.shared, share{gpadl: gpadl, pages: pages})
	b.mu.Unlock()
	return &Memory{Bytes: pages.Mem, PFN: pages.PFN, GPADL: uint32(gpadl.ID)}, nil
}

// Lend takes pages that the host learns of by GPA-direct packets only, as Linux does: a
// GPADL for each would be two messages and a wait for nothing.
func (b *busChannel) Lend(n int) (*Memory, error) {
	pages, err := b.p.AllocPages(n)
	if err != nil {
		return nil, fmt.Errorf("%d pages: %w", n, err)
	}
	b.mu.Lock()
	b.shared = append(b.shared, share{pages: pages, lent: true})
	b.mu.Unlock()
	return &Memory{Bytes: pages.Mem, PFN: pages.PFN}, nil
}

// Serve translates batches. The end that we asked for is no error.
func (b *busChannel) Serve(handle func([]Packet)) error {
	var in []Packet
	ranges := make([][]Range, 0, 64)
	var wireRanges []wire.TransferPageRange
	err := b.c.Serve(func(batch []vmbus.Packet) error {
		in = in[:0]
		for i := range batch {
			p := &batch[i]
			out := Packet{WantsCompletion: p.CompletionRequested, Transaction: p.Transaction, Payload: p.Payload}
			switch p.Type {
			case wire.PacketInBand:
				out.Kind = InBand
			case wire.PacketCompletion:
				out.Kind = Completion
			case wire.PacketTransferPage:
				out.Kind = TransferPages
				var err error
				// A malformed list has no ranges: the packet is still completed.
				if out.SetID, wireRanges, err = p.TransferPages(wireRanges); err == nil {
					if i >= len(ranges) {
						ranges = append(ranges, make([][]Range, i+1-len(ranges))...)
					}
					ranges[i] = ranges[i][:0]
					for _, r := range wireRanges {
						ranges[i] = append(ranges[i], Range{Count: r.ByteCount, Offset: r.ByteOffset})
					}
					out.Ranges = ranges[i]
				}
			}
			in = append(in, out)
		}
		handle(in)
		return nil
	})
	if errors.Is(err, vmbus.ErrClosed) {
		return nil
	}
	return err
}

func (b *busChannel) Close() error {
	if b.buffersFirst {
		b.teardown()
	}
	return b.c.Close()
}

// teardown takes all shared memory back from the host.
func (b *busChannel) teardown() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.shared {
		if s := &b.shared[i]; s.gpadl != nil {
			s.err, s.gpadl = s.gpadl.Teardown(), nil
		}
	}
}

// Free loses pages that the host may still use, rather than reuse them.
func (b *busChannel) Free() error {
	b.teardown()
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for _, s := range b.shared {
		switch {
		case s.lent && !b.c.Released():
			errs = append(errs, fmt.Errorf("%d lent pages are lost: %w", len(s.pages.PFN), errNotReleased))
		case !vmbus.MayFree(s.err):
			errs = append(errs, fmt.Errorf("%d shared pages are lost: %w", len(s.pages.PFN), s.err))
		default:
			s.pages.Free()
		}
	}
	b.shared = nil
	return errors.Join(errs...)
}

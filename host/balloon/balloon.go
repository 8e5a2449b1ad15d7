// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package balloon

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/wire/dynmem"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Options adjust a Balloon. The zero value is a host of Windows 10's version.
type Options struct {
	// Refuse, if not nil, refuses the versions for which it is true.
	Refuse func(dynmem.Version) bool
	// RefuseCapabilities turns the guest away.
	RefuseCapabilities bool
	// NoReports tells the guest to send no status reports.
	NoReports bool
	// MaxPages, if not 0, is told to the guest as the most memory that it may get.
	MaxPages uint64
	// Verify looks, before pages go back, whether the guest has written to them while
	// they were not its own; if so Deflate fails.
	Verify bool
}

// Errors of Inflate and Deflate.
var (
	ErrNotReady   = errors.New("balloon: the guest's dynamic memory service is not running")
	ErrInProgress = errors.New("balloon: another request waits for its answer")
	ErrGone       = errors.New("balloon: the guest closed the dynamic memory service without an answer")
)

// Balloon is a Dynamic Memory device, a vmbus.Device.
//
//	closed --guest opens--> atVersion --accepted--> atCapabilities --accepted--> ready
//	ready --Inflate--> inflating --last BALLOON_RESPONSE--> ready
//	ready --Deflate--> deflating --UNBALLOON_RESPONSE--> ready
//
// Any state goes to closed when the guest closes the channel; the memory is the
// guest's again then.
type Balloon struct {
	opt Options

	mu          sync.Mutex
	state       state
	changed     chan struct{} // closed at the next change of state, version, guest or status
	ch          *vmbus.Channel
	transaction uint32
	version     dynmem.Version
	guest       dynmem.Capabilities
	status      dynmem.Status
	reports     uint64
	held        map[uint64]bool // page numbers
	asked, got  uint64          // pages of the Inflate under way
	answer      chan error      // of the request under way; capacity 1
}

type state int

const (
	closed state = iota
	atVersion
	atCapabilities
	ready
	inflating
	deflating
)

var stateNames = [...]string{"closed", "awaiting a version", "awaiting capabilities", "ready", "inflating", "deflating"}

func (s state) String() string { return stateNames[s] }

var _ vmbus.Device = (*Balloon)(nil)

// New makes the device.
func New(opt Options) *Balloon { return &Balloon{opt: opt, changed: make(chan struct{})} }

// Offer is vmbus.Device.
func (b *Balloon) Offer() vmbus.Offer {
	return vmbus.Offer{Interface: wire.InterfaceDynamicMemory, Instance: dynmem.Instance, Flags: wire.OfferEnumerateInterface}
}

// Guest is what the guest has said of itself.
type Guest struct {
	Version      dynmem.Version
	Capabilities dynmem.Capabilities
	Status       dynmem.Status // the last one
	Reports      uint64        // how many status reports came
	Held         uint64        // pages that the guest has given
}

// Guest returns what is known of the guest; zero before it opened the channel.
func (b *Balloon) Guest() Guest {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known()
}

func (b *Balloon) known() Guest {
	return Guest{b.version, b.guest, b.status, b.reports, uint64(len(b.held))}
}

// WaitReady waits until the guest has agreed to a version and to capabilities.
func (b *Balloon) WaitReady(ctx context.Context) error {
	return b.wait(ctx, func() bool { return b.state >= ready })
}

// WaitReports waits until the guest has sent n status reports.
func (b *Balloon) WaitReports(ctx context.Context, n uint64) error {
	return b.wait(ctx, func() bool { return b.reports >= n })
}

// wait waits until done, which is called under mu, gives true.
func (b *Balloon) wait(ctx context.Context, done func() bool) error {
	for {
		b.mu.Lock()
		ok, changed := done(), b.changed
		b.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNotReady, context.Cause(ctx))
		}
	}
}

// set changes the state and wakes those who wait. mu is held.
func (b *Balloon) set(s state) {
	b.state = s
	b.wake()
}

// wake wakes those who wait for a change. mu is held.
func (b *Balloon) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// Inflate asks the guest for pages and returns how many it gave, which can be fewer,
// or none. When ctx ends first the request goes on: a later one gets ErrInProgress
// until the guest has answered.
func (b *Balloon) Inflate(ctx context.Context, pages uint32) (got uint64, err error) {
	ch, answer, err := b.begin(inflating, pages)
	if err != nil {
		return 0, err
	}
	if err := b.send(ctx, ch, dynmem.MsgBalloonRequest, dynmem.BalloonRequest{Pages: pages}.AppendTo(nil)); err != nil {
		b.abandon(answer)
		return 0, fmt.Errorf("balloon: asking for %d pages: %w", pages, err)
	}
	if err := await(ctx, answer); err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got, nil
}

// Deflate gives pages back, those with the lowest numbers first, and returns how many
// there were. The guest has taken note of them by then.
func (b *Balloon) Deflate(ctx context.Context, pages uint64) (given uint64, err error) {
	ch, answer, err := b.begin(deflating, 0)
	if err != nil {
		return 0, err
	}
	ranges, err := b.release(ch.Memory(), pages)
	if err != nil {
		b.abandon(answer)
		ch.Report("%v", err)
		return 0, vmbus.Broken("%v", err)
	}
	for _, r := range ranges {
		given += uint64(r.Count)
	}
	for more := true; more; {
		n := min(len(ranges), dynmem.MaxUnballoonRanges)
		more = n < len(ranges)
		m := dynmem.UnballoonRequest{More: more, Ranges: ranges[:n]}
		ranges = ranges[n:]
		if err := b.send(ctx, ch, dynmem.MsgUnballoonRequest, m.AppendTo(nil)); err != nil {
			b.abandon(answer)
			return 0, fmt.Errorf("balloon: giving pages back: %w", err)
		}
	}
	return given, await(ctx, answer)
}

// begin starts a request, one at a time.
func (b *Balloon) begin(s state, pages uint32) (*vmbus.Channel, chan error, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.state < ready:
		return nil, nil, ErrNotReady
	case b.state != ready:
		return nil, nil, ErrInProgress
	case !b.guest.Balloon:
		return nil, nil, errors.New("balloon: the guest cannot give memory")
	}
	b.set(s)
	b.asked, b.got = uint64(pages), 0
	b.answer = make(chan error, 1)
	return b.ch, b.answer, nil
}

// abandon ends a request that did not reach the guest.
func (b *Balloon) abandon(answer chan error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answer == answer {
		b.answer = nil
		b.set(ready)
	}
}

// await waits for the end of a request.
func await(ctx context.Context, answer chan error) error {
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("balloon: no answer: %w", context.Cause(ctx))
	}
}

// finish ends the request under way. mu is held.
func (b *Balloon) finish(err error) {
	if b.answer != nil {
		b.answer <- err
		b.answer = nil
	}
}

// send writes one message of ours.
func (b *Balloon) send(ctx context.Context, ch *vmbus.Channel, t dynmem.MessageType, body []byte) error {
	b.mu.Lock()
	b.transaction++
	transaction := b.transaction
	b.mu.Unlock()
	return reply(ctx, ch, t, transaction, body)
}

// reply writes one message under a transaction of the guest's.
func reply(ctx context.Context, ch *vmbus.Channel, t dynmem.MessageType, transaction uint32, body []byte) error {
	return ch.WritePacket(ctx, vmbus.OutPacket{
		Type: wire.PacketInBand, Transaction: uint64(transaction), Payload: dynmem.Message(t, transaction, body),
	})
}

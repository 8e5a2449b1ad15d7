// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Channel is an open channel.
//
//	Open          fail(why): rescind, corrupt ring, bus ended, Close
//	  |             |
//	  v             v
//	open -------> failed: sends and Serve return why
//	                |
//	                v  Close
//	             closed: ring memory is free once Serve has returned
type Channel struct {
	bus   *Bus
	offer Offer
	gpadl *GPADL
	waker *waker

	tx   Tx            // used under tx.mu
	rx   receiveRing   // used by Serve
	done chan struct{} // closed by fail

	mu      sync.Mutex
	err     error // guarded by mu: why done is closed
	closed  bool  // guarded by mu: Close was called
	serving bool  // guarded by mu
	refs    int   // guarded by mu: users of pages
	pages   *Pages
	leak    bool // guarded by mu: the host may still have the pages

	stats channelStats
}

type channelStats struct {
	sent, signals, received, batches, wakes, roomSignals, roomWaits atomic.Uint64
}

// ChannelStats counts a channel's packets.
type ChannelStats struct {
	Sent          uint64 // packets sent
	Signals       uint64 // hypercalls made for them
	SignalsSpared uint64 // packets that needed no hypercall
	Received      uint64 // packets received
	Batches       uint64 // handler calls for them
	Wakes         uint64 // times Serve slept and was woken
	RoomSignals   uint64 // hypercalls made because the host waited for room
	RoomWaits     uint64 // times a send waited for room
}

// Stats gives the counters so far.
func (c *Channel) Stats() ChannelStats {
	s := &c.stats
	out := ChannelStats{
		Sent: s.sent.Load(), Signals: s.signals.Load(), Received: s.received.Load(), Batches: s.batches.Load(),
		Wakes: s.wakes.Load(), RoomSignals: s.roomSignals.Load(), RoomWaits: s.roomWaits.Load(),
	}
	if out.Sent > out.Signals {
		out.SignalsSpared = out.Sent - out.Signals
	}
	return out
}

// OpenOptions are the parameters of Open.
type OpenOptions struct {
	SendPages    int // ring for our packets, control page included; at least 2
	ReceivePages int // ring for the host's packets, likewise
	UserData     [wire.UserDataSize]byte
	TargetVP     uint32 // processor that gets the interrupts
}

// Open opens an offered channel. The caller then runs Serve in a goroutine, and
// finally calls Close whatever happened.
func (b *Bus) Open(id wire.ChannelID, o OpenOptions) (*Channel, error) {
	offer, err := b.take(id)
	if err != nil {
		return nil, fmt.Errorf("vmbus: opening channel %d: %w", id, err)
	}
	c := &Channel{bus: b, offer: offer, done: make(chan struct{}), refs: 1}
	if err := c.open(o); err != nil {
		b.giveBack(id)
		return nil, fmt.Errorf("vmbus: opening channel %d (%s): %w", id, wire.InterfaceName(offer.InterfaceID), err)
	}
	return c, nil
}

// open takes the steps of Open, each undone when a later one fails.
func (c *Channel) open(o OpenOptions) (err error) {
	if o.SendPages < 2 || o.ReceivePages < 2 || o.SendPages+o.ReceivePages > maxGPADLPages {
		return fmt.Errorf("rings of %d and %d pages", o.SendPages, o.ReceivePages)
	}
	if err := c.allocRings(o); err != nil {
		return err
	}
	free := true
	defer func() {
		if err != nil && free {
			c.pages.Free()
		}
	}()

	c.gpadl, err = c.bus.newGPADL(c.offer.ChannelID, c.pages.PFN)
	if err != nil {
		free = MayFree(err)
		return err
	}
	defer func() {
		if err != nil {
			free = MayFree(c.gpadl.Teardown())
		}
	}()

	event, err := c.bus.listen(c.offer.ChannelID)
	if err != nil {
		return err
	}
	c.waker = newWaker(event)
	c.tx.init(c)
	if err := c.request(o); err != nil {
		c.waker.stop()
		return err
	}
	return c.register()
}

func (c *Channel) allocRings(o OpenOptions) (err error) {
	n := o.SendPages + o.ReceivePages
	c.pages, err = c.bus.p.AllocPages(n)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			c.pages.Free()
		}
	}()
	if len(c.pages.PFN) != n || len(c.pages.Mem) != n*PageSize {
		return fmt.Errorf("asked for %d pages, got %d of %d bytes", n, len(c.pages.PFN), len(c.pages.Mem))
	}
	split := o.SendPages * PageSize
	if c.tx.ring, err = newSendRing(c.pages.Mem[:split]); err != nil {
		return err
	}
	c.rx, err = newReceiveRing(c.pages.Mem[split:])
	return err
}

// request posts OPEN_CHANNEL. After a timeout, or an answer that cannot be read,
// the channel may be open: it is closed, so that the teardown of its GPADL can
// succeed.
func (c *Channel) request(o OpenOptions) error {
	id := c.offer.ChannelID
	m := wire.OpenChannel{
		ChannelID: id, OpenID: c.bus.opens.Add(1), RingGPADL: c.gpadl.ID, TargetVP: o.TargetVP,
		DownstreamPageOffset: uint32(o.SendPages), UserData: o.UserData,
	}
	answer, err := c.bus.ask(m.AppendTo(nil), requestKey{wire.MsgOpenChannelResult, id, m.OpenID}, id)
	if err != nil {
		if errors.Is(err, ErrTimeout) {
			c.abandon()
		}
		return err
	}
	r, err := wire.DecodeOpenResult(answer)
	if err != nil {
		c.abandon()
		return fmt.Errorf("vmbus: reading the answer to an open: %w", err)
	}
	if r.Status != wire.StatusSuccess {
		return &RefusedError{"open", r.Status}
	}
	return nil
}

// abandon closes a channel of which we do not know whether it is open. Should
// that fail, so does the teardown, and the pages are kept.
func (c *Channel) abandon() {
	c.bus.post(wire.ChannelMessage{Type: wire.MsgCloseChannel, ChannelID: c.offer.ChannelID}.AppendTo(nil))
}

// register makes the channel reachable for rescinds. One that came since the
// host's answer is found here.
func (c *Channel) register() error {
	b := c.bus
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.offers[c.offer.ChannelID]
	if b.err != nil || o == nil || o.gone {
		c.waker.stop()
		if b.err != nil {
			return b.err
		}
		return ErrRescinded
	}
	o.open = c
	return nil
}

// Offer gives the offer that the channel was opened from.
func (c *Channel) Offer() Offer { return c.offer }

// Done is closed when the channel has failed or was closed; Err then says why.
func (c *Channel) Done() <-chan struct{} { return c.done }

// Err is nil while the channel works; ErrRescinded, a CorruptError, ErrClosed
// or the bus's error afterwards.
func (c *Channel) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// fail is the one setter of err. It wakes everybody.
func (c *Channel) fail(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	close(c.done)
	c.mu.Unlock()
	if errors.Is(err, ErrCorrupt) {
		c.bus.log.Error("vmbus: channel ended", "channel", c.offer.ChannelID,
			"device", wire.InterfaceName(c.offer.InterfaceID), "err", err)
	}
	c.waker.stop()
}

// Stop ends the channel on our side: sends and Serve return err, which must not
// be nil. Close still has to follow.
func (c *Channel) Stop(err error) { c.fail(err) }

// Close closes the channel towards the host, which afterwards does not touch
// the rings any more. It may be called from a handler. The offer can be opened
// again unless it was rescinded.
func (c *Channel) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	c.fail(ErrClosed)

	var err error
	leak := c.bus.Err() != nil
	if id := c.offer.ChannelID; !c.bus.gone(id) && !leak {
		err = c.bus.post(wire.ChannelMessage{Type: wire.MsgCloseChannel, ChannelID: id}.AppendTo(nil))
		terr := c.gpadl.Teardown()
		leak = !MayFree(terr)
		if err == nil {
			err = terr
		}
	}
	c.mu.Lock()
	c.leak = leak
	c.mu.Unlock()
	c.tx.close()
	c.drop()
	c.bus.giveBack(c.offer.ChannelID)
	if err != nil {
		return fmt.Errorf("vmbus: closing channel %d: %w", c.offer.ChannelID, err)
	}
	return nil
}

// Released reports, once Close has returned, whether the host has certainly let go of
// the channel, and so of pages that packets lent to it. If not, they must never be
// used again.
func (c *Channel) Released() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed && !c.leak
}

// drop gives up one use of the ring pages; the last one frees them.
func (c *Channel) drop() {
	c.mu.Lock()
	c.refs--
	free := c.refs == 0 && !c.leak
	c.mu.Unlock()
	if free {
		c.pages.Free()
	}
}

// signal makes the hypercall that wakes the host.
func (c *Channel) signal() error {
	if err := c.bus.signal(&c.offer); err != nil {
		err = fmt.Errorf("vmbus: signalling channel %d: %w", c.offer.ChannelID, err)
		c.fail(err)
		return err
	}
	return nil
}

// pollRoom is the way back for hosts that do not announce that they signal
// room.
func (c *Channel) pollRoom() {
	select {
	case <-time.After(c.bus.t.poll):
	case <-c.done:
	}
}

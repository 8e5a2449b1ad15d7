// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
	"context"
	"errors"

	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/wire/nvsp"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// queue is one opened channel of a session: the primary one, number 0, which also
// carries negotiation and control messages, or a sub-channel, which carries frames
// only.
//
//	read: reads packets, acts on them, queues completions and answers
//	pump: writes completions, answers and frames to the ring, alone: the reader
//	      must not wait for a guest that waits for the reader
type queue struct {
	s     *session
	ch    *vmbus.Channel
	index int

	// Of read's goroutine.
	taken   int    // packets of the guest's
	scratch []byte // private copy of a transfer

	done chan completion
	wake chan struct{} // capacity 1: something for pump

	// Guarded by the NIC's mu.
	frames  []queuedFrame // for the guest
	refused bool          // a Deliver found no room since the last Room
	closed  bool          // no frame may be added
}

// completion answers a packet of the guest's.
type completion struct {
	transaction uint64
	payload     []byte
	then        func() // called when the guest can see it; nil for nothing
}

func newQueue(s *session, ch *vmbus.Channel, index int) *queue {
	return &queue{s: s, ch: ch, index: index, done: make(chan completion, maxCompletions), wake: make(chan struct{}, 1)}
}

// run serves the channel until ctx ends, and leaves no goroutine behind.
func (q *queue) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	pumped := make(chan struct{})
	go func() {
		defer close(pumped)
		if err := q.pump(ctx); err != nil {
			cancel(err)
		}
	}()
	err := q.read(ctx)
	cancel(err)
	<-pumped
	return err
}

var errFault = errors.New("netvsp: the card failed, as the test asked")

func (q *queue) read(ctx context.Context) error {
	for {
		p, err := q.ch.ReadPacket(ctx)
		if err != nil {
			return err
		}
		if q.taken++; q.taken == q.s.nic.fault().FailAfter {
			return errFault
		}
		answer, err := q.handle(p)
		if err != nil {
			return err
		}
		if !p.WantsCompletion || p.Type == wire.PacketCompletion {
			continue
		}
		answer.transaction, answer.payload = p.Transaction, q.s.pad(answer.payload)
		select {
		case q.done <- answer:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// handle acts on one packet and returns its completion.
func (q *queue) handle(p vmbus.Packet) (c completion, err error) {
	switch p.Type {
	case wire.PacketCompletion:
		return c, q.completed(p)
	case wire.PacketTransferPage:
		return c, broken(RuleMessage, "transfer-page packet from the guest")
	}
	t, err := nvsp.DecodeType(p.Payload)
	switch {
	case err != nil:
		return c, broken(RuleMessage, "%v", err)
	case t == nvsp.TypeSendRNDISPacket:
		c.payload, err = q.transfer(p)
		return c, err
	case p.Type == wire.PacketGPADirect:
		return c, broken(RuleMessage, "NVSP message %d in a GPA-direct packet", t)
	case q.index != 0:
		return c, broken(RuleOrder, "NVSP message %d on a sub-channel", t)
	}
	return q.s.handle(t, p)
}

// poke wakes pump.
func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// pump writes to the ring until ctx ends. Completions go first: they give the guest
// the means to go on.
func (q *queue) pump(ctx context.Context) error {
	for {
		select {
		case c := <-q.done:
			if err := q.complete(ctx, c); err != nil {
				return err
			}
			continue
		default:
		}
		p, ok := q.nextPacket()
		q.s.nic.tellRoom(q)
		if ok {
			if err := q.ch.WritePacket(ctx, p); err != nil {
				return err
			}
			continue
		}
		select {
		case c := <-q.done:
			if err := q.complete(ctx, c); err != nil {
				return err
			}
		case <-q.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (q *queue) complete(ctx context.Context, c completion) error {
	err := q.ch.Complete(ctx, c.transaction, c.payload)
	if err == nil && c.then != nil {
		c.then()
	}
	return err
}

// join serves an opened sub-channel until it is closed, or its session ends.
func (n *NIC) join(ctx context.Context, ch *vmbus.Channel) error {
	n.mu.Lock()
	s := n.session
	n.mu.Unlock()
	if s == nil || int(ch.SubIndex) >= n.opt.Queues {
		return broken(RuleOrder, "sub-channel %d opened without a primary channel", ch.SubIndex)
	}
	q := newQueue(s, ch, int(ch.SubIndex))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !s.add(q) {
		return nil // the session ends
	}
	stop := context.AfterFunc(s.ctx, func() { cancel(errSessionEnd) })
	defer stop()
	err := q.run(ctx)
	s.remove(q)
	if errors.Is(context.Cause(ctx), errSessionEnd) {
		return nil
	}
	return err
}

var errSessionEnd = errors.New("netvsp: primary channel closed")

// add makes an opened channel one of the session's.
func (s *session) add(q *queue) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.queues[q.index] != nil {
		return false
	}
	s.queues[q.index] = q
	s.running.Add(1)
	s.steer()
	open := 0
	for _, q := range s.queues {
		if q != nil {
			open++
		}
	}
	if open > 1 && open == s.wanted {
		s.spread(open)
	}
	return true
}

// remove takes a closed sub-channel out. Frames that wait in it go by the primary
// channel, as far as there is room; the transfers that it never completes are over.
func (s *session) remove(q *queue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.running.Done()
	s.queues[q.index] = nil
	s.steer()
	s.receive.forget(q.index)
	n, primary := s.nic, s.queues[0]
	n.mu.Lock()
	defer n.mu.Unlock()
	q.closed = true
	switch {
	case primary == nil || primary.closed:
		n.stats.toGuestDown.Add(uint64(len(q.frames)))
	default:
		// No more than there is room for, or a guest could make it any number.
		room := min(max(n.opt.Queue-len(primary.frames), 0), len(q.frames))
		primary.frames = append(primary.frames, q.frames[:room]...)
		n.stats.toGuestDown.Add(uint64(len(q.frames) - room))
		primary.refused = primary.refused || q.refused
		primary.poke()
	}
	q.frames = nil
}

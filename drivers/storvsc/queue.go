// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsc

import (
	"fmt"
	"sync"
	"time"

	"github.com/hvgo/hvgo/drivers/vmbus"
	wirebus "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/internal/wire/vstor"
)

// slots is how many requests may be under way on a controller.
const slots = 64

// slot carries one request. It belongs to the goroutine that got it from
// queue.free, except for the fields under queue.mu.
//
//	free ---> prepared ---> pending ---> answered ---> free
//	     acquire        send      complete       release
type slot struct {
	index  int
	done   chan vstor.Packet // the answer; holds one
	packet []byte            // encoded vstor.Packet
	pfns   []uint64
	ranges [1]vmbus.Range // pages of the data, unless nothing is transferred
	length int            // bytes of the data

	pending     bool      // guarded by queue.mu
	transaction uint64    // guarded by queue.mu: index in the low bits, then a counter
	since       time.Time // guarded by queue.mu
}

// queue matches answers with requests.
type queue struct {
	ch      *vmbus.Channel
	free    chan *slot
	dead    <-chan struct{} // the channel is closed, the host has let go
	stuck   func()          // called when a request is too old
	timeout time.Duration

	mu      sync.Mutex
	slots   [slots]slot
	pending int         // guarded by mu
	counter uint64      // guarded by mu
	timer   *time.Timer // guarded by mu; runs only while requests are pending
}

func newQueue(ch *vmbus.Channel, dead <-chan struct{}, timeout time.Duration, stuck func()) *queue {
	q := &queue{ch: ch, free: make(chan *slot, slots), dead: dead, stuck: stuck, timeout: timeout}
	for i := range q.slots {
		s := &q.slots[i]
		s.index, s.done = i, make(chan vstor.Packet, 1)
		s.packet = make([]byte, 0, vstor.PacketSize)
		q.free <- s
	}
	q.timer = time.AfterFunc(time.Hour, q.watch)
	q.timer.Stop()
	return q
}

// send puts prepared slots into the ring, in one batch. On error none of them
// is pending, and the channel is of no use any more.
func (q *queue) send(list []*slot) error {
	q.mu.Lock()
	now := time.Now()
	for _, s := range list {
		q.counter++
		s.pending, s.since = true, now
		s.transaction = q.counter<<8 | uint64(s.index)
	}
	if q.pending == 0 {
		q.timer.Reset(q.timeout)
	}
	q.pending += len(list)
	q.mu.Unlock()

	tx := q.ch.Begin()
	for _, s := range list {
		if s.length > 0 {
			tx.GPADirect(s.ranges[:], s.packet, s.transaction)
		} else {
			tx.InBand(s.packet, s.transaction, true)
		}
	}
	return tx.End()
}

// wait gives the answer to a pending slot, or an error once the host cannot
// touch its pages any more.
func (q *queue) wait(s *slot) (vstor.Packet, error) {
	select {
	case p := <-s.done:
		return p, nil
	case <-q.dead:
	}
	select {
	case p := <-s.done: // both were ready
		return p, nil
	default:
		return vstor.Packet{}, ErrDisconnected
	}
}

// complete takes a completion packet of the host's. An answer that nobody
// waits for is an error.
func (q *queue) complete(transaction uint64, payload []byte) error {
	p, err := vstor.DecodePacket(payload)
	if err != nil {
		return fmt.Errorf("%w: completion of %d bytes", ErrProtocol, len(payload))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	i := int(transaction & 0xFF)
	if i >= slots || !q.slots[i].pending || q.slots[i].transaction != transaction {
		return fmt.Errorf("%w: completion of transaction %#x, which is not under way", ErrProtocol, transaction)
	}
	q.slots[i].pending = false
	if q.pending--; q.pending == 0 {
		q.timer.Stop()
	}
	q.slots[i].done <- p
	return nil
}

// watch runs when requests have been pending for a while.
func (q *queue) watch() {
	q.mu.Lock()
	old := false
	for i := range q.slots {
		old = old || q.slots[i].pending && time.Since(q.slots[i].since) >= q.timeout
	}
	if q.pending > 0 && !old {
		q.timer.Reset(q.timeout)
	}
	q.mu.Unlock()
	if old {
		q.stuck()
	}
}

// acquire gives a free slot; without block only if there is one now.
func (q *queue) acquire(block bool) (*slot, error) {
	select {
	case s := <-q.free:
		return s, nil
	default:
	}
	if !block {
		return nil, nil
	}
	select {
	case s := <-q.free:
		return s, nil
	case <-q.dead:
		return nil, ErrDisconnected
	}
}

// release gives a slot back once its answer has come. A slot that never got
// one stays out of use, which only happens on a dead queue.
func (q *queue) release(s *slot) {
	q.mu.Lock()
	pending := s.pending
	q.mu.Unlock()
	if !pending {
		q.free <- s
	}
}

// encode puts a packet into the slot, cut to size.
func (s *slot) encode(p vstor.Packet, size int) {
	s.packet = p.AppendTo(s.packet[:0])[:size]
	s.length = 0
}

// data sets the pages that the request transfers: n bytes from offset in the
// first page of s.pfns.
func (s *slot) data(offset, n int) error {
	want := (offset + n + vmbus.PageSize - 1) / vmbus.PageSize
	if n <= 0 || len(s.pfns) < want {
		return fmt.Errorf("storvsc: %d bytes at %d in %d pages", n, offset, len(s.pfns))
	}
	s.ranges[0] = vmbus.Range{Length: uint32(n), Offset: uint32(offset), PFN: s.pfns[:want]}
	s.length = n
	return nil
}

// handle is the handler of the channel.
func (c *Controller) handle(batch []vmbus.Packet) error {
	for i := range batch {
		p := &batch[i]
		switch p.Type {
		case wirebus.PacketCompletion:
			if err := c.q.complete(p.Transaction, p.Payload); err != nil {
				c.skip("%v", err)
			}
		case wirebus.PacketInBand:
			if err := c.notice(p); err != nil {
				return err
			}
		default:
			c.skip("packet of type %d", p.Type)
		}
	}
	return nil
}

// notice takes what the host says on its own.
func (c *Controller) notice(p *vmbus.Packet) error {
	v, err := vstor.DecodePacket(p.Payload)
	if err != nil {
		c.skip("packet of %d bytes", len(p.Payload))
	} else if v.Operation == vstor.OpEnumerateBus || v.Operation == vstor.OpRemoveDevice {
		select {
		case c.changed <- struct{}{}:
		default:
		}
	} else {
		c.skip("%v", v.Operation)
	}
	if p.CompletionRequested {
		return c.ch.SendCompletion(p.Transaction, nil)
	}
	return nil
}

// skip logs the first things that are of no use.
func (c *Controller) skip(format string, args ...any) {
	if c.skipped++; c.skipped <= 8 {
		c.log.Warn("storvsc: skipped", "what", fmt.Sprintf(format, args...))
	}
}

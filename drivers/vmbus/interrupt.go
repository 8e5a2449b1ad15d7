// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"math/bits"
	"sync"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Before version 2.4 channels have no event flags of their own. One page
// shared with the host holds a bit for each channel and direction, and flag 0
// (to us) or connection 2 (to the host) says that some bit is set:
//
//	0                      2048                   4096
//	+----------------------+----------------------+
//	| host to guest, bits  | guest to host, bits  |
//	+----------------------+----------------------+
const guestBits = PageSize / 2

// sharedInterrupts hands the shared flag out to channels.
type sharedInterrupts struct {
	page  []byte
	event Event
	ended chan struct{} // closed when run has returned

	mu       sync.Mutex
	channels map[uint16]*sharedEvent // guarded by mu
}

// sharedEvent is the Event of one channel.
type sharedEvent struct {
	s      *sharedInterrupts
	flag   uint16
	set    chan struct{} // holds one value while set
	closed chan struct{}
	once   sync.Once
}

func (b *Bus) listenShared() error {
	e, err := b.p.Listen(0)
	if err != nil {
		return err
	}
	b.interrupts = &sharedInterrupts{page: b.shared.Mem[:PageSize], event: e, ended: make(chan struct{}), channels: map[uint16]*sharedEvent{}}
	go b.interrupts.run()
	return nil
}

func (s *sharedInterrupts) run() {
	defer close(s.ended)
	for s.event.Wait() == nil {
		for off := 0; off < guestBits; off += 8 {
			w := word64(s.page, off)
			if w.Load() == 0 {
				continue
			}
			for set := w.Swap(0); set != 0; set &= set - 1 {
				s.wake(uint16(off*8 + bits.TrailingZeros64(set)))
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.channels {
		e.end()
	}
}

func (s *sharedInterrupts) wake(flag uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.channels[flag]; e != nil {
		select {
		case e.set <- struct{}{}:
		default:
		}
	}
}

func (s *sharedInterrupts) listen(flag uint16) Event {
	e := &sharedEvent{s: s, flag: flag, set: make(chan struct{}, 1), closed: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels[flag] = e
	return e
}

// close returns when the page is not read any more.
func (s *sharedInterrupts) close() {
	s.event.Close()
	<-s.ended
}

func (e *sharedEvent) end() { e.once.Do(func() { close(e.closed) }) }

// Wait is Event.Wait.
func (e *sharedEvent) Wait() error {
	select {
	case <-e.closed:
		return ErrClosed
	case <-e.set:
		return nil
	}
}

// Close is Event.Close.
func (e *sharedEvent) Close() error {
	e.s.mu.Lock()
	if e.s.channels[e.flag] == e {
		delete(e.s.channels, e.flag)
	}
	e.s.mu.Unlock()
	e.end()
	return nil
}

// listen gives the event of a channel, whatever the version.
func (b *Bus) listen(id wire.ChannelID) (Event, error) {
	if b.interrupts != nil {
		return b.interrupts.listen(uint16(id)), nil
	}
	return b.p.Listen(uint16(id))
}

// signal raises the host's event for a channel.
func (b *Bus) signal(o *Offer) error {
	connection := o.ConnectionID
	if b.interrupts != nil && (b.version == wire.Version0_13 || !o.DedicatedInterrupt) {
		off := guestBits + int(o.ChannelID)/64*8
		word64(b.interrupts.page, off).Or(1 << (o.ChannelID % 64))
		if b.version == wire.Version0_13 {
			connection = wire.ConnectionSharedEvent
		}
	}
	return b.p.SignalEvent(connection, 0)
}

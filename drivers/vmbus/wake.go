// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import "sync"

// waker shares one Event among the goroutines of a channel: the one in Serve
// and those that wait for room to send. A host signals both by the same flag.
//
// One of the waiting goroutines blocks in Event.Wait for all of them, so that
// no goroutine of its own is needed, and a handler that runs in Serve's
// goroutine can wait for room although Serve cannot wait meanwhile.
//
// Use: take ticket, look at the ring, and only then wait with that ticket.
type waker struct {
	event Event
	close sync.Once

	mu      sync.Mutex
	cond    sync.Cond
	wakes   uint64 // guarded by mu
	waiting bool   // guarded by mu: somebody is in event.Wait
	stopped bool   // guarded by mu: the event is closed
}

func newWaker(e Event) *waker {
	w := &waker{event: e}
	w.cond.L = &w.mu
	return w
}

// ticket stands for this moment.
func (w *waker) ticket() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wakes
}

// wait returns once the event came after the ticket was taken, or the event is
// closed.
func (w *waker) wait(ticket uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.wakes == ticket && !w.stopped {
		if w.waiting {
			w.cond.Wait()
			continue
		}
		w.waiting = true
		w.mu.Unlock()
		err := w.event.Wait()
		w.mu.Lock()
		w.waiting = false
		w.wakes++
		if err != nil {
			w.stopped = true
		}
		w.cond.Broadcast()
	}
}

// stop ends all waits for good.
func (w *waker) stop() {
	w.mu.Lock()
	w.stopped = true
	w.cond.Broadcast()
	w.mu.Unlock()
	w.close.Do(func() { w.event.Close() })
}

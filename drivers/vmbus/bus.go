// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Limits of what the host can make us keep.
const (
	maxChannelID = wire.ChannelID(2047) // one event flag for each
	maxRequests  = 4096                 // unanswered requests
)

// timing is a struct so that tests with a silent host can be fast.
type timing struct {
	answer  time.Duration // for an answer to a request
	post    time.Duration // for room for a message
	backoff time.Duration // first pause before posting again
	poll    time.Duration // between looks at a ring whose host does not announce room
}

var defaultTiming = timing{answer: 30 * time.Second, post: 10 * time.Second, backoff: time.Millisecond, poll: time.Millisecond}

// Bus is a connection to the host's VMBus.
//
//	Connect        Unload, or NextMessage fails
//	   |                 |
//	   v                 v
//	connected ------> closed        (one setter: fail)
type Bus struct {
	p   Platform
	log *slog.Logger
	t   timing

	version    wire.Version // set by Connect
	connection uint32       // messages go there; set by Connect
	interrupts *sharedInterrupts
	shared     *Pages // interrupt page, two monitor pages

	done   chan struct{} // closed by fail
	ended  chan struct{} // closed when the message goroutine has returned
	gpadls atomic.Uint32 // last GPADL id
	opens  atomic.Uint32 // last open id

	posting   sync.Mutex  // held for each hypercall that posts
	unloading atomic.Bool // UNLOAD is, or will be, the last message posted; its answer the last to come

	mu       sync.Mutex
	err      error                         // guarded by mu: why done is closed
	offers   map[wire.ChannelID]*offered   // guarded by mu
	requests map[requestKey]*request       // guarded by mu
	watches  map[*Watch]struct{}           // guarded by mu
	release  map[wire.ChannelID]struct{}   // guarded by mu: ids to give back to the host
	skipped  map[wire.MessageType]struct{} // guarded by mu: unknown messages already logged

	releaseWake chan struct{}
	stats       busStats
}

type busStats struct{ posts, postRetries, messages, skipped atomic.Uint64 }

// BusStats counts a bus's messages.
type BusStats struct {
	Posts       uint64 // messages sent, each a hypercall
	PostRetries uint64 // hypercalls that found the host busy
	Messages    uint64 // messages received
	Skipped     uint64 // of these, not understood
}

// Stats gives the counters so far.
func (b *Bus) Stats() BusStats {
	return BusStats{b.stats.posts.Load(), b.stats.postRetries.Load(), b.stats.messages.Load(), b.stats.skipped.Load()}
}

// Version is the negotiated protocol version.
func (b *Bus) Version() wire.Version { return b.version }

// Done is closed when the bus has ended; Err then says why.
func (b *Bus) Done() <-chan struct{} { return b.done }

// Err is nil while the bus works.
func (b *Bus) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// fail ends the bus: all waits for answers and all channels get err.
func (b *Bus) fail(err error) {
	b.mu.Lock()
	if b.err != nil {
		b.mu.Unlock()
		return
	}
	b.err = err
	close(b.done)
	for key, r := range b.requests {
		delete(b.requests, key)
		r.finish(nil, err)
	}
	var open []*Channel
	for _, o := range b.offers {
		if o.open != nil {
			open = append(open, o.open)
		}
	}
	b.mu.Unlock()
	for _, c := range open {
		c.fail(err)
	}
	b.changed()
}

// postOnce posts a message, if it is not too late for it: behind UNLOAD the host knows
// no connection any more.
func (b *Bus) postOnce(typ wire.MessageType, msg []byte) error {
	b.posting.Lock()
	defer b.posting.Unlock()
	if b.unloading.Load() && typ != wire.MsgUnload {
		return ErrClosed
	}
	b.stats.posts.Add(1)
	return b.p.PostMessage(b.connection, msg)
}

// post sends a message, and again with growing pauses while the host is busy.
// Hyper-V also answers "no such connection" when messages come too fast, so
// that is final for INITIATE_CONTACT only, where it tells old hosts from new.
// It is never called by the message goroutine: a host may refuse our messages
// until we have taken its own.
func (b *Bus) post(msg []byte) error {
	if err := b.Err(); err != nil {
		return err
	}
	pause, deadline := b.t.backoff, time.Now().Add(b.t.post)
	for {
		typ, _ := wire.DecodeType(msg)
		err := b.postOnce(typ, msg)
		if err == nil {
			return nil
		}
		passing := errors.Is(err, ErrBusy) || errors.Is(err, ErrNoConnection) && typ != wire.MsgInitiateContact
		if !passing || time.Now().After(deadline) {
			return fmt.Errorf("vmbus: posting %v: %w", typ, err)
		}
		b.stats.postRetries.Add(1)
		select {
		case <-time.After(pause):
		case <-b.done:
			return b.Err()
		}
		pause = min(2*pause, 100*time.Millisecond)
	}
}

// requestKey finds the request that a message answers.
type requestKey struct {
	answer  wire.MessageType
	channel wire.ChannelID
	id      uint32
}

// request waits for one message from the host.
type request struct {
	key     requestKey
	channel wire.ChannelID // failed when this channel is rescinded; 0: none
	done    chan struct{}
	msg     []byte // set before done is closed
	err     error  // likewise
}

func (r *request) finish(msg []byte, err error) {
	r.msg, r.err = msg, err
	close(r.done)
}

// expect announces that an answer will come. It precedes the post.
func (b *Bus) expect(key requestKey, channel wire.ChannelID) (*request, error) {
	r := &request{key: key, channel: channel, done: make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
		return nil, b.err
	case b.requests[key] != nil:
		return nil, fmt.Errorf("vmbus: a request for %v of channel %d is under way", key.answer, key.channel)
	case len(b.requests) >= maxRequests:
		return nil, fmt.Errorf("vmbus: %d requests unanswered", maxRequests)
	}
	if o := b.offers[channel]; channel != 0 && (o == nil || o.gone) {
		return nil, ErrRescinded
	}
	b.requests[key] = r
	return r, nil
}

// forget withdraws a request whose message could not be posted.
func (b *Bus) forget(r *request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.requests[r.key] == r {
		delete(b.requests, r.key)
	}
}

// await gives the answer to a request.
func (b *Bus) await(r *request) ([]byte, error) {
	timer := time.NewTimer(b.t.answer)
	defer timer.Stop()
	select {
	case <-r.done:
		return r.msg, r.err
	case <-timer.C:
		b.forget(r)
		return nil, fmt.Errorf("waiting for %v: %w", r.key.answer, ErrTimeout)
	}
}

// ask posts a message and gives its answer.
func (b *Bus) ask(msg []byte, key requestKey, channel wire.ChannelID) ([]byte, error) {
	r, err := b.expect(key, channel)
	if err != nil {
		return nil, err
	}
	if err := b.post(msg); err != nil {
		b.forget(r)
		return nil, err
	}
	return b.await(r)
}

// answer hands a message to the request it belongs to.
func (b *Bus) answer(key requestKey, msg []byte) {
	b.mu.Lock()
	r := b.requests[key]
	delete(b.requests, key)
	b.mu.Unlock()
	if r == nil {
		b.skip(key.answer, "unexpected answer")
		return
	}
	r.finish(append([]byte(nil), msg...), nil)
}

// RefusedError is the host's no to a request. It wraps ErrRefused.
type RefusedError struct {
	What   string
	Status uint32 // NT status
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("vmbus: %s refused by host, status %#x", e.What, e.Status)
}

// Unwrap gives ErrRefused.
func (e *RefusedError) Unwrap() error { return ErrRefused }

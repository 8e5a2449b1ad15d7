// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Sizes of queues of Unix sockets in bytes.
const (
	unixRoom     = 212992 // SO_SNDBUF: what a sender may have under way
	unixMinRoom  = 4608
	unixOverhead = 768 // counted for each message on top of its bytes
	unixChunk    = 4096
	unixBacklog  = 10 // datagrams waiting before strangers have to wait (net.unix.max_dgram_qlen)
)

// unixMessage is a datagram, or a piece of a stream.
type unixMessage struct {
	b    []byte
	from string // the sender's address
	ctl  *control
}

// unixQueue is what a socket has received and not yet read. Its lock is held neither while another
// queue's is taken nor while readiness is told.
type unixQueue struct {
	stream bool

	mu      sync.Mutex
	msgs    []unixMessage       // guarded by mu, as all below
	used    int                 // bytes, with overhead
	shut    bool                // nothing more comes: the reader or the writer has shut it down
	dead    bool                // the socket is closed
	reset   bool                // ECONNRESET is to be told
	waiting map[*unixSocket]int // senders to tell when used is no more than that
	pair    *unixSocket         // of datagram sockets connected to each other: no limit by number
	spare   []byte              // memory of the last piece that was read
	store   []unixMessage       // memory of msgs when they were few
}

// put appends a message of the sender's, or of a stream the part there is room for.
func (q *unixQueue) put(from *unixSocket, b []byte, ctl *control) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	room := from.sendRoom()
	switch {
	case q.dead && !q.stream:
		return 0, syscall.ECONNREFUSED
	case q.shut:
		return 0, syscall.EPIPE
	case q.busy(from, room):
		q.await(from, room/4)
		return 0, syscall.EAGAIN
	}
	n := len(b)
	if q.stream {
		if n = min(n, room-q.used); n == 0 {
			return 0, nil
		}
	}
	q.add(from, b[:n], ctl)
	if q.used > room/4 {
		q.await(from, room/4)
	}
	return n, nil
}

// busy says whether the sender has to wait. mu is held.
func (q *unixQueue) busy(from *unixSocket, room int) bool {
	return q.used >= room || !q.stream && q.pair != from && len(q.msgs) > unixBacklog
}

// await remembers a sender that wants to know of room. mu is held.
func (q *unixQueue) await(from *unixSocket, low int) {
	if q.waiting == nil {
		q.waiting = make(map[*unixSocket]int)
	}
	q.waiting[from] = low
}

// add appends to the queue. mu is held.
func (q *unixQueue) add(from *unixSocket, b []byte, ctl *control) {
	if last := len(q.msgs) - 1; q.stream && ctl == nil && last >= 0 {
		m := &q.msgs[last]
		if m.ctl == nil && m.from == from.name() && cap(m.b)-len(m.b) >= len(b) {
			m.b = append(m.b, b...)
			q.used += len(b)
			return
		}
	}
	var mem []byte
	if q.stream && q.spare != nil && len(b) <= cap(q.spare) {
		mem, q.spare = q.spare[:0], nil
	} else if q.stream {
		mem = make([]byte, 0, max(unixChunk, len(b)))
	}
	if q.msgs = append(q.msgs, unixMessage{append(mem, b...), from.name(), ctl}); len(q.msgs) == 1 {
		q.store = q.msgs
	}
	q.used += len(b) + unixOverhead
}

// take reads into b: one datagram, or the pieces of a stream up to the first that brings descriptors.
func (q *unixQueue) take(b []byte, flags int) (m received, tell []*unixSocket, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.msgs) == 0 {
		switch {
		case q.reset:
			q.reset = false
			return m, nil, syscall.ECONNRESET
		case q.shut:
			return m, nil, nil
		}
		return m, nil, syscall.EAGAIN
	}
	peek := flags&unix.MSG_PEEK != 0
	m.from.raw = q.msgs[0].from
	if q.stream {
		q.takeStream(b, peek, &m)
	} else {
		first := &q.msgs[0]
		m.n = copy(b, first.b)
		m.truncated = m.n < len(first.b)
		if m.ctl = first.takeControl(peek); flags&unix.MSG_TRUNC != 0 {
			m.n = len(first.b)
		}
		if !peek {
			q.drop()
		}
	}
	return m, q.relieved(), nil
}

// takeStream is take for a stream. mu is held.
func (q *unixQueue) takeStream(b []byte, peek bool, m *received) {
	for i := 0; i < len(q.msgs) && m.n < len(b); {
		first := &q.msgs[i]
		n := copy(b[m.n:], first.b)
		m.n += n
		m.ctl = first.takeControl(peek)
		if peek {
			i++
		} else if first.b = first.b[n:]; len(first.b) == 0 {
			q.used -= n
			q.drop()
		} else {
			q.used -= n
		}
		if m.ctl != nil {
			break
		}
	}
}

// takeControl is what comes with the message; only once, unless it is looked at only.
func (m *unixMessage) takeControl(peek bool) *control {
	c := m.ctl
	if c == nil {
		return nil
	}
	if peek {
		return &control{rights: copyRights(c.rights), cred: c.cred}
	}
	m.ctl = nil
	return c
}

// drop takes the first message out of the queue. mu is held.
func (q *unixQueue) drop() {
	m := q.msgs[0]
	q.used -= len(m.b) + unixOverhead
	q.msgs[0] = unixMessage{}
	if q.msgs = q.msgs[1:]; len(q.msgs) == 0 {
		clear(q.store) // what has moved on to more memory is still named here
		q.msgs = q.store[:0]
	}
	if q.stream && cap(m.b) >= unixChunk/2 {
		q.spare = m.b[:0]
	}
}

// relieved is the senders that have room again. mu is held.
func (q *unixQueue) relieved() (tell []*unixSocket) {
	for s, low := range q.waiting {
		if q.used <= low && !q.busy(s, low+1) {
			tell = append(tell, s)
			delete(q.waiting, s)
		}
	}
	return tell
}

// end shuts the queue down; reset says that data was lost. It returns the senders that wait.
func (q *unixQueue) end(reset bool) []*unixSocket {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.shut, q.reset = true, q.reset || reset
	return q.allWaiting()
}

func (q *unixQueue) allWaiting() (tell []*unixSocket) {
	for s := range q.waiting {
		tell = append(tell, s)
	}
	clear(q.waiting)
	return tell
}

// kill ends a queue whose socket is closed. It returns what was not read and the senders that wait.
func (q *unixQueue) kill() ([]unixMessage, []*unixSocket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	left := q.msgs
	q.shut, q.dead, q.msgs, q.used, q.spare, q.store = true, true, nil, 0, nil, nil
	return left, q.allWaiting()
}

func (q *unixQueue) forget(s *unixSocket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.waiting, s)
}

// setPair says who the socket is connected to.
func (q *unixQueue) setPair(p *unixSocket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pair = p
}

// takeReset is SO_ERROR: the error that waits, once.
func (q *unixQueue) takeReset() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.reset {
		q.reset = false
		return int(syscall.ECONNRESET)
	}
	return 0
}

// state is what readiness follows from.
func (q *unixQueue) state() (some, shut, reset bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.msgs) > 0, q.shut, q.reset
}

// roomFor says whether the sender is ready to write, and remembers it if not.
func (q *unixQueue) roomFor(from *unixSocket) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	low := from.sendRoom() / 4
	if q.shut || q.used <= low && !q.busy(from, low+1) {
		return true
	}
	q.await(from, low)
	return false
}

// lengths are the bytes waiting: all, and of the first message.
func (q *unixQueue) lengths() (all, first int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.msgs {
		all += len(m.b)
	}
	if len(q.msgs) > 0 {
		first = len(q.msgs[0].b)
	}
	return all, first
}

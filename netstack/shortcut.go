// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// A connection of the machine with itself is made and ended by TCP, over the loopback
// interface, but the bytes take a shortcut: from the sender's slice into a lane, and from
// there into the receiver's. No segment, acknowledgement or timer is needed for them.
//
//	Send -> lane -> Recv              bytes, once both sockets are known
//	Connect, Accept, Shutdown, Close  the stack
//
// What was sent before both are known goes through the stack, and is received first.

// laneBytes is how much a lane holds.
const laneBytes = defaultReceive

// lane is one direction of a connection.
type lane struct {
	before int64 // bytes that went through the stack; set once

	mu     sync.Mutex
	b      []byte // not yet received; guarded by mu
	full   bool   // the sender waits for room; guarded by mu
	closed bool   // the receiver is closed; guarded by mu
}

// put takes what there is room for. ok is false when nobody will receive it.
func (l *lane) put(p []byte) (n int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, false
	}
	n = min(len(p), laneBytes-len(l.b))
	l.full = n < len(p)
	l.b = append(l.b, p[:n]...)
	return n, true
}

// keptBytes is the memory that an empty lane keeps.
const keptBytes = 16 << 10

// take moves bytes to p; room says that the sender has to be told that there is room.
func (l *lane) take(p []byte, peek bool) (n int, room bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = copy(p, l.b)
	switch {
	case peek:
		return n, false
	case n < len(l.b):
		l.b = l.b[n:]
	case cap(l.b) > keptBytes:
		l.b = nil
	default:
		l.b = l.b[:0]
	}
	if l.full && len(l.b) <= laneBytes/2 {
		l.full = false
		return n, true
	}
	return n, false
}

func (l *lane) length() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.b)
}

// writable says whether the sender may write, as for epoll: with room for more than a
// few bytes, or for nobody, which is an error to be told.
func (l *lane) writable() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.b) <= laneBytes/2 {
		return true
	}
	l.full = true
	return false
}

// close says that nobody receives any more, and whether bytes are lost.
func (l *lane) close() (lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost = len(l.b) > 0
	l.closed, l.b = true, nil
	return lost
}

// shortcut is a socket's view of its connection.
type shortcut struct {
	in, out *lane
	peer    *socket
}

// local is what a stream needs until it is known whether it has a shortcut, and then.
type local struct {
	far  atomic.Bool // it will have none
	path atomic.Pointer[shortcut]
	got  atomic.Int64 // bytes received from the stack

	mu   sync.Mutex
	sent int64 // bytes given to the stack; guarded by mu

	// Guarded by meetings.mu.
	key      ends
	accepted bool
	closed   bool
}

// ends names a connection: the address that connected and the one connected to.
type ends struct{ from, to netip.AddrPort }

// meetings are the connections over the loopback interface of which one socket is known.
type meetings struct {
	mu sync.Mutex
	at map[ends]*socket
}

// meet tells of a socket that is connected, or is about to be. The second of two gets
// both their shortcut. Only the loopback interface's addresses are sure not to be
// somebody else's.
func (n *Stack) meet(s *socket, remote tcpip.FullAddress, accepted bool) {
	here, err := s.ep.GetLocalAddress()
	key := ends{plain(here), plain(remote)}
	if err != nil || !key.from.Addr().IsLoopback() || !key.to.Addr().IsLoopback() {
		s.local.far.Store(true)
		return
	}
	if accepted {
		key.from, key.to = key.to, key.from
	}
	m := &n.meetings
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.local.closed {
		return
	}
	if other := m.at[key]; other != nil && other.local.accepted != accepted && other.connected() {
		delete(m.at, key)
		join(s, other)
		return
	}
	if m.at == nil {
		m.at = map[ends]*socket{}
	}
	s.local.key, s.local.accepted = key, accepted
	m.at[key] = s // what may be there is of an earlier connection, which failed
}

// connected says that the socket is one side of a connection now. One that waits to
// meet the other is not, if that connection has failed and another takes its addresses.
func (s *socket) connected() bool {
	switch tcp.EndpointState(s.ep.State()) {
	case tcp.StateEstablished, tcp.StateFinWait1, tcp.StateFinWait2:
		return true
	}
	return false
}

// forget is for a socket that is closed and perhaps never met the other.
func (n *Stack) forget(s *socket) {
	m := &n.meetings
	m.mu.Lock()
	defer m.mu.Unlock()
	s.local.closed = true
	if m.at[s.local.key] == s {
		delete(m.at, s.local.key)
	}
}

// join gives two sockets their shortcut. meetings.mu is held: nobody else takes the
// locks of two sockets.
func join(a, b *socket) {
	a.local.mu.Lock()
	defer a.local.mu.Unlock()
	b.local.mu.Lock()
	defer b.local.mu.Unlock()
	there, back := &lane{before: a.local.sent}, &lane{before: b.local.sent}
	a.local.path.Store(&shortcut{in: back, out: there, peer: b})
	b.local.path.Store(&shortcut{in: there, out: back, peer: a})
}

// plain is an address of the stack's, as IPv4 if it is one.
func plain(a tcpip.FullAddress) netip.AddrPort {
	ip, _ := netip.AddrFromSlice(a.Addr.AsSlice())
	return netip.AddrPortFrom(ip.Unmap(), a.Port)
}

// sendStream is Send for a stream.
func (s *socket) sendStream(p []byte) (int, error) {
	l := &s.local
	if l.far.Load() {
		return s.sendStack(p, tcpip.WriteOptions{})
	}
	l.mu.Lock()
	c := l.path.Load()
	if c == nil {
		defer l.mu.Unlock()
		n, err := s.sendStack(p, tcpip.WriteOptions{})
		l.sent += int64(n)
		return n, err
	}
	l.mu.Unlock()
	switch tcp.EndpointState(s.ep.State()) {
	case tcp.StateEstablished, tcp.StateCloseWait:
	default:
		return s.sendStack(p, tcpip.WriteOptions{}) // which says what is wrong
	}
	n, ok := c.out.put(p)
	if !ok {
		return s.sendStack(p, tcpip.WriteOptions{}) // to a closed socket: a reset comes back
	}
	if n == 0 && len(p) > 0 {
		return 0, syscall.EAGAIN
	}
	c.peer.NotifyEvent(0)
	return n, nil
}

// recvShortcut takes what came by the shortcut; 0: the stack is to be asked.
func (s *socket) recvShortcut(p []byte, peek bool) int {
	c := s.local.path.Load()
	if c == nil || s.local.got.Load() < c.in.before {
		return 0
	}
	n, room := c.in.take(p, peek)
	if room {
		c.peer.NotifyEvent(0)
	}
	return n
}

// readyShortcut corrects what the stack says of a connected socket's readiness.
func (s *socket) readyShortcut(ready uint32) uint32 {
	c := s.local.path.Load()
	if c == nil {
		return ready
	}
	if s.local.got.Load() >= c.in.before && c.in.length() > 0 {
		ready |= syscall.EPOLLIN
	}
	if !c.out.writable() {
		ready &^= syscall.EPOLLOUT
	}
	return ready
}

// closeShortcut is for a socket that closes: bytes that nobody received are a reset for
// the sender.
func (s *socket) closeShortcut() {
	s.n.forget(s)
	if c := s.local.path.Load(); c != nil && c.in.close() {
		s.ep.SocketOptions().SetLinger(tcpip.LingerOption{Enabled: true})
	}
}

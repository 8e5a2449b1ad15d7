// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport"
	"gvisor.dev/gvisor/pkg/waiter"
)

// A datagram over the loopback interface takes a shortcut, too: from the sender's slice
// into the receiver's inbox. Whose it is has to be plain: one socket has the port, and its
// addresses fit. All else is the stack's: who gets it of several sockets, that nobody
// gets it and the sender is told, multicast, and the errors.
//
// The stack delivers over the loopback interface before Write returns. So datagrams stay
// in order: one is put into the inbox only while the stack's queue is empty, and the
// inbox is received first.

// maxShort is the most that fits a datagram of either IP version, in bytes.
const maxShort = 65535 - 20 - 8

// inbox holds datagrams of a socket that came by the shortcut.
//
//	0        4      6         22
//	+--------+------+---------+----------+
//	| length | port | address | datagram |
//	+--------+------+---------+----------+
type inbox struct {
	far   atomic.Bool   // the socket has no shortcut
	port  atomic.Uint32 // that the socket is listed for; set under udpPorts.mu
	count atomic.Int64  // datagrams in b; set under mu. Ready must take no lock: Recv may tell of room to send

	mu     sync.Mutex
	b      []byte // guarded by mu
	first  int    // where the first begins; guarded by mu
	closed bool   // guarded by mu

	gone bool // the socket is closed; guarded by udpPorts.mu
}

const inboxHeader = 4 + 2 + 16

// put adds a datagram, or drops it if limit bytes are waiting. ok is false when the
// stack is to take it.
func (x *inbox) put(p []byte, from netip.AddrPort, limit int, stackEmpty func() bool) (ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock() // also when a page of p is gone: b is the old then
	if x.closed || !stackEmpty() {
		return false
	}
	if len(x.b)-x.first >= limit {
		return true
	}
	need := inboxHeader + len(p)
	if len(x.b)+need > cap(x.b) && x.first > len(x.b)/2 {
		x.b = x.b[:copy(x.b, x.b[x.first:])]
		x.first = 0
	}
	x.b = slices.Grow(x.b, need)
	d := x.b[len(x.b) : len(x.b)+need]
	binary.LittleEndian.PutUint32(d, uint32(len(p)))
	binary.LittleEndian.PutUint16(d[4:], from.Port())
	a := from.Addr().As16()
	copy(d[6:], a[:])
	copy(d[inboxHeader:], p)
	x.b = x.b[:len(x.b)+need]
	x.count.Add(1)
	return true
}

// next is the first datagram. There is one, and mu is held.
func (x *inbox) next() (d []byte, from netip.AddrPort) {
	h := x.b[x.first:]
	n := binary.LittleEndian.Uint32(h)
	a := netip.AddrFrom16([16]byte(h[6:inboxHeader])).Unmap()
	return h[inboxHeader : inboxHeader+n], netip.AddrPortFrom(a, binary.LittleEndian.Uint16(h[4:]))
}

// drop takes the first datagram of n bytes out. mu is held.
func (x *inbox) drop(n int) {
	x.count.Add(-1)
	x.first += inboxHeader + n
	if x.first < len(x.b) {
		return
	}
	x.b, x.first = x.b[:0], 0
	if cap(x.b) > keptBytes {
		x.b = nil
	}
}

// length is the first datagram's, in bytes; ok is false when there is none.
func (x *inbox) length() (n int, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.count.Load() == 0 {
		return 0, false
	}
	d, _ := x.next()
	return len(d), true
}

func (x *inbox) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed, x.b, x.first = true, nil, 0
	x.count.Store(0)
}

// udpPorts are the sockets that have a UDP port, of whichever address.
type udpPorts struct {
	sniffed atomic.Bool // there is or was a raw socket that is to see all datagrams

	mu sync.RWMutex
	at map[uint16][]*socket
}

// only is the socket that has the port, if it is the only one.
func (u *udpPorts) only(port uint16) *socket {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if l := u.at[port]; len(l) == 1 {
		return l[0]
	}
	return nil
}

// note lists a socket for the port that it has now.
func (u *udpPorts) note(s *socket) {
	u.mu.Lock()
	defer u.mu.Unlock()
	local, err := s.ep.GetLocalAddress()
	old := uint16(s.in.port.Load())
	if err != nil || s.in.gone || local.Port == old {
		return
	}
	u.remove(s, old)
	s.in.port.Store(uint32(local.Port))
	if local.Port == 0 {
		return
	}
	if u.at == nil {
		u.at = map[uint16][]*socket{}
	}
	u.at[local.Port] = append(u.at[local.Port], s)
}

func (u *udpPorts) forget(s *socket) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s.in.gone = true
	u.remove(s, uint16(s.in.port.Load()))
}

// remove takes s from the sockets of a port. mu is held.
func (u *udpPorts) remove(s *socket, port uint16) {
	l := u.at[port]
	i := slices.Index(l, s)
	switch {
	case i < 0:
	case len(l) == 1:
		delete(u.at, port)
	default:
		u.at[port] = slices.Delete(l, i, i+1)
	}
}

// sendDatagram is Send for UDP; to is used if it is given.
func (s *socket) sendDatagram(p []byte, to netip.AddrPort) (int, error) {
	var f tcpip.FullAddress
	given := to.Addr().IsValid()
	if given {
		var err error
		if f, err = s.peer(to); err != nil {
			return 0, err
		}
	}
	if ok, err := s.sendShort(p, f, given); err != nil {
		return 0, err
	} else if ok {
		return len(p), nil
	}
	n, err := s.sendFar(p, f, given)
	if s.in.port.Load() == 0 {
		s.n.udp.note(s) // the first datagram binds the socket
	}
	return n, err
}

// sendFar sends by the stack, which keeps the address in the heap.
func (s *socket) sendFar(p []byte, to tcpip.FullAddress, given bool) (int, error) {
	var o tcpip.WriteOptions
	if given {
		o.To = &to
	}
	return s.sendStack(p, o)
}

// sendShort sends by the shortcut. ok is false when there is none.
func (s *socket) sendShort(p []byte, dest tcpip.FullAddress, given bool) (ok bool, err error) {
	if len(p) > maxShort || s.n.udp.sniffed.Load() || !s.short() {
		return false, nil
	}
	if !given {
		var e tcpip.Error
		if dest, e = s.ep.GetRemoteAddress(); e != nil {
			return false, nil
		}
	}
	to := plain(dest)
	if !itself(to.Addr()) || to.Port() == 0 {
		return false, nil
	}
	from, ok := s.source(to.Addr())
	if !ok {
		return false, nil
	}
	r := s.n.udp.only(to.Port())
	if r == nil || !r.takes(to, from) {
		return false, nil
	}
	if e := s.ep.SocketOptions().GetLastError(); e != nil {
		return true, errno(e)
	}
	if !r.in.put(p, from, int(r.ep.SocketOptions().GetReceiveBufferSize()), r.stackEmpty) {
		return false, nil
	}
	r.NotifyEvent(0)
	return true, nil
}

// short says that a socket may have a shortcut: it has a port, and nothing special.
func (s *socket) short() bool {
	return !s.in.far.Load() && (s.connectedUDP() || s.udpState() == transport.DatagramEndpointStateBound)
}

func (s *socket) udpState() transport.DatagramEndpointState {
	return transport.DatagramEndpointState(s.ep.State())
}

func (s *socket) connectedUDP() bool { return s.udpState() == transport.DatagramEndpointStateConnected }

// stackEmpty says that no datagram waits in the stack's queue, and that it takes some.
func (s *socket) stackEmpty() bool {
	return s.ep.Readiness(waiter.ReadableEvents)&waiter.ReadableEvents == 0
}

// source is where a datagram to an address of the loopback interface comes from. ok is
// false when the stack has to choose, or to refuse.
func (s *socket) source(to netip.Addr) (from netip.AddrPort, ok bool) {
	f, err := s.ep.GetLocalAddress()
	if err != nil || f.Port == 0 {
		return from, false
	}
	here := plain(f)
	if a := here.Addr(); a.IsValid() && !a.IsUnspecified() {
		return here, itself(a) && a.Is4() == to.Is4()
	}
	return netip.AddrPortFrom(to, here.Port()), s.speaks(to)
}

// itself says that an address is the machine's own. The others of 127.0.0.0/8 are the
// stack's: one is for broadcast, and a datagram to any of them comes from 127.0.0.1.
func itself(a netip.Addr) bool { return a == loopback4 || a == netip.IPv6Loopback() }

var loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// speaks says whether a socket without an address is for this one's IP version.
func (s *socket) speaks(a netip.Addr) bool {
	if a.Is4() {
		return s.domain == syscall.AF_INET || !s.ep.SocketOptions().GetV6Only()
	}
	return s.domain == syscall.AF_INET6
}

// takes says that a datagram is for this socket, which is the only one of the port.
func (s *socket) takes(to, from netip.AddrPort) bool {
	f, err := s.ep.GetLocalAddress()
	if err != nil || f.Port != to.Port() || !s.short() {
		return false
	}
	switch a := plain(f).Addr(); {
	case a.IsValid() && !a.IsUnspecified():
		if a != to.Addr() {
			return false
		}
	case !s.speaks(to.Addr()):
		return false
	}
	if !s.connectedUDP() {
		return true
	}
	peer, err := s.ep.GetRemoteAddress()
	return err == nil && plain(peer) == from
}

// recvDatagram is Recv for UDP. The lock is held while the stack is asked, or a datagram
// could come by the shortcut just before one by the stack, and be received behind it.
func (s *socket) recvDatagram(p []byte, peek bool) (int, netip.AddrPort, bool, error) {
	x := s.in
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.count.Load() == 0 {
		return s.recvStack(p, peek)
	}
	if err := s.ep.SocketOptions().GetLastError(); err != nil {
		return 0, netip.AddrPort{}, false, errno(err)
	}
	d, from := x.next()
	n := copy(p, d)
	if !peek {
		x.drop(len(d))
	}
	if s.domain == syscall.AF_INET6 {
		from = netip.AddrPortFrom(netip.AddrFrom16(from.Addr().As16()), from.Port())
	}
	return n, from, n < len(d), nil
}

// closeInbox is for a socket that closes.
func (s *socket) closeInbox() {
	s.n.udp.forget(s)
	s.in.close()
}

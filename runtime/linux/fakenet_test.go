// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// fakeNetwork is a loopback network in memory, with Linux's errors.
type fakeNetwork struct {
	mu    sync.Mutex // guards the network and all its sockets
	bound map[fakePort]*fakeSocket
	next  uint16
}

type fakePort struct {
	typ  int
	port uint16
}

func newFakeNetwork() *fakeNetwork {
	return &fakeNetwork{bound: make(map[fakePort]*fakeSocket), next: 40000}
}

type fakeMessage struct {
	b    []byte
	from netip.AddrPort
}

const fakeRoom = 256 << 10

type fakeSocket struct {
	net            *fakeNetwork
	typ            int
	v6             bool
	local, remote  netip.AddrPort
	peer           *fakeSocket
	isBound        bool
	listening      bool
	backlog        []*fakeSocket
	data           []byte // stream; fixed capacity
	msgs           []fakeMessage
	eof, shut      bool // peer has ended; we have
	noRead, closed bool
	pending        syscall.Errno
	opts           map[[2]int]int
	cb             func(uint32)
}

func (n *fakeNetwork) Socket(domain, typ, proto int) (Socket, error) {
	want := map[int]int{syscall.SOCK_STREAM: syscall.IPPROTO_TCP, syscall.SOCK_DGRAM: syscall.IPPROTO_UDP}[typ]
	if proto != 0 && proto != want {
		return nil, syscall.EPROTONOSUPPORT
	}
	return n.socket(domain == syscall.AF_INET6, typ), nil
}

func (n *fakeNetwork) socket(v6 bool, typ int) *fakeSocket {
	return &fakeSocket{net: n, typ: typ, v6: v6, opts: map[[2]int]int{{syscall.SOL_SOCKET, syscall.SO_LINGER}: -1}}
}

func (s *fakeSocket) lock() func() { s.net.mu.Lock(); return s.net.mu.Unlock }

func (s *fakeSocket) bind(a netip.AddrPort) error {
	if s.isBound {
		return syscall.EINVAL
	}
	port := a.Port()
	for port == 0 || a.Port() == 0 && s.net.bound[fakePort{s.typ, port}] != nil {
		s.net.next++
		port = s.net.next
	}
	if s.net.bound[fakePort{s.typ, port}] != nil {
		return syscall.EADDRINUSE
	}
	if a.Addr().Is4() && a.Addr() != netip.MustParseAddr("127.0.0.1") && !a.Addr().IsUnspecified() {
		return syscall.EADDRNOTAVAIL
	}
	s.local, s.isBound = netip.AddrPortFrom(a.Addr(), port), true
	s.net.bound[fakePort{s.typ, port}] = s
	return nil
}

func (s *fakeSocket) Bind(a netip.AddrPort) error { defer s.lock()(); return s.bind(a) }

func (s *fakeSocket) loopback() netip.Addr {
	if s.v6 {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

func (s *fakeSocket) Connect(a netip.AddrPort) error {
	defer s.lock()()
	if s.typ == syscall.SOCK_DGRAM {
		if !s.isBound {
			s.bind(netip.AddrPortFrom(s.loopback(), 0))
		}
		s.remote = a
		return nil
	}
	if s.listening || s.peer != nil {
		return syscall.EISCONN
	}
	if !s.isBound {
		s.bind(netip.AddrPortFrom(s.loopback(), 0))
	}
	l := s.net.bound[fakePort{s.typ, a.Port()}]
	if l == nil || !l.listening {
		s.pending = syscall.ECONNREFUSED
		go s.tell()
		return syscall.EINPROGRESS
	}
	far := s.net.socket(l.v6, s.typ)
	far.local, far.remote, far.isBound, far.peer = a, s.local, true, s
	s.remote, s.peer = a, far
	s.data, far.data = make([]byte, 0, fakeRoom), make([]byte, 0, fakeRoom)
	l.backlog = append(l.backlog, far)
	l.notifyLocked()
	go s.tell()
	return syscall.EINPROGRESS
}

func (s *fakeSocket) Listen(int) error {
	defer s.lock()()
	if !s.isBound {
		s.bind(netip.AddrPortFrom(s.loopback(), 0))
	}
	s.listening = true
	return nil
}

func (s *fakeSocket) Accept() (Socket, netip.AddrPort, error) {
	defer s.lock()()
	if len(s.backlog) == 0 {
		return nil, netip.AddrPort{}, syscall.EAGAIN
	}
	c := s.backlog[0]
	s.backlog = s.backlog[1:]
	return c, c.remote, nil
}

func (s *fakeSocket) Send(p []byte, to netip.AddrPort) (int, error) {
	defer s.lock()()
	if s.typ == syscall.SOCK_DGRAM {
		return s.sendTo(p, to)
	}
	switch {
	case s.peer == nil || s.shut:
		return 0, syscall.EPIPE
	case s.peer.closed:
		return 0, syscall.ECONNRESET
	}
	n := min(len(p), cap(s.peer.data)-len(s.peer.data))
	if n == 0 && len(p) > 0 {
		return 0, syscall.EAGAIN
	}
	s.peer.data = append(s.peer.data, p[:n]...)
	s.peer.notifyLocked()
	return n, nil
}

func (s *fakeSocket) sendTo(p []byte, to netip.AddrPort) (int, error) {
	if !to.IsValid() {
		to = s.remote
	}
	switch {
	case !to.IsValid():
		return 0, syscall.EDESTADDRREQ
	case len(p) > 65507:
		return 0, syscall.EMSGSIZE
	}
	if !s.isBound {
		s.bind(netip.AddrPortFrom(s.loopback(), 0))
	}
	if far := s.net.bound[fakePort{s.typ, to.Port()}]; far != nil {
		far.msgs = append(far.msgs, fakeMessage{append([]byte(nil), p...), s.local})
		far.notifyLocked()
	}
	return len(p), nil
}

func (s *fakeSocket) Recv(p []byte, peek bool) (int, netip.AddrPort, bool, error) {
	defer s.lock()()
	if s.typ == syscall.SOCK_DGRAM {
		if len(s.msgs) == 0 {
			return 0, netip.AddrPort{}, false, syscall.EAGAIN
		}
		m := s.msgs[0]
		if !peek {
			s.msgs = s.msgs[1:]
		}
		return copy(p, m.b), m.from, len(m.b) > len(p), nil
	}
	switch {
	case s.peer == nil:
		return 0, netip.AddrPort{}, false, syscall.ENOTCONN
	case len(s.data) == 0 && (s.eof || s.noRead):
		return 0, netip.AddrPort{}, false, nil
	case len(s.data) == 0:
		return 0, netip.AddrPort{}, false, syscall.EAGAIN
	}
	n := copy(p, s.data)
	if !peek {
		s.data = s.data[:copy(s.data, s.data[n:])]
		s.peer.notifyLocked()
	}
	return n, netip.AddrPort{}, false, nil
}

func (s *fakeSocket) Shutdown(how int) error {
	defer s.lock()()
	if s.peer == nil && !s.remote.IsValid() {
		return syscall.ENOTCONN
	}
	if how != syscall.SHUT_RD {
		s.shut = true
		if s.peer != nil {
			s.peer.eof = true
			s.peer.notifyLocked()
		}
	}
	if how != syscall.SHUT_WR {
		s.noRead = true
		s.notifyLocked()
	}
	return nil
}

func (s *fakeSocket) LocalAddr() netip.AddrPort {
	defer s.lock()()
	if s.isBound {
		return s.local
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
}

func (s *fakeSocket) RemoteAddr() (netip.AddrPort, error) {
	defer s.lock()()
	if !s.remote.IsValid() {
		return s.remote, syscall.ENOTCONN
	}
	return s.remote, nil
}

func (s *fakeSocket) GetOpt(level, name int) (int, error) {
	defer s.lock()()
	if level == syscall.SOL_SOCKET && name == syscall.SO_ERROR {
		e := s.pending
		s.pending = 0
		return int(e), nil
	}
	if name > 100 {
		return 0, syscall.ENOPROTOOPT
	}
	return s.opts[[2]int{level, name}], nil
}

func (s *fakeSocket) SetOpt(level, name, value int) error {
	defer s.lock()()
	if name > 100 {
		return syscall.ENOPROTOOPT
	}
	s.opts[[2]int{level, name}] = value
	return nil
}

func (s *fakeSocket) Ready() uint32 { defer s.lock()(); return s.readyLocked() }

func (s *fakeSocket) readyLocked() (r uint32) {
	switch {
	case s.typ == syscall.SOCK_DGRAM:
		r = unix.EPOLLOUT
		if len(s.msgs) > 0 {
			r |= unix.EPOLLIN
		}
	case s.listening:
		if len(s.backlog) > 0 {
			r = unix.EPOLLIN
		}
	case s.pending != 0:
		r = unix.EPOLLERR | unix.EPOLLHUP | unix.EPOLLIN | unix.EPOLLOUT
	case s.peer == nil:
		r = unix.EPOLLOUT | unix.EPOLLHUP
	default:
		if len(s.data) > 0 || s.eof {
			r |= unix.EPOLLIN
		}
		if s.eof {
			r |= unix.EPOLLRDHUP
		}
		if len(s.peer.data) < cap(s.peer.data) {
			r |= unix.EPOLLOUT
		}
	}
	return r
}

func (s *fakeSocket) tell() { defer s.lock()(); s.notifyLocked() }

func (s *fakeSocket) notifyLocked() {
	if s.cb != nil {
		s.cb(s.readyLocked())
	}
}

func (s *fakeSocket) Notify(f func(uint32)) { defer s.lock()(); s.cb = f }

func (s *fakeSocket) Close() error {
	defer s.lock()()
	if s.net.bound[fakePort{s.typ, s.local.Port()}] == s {
		delete(s.net.bound, fakePort{s.typ, s.local.Port()})
	}
	s.closed = true
	if s.peer != nil {
		s.peer.eof = true
		s.peer.notifyLocked()
	}
	return nil
}

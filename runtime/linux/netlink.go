// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Sizes of netlink (netlink(7), rtnetlink(7)) in bytes.
const (
	sockaddrNl   = 12 // family, padding, port, groups
	nlmsgHeader  = 16 // length, type, flags, sequence, port
	nlmsgPiece   = 3776
	netlinkQueue = unixRoom
	netlinkMax   = 32 // protocols that Linux can have
)

// netlinkPorts are the ports in use.
var netlinkPorts struct {
	mu   sync.Mutex
	used map[uint32]*netlinkSocket // guarded by mu
	next uint32                    // guarded by mu
}

// netlinkSocket is a NETLINK_ROUTE socket. It answers questions about interfaces, addresses and routes;
// it changes nothing and reports no changes.
type netlinkSocket struct {
	mu      sync.Mutex
	port    uint32 // 0: unbound; guarded by mu, as all below
	peer    uint32
	answers [][]byte
	queued  int // bytes
	tell    func(uint32)
	options map[[2]int]int
}

func newNetlink(typ, proto int) (endpoint, int, int, syscall.Errno) {
	switch {
	case typ != syscall.SOCK_RAW && typ != syscall.SOCK_DGRAM:
		return nil, 0, 0, syscall.ESOCKTNOSUPPORT
	case proto < 0 || proto >= netlinkMax || proto != unix.NETLINK_ROUTE:
		return nil, 0, 0, syscall.EPROTONOSUPPORT
	}
	return new(netlinkSocket), typ, proto, 0
}

// netlinkAddr checks an address and takes it apart.
func netlinkAddr(a *sockaddr) (port, groups uint32, e syscall.Errno) {
	if a.length < sockaddrNl || a.family != syscall.AF_NETLINK {
		return 0, 0, syscall.EINVAL
	}
	return le.Uint32(a.raw[4:]), le.Uint32(a.raw[8:]), 0
}

func netlinkRaw(port uint32) address {
	b := le.AppendUint16(nil, syscall.AF_NETLINK)
	b = append(b, 0, 0)
	b = le.AppendUint32(b, port)
	return address{raw: string(le.AppendUint32(b, 0))}
}

func (s *netlinkSocket) bind(a *sockaddr) error {
	port, groups, e := netlinkAddr(a)
	if e != 0 {
		return e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case groups != 0:
		return syscall.EOPNOTSUPP // a listener that never hears of a change is worse off than one that knows
	case s.port != 0 && port != s.port:
		return syscall.EINVAL
	}
	return s.bindPort(port)
}

// bindPort takes a port, 0 for any: the process's own number, or one that looks negative. mu is held.
func (s *netlinkSocket) bindPort(port uint32) error {
	if s.port != 0 {
		return nil
	}
	p := &netlinkPorts
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used == nil {
		p.used = make(map[uint32]*netlinkSocket)
	}
	if port == 0 {
		for port = thePID; p.used[port] != nil; p.next++ {
			port = 1<<31 | p.next
		}
	}
	if p.used[port] != nil {
		return syscall.EADDRINUSE
	}
	p.used[port], s.port = s, port
	return nil
}

// connect sets the default destination. Only the kernel, port 0, is there.
func (s *netlinkSocket) connect(a *sockaddr) error {
	if a.length < 2 {
		return syscall.EINVAL
	}
	port := uint32(0)
	if a.family != syscall.AF_UNSPEC {
		var e syscall.Errno
		if port, _, e = netlinkAddr(a); e != 0 {
			return e
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peer = port
	if a.family == syscall.AF_UNSPEC {
		return nil
	}
	return s.bindPort(0)
}

func (s *netlinkSocket) listen(int) error { return syscall.EOPNOTSUPP }

func (s *netlinkSocket) accept() (endpoint, address, error) {
	return nil, address{}, syscall.EOPNOTSUPP
}

func (s *netlinkSocket) destination(a sockaddr) (address, syscall.Errno) {
	if a.length == 0 {
		return address{}, 0
	}
	port, _, e := netlinkAddr(&a)
	return netlinkRaw(port), e
}

func (s *netlinkSocket) send(b []byte, to address, ctl *control) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	port := s.peer
	if to.raw != "" {
		port = le.Uint32([]byte(to.raw)[4:])
	}
	if err := s.bindPort(0); err != nil {
		return 0, err
	}
	switch {
	case len(b) > netlinkQueue-32:
		return 0, syscall.EMSGSIZE
	case len(b) == 0:
		return 0, syscall.ENODATA
	case port != 0:
		return 0, syscall.ECONNREFUSED
	case s.queued > netlinkQueue:
		return 0, syscall.ENOBUFS // who asks without reading
	}
	s.serve(b)
	return len(b), nil
}

func (s *netlinkSocket) recv(b []byte, flags int) (m received, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case flags&unix.MSG_OOB != 0:
		return m, syscall.EOPNOTSUPP
	case len(s.answers) == 0:
		return m, syscall.EAGAIN
	}
	first := s.answers[0]
	m.from = netlinkRaw(0)
	m.n = copy(b, first)
	if m.truncated = m.n < len(first); flags&unix.MSG_TRUNC != 0 {
		m.n = len(first)
	}
	if flags&unix.MSG_PEEK == 0 {
		s.answers = s.answers[1:]
		s.queued -= len(first)
	}
	return m, nil
}

func (s *netlinkSocket) shutdown(int) error { return syscall.EOPNOTSUPP }

func (s *netlinkSocket) localAddr() address {
	s.mu.Lock()
	defer s.mu.Unlock()
	return netlinkRaw(s.port)
}

func (s *netlinkSocket) remoteAddr() (address, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return netlinkRaw(s.peer), nil
}

func (s *netlinkSocket) option(level, name int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.options[[2]int{level, name}]; ok {
		return v, nil
	}
	return netlinkOption(level, name)
}

// netlinkOption is the value of an option at the beginning.
func netlinkOption(level, name int) (int, error) {
	switch level {
	case syscall.SOL_SOCKET:
		if name == unix.SO_SNDBUF {
			return netlinkQueue, nil
		}
		if name == unix.SO_ERROR {
			return 0, nil
		}
		return defaultOption(name)
	case unix.SOL_NETLINK:
		switch name {
		case unix.NETLINK_CAP_ACK, unix.NETLINK_EXT_ACK, unix.NETLINK_GET_STRICT_CHK:
			return 0, nil
		}
	}
	return 0, syscall.ENOPROTOOPT
}

func (s *netlinkSocket) setOption(level, name, value int) error {
	if _, err := netlinkOption(level, name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.options == nil {
		s.options = make(map[[2]int]int)
	}
	s.options[[2]int{level, name}] = value
	return nil
}

func (s *netlinkSocket) ready() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.answers) > 0 {
		return unix.EPOLLIN | unix.EPOLLOUT
	}
	return unix.EPOLLOUT
}

func (s *netlinkSocket) notify(f func(uint32)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell = f
}

func (s *netlinkSocket) buffered() (in, out int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.answers) > 0 {
		in = len(s.answers[0])
	}
	return in, 0
}

func (s *netlinkSocket) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	netlinkPorts.mu.Lock()
	defer netlinkPorts.mu.Unlock()
	if netlinkPorts.used[s.port] == s {
		delete(netlinkPorts.used, s.port)
	}
	s.answers = nil
}

// answer queues a message and tells of it. mu is held.
func (s *netlinkSocket) answer(b []byte) {
	s.answers = append(s.answers, b)
	s.queued += len(b)
	if s.tell != nil {
		s.tell(unix.EPOLLIN | unix.EPOLLOUT)
	}
}

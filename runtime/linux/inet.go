// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"net/netip"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// inet is a socket of the network stack as an endpoint.
type inet struct {
	Socket
	domain, typ int
}

// stopped says that the network goes away because the machine ends.
var stopped atomic.Bool

// StopNetwork is called before the network stack is closed under a program that has ended, though some of
// its goroutines still run. They are to notice nothing, as the threads of a process that Linux ends: what
// they wait for does not come any more, and no call fails for it.
func StopNetwork() { stopped.Store(true) }

// unlessStopped is the error of a call, or what makes it wait for ever.
func unlessStopped(err, wait error) error {
	if err != nil && stopped.Load() {
		return wait
	}
	return err
}

func (s *inet) bind(a *sockaddr) error {
	addr, e := a.addrPort(s.domain, s.typ, forBind)
	if e != 0 {
		return e
	}
	return s.Bind(addr)
}

func (s *inet) connect(a *sockaddr) error {
	if a.length < 2 {
		return syscall.EINVAL
	}
	if a.family == syscall.AF_UNSPEC {
		return s.Connect(netip.AddrPort{})
	}
	addr, e := a.addrPort(s.domain, s.typ, forConnect)
	if e != 0 {
		return e
	}
	return unlessStopped(s.Connect(addr), syscall.EINPROGRESS)
}

func (s *inet) listen(backlog int) error {
	if s.typ != syscall.SOCK_STREAM {
		return syscall.EOPNOTSUPP
	}
	return s.Listen(backlog)
}

func (s *inet) accept() (endpoint, address, error) {
	conn, from, err := s.Accept()
	if err != nil {
		return nil, address{}, unlessStopped(err, syscall.EAGAIN)
	}
	return &inet{conn, s.domain, s.typ}, address{ip: from}, nil
}

// destination: a stream has only one, whatever is given.
func (s *inet) destination(a sockaddr) (address, syscall.Errno) {
	if s.typ == syscall.SOCK_STREAM {
		return address{}, 0
	}
	to, e := a.addrPort(s.domain, s.typ, forSend)
	if e == 0 && to.Port() == 0 && s.typ == syscall.SOCK_DGRAM {
		e = syscall.EINVAL
	}
	return address{ip: to}, e
}

func (s *inet) send(b []byte, to address, ctl *control) (int, error) {
	if ctl != nil {
		return 0, syscall.EINVAL // no control message is served; to ignore one could send from a wrong address
	}
	if len(b) == 0 && s.typ == syscall.SOCK_STREAM {
		return 0, nil
	}
	n, err := s.Send(b, to.ip)
	return clamp(n, b), unlessStopped(err, syscall.EAGAIN)
}

func (s *inet) recv(b []byte, flags int) (m received, err error) {
	stream := s.typ == syscall.SOCK_STREAM
	switch {
	case flags&unix.MSG_ERRQUEUE != 0:
		return m, syscall.EAGAIN // kept by nobody
	case flags&unix.MSG_OOB != 0 && stream:
		return m, syscall.EINVAL // none waiting
	case stream && len(b) == 0 && s.Ready()&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) == 0:
		return m, syscall.EAGAIN
	case stream && len(b) == 0:
		return m, nil
	}
	into := b
	if flags&unix.MSG_TRUNC != 0 && stream {
		into = make([]byte, min(len(b), maxDatagram)) // taken and thrown away
	} else if flags&unix.MSG_TRUNC != 0 && len(b) < maxDatagram {
		into = make([]byte, maxDatagram)
	}
	m.n, m.from.ip, m.truncated, err = s.Recv(into, flags&unix.MSG_PEEK != 0)
	m.n = clamp(m.n, into)
	err = unlessStopped(err, syscall.EAGAIN)
	if stream {
		if m.from = (address{}); m.n == 0 && err == nil && stopped.Load() {
			err = syscall.EAGAIN // no end that the peer made
		}
	} else if err == nil && len(into) > len(b) {
		m.truncated = m.n > len(b)
		copy(b, into[:m.n])
	}
	return m, err
}

func (s *inet) shutdown(how int) error { return s.Shutdown(how) }
func (s *inet) localAddr() address     { return address{ip: s.LocalAddr()} }

func (s *inet) remoteAddr() (address, error) {
	ip, err := s.RemoteAddr()
	return address{ip: ip}, err
}

func (s *inet) option(level, name int) (int, error) {
	switch level {
	case syscall.SOL_SOCKET, syscall.IPPROTO_IP, syscall.IPPROTO_IPV6, syscall.IPPROTO_TCP, syscall.IPPROTO_UDP:
		return s.GetOpt(level, name)
	}
	return 0, syscall.EOPNOTSUPP // to set one is ENOPROTOOPT: Linux knows why
}

func (s *inet) setOption(level, name, value int) error { return s.SetOpt(level, name, value) }
func (s *inet) close()                                 { s.Close() }

func (s *inet) ready() uint32 {
	if stopped.Load() {
		return 0
	}
	return s.Ready()
}

func (s *inet) notify(f func(ready uint32)) {
	if f == nil {
		s.Notify(nil)
		return
	}
	s.Notify(func(ready uint32) {
		if !stopped.Load() {
			f(ready)
		}
	})
}

func (s *inet) buffered() (in, out int) {
	if b, ok := s.Socket.(SocketBuffered); ok {
		return b.Buffered()
	}
	return 0, 0
}

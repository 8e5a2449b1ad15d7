// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// network is the stack that sockets come from.
var network atomic.Pointer[Network]

// RegisterNetwork sets the stack that new sockets come from. Before that there are none: EAFNOSUPPORT.
func RegisterNetwork(n Network) { network.Store(&n) }

// socket is an endpoint as a stream of the descriptor table.
type socket struct {
	endpoint
	domain, typ, proto int
	ino                uint64
	made               time.Time
	listening          atomic.Bool
	rcvTimeo, sndTimeo atomic.Int64 // nanoseconds; 0 is for ever
}

func newSocket(ep endpoint, domain, typ, proto int) *socket {
	return &socket{endpoint: ep, domain: domain, typ: typ, proto: proto, ino: nextIno(), made: time.Now()}
}

func (s *socket) read(p []byte) (int, error) {
	m, err := s.recv(p, 0)
	m.ctl.release()
	return m.n, err
}

func (s *socket) write(p []byte) (int, error) { return s.send(p, address{}, nil) }

func (s *socket) stat() stat {
	const sockDev = 4
	return stat{dev: sockDev, ino: s.ino, nlink: 1, mode: syscall.S_IFSOCK | 0o777, atime: s.made, mtime: s.made, ctime: s.made}
}

func (s *socket) timeouts() (read, write time.Duration) {
	return time.Duration(s.rcvTimeo.Load()), time.Duration(s.sndTimeo.Load())
}

// socketFD is lookup for a call on sockets.
func socketFD(fd uintptr) (*description, *socket, syscall.Errno) {
	d, e := lookup(fd)
	if e != 0 {
		return nil, nil, e
	}
	s, ok := d.stream.(*socket)
	if !ok {
		e = syscall.ENOTSOCK
		if d.flags.Load()&unix.O_PATH != 0 {
			e = syscall.EBADF
		}
		d.put()
		return nil, nil, e
	}
	return d, s, 0
}

// Largest numbers of address families and socket types that Linux knows.
const (
	maxFamily   = 46
	maxSockType = 11
)

const sockFlags = syscall.SOCK_NONBLOCK | syscall.SOCK_CLOEXEC

func sysSocket(c *call) (int, syscall.Errno) {
	domain, typ, proto := c.int32Arg(0), c.int32Arg(1)&^sockFlags, c.int32Arg(2)
	flags := c.int32Arg(1) & sockFlags
	switch {
	case typ&^0xf != 0:
		return 0, syscall.EINVAL
	case domain < 0 || domain >= maxFamily:
		return 0, syscall.EAFNOSUPPORT
	case typ >= maxSockType:
		return 0, syscall.EINVAL
	}
	ep, typ, proto, e := newEndpoint(domain, typ, proto)
	if e != 0 {
		return 0, e
	}
	d := newStream(newSocket(ep, domain, typ, proto), syscall.O_RDWR|uint32(flags&syscall.SOCK_NONBLOCK))
	return installNew(d, flags&syscall.SOCK_CLOEXEC != 0)
}

// newEndpoint makes a socket of a family. It returns the type and protocol that the socket then has.
func newEndpoint(domain, typ, proto int) (endpoint, int, int, syscall.Errno) {
	switch domain {
	case syscall.AF_UNIX:
		return newUnix(typ, proto)
	case syscall.AF_NETLINK:
		return newNetlink(typ, proto)
	case syscall.AF_INET, syscall.AF_INET6:
		return newInet(domain, typ, proto)
	}
	return nil, 0, 0, syscall.EAFNOSUPPORT
}

func newInet(domain, typ, proto int) (endpoint, int, int, syscall.Errno) {
	net := network.Load()
	switch {
	case net == nil:
		return nil, 0, 0, syscall.EAFNOSUPPORT
	case proto < 0 || proto >= 256+7: // IPPROTO_MAX is IPPROTO_MPTCP + 1
		return nil, 0, 0, syscall.EINVAL
	case typ == syscall.SOCK_RAW && proto == 0:
		return nil, 0, 0, syscall.EPROTONOSUPPORT
	case typ != syscall.SOCK_STREAM && typ != syscall.SOCK_DGRAM && typ != syscall.SOCK_RAW:
		return nil, 0, 0, syscall.ESOCKTNOSUPPORT
	}
	s, err := (*net).Socket(domain, typ, proto)
	if err != nil {
		return nil, 0, 0, errnoOf(err)
	}
	if proto == 0 {
		if proto = syscall.IPPROTO_TCP; typ == syscall.SOCK_DGRAM {
			proto = syscall.IPPROTO_UDP
		}
	}
	return &inet{s, domain, typ}, typ, proto, 0
}

func sysSocketpair(c *call) (int, syscall.Errno) {
	domain, typ, proto, at := c.int32Arg(0), c.int32Arg(1)&^sockFlags, c.int32Arg(2), c.ptr(3)
	flags := c.int32Arg(1) & sockFlags
	switch {
	case typ&^0xf != 0:
		return 0, syscall.EINVAL
	case !at.valid(8, true):
		return 0, syscall.EFAULT
	case domain < 0 || domain >= maxFamily:
		return 0, syscall.EAFNOSUPPORT
	case typ >= maxSockType:
		return 0, syscall.EINVAL
	}
	if domain != syscall.AF_UNIX { // no other family has pairs, but it says first what else is wrong
		ep, _, _, e := newEndpoint(domain, typ, proto)
		if e != 0 {
			return 0, e
		}
		ep.close()
		return 0, syscall.EOPNOTSUPP
	}
	a, b, typ, e := newUnixPair(typ, proto)
	if e != 0 {
		return 0, e
	}
	status, cloexec := syscall.O_RDWR|uint32(flags&syscall.SOCK_NONBLOCK), flags&syscall.SOCK_CLOEXEC != 0
	da, db := newStream(newSocket(a, domain, typ, 0), status), newStream(newSocket(b, domain, typ, 0), status)
	return installPair(at, da, db, cloexec)
}

func sysBind(c *call) (int, syscall.Errno) {
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	a, e := loadSockaddr(c.ptr(1), c.int32Arg(2))
	if e != 0 {
		return 0, e
	}
	return 0, errnoOf(s.bind(&a))
}

func sysListen(c *call) (int, syscall.Errno) {
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	backlog := uint32(c.arg[1])
	if backlog > maxBacklog {
		backlog = maxBacklog
	}
	e = errnoOf(s.listen(int(backlog)))
	if e == 0 {
		s.listening.Store(true)
		d.settle()
	}
	return 0, e
}

func sysAccept(c *call, flags int) (int, syscall.Errno) {
	d, s, e := socketFD(c.arg[0])
	if flags&^sockFlags != 0 && e != syscall.EBADF {
		e = syscall.EINVAL
	}
	if d != nil {
		defer d.put()
	}
	switch {
	case e != 0:
		return 0, e
	case s.typ != syscall.SOCK_STREAM && s.typ != syscall.SOCK_SEQPACKET:
		return 0, syscall.EOPNOTSUPP
	case !s.listening.Load():
		return 0, syscall.EINVAL
	}
	// First the descriptor: without one the connection stays in the queue.
	fd, e := reserve(KindDoor, 0, flags&syscall.SOCK_CLOEXEC != 0, 0)
	if e != 0 {
		return 0, e
	}
	conn, from, err := acceptConn(d, s)
	if err != nil {
		FreeFD(fd)
		return 0, errnoOf(err)
	}
	n := newStream(newSocket(conn, s.domain, s.typ, s.proto), syscall.O_RDWR|uint32(flags&syscall.SOCK_NONBLOCK))
	publish(n, fd)
	n.put()
	if at := c.ptr(1); !at.isNil() {
		if e := storeSockaddr(at, c.ptr(2), s.domain, from); e != 0 {
			closeFD(fd)
			return 0, e
		}
	}
	return fd, 0
}

func acceptConn(d *description, s *socket) (endpoint, address, error) {
	conn, from, err := s.accept()
	if err != syscall.EAGAIN {
		d.passed()
		return conn, from, err
	}
	d.settle()
	if d.nonblock() {
		return nil, from, err
	}
	timeout, _ := s.timeouts()
	_, err = d.block(timeout, func() (int, error) {
		conn, from, err = s.accept()
		return 0, err
	})
	return conn, from, err
}

func sysConnect(c *call) (int, syscall.Errno) {
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	a, e := loadSockaddr(c.ptr(1), c.int32Arg(2))
	if e != 0 {
		return 0, e
	}
	err := s.connect(&a)
	switch {
	case d.nonblock():
	case err == syscall.EINPROGRESS || err == syscall.EALREADY:
		return 0, waitConnect(d, s, &a)
	case err == syscall.EAGAIN:
		_, timeout := s.timeouts()
		_, err = d.block(timeout, func() (int, error) { return 0, s.connect(&a) })
	}
	d.settle()
	return 0, errnoOf(err)
}

// waitConnect waits for the end of a connection's beginning, as long as SO_SNDTIMEO allows.
func waitConnect(d *description, s *socket, a *sockaddr) syscall.Errno {
	_, timeout := s.timeouts()
	_, err := d.block(timeout, func() (int, error) {
		if s.ready()&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
			return 0, syscall.EAGAIN
		}
		pending, err := s.option(syscall.SOL_SOCKET, syscall.SO_ERROR)
		if err == nil && pending != 0 {
			err = syscall.Errno(pending)
		}
		return 0, err
	})
	switch err {
	case nil:
		// Asked once more, the socket reports its success; only then is it through with connecting.
		if err = s.connect(a); err == syscall.EISCONN {
			err = nil
		}
	case syscall.EAGAIN:
		err = syscall.EINPROGRESS
	}
	d.settle()
	return errnoOf(err)
}

// sysSockname serves getsockname and getpeername.
func sysSockname(c *call) (int, syscall.Errno) {
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	addr := s.localAddr()
	if c.nr == unix.SYS_GETPEERNAME {
		var err error
		if addr, err = s.remoteAddr(); err != nil {
			return 0, errnoOf(err)
		}
	}
	return 0, storeSockaddr(c.ptr(1), c.ptr(2), s.domain, addr)
}

func sysShutdown(c *call) (int, syscall.Errno) {
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	how := c.int32Arg(1)
	if how < syscall.SHUT_RD || how > syscall.SHUT_RDWR {
		return 0, syscall.EINVAL
	}
	return 0, errnoOf(s.shutdown(how))
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// unixSocket is an AF_UNIX socket (unix(7)). Of two locks of sockets only a listener's is taken inside
// another's; queues' locks are taken inside both.
type unixSocket struct {
	typ int
	in  unixQueue

	peer     atomic.Pointer[unixSocket] // connected to; of streams it stays when the peer is closed
	local    atomic.Pointer[string]     // the address as a sockaddr; nil: unbound. Set once
	notifier atomic.Pointer[func(uint32)]
	sendShut atomic.Bool  // nothing more can be sent
	sendBuf  atomic.Int64 // SO_SNDBUF
	listens  atomic.Bool  // never taken back
	passCred atomic.Bool  // SO_PASSCRED
	known    atomic.Bool  // SO_PEERCRED has somebody to tell of

	mu         sync.Mutex
	node       *inode               // the name in the file system; guarded by mu, as all below
	backlog    []*unixSocket        // connections that nobody has accepted
	backlogMax int                  // one less than may wait
	connecting map[*unixSocket]bool // who to tell when the backlog has room
	closed     bool
	options    map[int]int
}

func newUnix(typ, proto int) (endpoint, int, int, syscall.Errno) {
	switch {
	case proto != 0 && proto != syscall.AF_UNIX:
		return nil, 0, 0, syscall.EPROTONOSUPPORT
	case typ == syscall.SOCK_RAW:
		typ = syscall.SOCK_DGRAM // as on BSD
	case typ != syscall.SOCK_STREAM && typ != syscall.SOCK_DGRAM && typ != syscall.SOCK_SEQPACKET:
		return nil, 0, 0, syscall.ESOCKTNOSUPPORT
	}
	return newUnixSocket(typ), typ, proto, 0
}

func newUnixSocket(typ int) *unixSocket {
	u := &unixSocket{typ: typ}
	u.in.stream = typ == syscall.SOCK_STREAM
	u.sendBuf.Store(unixRoom)
	return u
}

func newUnixPair(typ, proto int) (a, b *unixSocket, _ int, e syscall.Errno) {
	ep, typ, _, e := newUnix(typ, proto)
	if e != 0 {
		return nil, nil, 0, e
	}
	a, b = ep.(*unixSocket), newUnixSocket(typ)
	a.join(b)
	return a, b, typ, 0
}

// join connects two sockets that nobody else knows, or only one's owner.
func (u *unixSocket) join(v *unixSocket) {
	u.in.pair, v.in.pair = v, u
	u.peer.Store(v)
	v.peer.Store(u)
	u.known.Store(true)
	v.known.Store(true)
}

func (u *unixSocket) sendRoom() int { return int(u.sendBuf.Load()) }

// tell reports that something is ready. No lock of Unix sockets is held.
func (u *unixSocket) tell(ready uint32) {
	if f := u.notifier.Load(); f != nil {
		(*f)(ready)
	}
}

func tellWriters(us []*unixSocket) {
	for _, u := range us {
		u.tell(unix.EPOLLOUT)
	}
}

func (u *unixSocket) notify(f func(uint32)) {
	if f == nil {
		u.notifier.Store(nil)
		return
	}
	u.notifier.Store(&f)
}

func (u *unixSocket) connect(a *sockaddr) error {
	if u.typ == syscall.SOCK_DGRAM {
		return u.connectDatagram(a)
	}
	l, e := findUnix(a, u.typ)
	switch {
	case e != 0:
		return e
	case !l.listens.Load():
		return syscall.ECONNREFUSED
	case u.autobindForCred() != nil:
		return syscall.EADDRINUSE
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.listens.Load() {
		return syscall.EINVAL
	}
	// Not a deadlock: l listens, so it does not come here itself.
	err := l.queue(u)
	if err == nil {
		l.tell(unix.EPOLLIN)
	}
	return err
}

// queue puts a new connection to u into a listener's backlog. u.mu is held.
func (l *unixSocket) queue(u *unixSocket) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, shut, _ := l.in.state()
	switch {
	case l.closed || shut:
		return syscall.ECONNREFUSED
	case len(l.backlog) > l.backlogMax:
		if l.connecting == nil {
			l.connecting = make(map[*unixSocket]bool)
		}
		l.connecting[u] = true
		return syscall.EAGAIN
	case u.peer.Load() != nil:
		return syscall.EISCONN
	}
	conn := newUnixSocket(u.typ)
	conn.local.Store(l.local.Load())
	conn.join(u)
	l.backlog = append(l.backlog, conn)
	return nil
}

// connectDatagram sets the default peer, or none (AF_UNSPEC).
func (u *unixSocket) connectDatagram(a *sockaddr) error {
	var to *unixSocket
	if a.length < 2 {
		return syscall.EINVAL
	}
	if a.family != syscall.AF_UNSPEC {
		if err := u.autobindForCred(); err != nil {
			return err
		}
		var e syscall.Errno
		if to, e = findUnix(a, u.typ); e != 0 {
			return e
		}
		if back := to.peer.Load(); back != nil && back != u {
			return syscall.EPERM
		}
		u.known.Store(true)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.in.setPair(to)
	if old := u.peer.Swap(to); old != nil && old != to {
		old.in.forget(u)
	}
	return nil
}

func (u *unixSocket) listen(backlog int) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.typ == syscall.SOCK_DGRAM:
		return syscall.EOPNOTSUPP
	case u.local.Load() == nil || u.peer.Load() != nil:
		return syscall.EINVAL
	}
	u.backlogMax = backlog
	u.listens.Store(true)
	u.known.Store(true)
	return nil
}

func (u *unixSocket) accept() (endpoint, address, error) {
	conn, tell, err := u.takeConnection()
	tellWriters(tell)
	if err != nil {
		return nil, address{}, err
	}
	from, _ := conn.remoteAddr()
	return conn, from, nil
}

func (u *unixSocket) takeConnection() (conn *unixSocket, tell []*unixSocket, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.backlog) == 0 {
		if _, shut, _ := u.in.state(); shut {
			return nil, nil, syscall.EINVAL
		}
		return nil, nil, syscall.EAGAIN
	}
	conn, u.backlog = u.backlog[0], u.backlog[1:]
	for w := range u.connecting {
		tell = append(tell, w)
	}
	clear(u.connecting)
	return conn, tell, nil
}

func (u *unixSocket) destination(a sockaddr) (address, syscall.Errno) {
	switch {
	case a.length == 0 || u.typ == syscall.SOCK_SEQPACKET:
		return address{}, 0
	case u.typ == syscall.SOCK_STREAM && u.peer.Load() != nil:
		return address{}, syscall.EISCONN
	case u.typ == syscall.SOCK_STREAM:
		return address{}, syscall.EOPNOTSUPP
	}
	if e := a.validUnix(); e != 0 {
		return address{}, e
	}
	return address{raw: string(a.raw[:a.length])}, 0
}

func (u *unixSocket) send(b []byte, to address, ctl *control) (int, error) {
	p := u.peer.Load()
	switch {
	case p == nil && to.raw == "":
		return 0, syscall.ENOTCONN
	case u.typ != syscall.SOCK_STREAM && len(b) > u.sendRoom()-32:
		return 0, syscall.EMSGSIZE
	case u.typ == syscall.SOCK_SEQPACKET && u.in.takeReset() != 0:
		return 0, syscall.ECONNRESET
	case u.sendShut.Load():
		return 0, syscall.EPIPE
	}
	if u.typ == syscall.SOCK_DGRAM {
		if err := u.autobindForCred(); err != nil {
			return 0, err
		}
	}
	if to.raw != "" {
		a := sockaddr{family: syscall.AF_UNIX, length: len(to.raw)}
		copy(a.raw[:], to.raw)
		var e syscall.Errno
		if p, e = findUnix(&a, u.typ); e != 0 {
			return 0, e
		}
		if back := p.peer.Load(); back != nil && back != u {
			return 0, syscall.EPERM
		}
	}
	n, err := p.in.put(u, b, ctl)
	switch {
	case err == syscall.ECONNREFUSED:
		u.peer.CompareAndSwap(p, nil)
	case err == nil && n == 0 && u.typ == syscall.SOCK_STREAM:
		ctl.release() // there was no byte for it to travel with
	case err == nil:
		p.tell(unix.EPOLLIN)
	}
	return n, err
}

func (u *unixSocket) recv(b []byte, flags int) (received, error) {
	switch connected := u.peer.Load() != nil; {
	case u.typ == syscall.SOCK_STREAM && !connected:
		return received{}, syscall.EINVAL
	case u.typ == syscall.SOCK_SEQPACKET && !connected:
		return received{}, syscall.ENOTCONN
	case flags&unix.MSG_OOB != 0 && u.typ == syscall.SOCK_STREAM:
		return received{}, syscall.EINVAL
	case flags&unix.MSG_OOB != 0:
		return received{}, syscall.EOPNOTSUPP
	}
	m, tell, err := u.in.take(b, flags)
	tellWriters(tell)
	if err == nil && u.passCred.Load() {
		if m.ctl == nil {
			m.ctl = &control{cred: rootCred}
		}
		m.ctl.showCred = true
	}
	return m, err
}

func (u *unixSocket) shutdown(how int) error {
	p := u.peer.Load()
	if u.typ == syscall.SOCK_DGRAM {
		p = nil // the other end may have other friends
	}
	if how != syscall.SHUT_RD {
		u.sendShut.Store(true)
		if p != nil {
			tellWriters(p.in.end(false))
		}
	}
	if how != syscall.SHUT_WR {
		tellWriters(u.in.end(false))
		if p != nil {
			p.sendShut.Store(true)
		}
	}
	u.tell(u.ready())
	if p != nil {
		p.tell(p.ready())
	}
	return nil
}

func (u *unixSocket) remoteAddr() (address, error) {
	p := u.peer.Load()
	if p == nil {
		return address{}, syscall.ENOTCONN
	}
	return p.localAddr(), nil
}

func (u *unixSocket) ready() (r uint32) {
	if u.listens.Load() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if len(u.backlog) > 0 {
			r = unix.EPOLLIN
		}
		return r
	}
	some, shut, reset := u.in.state()
	p := u.peer.Load()
	if some || shut {
		r |= unix.EPOLLIN
	}
	if shut {
		r |= unix.EPOLLRDHUP
	}
	if shut && u.sendShut.Load() || u.typ != syscall.SOCK_DGRAM && p == nil {
		r |= unix.EPOLLHUP
	}
	if reset {
		r |= unix.EPOLLERR
	}
	if p == nil || p.in.roomFor(u) {
		r |= unix.EPOLLOUT
	}
	return r
}

func (u *unixSocket) buffered() (in, out int) {
	in, first := u.in.lengths()
	if u.typ == syscall.SOCK_DGRAM {
		in = first
	}
	if p := u.peer.Load(); p != nil {
		out, _ = p.in.lengths()
	}
	return in, out
}

func (u *unixSocket) close() { u.closeAs(false) }

// closeAs ends the socket; embryo says that nobody has accepted it.
func (u *unixSocket) closeAs(embryo bool) {
	u.mu.Lock()
	u.closed = true
	backlog, connecting := u.backlog, u.connecting
	u.backlog, u.connecting = nil, nil
	if !embryo { // that has its listener's name, not its own
		u.unbind()
	}
	u.mu.Unlock()
	for _, conn := range backlog {
		conn.closeAs(true)
	}
	for w := range connecting {
		w.tell(unix.EPOLLOUT)
	}
	left, tell := u.in.kill()
	if p := u.peer.Load(); p != nil {
		p.in.forget(u)
		if u.typ != syscall.SOCK_DGRAM {
			p.sendShut.Store(true)
			tell = append(tell, p.in.end(len(left) > 0 || embryo)...)
			p.tell(p.ready())
		}
	}
	for _, m := range left {
		m.ctl.release()
	}
	tellWriters(tell)
}

// peerCred is SO_PEERCRED: there is one process, and it is root's.
func (u *unixSocket) peerCred() ucred {
	if u.known.Load() {
		return rootCred
	}
	return nobody
}

func (u *unixSocket) option(level, name int) (int, error) {
	if level != syscall.SOL_SOCKET {
		return 0, syscall.EOPNOTSUPP
	}
	switch name {
	case unix.SO_SNDBUF:
		return u.sendRoom(), nil
	case unix.SO_ERROR:
		return u.in.takeReset(), nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if v, ok := u.options[name]; ok {
		return v, nil
	}
	return defaultOption(name)
}

// defaultOption is the value of an option of SOL_SOCKET that a socket without a network only keeps.
func defaultOption(name int) (int, error) {
	switch name {
	case unix.SO_RCVBUF:
		return unixRoom, nil
	case unix.SO_LINGER:
		return -1, nil
	case unix.SO_RCVLOWAT:
		return 1, nil
	case unix.SO_REUSEADDR, unix.SO_KEEPALIVE, unix.SO_BROADCAST, unix.SO_PASSCRED, unix.SO_OOBINLINE, unix.SO_PRIORITY,
		unix.SO_DONTROUTE, unix.SO_DEBUG, unix.SO_REUSEPORT, unix.SO_TIMESTAMP, unix.SO_MARK:
		return 0, nil
	}
	return 0, syscall.ENOPROTOOPT
}

func (u *unixSocket) setOption(level, name, value int) error {
	if level != syscall.SOL_SOCKET {
		return syscall.EOPNOTSUPP
	}
	switch name {
	case unix.SO_SNDBUF:
		u.sendBuf.Store(int64(max(unixMinRoom, 2*min(uint32(value), unixRoom))))
		return nil
	case unix.SO_RCVBUF:
		value = int(max(unixMinRoom/2, 2*min(uint32(value), unixRoom)))
	case unix.SO_LINGER, unix.SO_PRIORITY, unix.SO_MARK:
	case unix.SO_PASSCRED:
		u.passCred.Store(value != 0)
		value = min(1, max(value, -value))
	case unix.SO_RCVLOWAT:
		return nil // a call returns what there is
	case unix.SO_REUSEPORT:
		return syscall.EOPNOTSUPP
	default:
		value = min(1, max(value, -value))
	}
	if _, err := defaultOption(name); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.options == nil {
		u.options = make(map[int]int)
	}
	u.options[name] = value
	return nil
}

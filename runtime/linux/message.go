// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxDatagram is more than the payload of any datagram in bytes.
const maxDatagram = 64 << 10

// struct msghdr and struct mmsghdr on x86-64.
const (
	msghdrName       = 0
	msghdrNameLen    = 8
	msghdrIov        = 16
	msghdrIovLen     = 24
	msghdrControl    = 32
	msghdrControlLen = 40
	msghdrFlags      = 48
	msghdrSize       = 56
	mmsghdrSize      = 64 // msghdr, number of bytes, padding
)

func sysSendto(c *call) (int, syscall.Errno) {
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	b, e := c.ptr(1).in(c.count(2))
	if e != 0 {
		return 0, e
	}
	var to netip.AddrPort
	if at := c.ptr(4); !at.isNil() {
		if to, e = destination(s, at, c.int32Arg(5)); e != 0 {
			return 0, e
		}
	}
	return send(d, s, b, c.int32Arg(3), to)
}

// destination reads the address of a message. A stream has only one, whatever is given.
func destination(s *socket, at ref, length int) (netip.AddrPort, syscall.Errno) {
	a, e := loadSockaddr(at, length)
	if e != 0 || s.typ == syscall.SOCK_STREAM || length == 0 {
		return netip.AddrPort{}, e
	}
	to, e := a.addrPort(s, forSend)
	if e == 0 && to.Port() == 0 {
		e = syscall.EINVAL
	}
	return to, e
}

// send sends one buffer: a datagram, or as much of a stream as there is room for (all of it when blocking).
func send(d *description, s *socket, b []byte, flags int, to netip.AddrPort) (int, syscall.Errno) {
	if flags&unix.MSG_OOB != 0 || flags&unix.MSG_FASTOPEN != 0 {
		return 0, syscall.EOPNOTSUPP
	}
	nonblock := flags&unix.MSG_DONTWAIT != 0 || d.nonblock()
	if s.typ == syscall.SOCK_STREAM || !to.IsValid() {
		n, err := d.writeStream(b, nonblock)
		return n, errnoOf(err)
	}
	n, err := s.Send(b, to)
	if err == syscall.EAGAIN {
		d.settle()
		if !nonblock {
			n, err = sendBlocking(d, s, b, to)
		}
	}
	return clamp(n, b), errnoOf(err)
}

func sendBlocking(d *description, s *socket, b []byte, to netip.AddrPort) (int, error) {
	_, timeout := s.timeouts()
	return d.block(timeout, func() (int, error) { return s.Send(b, to) })
}

func sysRecvfrom(c *call) (int, syscall.Errno) {
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	at := c.ptr(1)
	b, e := at.out(c.count(2))
	if e != 0 {
		return 0, e
	}
	m, e := receive(d, s, b, c.int32Arg(3))
	if e != 0 {
		return 0, e
	}
	at.done(b[:min(m.n, len(b))])
	if nameAt := c.ptr(4); !nameAt.isNil() {
		e = storeSource(s, m.from, nameAt, c.ptr(5))
	}
	return m.n, e
}

// storeSource writes where a message came from: nowhere in particular, for a stream.
func storeSource(s *socket, from netip.AddrPort, at, lenAt ref) syscall.Errno {
	if s.typ == syscall.SOCK_STREAM || !from.IsValid() {
		if _, e := lenAt.loadU32(); e != 0 {
			return e
		}
		return lenAt.storeU32(0)
	}
	return storeSockaddr(at, lenAt, s.domain, from)
}

// received is what came in: n may be more than fitted, when the caller asked for that (MSG_TRUNC).
type received struct {
	n         int
	from      netip.AddrPort
	truncated bool
}

// receive takes one datagram, or what is there of a stream.
func receive(d *description, s *socket, b []byte, flags int) (received, syscall.Errno) {
	switch {
	case flags&unix.MSG_ERRQUEUE != 0:
		return received{}, syscall.EAGAIN // kept by nobody
	case flags&unix.MSG_OOB != 0 && s.typ == syscall.SOCK_STREAM:
		return received{}, syscall.EINVAL // none waiting
	case flags&unix.MSG_OOB != 0:
		return received{}, syscall.EOPNOTSUPP
	}
	if s.typ == syscall.SOCK_STREAM && len(b) == 0 {
		return received{}, 0
	}
	into := b
	wholeLength := flags&unix.MSG_TRUNC != 0
	if wholeLength && s.typ == syscall.SOCK_DGRAM && len(b) < maxDatagram {
		into = make([]byte, maxDatagram)
	} else if wholeLength && s.typ == syscall.SOCK_STREAM {
		into = make([]byte, min(len(b), maxDatagram)) // taken and thrown away
	}
	m, err := receiveInto(d, s, into, flags)
	if err == nil && wholeLength && s.typ == syscall.SOCK_DGRAM {
		m.truncated = m.n > len(b)
		copy(b, into[:m.n])
	}
	if err == nil && flags&unix.MSG_WAITALL != 0 && flags&unix.MSG_PEEK == 0 && s.typ == syscall.SOCK_STREAM {
		m.n += receiveRest(d, s, into[m.n:], flags)
	}
	return m, errnoOf(err)
}

func receiveInto(d *description, s *socket, b []byte, flags int) (m received, err error) {
	peek := flags&unix.MSG_PEEK != 0
	m.n, m.from, m.truncated, err = s.Recv(b, peek)
	if err == syscall.EAGAIN {
		d.settle()
		if flags&unix.MSG_DONTWAIT == 0 && !d.nonblock() {
			m, err = receiveBlocking(d, s, b, peek)
		}
	}
	m.n = clamp(m.n, b)
	return m, err
}

func receiveBlocking(d *description, s *socket, b []byte, peek bool) (m received, err error) {
	timeout, _ := s.timeouts()
	_, err = d.block(timeout, func() (n int, err error) {
		m.n, m.from, m.truncated, err = s.Recv(b, peek)
		return m.n, err
	})
	return m, err
}

// receiveRest goes on until b is full, the stream ends or an error comes, which the next call will meet.
func receiveRest(d *description, s *socket, b []byte, flags int) (total int) {
	for len(b) > 0 {
		m, err := receiveInto(d, s, b, flags)
		if err != nil || m.n == 0 {
			break
		}
		total += m.n
		b = b[m.n:]
	}
	return total
}

// recvVectors receives into several pieces of memory. m, if there is one, gets the rest of the answer.
func recvVectors(d *description, s *socket, vs []vector, flags int, m *received) (int, syscall.Errno) {
	if m == nil {
		m = new(received)
	}
	if len(vs) == 1 {
		b, e := vs[0].base.out(vs[0].n)
		if e != 0 {
			return 0, e
		}
		if *m, e = receive(d, s, b, flags); e == 0 {
			vs[0].base.done(b[:min(m.n, len(b))])
		}
		return m.n, e
	}
	if e := checkVectors(vs, true); e != 0 {
		return 0, e
	}
	b := make([]byte, min(vectorsLen(vs), 1<<20))
	var e syscall.Errno
	if *m, e = receive(d, s, b, flags); e != 0 {
		return 0, e
	}
	return m.n, scatter(vs, b[:min(m.n, len(b))])
}

// msghdr is the part of struct msghdr that says where things are.
type msghdr struct {
	at         ref
	name       ref
	nameLen    int
	vectors    []vector
	controlLen uint64
}

// loadMsghdr reads a struct msghdr and its vectors; into says that data will be written to them.
func loadMsghdr(at ref) (m msghdr, e syscall.Errno) {
	if !at.valid(msghdrSize, false) {
		return m, syscall.EFAULT
	}
	m.at = at
	m.name = at.add(msghdrName).loadPtr()
	nameLen, _ := at.add(msghdrNameLen).loadU32()
	count, _ := at.add(msghdrIovLen).loadU64()
	m.controlLen, _ = at.add(msghdrControlLen).loadU64()
	switch {
	case int32(nameLen) < 0:
		return m, syscall.EINVAL
	case count > maxIOV:
		return m, syscall.EMSGSIZE
	}
	if m.nameLen = int(nameLen); m.name.isNil() {
		m.nameLen = 0
	}
	m.vectors, e = at.add(msghdrIov).loadPtr().vectors(int(count))
	return m, e
}

func sysSendmsg(c *call) (int, syscall.Errno) {
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	return sendMessage(d, s, c.ptr(1), c.int32Arg(2))
}

func sendMessage(d *description, s *socket, at ref, flags int) (int, syscall.Errno) {
	m, e := loadMsghdr(at)
	if e != 0 {
		return 0, e
	}
	if m.controlLen != 0 {
		return 0, syscall.EINVAL // no control message is served; to ignore one could send from a wrong address
	}
	var to netip.AddrPort
	if m.nameLen != 0 {
		if to, e = destination(s, m.name, min(m.nameLen, sockaddrMax)); e != 0 {
			return 0, e
		}
	}
	if len(m.vectors) == 1 {
		b, e := m.vectors[0].base.in(m.vectors[0].n)
		if e != 0 {
			return 0, e
		}
		return send(d, s, b, flags, to)
	}
	if s.typ == syscall.SOCK_STREAM && !mustBeWhole(s, m.vectors) {
		return sendVectors(d, s, m.vectors, flags)
	}
	b, e := gather(m.vectors)
	if e != 0 {
		return 0, e
	}
	return send(d, s, b, flags, to)
}

// sendVectors sends the pieces of a stream one after the other.
func sendVectors(d *description, s *socket, vs []vector, flags int) (int, syscall.Errno) {
	if e := checkVectors(vs, false); e != 0 {
		return 0, e
	}
	total := 0
	for _, v := range vs {
		b, e := v.base.in(v.n)
		n := 0
		if e == 0 {
			n, e = send(d, s, b, flags, netip.AddrPort{})
		}
		total += n
		if e != 0 && total == 0 {
			return 0, e
		}
		if e != 0 || n < v.n {
			break
		}
	}
	return total, 0
}

func sysRecvmsg(c *call) (int, syscall.Errno) {
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	return receiveMessage(d, s, c.ptr(1), c.int32Arg(2))
}

func receiveMessage(d *description, s *socket, at ref, flags int) (int, syscall.Errno) {
	m, e := loadMsghdr(at)
	if e != 0 {
		return 0, e
	}
	if !at.valid(msghdrSize, true) {
		return 0, syscall.EFAULT
	}
	var got received
	n, e := recvVectors(d, s, m.vectors, flags, &got)
	if e != 0 {
		return 0, e
	}
	if !m.name.isNil() {
		if e := storeSource(s, got.from, m.name, at.add(msghdrNameLen)); e != 0 {
			return 0, e
		}
	}
	out := uint32(flags & unix.MSG_CMSG_CLOEXEC)
	if got.truncated {
		out |= unix.MSG_TRUNC
	}
	at.add(msghdrFlags).storeU32(out)
	at.add(msghdrControlLen).storeU64(0)
	return n, 0
}

func sysSendmmsg(c *call) (int, syscall.Errno) {
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	return eachMessage(c, func(at ref, _ int) (int, syscall.Errno) {
		return sendMessage(d, s, at, c.int32Arg(3))
	})
}

func sysRecvmmsg(c *call) (int, syscall.Errno) {
	if at := c.ptr(4); !at.isNil() {
		return 0, syscall.EOPNOTSUPP // a timeout over all messages
	}
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	flags := c.int32Arg(3)
	return eachMessage(c, func(at ref, i int) (int, syscall.Errno) {
		f := flags &^ unix.MSG_WAITFORONE
		if i > 0 && flags&unix.MSG_WAITFORONE != 0 {
			f |= unix.MSG_DONTWAIT
		}
		return receiveMessage(d, s, at, f)
	})
}

// eachMessage does one after the other what is asked for an array of struct mmsghdr, and returns how many
// were done. An error counts only when it meets the first.
func eachMessage(c *call, do func(at ref, i int) (int, syscall.Errno)) (int, syscall.Errno) {
	count := int(min(uint32(c.arg[2]), maxIOV))
	for i := range count {
		at := c.ptr(1).add(uintptr(i) * mmsghdrSize)
		if !at.valid(mmsghdrSize, true) {
			return i, faultUnless(i > 0)
		}
		n, e := do(at, i)
		if e != 0 {
			if i > 0 {
				e = 0
			}
			return i, e
		}
		at.add(msghdrSize).storeU32(uint32(n))
	}
	return count, 0
}

func faultUnless(done bool) syscall.Errno {
	if done {
		return 0
	}
	return syscall.EFAULT
}

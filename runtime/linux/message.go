// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// maxDatagram is more than the payload of any datagram in bytes.
const maxDatagram = 64 << 10

// msgCompat is MSG_CMSG_COMPAT, which no program may set.
const msgCompat = 1 << 31

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

// fewVectors is how many vectors most messages have at most: for those nothing is allocated.
const fewVectors = 4

func sysSendto(c *call) (int, syscall.Errno) {
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	from := c.ptr(1)
	b, e := from.lend(c.count(2), false)
	if e != 0 {
		return 0, e
	}
	var to address
	if at := c.ptr(4); !at.isNil() {
		if to, e = destination(s, at, c.int32Arg(5)); e != 0 {
			return 0, e
		}
	}
	n, e := send(d, s, b, c.int32Arg(3), to, nil)
	from.giveBack(b)
	return n, e
}

// destination reads the address of a message.
func destination(s *socket, at ref, length int) (address, syscall.Errno) {
	a, e := loadSockaddr(at, length)
	if e != 0 {
		return address{}, e
	}
	return s.destination(a)
}

// send sends one buffer: a datagram, or as much of a stream as there is room for (all of it when blocking).
func send(d *description, s *socket, b []byte, flags int, to address, ctl *control) (int, syscall.Errno) {
	n, e := sendQuietly(d, s, b, flags, to, ctl)
	if flags&unix.MSG_NOSIGNAL == 0 {
		raisePipe(s, e)
	}
	return n, e
}

func sendQuietly(d *description, s *socket, b []byte, flags int, to address, ctl *control) (int, syscall.Errno) {
	if flags&unix.MSG_OOB != 0 || flags&unix.MSG_FASTOPEN != 0 {
		return 0, syscall.EOPNOTSUPP
	}
	nonblock := flags&unix.MSG_DONTWAIT != 0 || d.nonblock()
	if ctl == nil && !to.given() {
		n, err := d.writeStream(b, nonblock)
		return n, errnoOf(err)
	}
	n, err := s.send(b, to, ctl)
	if err == syscall.EAGAIN {
		d.settle()
		if !nonblock {
			n, err = sendBlocking(d, s, b, to, ctl)
		}
	}
	if err == nil && n < len(b) && s.typ == syscall.SOCK_STREAM && !nonblock {
		n, err = d.writeAll(b, n)
	}
	return n, errnoOf(err)
}

func sendBlocking(d *description, s *socket, b []byte, to address, ctl *control) (int, error) {
	_, timeout := s.timeouts()
	return d.block(timeout, func() (int, error) { return s.send(b, to, ctl) })
}

func sysRecvfrom(c *call) (int, syscall.Errno) {
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	at := c.ptr(1)
	b, e := at.lend(c.count(2), true)
	if e != 0 {
		return 0, e
	}
	m, e := receive(d, s, b, c.int32Arg(3))
	if e == 0 {
		m.ctl.release()
		at.done(b[:min(m.n, len(b))])
	}
	at.giveBack(b)
	if e != 0 {
		return 0, e
	}
	if nameAt := c.ptr(4); !nameAt.isNil() {
		e = storeSource(s, m.from, nameAt, c.ptr(5))
	}
	return m.n, e
}

// storeSource writes where a message came from, if it came from an address.
func storeSource(s *socket, from address, at, lenAt ref) syscall.Errno {
	if !from.given() {
		if _, e := lenAt.loadU32(); e != 0 {
			return e
		}
		return lenAt.storeU32(0)
	}
	return storeSockaddr(at, lenAt, s.domain, from)
}

// receive takes one datagram, or what is there of a stream.
func receive(d *description, s *socket, b []byte, flags int) (received, syscall.Errno) {
	m, err := receiveOnce(d, s, b, flags)
	all := flags&unix.MSG_WAITALL != 0 && flags&unix.MSG_PEEK == 0 && s.typ == syscall.SOCK_STREAM
	if err == nil && all && m.n > 0 && m.ctl == nil {
		m.n += receiveRest(d, s, b[m.n:], flags)
	}
	return m, errnoOf(err)
}

func receiveOnce(d *description, s *socket, b []byte, flags int) (received, error) {
	m, err := s.recv(b, flags)
	if err == nil {
		d.passed()
	}
	if err == syscall.EAGAIN && flags&unix.MSG_ERRQUEUE == 0 {
		d.settle()
		if flags&unix.MSG_DONTWAIT == 0 && !d.nonblock() {
			return receiveBlocking(d, s, b, flags)
		}
	}
	return m, err
}

func receiveBlocking(d *description, s *socket, b []byte, flags int) (m received, err error) {
	timeout, _ := s.timeouts()
	_, err = d.block(timeout, func() (n int, err error) {
		m, err = s.recv(b, flags)
		return m.n, err
	})
	return m, err
}

// receiveRest goes on until b is full, the stream ends or an error comes, which the next call will meet.
func receiveRest(d *description, s *socket, b []byte, flags int) (total int) {
	for len(b) > 0 {
		m, err := receiveOnce(d, s, b, flags)
		m.ctl.release()
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
		defer func() { m.ctl.release() }()
	}
	if len(vs) == 1 {
		at := vs[0].base
		b, e := at.lend(vs[0].n, true)
		if e != 0 {
			return 0, e
		}
		if *m, e = receive(d, s, b, flags); e == 0 {
			at.done(b[:min(m.n, len(b))])
		}
		at.giveBack(b)
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
	control    ref
	controlLen uint64
}

// loadMsghdr reads a struct msghdr and its vectors, to few if they are.
func loadMsghdr(at ref, few []vector) (m msghdr, e syscall.Errno) {
	if !at.valid(msghdrSize, false) {
		return m, syscall.EFAULT
	}
	m.at = at
	m.name = at.add(msghdrName).loadPtr()
	nameLen, _ := at.add(msghdrNameLen).loadU32()
	count, _ := at.add(msghdrIovLen).loadU64()
	m.control = at.add(msghdrControl).loadPtr()
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
	m.vectors, e = at.add(msghdrIov).loadPtr().vectorsTo(few, int(count))
	return m, e
}

func sysSendmsg(c *call) (int, syscall.Errno) {
	if c.arg[2]&msgCompat != 0 {
		return 0, syscall.EINVAL
	}
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	return sendMessage(d, s, c.ptr(1), c.int32Arg(2))
}

func sendMessage(d *description, s *socket, at ref, flags int) (int, syscall.Errno) {
	var few [fewVectors]vector
	m, e := loadMsghdr(at, few[:])
	if e != 0 {
		return 0, e
	}
	ctl, e := loadControl(s, m.control, m.controlLen)
	if e != 0 {
		return 0, e
	}
	n, e := sendParts(d, s, &m, flags, ctl)
	if e != 0 {
		ctl.release()
	}
	return n, e
}

// sendParts sends what a struct msghdr names, and ctl with it.
func sendParts(d *description, s *socket, m *msghdr, flags int, ctl *control) (_ int, e syscall.Errno) {
	var to address
	if m.nameLen != 0 {
		if to, e = destination(s, m.name, min(m.nameLen, sockaddrMax)); e != 0 {
			return 0, e
		}
	}
	if len(m.vectors) == 1 {
		from := m.vectors[0].base
		b, e := from.lend(m.vectors[0].n, false)
		if e != 0 {
			return 0, e
		}
		n, e := send(d, s, b, flags, to, ctl)
		from.giveBack(b)
		return n, e
	}
	if s.typ == syscall.SOCK_STREAM && !mustBeWhole(s, m.vectors) {
		return sendVectors(d, s, m.vectors, flags, to, ctl)
	}
	b, e := gather(m.vectors)
	if e != 0 {
		return 0, e
	}
	return send(d, s, b, flags, to, ctl)
}

// sendVectors sends the pieces of a stream one after the other, and ctl with the first.
func sendVectors(d *description, s *socket, vs []vector, flags int, to address, ctl *control) (int, syscall.Errno) {
	if e := checkVectors(vs, false); e != 0 {
		return 0, e
	}
	total := 0
	for _, v := range vs {
		if v.n == 0 {
			continue
		}
		b, e := v.base.in(v.n)
		n := 0
		if e == 0 {
			n, e = send(d, s, b, flags, to, ctl)
		}
		if total += n; n > 0 {
			ctl = nil
		}
		if e != 0 && total == 0 {
			return 0, e
		}
		if e != 0 || n < v.n {
			break
		}
	}
	if total == 0 {
		ctl.release() // all were empty
	}
	return total, 0
}

func sysRecvmsg(c *call) (int, syscall.Errno) {
	if c.arg[2]&msgCompat != 0 {
		return 0, syscall.EINVAL
	}
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	return receiveMessage(d, s, c.ptr(1), c.int32Arg(2))
}

func receiveMessage(d *description, s *socket, at ref, flags int) (int, syscall.Errno) {
	var few [fewVectors]vector
	m, e := loadMsghdr(at, few[:])
	if e != 0 {
		return 0, e
	}
	if !at.valid(msghdrSize, true) {
		return 0, syscall.EFAULT
	}
	var got received
	n, e := recvVectors(d, s, m.vectors, flags, &got)
	defer func() { got.ctl.release() }()
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
	used, cut, e := storeControl(got.ctl, m.control, m.controlLen, flags&unix.MSG_CMSG_CLOEXEC != 0)
	if cut {
		out |= unix.MSG_CTRUNC
	}
	at.add(msghdrFlags).storeU32(out)
	at.add(msghdrControlLen).storeU64(used)
	if e != 0 {
		return 0, e
	}
	return n, 0
}

func sysSendmmsg(c *call) (int, syscall.Errno) {
	if c.arg[3]&msgCompat != 0 {
		return 0, syscall.EINVAL
	}
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
	if c.arg[3]&msgCompat != 0 {
		return 0, syscall.EINVAL
	}
	limit := c.ptr(4)
	if !limit.isNil() && !limit.valid(16, false) {
		return 0, syscall.EFAULT
	}
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	if !limit.isNil() {
		return 0, syscall.EOPNOTSUPP // a timeout over all messages
	}
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
		if !at.valid(msghdrSize+4, true) { // padding is behind that
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

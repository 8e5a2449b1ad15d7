// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// timeoutOption is where a socket keeps the option; nil when it is no timeout.
func (s *socket) timeoutOption(level, name int) *atomic.Int64 {
	if level != syscall.SOL_SOCKET {
		return nil
	}
	switch name {
	case unix.SO_RCVTIMEO, unix.SO_RCVTIMEO_NEW:
		return &s.rcvTimeo
	case unix.SO_SNDTIMEO, unix.SO_SNDTIMEO_NEW:
		return &s.sndTimeo
	}
	return nil
}

func sysSetsockopt(c *call) (int, syscall.Errno) {
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	level, name, at, length := c.int32Arg(1), c.int32Arg(2), c.ptr(3), c.int32Arg(4)
	if length < 0 {
		return 0, syscall.EINVAL
	}
	if keep := s.timeoutOption(level, name); keep != nil {
		return 0, setTimeout(keep, at, length)
	}
	if level == syscall.SOL_SOCKET {
		switch name {
		case unix.SO_LINGER:
			return 0, setLinger(s, at, length)
		case unix.SO_TYPE, unix.SO_DOMAIN, unix.SO_PROTOCOL, unix.SO_ERROR, unix.SO_ACCEPTCONN:
			return 0, syscall.ENOPROTOOPT
		}
	}
	if isMulticast(level, name) {
		return 0, s.setMulticast(level, name, at, length)
	}
	if isStructOption(level, name) {
		return 0, syscall.ENOPROTOOPT
	}
	value, e := intOption(level, at, length)
	if e != 0 {
		return 0, e
	}
	return 0, errnoOf(s.setOption(level, name, value))
}

// isStructOption says whether the option's value is no number, so that Socket cannot carry it.
func isStructOption(level, name int) bool {
	switch level {
	case syscall.SOL_SOCKET:
		return name == unix.SO_BINDTODEVICE || name == unix.SO_ATTACH_FILTER || name == unix.SO_PEERCRED
	case syscall.IPPROTO_IP:
		return name >= unix.IP_MULTICAST_IF && name <= unix.MCAST_MSFILTER && name != unix.IP_MULTICAST_TTL &&
			name != unix.IP_MULTICAST_LOOP || name == unix.IP_OPTIONS
	case syscall.IPPROTO_IPV6:
		return name == unix.IPV6_JOIN_GROUP || name == unix.IPV6_LEAVE_GROUP || name >= unix.MCAST_JOIN_GROUP && name <= unix.MCAST_MSFILTER
	case syscall.IPPROTO_TCP:
		return name == unix.TCP_INFO || name == unix.TCP_CONGESTION || name == unix.TCP_MD5SIG || name == unix.TCP_ULP
	}
	return false
}

// intOption reads an option's number. At the level of IP one byte is enough.
func intOption(level int, at ref, length int) (int, syscall.Errno) {
	if level == syscall.IPPROTO_IP && length > 0 && length < 4 {
		var b [1]byte
		e := at.copyIn(b[:])
		return int(b[0]), e
	}
	if length < 4 {
		return 0, syscall.EINVAL
	}
	v, e := at.loadU32()
	return int(int32(v)), e
}

func setTimeout(keep *atomic.Int64, at ref, length int) syscall.Errno {
	var b [16]byte
	if length < len(b) {
		return syscall.EINVAL
	}
	if e := at.copyIn(b[:]); e != 0 {
		return e
	}
	t, e := loadTimeval(b[:])
	if e == 0 {
		keep.Store(int64(t))
	}
	return e
}

// struct linger is two C ints: whether, and how many seconds.
const lingerSize = 8

func setLinger(s *socket, at ref, length int) syscall.Errno {
	var b [lingerSize]byte
	if length < lingerSize {
		return syscall.EINVAL
	}
	if e := at.copyIn(b[:]); e != 0 {
		return e
	}
	seconds := -1
	if le.Uint32(b[:]) != 0 {
		seconds = int(min(le.Uint32(b[4:]), 1<<30))
	}
	return errnoOf(s.setOption(syscall.SOL_SOCKET, syscall.SO_LINGER, seconds))
}

func sysGetsockopt(c *call) (int, syscall.Errno) {
	d, s, e := socketFD(c.arg[0])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	level, name, at, lenAt := c.int32Arg(1), c.int32Arg(2), c.ptr(3), c.ptr(4)
	room, e := lenAt.loadU32()
	switch {
	case e != 0:
		return 0, e
	case int32(room) < 0:
		return 0, syscall.EINVAL
	}
	var b [16]byte
	n, e := s.optionBytes(b[:], level, name)
	if e != 0 {
		return 0, e
	}
	if n = min(n, int(room)); level == syscall.IPPROTO_IP && n > 0 && n < 4 && le.Uint32(b[:]) < 256 {
		n = 1
	}
	if e := lenAt.storeU32(uint32(n)); e != 0 {
		return 0, e
	}
	return 0, at.copyOut(b[:n])
}

// optionBytes puts an option's value into b and returns its size in bytes.
func (s *socket) optionBytes(b []byte, level, name int) (int, syscall.Errno) {
	if keep := s.timeoutOption(level, name); keep != nil {
		putTimeval(b, time.Duration(keep.Load()))
		return 16, 0
	}
	if level == syscall.SOL_SOCKET && name == unix.SO_PEERCRED {
		who := nobody
		if u, ok := s.endpoint.(*unixSocket); ok {
			who = u.peerCred()
		}
		return copy(b, who[:]), 0
	}
	if isMulticast(level, name) {
		return s.multicastInterface(b, level, name)
	}
	if isStructOption(level, name) {
		return 0, syscall.ENOPROTOOPT
	}
	value, err := s.intValue(level, name)
	if err != nil {
		return 0, errnoOf(err)
	}
	if level == syscall.SOL_SOCKET && name == unix.SO_LINGER {
		if value >= 0 {
			le.PutUint32(b, 1)
			le.PutUint32(b[4:], uint32(value))
		}
		return lingerSize, 0
	}
	le.PutUint32(b, uint32(value))
	return 4, 0
}

func (s *socket) intValue(level, name int) (int, error) {
	if level == syscall.SOL_SOCKET {
		switch name {
		case unix.SO_TYPE:
			return s.typ, nil
		case unix.SO_DOMAIN:
			return s.domain, nil
		case unix.SO_PROTOCOL:
			return s.proto, nil
		case unix.SO_ACCEPTCONN:
			if s.listening.Load() {
				return 1, nil
			}
			return 0, nil
		}
	}
	return s.option(level, name)
}

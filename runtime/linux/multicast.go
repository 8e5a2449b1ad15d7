// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// Options of multicast (ip(7), ipv6(7)):
//
//	 0       4       8               16      20
//	+-------+-------+
//	| group | local |                            struct ip_mreq
//	+-------+-------+-------+
//	| group | local | index |                    struct ip_mreqn
//	+-------+-------+-------+-------+-------+
//	| group                         | index |    struct ipv6_mreq
//	+-------------------------------+-------+
const (
	mreqSize  = 8
	mreqnSize = 12
	mreq6Size = 20
)

func isMulticast(level, name int) bool {
	switch level {
	case syscall.IPPROTO_IP:
		return name == unix.IP_ADD_MEMBERSHIP || name == unix.IP_DROP_MEMBERSHIP || name == unix.IP_MULTICAST_IF
	case syscall.IPPROTO_IPV6:
		return name == unix.IPV6_JOIN_GROUP || name == unix.IPV6_LEAVE_GROUP || name == unix.IPV6_MULTICAST_IF
	}
	return false
}

// multicast is the part of the socket that serves the options; nil for a socket that cannot.
func (s *socket) multicast(level int) SocketMulticast {
	i, ok := s.endpoint.(*inet)
	if !ok || level == syscall.IPPROTO_IPV6 && i.domain != syscall.AF_INET6 {
		return nil
	}
	m, _ := i.Socket.(SocketMulticast)
	return m
}

func (s *socket) setMulticast(level, name int, at ref, length int) syscall.Errno {
	m := s.multicast(level)
	if m == nil {
		return syscall.ENOPROTOOPT
	}
	if level == syscall.IPPROTO_IPV6 {
		return setMulticast6(m, name, at, length)
	}
	if s.typ == syscall.SOCK_STREAM && name != unix.IP_MULTICAST_IF {
		return syscall.EPROTO
	}
	var b [mreqnSize]byte
	least := mreqSize
	if name == unix.IP_MULTICAST_IF {
		least = 4 // the local address alone
	}
	if length < least {
		return syscall.EINVAL
	}
	n := min(length, mreqnSize)
	if n < mreqnSize && n > mreqSize {
		n = mreqSize
	}
	if e := at.copyIn(b[:n]); e != 0 {
		return e
	}
	local := b[4:8]
	if n < mreqSize {
		local = b[:4]
	}
	from, index := netip.AddrFrom4([4]byte(local)), int(int32(le.Uint32(b[8:])))
	if from.IsUnspecified() {
		from = netip.Addr{}
	}
	if name == unix.IP_MULTICAST_IF {
		return errnoOf(m.SetMulticastInterface(index, from))
	}
	group := netip.AddrFrom4([4]byte(b[:4]))
	if !group.IsMulticast() {
		return syscall.EINVAL
	}
	return errnoOf(m.SetGroup(name == unix.IP_ADD_MEMBERSHIP, group, index, from))
}

func setMulticast6(m SocketMulticast, name int, at ref, length int) syscall.Errno {
	var b [mreq6Size]byte
	if name == unix.IPV6_MULTICAST_IF {
		if length < 4 {
			return syscall.EINVAL
		}
		index, e := at.loadU32()
		if e != 0 {
			return e
		}
		return errnoOf(m.SetMulticastInterface(int(int32(index)), netip.Addr{}))
	}
	if length < len(b) {
		return syscall.EINVAL
	}
	if e := at.copyIn(b[:]); e != 0 {
		return e
	}
	group := netip.AddrFrom16([16]byte(b[:16]))
	if !group.IsMulticast() {
		return syscall.EINVAL
	}
	return errnoOf(m.SetGroup(name == unix.IPV6_JOIN_GROUP, group, int(int32(le.Uint32(b[16:]))), netip.Addr{}))
}

// multicastInterface puts the interface for datagrams to groups into b, as getsockopt shows it.
func (s *socket) multicastInterface(b []byte, level, name int) (int, syscall.Errno) {
	m := s.multicast(level)
	if m == nil || name != unix.IP_MULTICAST_IF && name != unix.IPV6_MULTICAST_IF {
		return 0, syscall.ENOPROTOOPT
	}
	index, local := m.MulticastInterface()
	switch {
	case level == syscall.IPPROTO_IPV6:
		le.PutUint32(b, uint32(index))
	case local.Is4():
		a := local.As4()
		copy(b, a[:])
	}
	return 4, 0
}

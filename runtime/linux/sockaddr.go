// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"syscall"
)

// struct sockaddr_in and sockaddr_in6 (netinet/in.h): family in the machine's order, port in the network's.
//
//	 0        2      4          8                24       28
//	+--------+------+----------+
//	| family | port | address  |  (8 unused bytes)
//	+--------+------+----------+----------------+--------+
//	| family | port | flowinfo | address        | scope  |
//	+--------+------+----------+----------------+--------+
const (
	sockaddrIn     = 16
	sockaddrIn6    = 28
	sockaddrIn6Min = 24  // RFC 2133 had no scope, and it is still accepted
	sockaddrMax    = 128 // sizeof(struct sockaddr_storage)
)

// sockaddr is an address as the program gave it.
type sockaddr struct {
	family uint16
	length int
	raw    [sockaddrMax]byte
}

// loadSockaddr reads an address argument.
func loadSockaddr(at ref, length int) (a sockaddr, e syscall.Errno) {
	if length < 0 || length > sockaddrMax {
		return a, syscall.EINVAL
	}
	a.length = length
	e = at.copyIn(a.raw[:length])
	a.family = le.Uint16(a.raw[:])
	return a, e
}

// use says what an address is for: each has its own errors.
type use int

const (
	forBind use = iota
	forConnect
	forSend
)

// addrPort is the address for a socket of the domain and type.
func (a *sockaddr) addrPort(domain, typ int, u use) (netip.AddrPort, syscall.Errno) {
	if domain == syscall.AF_INET {
		return a.in(u)
	}
	if a.length < 2 {
		return netip.AddrPort{}, syscall.EINVAL
	}
	if a.family == syscall.AF_INET && u != forBind && typ == syscall.SOCK_DGRAM {
		return a.in(u)
	}
	if a.length < sockaddrIn6Min {
		return netip.AddrPort{}, syscall.EINVAL
	}
	if a.family != syscall.AF_INET6 {
		return netip.AddrPort{}, syscall.EAFNOSUPPORT
	}
	addr := netip.AddrFrom16([16]byte(a.raw[8:24]))
	if scope := le.Uint32(a.raw[24:]); scope != 0 && a.length >= sockaddrIn6 && addr.IsLinkLocalUnicast() {
		addr = addr.WithZone(strconv.FormatUint(uint64(scope), 10))
	}
	return netip.AddrPortFrom(addr, a.port()), 0
}

func (a *sockaddr) in(u use) (netip.AddrPort, syscall.Errno) {
	if a.length < sockaddrIn {
		return netip.AddrPort{}, syscall.EINVAL
	}
	addr := netip.AddrFrom4([4]byte(a.raw[4:8]))
	anyFamily := a.family == syscall.AF_UNSPEC && (u == forSend || u == forBind && addr.IsUnspecified())
	if a.family != syscall.AF_INET && !anyFamily {
		return netip.AddrPort{}, syscall.EAFNOSUPPORT
	}
	return netip.AddrPortFrom(addr, a.port()), 0
}

func (a *sockaddr) port() uint16 { return binary.BigEndian.Uint16(a.raw[2:]) }

// encodeSockaddr is the address a as a socket of the domain shows it, and its length.
func encodeSockaddr(domain int, a netip.AddrPort) (b [sockaddrIn6]byte, n int) {
	le.PutUint16(b[:], uint16(domain))
	binary.BigEndian.PutUint16(b[2:], a.Port())
	addr := a.Addr()
	if domain == syscall.AF_INET {
		if addr = addr.Unmap(); addr.Is4() {
			v4 := addr.As4()
			copy(b[4:], v4[:])
		}
		return b, sockaddrIn
	}
	if addr.Is6() || addr.Is4() && !addr.IsUnspecified() {
		v6 := addr.As16()
		copy(b[8:], v6[:])
	}
	if addr.Zone() != "" { // to ask of the empty one allocates an error
		if zone, err := strconv.ParseUint(addr.Zone(), 10, 32); err == nil {
			le.PutUint32(b[24:], uint32(zone))
		}
	}
	return b, sockaddrIn6
}

// storeSockaddr writes an address to at as far as there is room, and its whole length to lenAt.
func storeSockaddr(at, lenAt ref, domain int, a address) syscall.Errno {
	room, e := lenAt.loadU32()
	switch {
	case e != 0:
		return e
	case int32(room) < 0:
		return syscall.EINVAL
	}
	b := []byte(a.raw)
	if a.raw == "" {
		in, n := encodeSockaddr(domain, a.ip)
		b = in[:n]
	}
	if e := at.copyOut(b[:min(len(b), int(room))]); e != 0 {
		return e
	}
	return lenAt.storeU32(uint32(len(b)))
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"net/netip"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// full is a as the stack wants it on this socket. An invalid or unspecified
// address becomes the empty one, which on an AF_INET6 socket stands for both
// IP versions.
func (s *socket) full(a netip.AddrPort) (tcpip.FullAddress, error) {
	f := tcpip.FullAddress{Port: a.Port()}
	ip := a.Addr()
	if !ip.IsValid() || ip.Unmap().IsUnspecified() {
		if s.domain == syscall.AF_INET && ip.Is6() && !ip.Is4In6() {
			return f, syscall.EAFNOSUPPORT
		}
		// 0.0.0.0 on an AF_INET6 socket restricts it to IPv4.
		if s.domain == syscall.AF_INET6 && ip.Is4In6() {
			f.Addr = tcpip.AddrFrom16(ip.As16())
		}
		return f, nil
	}
	switch {
	case s.domain == syscall.AF_INET:
		if ip = ip.Unmap(); !ip.Is4() {
			return f, syscall.EAFNOSUPPORT
		}
		f.Addr = tcpip.AddrFrom4(ip.As4())
	default:
		f.Addr = tcpip.AddrFrom16(ip.WithZone("").As16())
	}
	return f, nil
}

// peer is full for a destination: the unspecified address means this machine.
func (s *socket) peer(a netip.AddrPort) (tcpip.FullAddress, error) {
	if ip := a.Addr(); ip.IsValid() && ip.Unmap().IsUnspecified() {
		switch {
		case ip.Is4() || ip.Is4In6():
			a = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port())
		default:
			a = netip.AddrPortFrom(netip.IPv6Loopback(), a.Port())
		}
	}
	return s.full(a)
}

// addrPort is f as this socket's domain writes it: IPv4 addresses on AF_INET6
// sockets are IPv4-mapped.
func (s *socket) addrPort(f tcpip.FullAddress) netip.AddrPort {
	ip, ok := netip.AddrFromSlice(f.Addr.AsSlice())
	switch {
	case !ok && s.domain == syscall.AF_INET:
		ip = netip.IPv4Unspecified()
	case !ok:
		ip = netip.IPv6Unspecified()
	case s.domain == syscall.AF_INET:
		ip = ip.Unmap()
	case ip.Is4():
		ip = netip.AddrFrom16(ip.As16())
	}
	return netip.AddrPortFrom(ip, f.Port)
}

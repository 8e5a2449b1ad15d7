// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"net/netip"
	"syscall"

	"github.com/hvgo/hvgo/runtime/linux"
	"gvisor.dev/gvisor/pkg/tcpip"
)

var _ linux.SocketMulticast = (*socket)(nil)

// SetGroup implements linux.SocketMulticast.
func (s *socket) SetGroup(join bool, group netip.Addr, index int, local netip.Addr) error {
	if s.stream {
		return syscall.ENOPROTOOPT
	}
	if index < 0 {
		return syscall.ENODEV
	}
	m := tcpip.MembershipOption{NIC: tcpip.NICID(index), MulticastAddr: tcpip.AddrFromSlice(group.AsSlice())}
	if local.IsValid() && index == 0 {
		m.InterfaceAddr = tcpip.AddrFromSlice(local.AsSlice())
	}
	if !join {
		leave := tcpip.RemoveMembershipOption(m)
		return errno(s.ep.SetSockOpt(&leave))
	}
	add := tcpip.AddMembershipOption(m)
	if err := s.ep.SetSockOpt(&add); err != nil {
		return errno(err)
	}
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	if s.n.joined == nil {
		s.n.joined = make(map[tcpip.Address]bool)
	}
	if len(s.n.joined) < maxGroups {
		s.n.joined[m.MulticastAddr] = true
	}
	return nil
}

// maxGroups bounds how many groups the stack remembers to have heard of.
const maxGroups = 1024

// heard are the groups that a program joined at some time: those to ask the stack
// about.
func (n *Stack) heard() (gs []tcpip.Address) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for g := range n.joined {
		gs = append(gs, g)
	}
	return gs
}

// SetMulticastInterface implements linux.SocketMulticast.
func (s *socket) SetMulticastInterface(index int, local netip.Addr) error {
	if s.stream {
		return syscall.ENOPROTOOPT
	}
	if index < 0 {
		return syscall.ENODEV
	}
	o := tcpip.MulticastInterfaceOption{NIC: tcpip.NICID(index)}
	if local.IsValid() {
		o.InterfaceAddr = tcpip.AddrFromSlice(local.AsSlice())
	}
	return errno(s.ep.SetSockOpt(&o))
}

// MulticastInterface implements linux.SocketMulticast.
func (s *socket) MulticastInterface() (index int, local netip.Addr) {
	var o tcpip.MulticastInterfaceOption
	if err := s.ep.GetSockOpt(&o); err != nil {
		return 0, netip.Addr{}
	}
	local, _ = netip.AddrFromSlice(o.InterfaceAddr.AsSlice())
	return int(o.NIC), local
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/hvgo/hvgo/runtime/linux"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

var _ linux.Interfaces = (*Stack)(nil)

// Interfaces implements linux.Interfaces: lo, and eth0 once there is a card.
func (n *Stack) Interfaces() []linux.Interface {
	n.mu.Lock()
	card := n.link
	n.mu.Unlock()
	var all []linux.Interface
	for id, info := range n.s.NICInfo() {
		i := linux.Interface{Index: int(id), Name: info.Name, MTU: int(info.MTU), Loopback: info.Flags.Loopback, Running: info.Flags.Running}
		copy(i.Hardware[:], info.LinkAddress)
		if id == ethernetNIC && card != nil {
			i.Running = i.Running && card.nic.LinkUp()
		}
		for _, a := range info.ProtocolAddresses {
			if addr, ok := netip.AddrFromSlice(a.AddressWithPrefix.Address.AsSlice()); ok {
				i.Addrs = append(i.Addrs, netip.PrefixFrom(addr, a.AddressWithPrefix.PrefixLen))
			}
		}
		slices.SortFunc(i.Addrs, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
		i.Groups = n.groups(id, i.Addrs)
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b linux.Interface) int { return cmp.Compare(a.Index, b.Index) })
	return all
}

// groups are the multicast groups of an interface. The stack can only be asked about each.
func (n *Stack) groups(id tcpip.NICID, addrs []netip.Prefix) (gs []netip.Addr) {
	may := []tcpip.Address{header.IPv4AllSystems, header.IPv6AllNodesMulticastAddress}
	for _, p := range addrs {
		if p.Addr().Is6() {
			may = append(may, header.SolicitedNodeAddr(tcpip.AddrFrom16(p.Addr().As16())))
		}
	}
	for _, g := range n.heard() {
		if !slices.Contains(may, g) {
			may = append(may, g)
		}
	}
	for _, g := range may {
		if in, err := n.s.IsInGroup(id, g); err == nil && in {
			a, _ := netip.AddrFromSlice(g.AsSlice())
			gs = append(gs, a)
		}
	}
	return gs
}

// Routes implements linux.Interfaces.
func (n *Stack) Routes() []linux.Route {
	var all []linux.Route
	for _, r := range n.s.GetRouteTable() {
		id := r.Destination.ID()
		to, ok := netip.AddrFromSlice(id.AsSlice())
		if !ok {
			continue
		}
		via, _ := netip.AddrFromSlice(r.Gateway.AsSlice())
		all = append(all, linux.Route{To: netip.PrefixFrom(to, r.Destination.Prefix()), Via: via, Index: int(r.NIC)})
	}
	return all
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package usernet

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Transmit takes a frame of the guest's; the memory is the card's again afterwards.
func (n *Network) Transmit(frame []byte) {
	n.stats.fromGuest.Add(1)
	if len(frame) < header.EthernetMinimumSize {
		n.stats.malformed.Add(1)
		return
	}
	eth := header.Ethernet(frame)
	if dst := [6]byte(frame); dst != gatewayMAC && dst[0]&1 == 0 {
		n.stats.ignored.Add(1)
		return
	}
	payload := frame[header.EthernetMinimumSize:]
	switch eth.Type() {
	case header.ARPProtocolNumber:
		n.transmitARP(frame, payload)
	case header.IPv4ProtocolNumber:
		n.transmitIPv4(frame, payload)
	default:
		n.stats.ignored.Add(1)
	}
}

// transmitARP lets the stack see replies, and requests for the gateway: it would
// answer for every address, even the guest's own.
func (n *Network) transmitARP(frame, payload []byte) {
	arp := header.ARP(payload)
	if len(payload) < header.ARPSize || !arp.IsValid() {
		n.stats.malformed.Add(1)
		return
	}
	target := netip.AddrFrom4([4]byte(arp.ProtocolAddressTarget()))
	if arp.Op() == header.ARPRequest && target != n.gateway {
		n.stats.ignored.Add(1)
		return
	}
	n.link.inject(header.ARPProtocolNumber, frame)
}

func (n *Network) transmitIPv4(frame, payload []byte) {
	ip := header.IPv4(payload)
	if len(payload) < header.IPv4MinimumSize || !ip.IsValid(len(payload)) {
		n.stats.malformed.Add(1)
		return
	}
	protocol := ip.TransportProtocol()
	segment := payload[ip.HeaderLength():ip.TotalLength()]
	if protocol == header.UDPProtocolNumber && ip.FragmentOffset() == 0 && len(segment) >= header.UDPMinimumSize &&
		header.UDP(segment).DestinationPort() == dhcpServerPort {
		n.transmitDHCP(ip, segment)
		return
	}
	src, dst := netip.AddrFrom4(ip.SourceAddress().As4()), netip.AddrFrom4(ip.DestinationAddress().As4())
	if !n.opt.Prefix.Contains(src) || src == n.gateway || !n.reachable(dst, protocol == header.ICMPv4ProtocolNumber) {
		n.stats.ignored.Add(1)
		return
	}
	n.link.inject(header.IPv4ProtocolNumber, frame)
}

// reachable tells whether packets to dst lead anywhere. ICMP has no sockets beyond the
// gateway.
func (n *Network) reachable(dst netip.Addr, icmp bool) bool {
	if dst == n.gateway {
		return true
	}
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	return !icmp && !n.opt.Prefix.Contains(dst) && !dst.IsMulticast() && !dst.IsLoopback() && !dst.IsUnspecified() && dst != broadcast
}

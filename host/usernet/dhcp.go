// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package usernet

import (
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

const (
	dhcpServerPort = 67
	dhcpClientPort = 68
)

// transmitDHCP answers a DHCP client (RFC 2131). It works on frames, beneath the
// stack: the client has no address yet to which the stack could send.
func (n *Network) transmitDHCP(ip header.IPv4, segment []byte) {
	dst := netip.AddrFrom4(ip.DestinationAddress().As4())
	length := int(header.UDP(segment).Length())
	if dst != n.gateway && dst != netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		n.stats.ignored.Add(1)
		return
	}
	if length < header.UDPMinimumSize || length > len(segment) {
		n.stats.malformed.Add(1)
		return
	}
	req, err := dhcpv4.FromBytes(segment[header.UDPMinimumSize:length])
	if err != nil || req.OpCode != dhcpv4.OpcodeBootRequest || len(req.ClientHWAddr) != 6 {
		n.stats.malformed.Add(1)
		return
	}
	reply := n.answerDHCP(req)
	if reply == nil {
		n.stats.ignored.Add(1)
		return
	}
	n.link.deliver(n.dhcpFrame(req, reply), false)
	if reply.MessageType() == dhcpv4.MessageTypeAck && req.MessageType() == dhcpv4.MessageTypeRequest {
		n.stats.leases.Add(1)
		n.leasedOnce.Do(func() {
			n.log.Debug("guest has a DHCP lease", "address", n.guest)
			close(n.leased)
		})
	}
}

// answerDHCP decides on a request; nil is no answer.
func (n *Network) answerDHCP(req *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	if id := req.ServerIdentifier(); id != nil && !n.isGateway(id) {
		return nil // for another server
	}
	kind := dhcpv4.MessageTypeAck
	switch req.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		kind = dhcpv4.MessageTypeOffer
	case dhcpv4.MessageTypeRequest:
		wanted := req.RequestedIPAddress() // SELECTING, INIT-REBOOT
		if wanted == nil || wanted.IsUnspecified() {
			wanted = req.ClientIPAddr // RENEWING, REBINDING
		}
		if a, ok := netip.AddrFromSlice(wanted); !ok || a.Unmap() != n.guest {
			return n.reply(req, dhcpv4.WithMessageType(dhcpv4.MessageTypeNak))
		}
	case dhcpv4.MessageTypeInform: // the client has an address of its own choice
		return n.reply(req, append(n.settings(), dhcpv4.WithMessageType(kind), dhcpv4.WithClientIP(req.ClientIPAddr))...)
	default: // RELEASE, DECLINE: the one address stays the guest's
		return nil
	}
	seconds := uint32(n.opt.Lease / time.Second)
	return n.reply(req, append(n.settings(), dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(net.IP(n.guest.AsSlice())),
		dhcpv4.WithClientIP(req.ClientIPAddr), dhcpv4.WithLeaseTime(seconds))...)
}

func (n *Network) isGateway(ip net.IP) bool {
	a, ok := netip.AddrFromSlice(ip)
	return ok && a.Unmap() == n.gateway
}

// reply makes an answer with our identity; nil if it cannot be made.
func (n *Network) reply(req *dhcpv4.DHCPv4, m ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	gateway := net.IP(n.gateway.AsSlice())
	m = append(m, dhcpv4.WithServerIP(gateway), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(gateway)))
	if id := req.Options.Get(dhcpv4.OptionClientIdentifier); id != nil { // RFC 6842
		m = append(m, dhcpv4.WithOption(dhcpv4.OptClientIdentifier(id)))
	}
	r, err := dhcpv4.NewReplyFromRequest(req, m...)
	if err != nil {
		return nil
	}
	return r
}

// settings are what each lease says about the network.
func (n *Network) settings() []dhcpv4.Modifier {
	gateway := net.IP(n.gateway.AsSlice())
	mtu := []byte{byte(n.opt.MTU >> 8), byte(n.opt.MTU)}
	return []dhcpv4.Modifier{
		dhcpv4.WithNetmask(net.CIDRMask(n.opt.Prefix.Bits(), 32)),
		dhcpv4.WithRouter(gateway),
		dhcpv4.WithDNS(gateway),
		dhcpv4.WithOption(dhcpv4.OptHostName(n.opt.Hostname)),
		dhcpv4.WithOption(dhcpv4.OptDomainName(Zone)),
		dhcpv4.WithGeneric(dhcpv4.OptionInterfaceMTU, mtu),
	}
}

// dhcpFrame wraps a reply into UDP, IPv4 and Ethernet. It goes to everybody if the
// client wishes so, or has no address and gets none (RFC 2131, 4.1).
func (n *Network) dhcpFrame(req, reply *dhcpv4.DHCPv4) []byte {
	payload := reply.ToBytes()
	mac, to := tcpip.LinkAddress(req.ClientHWAddr), reply.YourIPAddr.To4()
	if ip := req.ClientIPAddr.To4(); ip != nil && !ip.IsUnspecified() {
		to = ip
	}
	if req.IsBroadcast() || to == nil || to.IsUnspecified() || reply.MessageType() == dhcpv4.MessageTypeNak {
		mac, to = header.EthernetBroadcastAddress, net.IPv4bcast.To4()
	}
	const headers = header.EthernetMinimumSize + header.IPv4MinimumSize + header.UDPMinimumSize
	frame := make([]byte, headers, headers+len(payload))
	header.Ethernet(frame).Encode(&header.EthernetFields{SrcAddr: n.link.LinkAddress(), DstAddr: mac, Type: header.IPv4ProtocolNumber})
	src, dst := tcpip.AddrFrom4(n.gateway.As4()), tcpip.AddrFrom4Slice(to)
	ip := header.IPv4(frame[header.EthernetMinimumSize:])
	length := uint16(header.UDPMinimumSize + len(payload))
	ip.Encode(&header.IPv4Fields{TotalLength: header.IPv4MinimumSize + length, TTL: 64, Protocol: uint8(header.UDPProtocolNumber), SrcAddr: src, DstAddr: dst})
	ip.SetChecksum(^ip.CalculateChecksum())
	udp := header.UDP(ip[header.IPv4MinimumSize:])
	udp.Encode(&header.UDPFields{SrcPort: dhcpServerPort, DstPort: dhcpClientPort, Length: length})
	sum := header.PseudoHeaderChecksum(header.UDPProtocolNumber, src, dst, length)
	udp.SetChecksum(^udp.CalculateChecksum(checksum.Checksum(payload, sum)))
	return append(frame, payload...)
}

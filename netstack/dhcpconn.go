// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	dhcpServerPort = 67
	dhcpClientPort = 68
)

// dhcpConn is the DHCP client's packet connection. It works before there is an
// address: broadcasts are built here and go straight to the card, replies are
// taken from the link before the stack would drop them.
type dhcpConn struct {
	l       *link
	s       *stack.Stack
	source  func() netip.Addr // our address, for unicast; invalid: none
	replies chan []byte
	once    sync.Once
	closed  chan struct{}
}

var _ net.PacketConn = (*dhcpConn)(nil)

func newDHCPConn(s *stack.Stack, l *link, source func() netip.Addr) *dhcpConn {
	c := &dhcpConn{l: l, s: s, source: source, replies: make(chan []byte, 16), closed: make(chan struct{})}
	t := tap(func(payload []byte) {
		select {
		case c.replies <- payload:
		default: // a flood; the client asks again
		}
	})
	l.tap.Store(&t)
	return c
}

// ReadFrom gives the next DHCP message. The sender's address is not kept:
// messages name their server.
func (c *dhcpConn) ReadFrom(p []byte) (int, net.Addr, error) {
	select {
	case b := <-c.replies:
		return copy(p, b), &net.UDPAddr{IP: net.IPv4zero, Port: dhcpServerPort}, nil
	case <-c.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo sends a DHCP message: to a broadcast address from 0.0.0.0 (or our
// address), to others through the stack from our address.
func (c *dhcpConn) WriteTo(p []byte, to net.Addr) (int, error) {
	a, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, fmt.Errorf("DHCP: destination %v is no UDP address", to)
	}
	ip, ok := netip.AddrFromSlice(a.IP)
	if ip = ip.Unmap(); !ok || !ip.Is4() {
		return 0, fmt.Errorf("DHCP: destination %v is no IPv4 address", to)
	}
	src := c.source()
	if src.IsValid() && ip != netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return c.unicast(p, src, netip.AddrPortFrom(ip, uint16(a.Port)))
	}
	if err := c.broadcast(p, src, uint16(a.Port)); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *dhcpConn) unicast(p []byte, from netip.Addr, to netip.AddrPort) (int, error) {
	local := tcpip.FullAddress{NIC: ethernetNIC, Addr: tcpip.AddrFrom4(from.As4()), Port: dhcpClientPort}
	remote := tcpip.FullAddress{NIC: ethernetNIC, Addr: tcpip.AddrFrom4(to.Addr().As4()), Port: to.Port()}
	u, err := gonet.DialUDP(c.s, &local, &remote, ipv4.ProtocolNumber)
	if err != nil {
		return 0, fmt.Errorf("DHCP: %w", err)
	}
	defer u.Close()
	return u.Write(p)
}

// broadcast builds the whole frame.
func (c *dhcpConn) broadcast(p []byte, from netip.Addr, port uint16) error {
	const headers = header.IPv4MinimumSize + header.UDPMinimumSize
	if len(p) > int(c.l.MTU())-headers {
		return fmt.Errorf("DHCP: message of %d bytes is too long", len(p))
	}
	src, dst := header.IPv4Any, header.IPv4Broadcast
	if from.IsValid() {
		src = tcpip.AddrFrom4(from.As4())
	}
	b := make([]byte, headers+len(p))
	ip, udp := header.IPv4(b), header.UDP(b[header.IPv4MinimumSize:])
	copy(b[headers:], p)
	length := uint16(len(p) + header.UDPMinimumSize)
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(b)), TTL: 64, Protocol: uint8(header.UDPProtocolNumber), SrcAddr: src, DstAddr: dst})
	ip.SetChecksum(^ip.CalculateChecksum())
	udp.Encode(&header.UDPFields{SrcPort: dhcpClientPort, DstPort: port, Length: length})
	sum := checksum.Checksum(p, header.PseudoHeaderChecksum(header.UDPProtocolNumber, src, dst, length))
	udp.SetChecksum(^udp.CalculateChecksum(sum))

	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: int(c.l.MaxHeaderLength()),
		Payload:            buffer.MakeWithData(b),
	})
	defer pkt.DecRef()
	pkt.NetworkProtocolNumber = header.IPv4ProtocolNumber
	pkt.EgressRoute.RemoteLinkAddress = header.EthernetBroadcastAddress
	c.l.AddHeader(pkt)
	var list stack.PacketBufferList
	list.PushBack(pkt)
	if _, err := c.l.WritePackets(list); err != nil {
		return fmt.Errorf("DHCP: %v", err)
	}
	return nil
}

// Close ends ReadFrom.
func (c *dhcpConn) Close() error {
	c.once.Do(func() {
		c.l.tap.Store(nil)
		close(c.closed)
	})
	return nil
}

// LocalAddr is the client's port.
func (c *dhcpConn) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4zero, Port: dhcpClientPort} }

// Deadlines are not offered: the client has its own timers.
func (c *dhcpConn) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (c *dhcpConn) SetReadDeadline(time.Time) error  { return errors.ErrUnsupported }
func (c *dhcpConn) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

// dhcpReply returns the payload of an unfragmented UDP datagram to the DHCP
// client's port, nil for any other IPv4 packet.
func dhcpReply(pkt *stack.PacketBuffer) []byte {
	size := pkt.Data().Size()
	if size < header.IPv4MinimumSize+header.UDPMinimumSize {
		return nil
	}
	b, ok := pkt.Data().PullUp(size) // no copy: a received frame is one piece
	if !ok || header.IPv4(b).TransportProtocol() != header.UDPProtocolNumber {
		return nil
	}
	ip := header.IPv4(b)
	if !ip.IsValid(len(b)) || !ip.IsChecksumValid() || ip.More() || ip.FragmentOffset() != 0 {
		return nil
	}
	udp := header.UDP(ip.Payload())
	if len(udp) < header.UDPMinimumSize || udp.DestinationPort() != dhcpClientPort || udp.SourcePort() != dhcpServerPort {
		return nil
	}
	if n := udp.Length(); int(n) < header.UDPMinimumSize || int(n) > len(udp) {
		return nil
	}
	udp = udp[:udp.Length()]
	payload := udp.Payload()
	if udp.Checksum() != 0 && !udp.IsChecksumValid(ip.SourceAddress(), ip.DestinationAddress(), checksum.Checksum(payload, 0)) {
		return nil
	}
	return append([]byte(nil), payload...)
}

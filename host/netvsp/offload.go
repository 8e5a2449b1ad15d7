// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hvgo/hvgo/internal/wire/nvsp"
	"github.com/hvgo/hvgo/internal/wire/rndis"
)

// Offsets in headers, in bytes.
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86DD

	ipv4Header   = 20 // the least
	ipv4Checksum = 10
	ipv6Header   = 40

	protoTCP = 6
	protoUDP = 17

	tcpHeader   = 20 // the least
	tcpChecksum = 16
	udpHeader   = 8
	udpChecksum = 6
)

// capabilities are the offloads that the card does. Towards the guest it vouches for
// checksums that Deliver says are right, of IPv4; from the guest it computes those of
// both IP versions, and cuts large TCP frames.
func (n *NIC) capabilities() (o rndis.Offload) {
	const transport = rndis.CapTCP | rndis.CapTCPOptions | rndis.CapUDP
	if !n.opt.NoTxChecksum {
		o.IPv4Tx = transport | rndis.CapIPHeader | rndis.CapIPOptions
		o.IPv6Tx = transport | rndis.CapIPOptions // Linux uses the rest only with extension headers
		if !n.opt.NoLSO {
			o.LSOv4MaxSize, o.LSOv4MinSegments = maxOffload, minSegments
			o.LSOv6MaxSize, o.LSOv6MinSegments, o.LSOv6Flags = maxOffload, minSegments, lsoIPv6
		}
	}
	if !n.opt.NoRxChecksum {
		o.IPv4Rx = transport | rndis.CapIPHeader | rndis.CapIPOptions
	}
	return o
}

// appendOffload encodes an NDIS_OFFLOAD of the revision that the guest's NDIS has.
func (s *session) appendOffload(o rndis.Offload) []byte {
	b := o.AppendTo(nil)
	if s.version >= nvsp.Version5 {
		return b
	}
	// Revision 2, of NDIS 6.1, is the beginning of revision 3.
	b = b[:rndis.OffloadSizeRevision2]
	copy(b, rndis.ObjectHeader{Type: rndis.ObjectOffload, Revision: 2, Size: rndis.OffloadSizeRevision2}.AppendTo(nil))
	return b
}

// encapsulation is NDIS_OFFLOAD_ENCAPSULATION, revision 1: for both IP versions
// supported, Ethernet, and the size of its header.
func encapsulation() []byte {
	const size, supported, ethernet = 28, 1, 2
	b := rndis.ObjectHeader{Type: rndis.ObjectOffloadEncapsulation, Revision: 1, Size: size}.AppendTo(nil)
	for range 2 {
		b = le.AppendUint32(b, supported)
		b = le.AppendUint32(b, ethernet)
		b = le.AppendUint32(b, ethernetHeader)
	}
	return b
}

// setOffload switches offloads on and off.
func (s *session) setOffload(info []byte) rndis.Status {
	p, err := rndis.DecodeOffloadParameters(info)
	if err != nil {
		s.report(RuleRNDIS, "%v", err)
		return rndis.StatusInvalidData
	}
	caps := s.nic.capabilities()
	if p.LSOv1 == rndis.LSOOn {
		s.report(RuleOffload, "large send offload version 1 switched on, which is not offered")
		return rndis.StatusNotSupported
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &s.offload
	switch p.LSOv2IPv4 {
	case rndis.LSOOn:
		o.LSOv4MaxSize, o.LSOv4MinSegments = caps.LSOv4MaxSize, caps.LSOv4MinSegments
	case rndis.LSOOff:
		o.LSOv4MaxSize, o.LSOv4MinSegments = 0, 0
	}
	switch p.LSOv2IPv6 {
	case rndis.LSOOn:
		o.LSOv6MaxSize, o.LSOv6MinSegments, o.LSOv6Flags = caps.LSOv6MaxSize, caps.LSOv6MinSegments, caps.LSOv6Flags
	case rndis.LSOOff:
		o.LSOv6MaxSize, o.LSOv6MinSegments, o.LSOv6Flags = 0, 0, 0
	}
	for _, c := range []struct {
		set      rndis.OffloadSetting
		tx, rx   *rndis.ChecksumCaps
		capTx    rndis.ChecksumCaps
		capRx    rndis.ChecksumCaps
		features rndis.ChecksumCaps
	}{
		{p.IPv4, &o.IPv4Tx, &o.IPv4Rx, caps.IPv4Tx, caps.IPv4Rx, rndis.CapIPHeader | rndis.CapIPOptions},
		{p.TCPv4, &o.IPv4Tx, &o.IPv4Rx, caps.IPv4Tx, caps.IPv4Rx, rndis.CapTCP | rndis.CapTCPOptions},
		{p.UDPv4, &o.IPv4Tx, &o.IPv4Rx, caps.IPv4Tx, caps.IPv4Rx, rndis.CapUDP},
		{p.TCPv6, &o.IPv6Tx, &o.IPv6Rx, caps.IPv6Tx, caps.IPv6Rx, rndis.CapTCP | rndis.CapTCPOptions | rndis.CapIPOptions},
		{p.UDPv6, &o.IPv6Tx, &o.IPv6Rx, caps.IPv6Tx, caps.IPv6Rx, rndis.CapUDP},
	} {
		switchCaps(c.tx, c.capTx&c.features, c.features, c.set, rndis.ChecksumTransmit)
		switchCaps(c.rx, c.capRx&c.features, c.features, c.set, rndis.ChecksumReceive)
	}
	return rndis.StatusSuccess
}

// switchCaps sets the features of one direction as a setting says.
func switchCaps(caps *rndis.ChecksumCaps, able, features rndis.ChecksumCaps, set, direction rndis.OffloadSetting) {
	if set == rndis.OffloadNoChange {
		return
	}
	*caps &^= features
	if set == direction || set == rndis.ChecksumBoth {
		*caps |= able
	}
}

// rxChecksum is what the card says about the checksums of a frame for the guest. mu
// is held.
func (s *session) rxChecksum(q queuedFrame) (c rndis.ChecksumRx) {
	if !q.checked {
		return 0
	}
	ip, err := parseIP(q.frame)
	if err != nil || ip.v6 || ip.fragment {
		return 0
	}
	on := s.offload.IPv4Rx
	if on.Has(rndis.CapIPHeader) {
		c |= rndis.ChecksumRxIPSucceeded
	}
	switch {
	case ip.protocol == protoTCP && on.Has(rndis.CapTCP):
		c |= rndis.ChecksumRxTCPSucceeded
	case ip.protocol == protoUDP && on.Has(rndis.CapUDP):
		c |= rndis.ChecksumRxUDPSucceeded
	}
	return c
}

// ipPacket is where things are in a frame.
type ipPacket struct {
	v6       bool
	protocol byte
	fragment bool
	start    int // of the IP header
	payload  int // offset of what follows the IP header
	end      int // offset of the packet's end; Ethernet padding may follow
}

var errNotIP = errors.New("not an IP packet")

// parseIP reads the IP header of a frame. Extension headers of IPv6 are not followed.
func parseIP(frame []byte) (p ipPacket, err error) {
	if len(frame) < ethernetHeader {
		return p, errNotIP
	}
	be, ip := binary.BigEndian, frame[ethernetHeader:]
	p.start = ethernetHeader
	switch t := be.Uint16(frame[12:]); {
	case t == etherIPv4 && len(ip) >= ipv4Header && ip[0]>>4 == 4:
		p.protocol, p.fragment = ip[9], be.Uint16(ip[6:])&0x3FFF != 0
		p.payload = ethernetHeader + int(ip[0]&15)*4
		p.end = ethernetHeader + int(be.Uint16(ip[2:]))
	case t == etherIPv6 && len(ip) >= ipv6Header && ip[0]>>4 == 6:
		p.v6, p.protocol = true, ip[6]
		p.payload = ethernetHeader + ipv6Header
		p.end = p.payload + int(be.Uint16(ip[4:]))
	default:
		return p, errNotIP
	}
	if p.payload < ethernetHeader+ipv4Header || p.payload > p.end || p.end > len(frame) {
		return p, fmt.Errorf("IP packet: header ends at %d, packet at %d, of %d bytes", p.payload, p.end, len(frame))
	}
	return p, nil
}

// finishChecksums fills in what the guest left to the card. It must have switched the
// offload on, and left the sum of the pseudo header in the field.
func finishChecksums(frame []byte, c rndis.ChecksumTx, on rndis.Offload) error {
	ip, err := parseIP(frame)
	if err != nil {
		return fmt.Errorf("checksum offload: %w", err)
	}
	caps := on.IPv4Tx
	if ip.v6 {
		caps = on.IPv6Tx
	}
	if ip.v6 != (c&rndis.ChecksumTxIPv6 != 0) || ip.v6 == (c&rndis.ChecksumTxIPv4 != 0) {
		return fmt.Errorf("checksum offload %#x for the other version of IP", uint32(c))
	}
	if c&rndis.ChecksumTxIPHeader != 0 {
		if ip.v6 || !caps.Has(rndis.CapIPHeader) {
			return errors.New("IP header checksum offload is not switched on")
		}
		header := frame[ip.start:ip.payload]
		binary.BigEndian.PutUint16(header[ipv4Checksum:], 0)
		binary.BigEndian.PutUint16(header[ipv4Checksum:], ^fold(sum(0, header)))
	}
	tcp, udp := c&rndis.ChecksumTxTCP != 0, c&rndis.ChecksumTxUDP != 0
	switch {
	case tcp && udp || (tcp || udp) && ip.fragment:
		return fmt.Errorf("checksum offload %#x of a packet with protocol %d, fragment %t", uint32(c), ip.protocol, ip.fragment)
	case tcp && !caps.Has(rndis.CapTCP), udp && !caps.Has(rndis.CapUDP):
		return fmt.Errorf("checksum offload %#x is not switched on", uint32(c))
	case tcp:
		return finishTransport(frame, ip, c.Offset(), protoTCP, tcpHeader, tcpChecksum)
	case udp:
		return finishTransport(frame, ip, c.Offset(), protoUDP, udpHeader, udpChecksum)
	}
	return nil
}

// finishTransport fills in the checksum of TCP or UDP.
func finishTransport(frame []byte, ip ipPacket, offset int, protocol byte, header, field int) error {
	if !ip.v6 && ip.protocol != protocol || offset < ip.payload || offset+header > ip.end {
		return fmt.Errorf("checksum offload of protocol %d at %d: the packet has %d from %d to %d", protocol, offset, ip.protocol, ip.payload, ip.end)
	}
	segment := frame[offset:ip.end]
	addresses := frame[ip.start+12 : ip.start+20]
	if ip.v6 {
		addresses = frame[ip.start+8 : ip.start+40]
	}
	pseudo := fold(sum(uint32(protocol)+uint32(len(segment)), addresses))
	if got := binary.BigEndian.Uint16(segment[field:]); got != pseudo {
		return fmt.Errorf("checksum offload: the field holds %#04x, the pseudo header's sum is %#04x", got, pseudo)
	}
	v := ^fold(sum(0, segment))
	if v == 0 && protocol == protoUDP {
		v = 0xFFFF // 0 says that there is none (RFC 768)
	}
	binary.BigEndian.PutUint16(segment[field:], v)
	return nil
}

// sum adds up 16-bit words as the Internet checksum does (RFC 1071).
func sum(s uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) > 0 {
		s += uint32(b[0]) << 8
	}
	return s
}

// fold brings a sum down to 16 bits with the carries added.
func fold(s uint32) uint16 {
	for s>>16 != 0 {
		s = s&0xFFFF + s>>16
	}
	return uint16(s)
}

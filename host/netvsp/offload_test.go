// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
	"bytes"
	"testing"

	"github.com/hvgo/hvgo/internal/wire/rndis"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// testPacket is a frame with a TCP or UDP packet whose checksum field holds the sum of
// the pseudo header, as a guest leaves it; want is the checksum by gVisor's code.
func testPacket(v6 bool, protocol tcpip.TransportProtocolNumber, payload []byte) (frame []byte, offset int, want uint16) {
	frame = make([]byte, ethernetHeader)
	transport := make([]byte, header.TCPMinimumSize)
	if protocol == header.UDPProtocolNumber {
		transport = make([]byte, header.UDPMinimumSize)
		header.UDP(transport).Encode(&header.UDPFields{SrcPort: 1000, DstPort: 2000, Length: uint16(len(transport) + len(payload))})
	} else {
		header.TCP(transport).Encode(&header.TCPFields{SrcPort: 1000, DstPort: 2000, SeqNum: 1 << 30, DataOffset: header.TCPMinimumSize})
	}
	length := uint16(len(transport) + len(payload))
	var src, dst tcpip.Address
	if v6 {
		src, dst = tcpip.AddrFrom16([16]byte{0xFE, 0x80, 15: 1}), tcpip.AddrFrom16([16]byte{0xFE, 0x80, 15: 2})
		ip := make([]byte, header.IPv6MinimumSize)
		header.IPv6(ip).Encode(&header.IPv6Fields{PayloadLength: length, TransportProtocol: protocol, HopLimit: 64, SrcAddr: src, DstAddr: dst})
		frame[12], frame[13] = 0x86, 0xDD
		frame = append(frame, ip...)
	} else {
		src, dst = tcpip.AddrFrom4([4]byte{10, 0, 0, 1}), tcpip.AddrFrom4([4]byte{10, 0, 0, 2})
		ip := make([]byte, header.IPv4MinimumSize)
		header.IPv4(ip).Encode(&header.IPv4Fields{TotalLength: header.IPv4MinimumSize + length, TTL: 64, Protocol: uint8(protocol), SrcAddr: src, DstAddr: dst})
		frame[12] = 8
		frame = append(frame, ip...)
	}
	pseudo := header.PseudoHeaderChecksum(protocol, src, dst, length)
	want = ^checksum.Checksum(payload, checksum.Checksum(transport, pseudo))
	if protocol == header.UDPProtocolNumber {
		header.UDP(transport).SetChecksum(pseudo)
	} else {
		header.TCP(transport).SetChecksum(pseudo)
	}
	offset = len(frame)
	return append(append(frame, transport...), payload...), offset, want
}

func TestFinishChecksums(t *testing.T) {
	n := &NIC{}
	on := n.capabilities()
	for _, v6 := range []bool{false, true} {
		for _, protocol := range []tcpip.TransportProtocolNumber{header.TCPProtocolNumber, header.UDPProtocolNumber} {
			for size := range 70 {
				payload := bytes.Repeat([]byte{0xF1, byte(size), 0x9C}, size)[:size]
				f, offset, want := testPacket(v6, protocol, payload)
				f = append(f, 1, 2, 3) // padding counts for nothing
				c := rndis.ChecksumTxIPv4
				if v6 {
					c = rndis.ChecksumTxIPv6
				}
				got := func() uint16 { return header.TCP(f[offset:]).Checksum() }
				if protocol == header.TCPProtocolNumber {
					c |= rndis.ChecksumTxTCP
				} else {
					c |= rndis.ChecksumTxUDP
					got = func() uint16 { return header.UDP(f[offset:]).Checksum() }
				}
				if err := finishChecksums(f, c.WithOffset(offset), on); err != nil || got() != want {
					t.Fatalf("IPv6 %t, protocol %d, %d bytes: %#x, want %#x; %v", v6, protocol, size, got(), want, err)
				}
			}
		}
	}
}

func TestFinishIPHeader(t *testing.T) {
	f, _, _ := testPacket(false, header.UDPProtocolNumber, []byte("hi"))
	n := &NIC{}
	if err := finishChecksums(f, rndis.ChecksumTxIPv4|rndis.ChecksumTxIPHeader, n.capabilities()); err != nil {
		t.Fatal(err)
	}
	if ip := header.IPv4(f[ethernetHeader:]); !ip.IsChecksumValid() {
		t.Errorf("%#x", ip.Checksum())
	}
}

// What a guest may not ask for; the frame is dropped, nothing outside it is touched.
func TestFinishChecksumsErrors(t *testing.T) {
	const tcp4 = rndis.ChecksumTxIPv4 | rndis.ChecksumTxTCP
	all := new(NIC).capabilities()
	for name, c := range map[string]struct {
		mark   func(f []byte) []byte
		c      rndis.ChecksumTx
		offset int
		on     rndis.Offload
	}{
		"off":            {nil, tcp4, 34, rndis.Offload{}},
		"IPv6 bit":       {nil, rndis.ChecksumTxIPv6 | rndis.ChecksumTxTCP, 34, all},
		"both bits":      {nil, rndis.ChecksumTxIPv6 | tcp4, 34, all},
		"both protocols": {nil, tcp4 | rndis.ChecksumTxUDP, 34, all},
		"UDP":            {nil, rndis.ChecksumTxIPv4 | rndis.ChecksumTxUDP, 34, all},
		"in IP header":   {nil, tcp4, 20, all},
		"no offset":      {nil, tcp4, 0, all},
		"at the end":     {nil, tcp4, 36, all},
		"far out":        {nil, tcp4, 1023, all},
		"fragment":       {func(f []byte) []byte { f[20] = 0x20; return f }, tcp4, 34, all},
		"pseudo header":  {func(f []byte) []byte { f[50]++; return f }, tcp4, 34, all},
		"header length":  {func(f []byte) []byte { f[14] = 0x4F; return f }, tcp4, 34, all},
		"short header":   {func(f []byte) []byte { f[14] = 0x44; return f }, tcp4, 34, all},
		"total length":   {func(f []byte) []byte { f[16] = 0xFF; return f }, tcp4, 34, all},
		"cut":            {func(f []byte) []byte { return f[:30] }, tcp4, 34, all},
		"Ethernet only":  {func(f []byte) []byte { return f[:14] }, tcp4, 34, all},
		"ARP":            {func(f []byte) []byte { f[13] = 6; return f }, tcp4, 34, all},
	} {
		f, _, _ := testPacket(false, header.TCPProtocolNumber, []byte("x"))
		if c.mark != nil {
			f = c.mark(f)
		}
		if err := finishChecksums(f, c.c.WithOffset(c.offset), c.on); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// What the card says about frames for the guest.
func TestRxChecksum(t *testing.T) {
	tcp, _, _ := testPacket(false, header.TCPProtocolNumber, nil)
	udp, _, _ := testPacket(false, header.UDPProtocolNumber, nil)
	udp6, _, _ := testPacket(true, header.UDPProtocolNumber, nil)
	fragment := bytes.Clone(tcp)
	fragment[20] = 0x20
	all := rndis.Offload{IPv4Rx: rndis.CapTCP | rndis.CapUDP | rndis.CapIPHeader}
	for _, c := range []struct {
		q    queuedFrame
		on   rndis.Offload
		want rndis.ChecksumRx
	}{
		{queuedFrame{tcp, true}, all, rndis.ChecksumRxIPSucceeded | rndis.ChecksumRxTCPSucceeded},
		{queuedFrame{udp, true}, all, rndis.ChecksumRxIPSucceeded | rndis.ChecksumRxUDPSucceeded},
		{queuedFrame{udp, true}, rndis.Offload{IPv4Rx: rndis.CapTCP}, 0},
		{queuedFrame{tcp, false}, all, 0},
		{queuedFrame{tcp, true}, rndis.Offload{}, 0},
		{queuedFrame{fragment, true}, all, 0},
		{queuedFrame{udp6, true}, all, 0},
		{queuedFrame{tcp[:20], true}, all, 0},
	} {
		s := &session{offload: c.on}
		if got := s.rxChecksum(c.q); got != c.want {
			t.Errorf("%x: %#x, want %#x", c.q.frame, got, c.want)
		}
	}
}

func TestSwitchCaps(t *testing.T) {
	s := &session{nic: &NIC{}}
	set := func(p rndis.OffloadParameters) rndis.Status {
		return s.setOffload(p.AppendTo(nil, rndis.OffloadParametersSize))
	}
	set(rndis.OffloadParameters{IPv4: rndis.ChecksumReceive, TCPv4: rndis.ChecksumBoth, UDPv4: rndis.ChecksumTransmit, UDPv6: rndis.ChecksumBoth})
	want := rndis.Offload{
		IPv4Tx: rndis.CapTCP | rndis.CapTCPOptions | rndis.CapUDP,
		IPv4Rx: rndis.CapTCP | rndis.CapTCPOptions | rndis.CapIPHeader | rndis.CapIPOptions,
		IPv6Tx: rndis.CapUDP, // received IPv6 is not vouched for
	}
	if s.offload != want {
		t.Errorf("%+v, want %+v", s.offload, want)
	}
	set(rndis.OffloadParameters{TCPv4: rndis.ChecksumOff}) // the rest stays
	want.IPv4Tx, want.IPv4Rx = rndis.CapUDP, rndis.CapIPHeader|rndis.CapIPOptions
	if s.offload != want {
		t.Errorf("%+v, want %+v", s.offload, want)
	}
}

// IPv6 with options before TCP: the card claims to handle them.
func TestFinishExtension(t *testing.T) {
	f, offset, want := testPacket(true, header.TCPProtocolNumber, []byte("payload"))
	options := []byte{protoTCP, 0, 1, 4, 0, 0, 0, 0} // PadN
	f = append(f[:offset:offset], append(options, f[offset:]...)...)
	f[ethernetHeader+6] = 60
	header.IPv6(f[ethernetHeader:]).SetPayloadLength(uint16(len(f) - offset))
	c := (rndis.ChecksumTxIPv6 | rndis.ChecksumTxTCP).WithOffset(offset + len(options))
	if err := finishChecksums(f, c, new(NIC).capabilities()); err != nil {
		t.Fatal(err)
	}
	if got := header.TCP(f[offset+len(options):]).Checksum(); got != want {
		t.Errorf("%#x, want %#x", got, want)
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package usernet_test

import (
	"encoding/binary"
	"net"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

var guestMAC = net.HardwareAddr{2, 0, 0, 0, 0, 5}

// discover is a frame with a DHCP message.
func discover(m ...dhcpv4.Modifier) []byte {
	d, err := dhcpv4.NewDiscovery(guestMAC, m...)
	if err != nil {
		panic(err)
	}
	return dhcpFrame(d)
}

// dhcpFrame wraps a client's message.
func dhcpFrame(d *dhcpv4.DHCPv4) []byte {
	payload := d.ToBytes()
	f := []byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 0, 5, 8, 0}
	ip := make([]byte, header.IPv4MinimumSize+header.UDPMinimumSize)
	header.IPv4(ip).Encode(&header.IPv4Fields{TotalLength: uint16(len(ip) + len(payload)), TTL: 64, Protocol: 17})
	copy(ip[16:], []byte{255, 255, 255, 255})
	header.UDP(ip[20:]).Encode(&header.UDPFields{SrcPort: 68, DstPort: 67, Length: uint16(8 + len(payload))})
	return append(append(f, ip...), payload...)
}

// readDHCP reads a frame with a server's message, checksums included.
func readDHCP(t *testing.T, f []byte) *dhcpv4.DHCPv4 {
	t.Helper()
	ip := header.IPv4(f[14:])
	udp := header.UDP(ip.Payload())
	if !ip.IsChecksumValid() || udp.SourcePort() != 67 || udp.DestinationPort() != 68 || int(udp.Length()) != len(udp) {
		t.Fatalf("%x", f)
	}
	sum := header.PseudoHeaderChecksum(17, ip.SourceAddress(), ip.DestinationAddress(), uint16(len(udp)))
	for b := []byte(udp); len(b) > 0; b = b[min(2, len(b)):] {
		w := append([]byte(nil), b[:min(2, len(b))]...)
		s := uint32(sum) + uint32(binary.BigEndian.Uint16(append(w, 0)))
		sum = uint16(s&0xFFFF + s>>16)
	}
	if sum != 0xFFFF {
		t.Errorf("UDP checksum: the sum is %#x", sum)
	}
	d, err := dhcpv4.FromBytes(udp.Payload())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDHCP(t *testing.T) {
	n, c := offline(t)
	guest, gateway := net.IP(n.Guest().AsSlice()), net.IP(n.Gateway().AsSlice())
	request := func(m ...dhcpv4.Modifier) []byte {
		d, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(guestMAC), dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest)}, m...)...)
		if err != nil {
			t.Fatal(err)
		}
		return dhcpFrame(d)
	}
	wants := dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(guest))
	for _, s := range []struct {
		name  string
		frame []byte
		want  dhcpv4.MessageType // 0: no answer
		mac   byte               // the first of the destination
	}{
		{"discover", discover(), dhcpv4.MessageTypeOffer, 2},
		{"discover, broadcast", discover(dhcpv4.WithBroadcast(true)), dhcpv4.MessageTypeOffer, 0xFF},
		{"another server", request(wants, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IP{10, 0, 0, 1}))), 0, 0},
		{"another address", request(dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IP{192, 168, 127, 9}))), dhcpv4.MessageTypeNak, 0xFF},
		{"no address", request(), dhcpv4.MessageTypeNak, 0xFF},
		{"request", request(wants, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(gateway))), dhcpv4.MessageTypeAck, 2},
		{"renewal", request(dhcpv4.WithClientIP(guest)), dhcpv4.MessageTypeAck, 2},
		{"inform", request(dhcpv4.WithMessageType(dhcpv4.MessageTypeInform), dhcpv4.WithClientIP(guest)), dhcpv4.MessageTypeAck, 2},
		{"release", request(dhcpv4.WithMessageType(dhcpv4.MessageTypeRelease), dhcpv4.WithClientIP(guest)), 0, 0},
	} {
		n.Transmit(s.frame)
		if len(c.frames) == 0 {
			if s.want != 0 {
				t.Errorf("%s: no answer", s.name)
			}
			continue
		}
		f := <-c.frames
		d := readDHCP(t, f)
		if d.MessageType() != s.want || f[0] != s.mac || !d.ServerIdentifier().Equal(gateway) {
			t.Errorf("%s: to %x: %s", s.name, f[:6], d.Summary())
		}
		gives := s.want != dhcpv4.MessageTypeNak && s.name != "inform"
		if gives != d.YourIPAddr.Equal(guest) || gives != (d.IPAddressLeaseTime(0) > 0) {
			t.Errorf("%s: %s", s.name, d.Summary())
		}
	}
	if s := n.Stats(); s.Leases != 2 || s.Malformed != 0 {
		t.Errorf("%+v", s)
	}
	n.Transmit(discover()[:100])
	short := discover()
	binary.BigEndian.PutUint16(short[38:], 7)
	n.Transmit(short)
	if s := n.Stats(); s.Malformed != 2 {
		t.Errorf("%+v", s)
	}
}

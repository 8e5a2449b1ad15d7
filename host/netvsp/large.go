// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hvgo/hvgo/internal/wire/rndis"
)

// Large send offload, version 2: the guest sends TCP frames that are longer than the
// MTU, the card cuts them. Limits as vmswitch has them.
const (
	maxOffload  = 0xF53C // bytes of TCP payload that the guest may rely on
	minSegments = 2
	maxLSO      = 1<<16 - 1 // bytes of an IP packet: more has no length field

	// LSOv6Flags: extension headers and TCP options are handled. Linux uses LSO of
	// IPv6 only with both.
	lsoIPv6 = 1<<0 | 1<<2

	lsoVersion2 = 1 << 30

	tcpSequence = 4
	tcpFlags    = 13
	tcpFIN      = 1 << 0
	tcpPSH      = 1 << 3
	tcpCWR      = 1 << 7
)

// large is a large TCP frame: where its parts are, all checked.
type large struct {
	v6      bool
	tcp     int // offset of the TCP header
	payload int // offset of what is cut
	mss     int // bytes of payload in a segment
}

// minMSS bounds into how many segments one frame is cut. Each link carries packets of
// 68 bytes (RFC 791, 3.2), of which IP's and TCP's headers are 40.
const minMSS = 28

// parseLarge checks a large frame. The lengths in its IP header do not count: guests
// leave them zero.
func parseLarge(frame []byte, l rndis.LSO, on rndis.Offload, mtu int) (p large, err error) {
	p = large{v6: l.IPv6(), tcp: l.Offset(), mss: l.MSS()}
	limit := on.LSOv4MaxSize
	if p.v6 {
		limit = on.LSOv6MaxSize
	}
	switch {
	case l&lsoVersion2 == 0:
		return p, errors.New("large send offload of version 1")
	case limit == 0:
		return p, errors.New("large send offload is not switched on")
	}
	if err := p.checkIP(frame); err != nil {
		return p, err
	}
	if len(frame) < p.tcp+tcpHeader {
		return p, fmt.Errorf("large frame of %d bytes, TCP header at %d", len(frame), p.tcp)
	}
	header := int(frame[p.tcp+12]>>4) * 4
	p.payload = p.tcp + header
	if header < tcpHeader || p.payload >= len(frame) {
		return p, fmt.Errorf("large frame of %d bytes, TCP header at %d of %d", len(frame), p.tcp, header)
	}
	if p.mss < minMSS || p.payload+p.mss > mtu {
		return p, fmt.Errorf("large frame with MSS %d behind %d bytes of headers, at least %d and frames of at most %d bytes are possible", p.mss, p.payload, minMSS, mtu)
	}
	segment := frame[p.tcp:]
	if got, want := binary.BigEndian.Uint16(segment[tcpChecksum:]), p.pseudo(frame, 0); got != want {
		return p, fmt.Errorf("large frame: the checksum field holds %#04x, the pseudo header's sum without length is %#04x", got, want)
	}
	return p, nil
}

// checkIP checks that the IP header leads to TCP where the guest says it is.
func (p *large) checkIP(frame []byte) error {
	ip := frame[ethernetHeader:]
	t := binary.BigEndian.Uint16(frame[12:])
	switch {
	case p.v6 && t == etherIPv6 && len(ip) >= ipv6Header && ip[0]>>4 == 6 && ethernetHeader+tcpBehind(ip) == p.tcp:
		return nil
	case !p.v6 && t == etherIPv4 && len(ip) >= ipv4Header && ip[0]>>4 == 4 && ip[0]&15 >= 5 && ip[9] == protoTCP &&
		p.tcp == ethernetHeader+int(ip[0]&15)*4 && binary.BigEndian.Uint16(ip[6:])&0x3FFF == 0:
		return nil
	}
	return fmt.Errorf("large frame of type %#x, IPv6 %t, TCP header at %d", t, p.v6, p.tcp)
}

// tcpBehind returns where TCP begins in an IPv6 packet, behind hop-by-hop and
// destination options; 0 if it does not. A routing header has no place here: it
// changes the pseudo header.
func tcpBehind(ip []byte) int {
	const hopByHop, destination = 0, 60
	next, at := ip[6], ipv6Header
	for next == hopByHop || next == destination {
		if at+2 > len(ip) {
			return 0
		}
		next, at = ip[at], at+8+int(ip[at+1])*8 // RFC 8200 section 4.3
	}
	if next != protoTCP {
		return 0
	}
	return at
}

// pseudo is the sum of the pseudo header with a length.
func (p *large) pseudo(frame []byte, length int) uint16 {
	addresses := frame[ethernetHeader+12 : ethernetHeader+20]
	if p.v6 {
		addresses = frame[ethernetHeader+8 : ethernetHeader+40]
	}
	return fold(sum(uint32(protoTCP)+uint32(length), addresses))
}

// finish fills in lengths and checksums of a frame whose TCP checksum field is to be
// replaced.
func (p *large) finish(frame []byte) {
	be, ip := binary.BigEndian, frame[ethernetHeader:p.tcp]
	if p.v6 {
		be.PutUint16(ip[4:], uint16(len(frame)-ethernetHeader-ipv6Header))
	} else {
		be.PutUint16(ip[2:], uint16(len(frame)-ethernetHeader))
		be.PutUint16(ip[ipv4Checksum:], 0)
		be.PutUint16(ip[ipv4Checksum:], ^fold(sum(0, ip)))
	}
	segment := frame[p.tcp:]
	be.PutUint16(segment[tcpChecksum:], p.pseudo(frame, len(segment)))
	be.PutUint16(segment[tcpChecksum:], ^fold(sum(0, segment)))
}

// cut calls emit with each segment, which is valid until emit returns. Of the flags,
// FIN and PSH go with the last segment, CWR with the first.
func (p *large) cut(frame []byte, emit func(segment []byte)) {
	be := binary.BigEndian
	header, rest := frame[:p.payload], frame[p.payload:]
	flags, sequence := header[p.tcp+tcpFlags], be.Uint32(header[p.tcp+tcpSequence:])
	out := make([]byte, 0, p.payload+p.mss)
	for i := 0; len(rest) > 0; i++ {
		n := min(p.mss, len(rest))
		out = append(append(out[:0], header...), rest[:n]...)
		rest = rest[n:]
		if !p.v6 {
			id := be.Uint16(out[ethernetHeader+4:])
			be.PutUint16(out[ethernetHeader+4:], id+uint16(i))
		}
		be.PutUint32(out[p.tcp+tcpSequence:], sequence)
		sequence += uint32(n)
		f := flags
		if i > 0 {
			f &^= tcpCWR
		}
		if len(rest) > 0 {
			f &^= tcpFIN | tcpPSH
		}
		out[p.tcp+tcpFlags] = f
		p.finish(out)
		emit(out)
	}
}

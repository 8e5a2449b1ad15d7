// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/hvgo/hvgo/internal/wire/rndis"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// largeFrame is a TCP frame as a guest with LSO leaves it: no lengths in the IP header,
// no length in the sum of the pseudo header.
func largeFrame(v6 bool, payload []byte) (frame []byte, tcp int) {
	f, tcp, _ := testPacket(v6, header.TCPProtocolNumber, payload)
	p := large{v6: v6, tcp: tcp}
	if v6 {
		binary.BigEndian.PutUint16(f[ethernetHeader+4:], 0)
	} else {
		binary.BigEndian.PutUint16(f[ethernetHeader+2:], 0)
		binary.BigEndian.PutUint16(f[ethernetHeader+4:], 0xFFFF) // the id wraps
	}
	f[tcp+tcpFlags] = tcpFIN | tcpPSH | tcpCWR | 1<<4
	binary.BigEndian.PutUint16(f[tcp+tcpChecksum:], p.pseudo(f, 0))
	return f, tcp
}

// checkSegment checks a frame as a receiver does, and returns its payload.
func checkSegment(t *testing.T, f []byte, v6 bool, sequence uint32, flags byte) []byte {
	t.Helper()
	ip, err := parseIP(f)
	if err != nil || ip.v6 != v6 || ip.end != len(f) {
		t.Fatalf("%+v of %d bytes, %v", ip, len(f), err)
	}
	tcp := header.TCP(f[ip.payload:])
	payload := f[ip.payload+int(tcp.DataOffset()):]
	var sum uint16
	if v6 {
		h := header.IPv6(f[ethernetHeader:])
		sum = header.PseudoHeaderChecksum(header.TCPProtocolNumber, h.SourceAddress(), h.DestinationAddress(), uint16(len(tcp)))
	} else {
		h := header.IPv4(f[ethernetHeader:])
		if !h.IsChecksumValid() {
			t.Error("IP checksum")
		}
		sum = header.PseudoHeaderChecksum(header.TCPProtocolNumber, h.SourceAddress(), h.DestinationAddress(), uint16(len(tcp)))
	}
	if got := fold(uint32(sum) + uint32(fold(sumOf(tcp)))); got != 0xFFFF {
		t.Errorf("TCP checksum: sum %#x", got)
	}
	if tcp.SequenceNumber() != sequence || byte(tcp.Flags()) != flags {
		t.Errorf("sequence %d, flags %#x, want %d, %#x", tcp.SequenceNumber(), tcp.Flags(), sequence, flags)
	}
	return payload
}

func sumOf(b []byte) uint32 { return sum(0, b) }

func TestCut(t *testing.T) {
	on := new(NIC).capabilities()
	for _, v6 := range []bool{false, true} {
		for _, size := range []int{1, 99, 100, 101, 250, 1000, 60000} {
			t.Run(fmt.Sprint("IPv6 ", v6, " ", size), func(t *testing.T) {
				payload := make([]byte, size)
				for i := range payload {
					payload[i] = byte(i * 7)
				}
				f, tcp := largeFrame(v6, payload)
				p, err := parseLarge(f, rndis.NewLSO(100, tcp, v6), on, 1514)
				if err != nil {
					t.Fatal(err)
				}
				var got []byte
				i, last := 0, (size-1)/100
				p.cut(f, func(s []byte) {
					want := byte(1 << 4)
					if i == 0 {
						want |= tcpCWR
					}
					if i == last {
						want |= tcpFIN | tcpPSH
					}
					got = append(got, checkSegment(t, s, v6, 1<<30+uint32(i)*100, want)...)
					if !v6 && header.IPv4(s[ethernetHeader:]).ID() != 0xFFFF+uint16(i) {
						t.Errorf("segment %d has id %#x", i, header.IPv4(s[ethernetHeader:]).ID())
					}
					i++
				})
				if !bytes.Equal(got, payload) || i != last+1 {
					t.Errorf("%d segments, %d bytes", i, len(got))
				}
				p.finish(f)
				if !bytes.Equal(checkSegment(t, f, v6, 1<<30, tcpFIN|tcpPSH|tcpCWR|1<<4), payload) {
					t.Error("uncut payload")
				}
			})
		}
	}
}

// IPv6 with options before TCP.
func TestCutExtension(t *testing.T) {
	f, tcp := largeFrame(true, make([]byte, 300))
	options := []byte{protoTCP, 0, 1, 4, 0, 0, 0, 0} // PadN
	f = append(f[:tcp:tcp], append(options, f[tcp:]...)...)
	f[ethernetHeader+6] = 60
	p, err := parseLarge(f, rndis.NewLSO(100, tcp+8, true), new(NIC).capabilities(), 1514)
	if err != nil {
		t.Fatal(err)
	}
	segments := 0
	p.cut(f, func(s []byte) {
		segments++
		if n := binary.BigEndian.Uint16(s[ethernetHeader+4:]); n != 8+20+100 || !bytes.Equal(s[tcp:tcp+8], options) {
			t.Errorf("length %d, %x", n, s[tcp:tcp+8])
		}
	})
	if segments != 3 {
		t.Errorf("%d segments", segments)
	}
}

// What a guest may not ask for.
func TestParseLargeErrors(t *testing.T) {
	all := new(NIC).capabilities()
	for name, c := range map[string]struct {
		mark func(f []byte) []byte
		lso  rndis.LSO
		on   rndis.Offload
	}{
		"off":             {nil, rndis.NewLSO(100, 34, false), rndis.Offload{}},
		"version 1":       {nil, rndis.NewLSO(100, 34, false) &^ lsoVersion2, all},
		"IPv6 bit":        {nil, rndis.NewLSO(100, 34, true), all},
		"no MSS":          {nil, rndis.NewLSO(0, 34, false), all},
		"small MSS":       {nil, rndis.NewLSO(27, 34, false), all},
		"MSS above MTU":   {nil, rndis.NewLSO(1461, 34, false), all},
		"offset":          {nil, rndis.NewLSO(100, 38, false), all},
		"offset 0":        {nil, rndis.NewLSO(100, 0, false), all},
		"no payload":      {func(f []byte) []byte { return f[:54] }, rndis.NewLSO(100, 34, false), all},
		"cut in TCP":      {func(f []byte) []byte { return f[:50] }, rndis.NewLSO(100, 34, false), all},
		"cut in IP":       {func(f []byte) []byte { return f[:30] }, rndis.NewLSO(100, 34, false), all},
		"Ethernet only":   {func(f []byte) []byte { return f[:14] }, rndis.NewLSO(100, 34, false), all},
		"TCP header":      {func(f []byte) []byte { f[46] = 0x40; return f }, rndis.NewLSO(100, 34, false), all},
		"long TCP header": {func(f []byte) []byte { f[46] = 0xF0; return f[:90] }, rndis.NewLSO(100, 34, false), all},
		"UDP":             {func(f []byte) []byte { f[23] = protoUDP; return f }, rndis.NewLSO(100, 34, false), all},
		"fragment":        {func(f []byte) []byte { f[20] = 0x20; return f }, rndis.NewLSO(100, 34, false), all},
		"short IP header": {func(f []byte) []byte { f[14] = 0x44; return f }, rndis.NewLSO(100, 30, false), all},
		"pseudo header":   {func(f []byte) []byte { f[50]++; return f }, rndis.NewLSO(100, 34, false), all},
		"ARP":             {func(f []byte) []byte { f[13] = 6; return f }, rndis.NewLSO(100, 34, false), all},
	} {
		f, _ := largeFrame(false, make([]byte, 300))
		if c.mark != nil {
			f = c.mark(f)
		}
		if _, err := parseLarge(f, c.lso, c.on, 1514); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	f, tcp := largeFrame(true, make([]byte, 300))
	f[ethernetHeader+6] = 60 // options that lead out of the packet
	f[tcp+1] = 255
	if _, err := parseLarge(f, rndis.NewLSO(100, tcp, true), all, 1514); err == nil {
		t.Error("endless options are accepted")
	}
}

func FuzzLarge(f *testing.F) {
	for _, v6 := range []bool{false, true} {
		b, tcp := largeFrame(v6, make([]byte, 300))
		f.Add(b, uint32(rndis.NewLSO(100, tcp, v6)))
	}
	on := new(NIC).capabilities()
	f.Fuzz(func(t *testing.T, b []byte, l uint32) {
		if len(b) < ethernetHeader || len(b) > ethernetHeader+maxLSO {
			return
		}
		p, err := parseLarge(b, rndis.LSO(l), on, 1514)
		if err != nil {
			return
		}
		total := 0
		p.cut(b, func(s []byte) {
			if total += len(s) - p.payload; len(s) > 1514 {
				t.Errorf("segment of %d bytes", len(s))
			}
		})
		if total != len(b)-p.payload {
			t.Errorf("%d of %d bytes", total, len(b)-p.payload)
		}
		p.finish(b)
	})
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/hvgo/hvgo/internal/wire/rndis"
)

// rssKey is that of Microsoft's verification suite for RSS hashes.
const rssKey = "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa"

// flow is a frame with nothing but addresses and ports.
func flow(t testing.TB, src, dst string, protocol byte) []byte {
	t.Helper()
	from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	f := make([]byte, ethernetHeader)
	if from.Addr().Is4() {
		ip := make([]byte, ipv4Header)
		ip[0], ip[3], ip[9] = 0x45, ipv4Header+8, protocol
		copy(ip[12:], from.Addr().AsSlice())
		copy(ip[16:], to.Addr().AsSlice())
		f[12] = 8
		f = append(f, ip...)
	} else {
		ip := make([]byte, ipv6Header)
		ip[0], ip[5], ip[6] = 0x60, 8, protocol
		copy(ip[8:], from.Addr().AsSlice())
		copy(ip[24:], to.Addr().AsSlice())
		f[12], f[13] = 0x86, 0xDD
		f = append(f, ip...)
	}
	f = binary.BigEndian.AppendUint16(f, from.Port())
	return append(binary.BigEndian.AppendUint16(f, to.Port()), 0, 0, 0, 0)
}

// The numbers are published in Microsoft's "Verifying the RSS Hash Calculation".
func TestToeplitz(t *testing.T) {
	key, err := hex.DecodeString(rssKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		src, dst     string
		plain, ports uint32
	}{
		{"66.9.149.187:2794", "161.142.100.80:1766", 0x323e8fc2, 0x51ccc178},
		{"199.92.111.2:14230", "65.69.140.83:4739", 0xd718262a, 0xc626b0ea},
		{"24.19.198.95:12898", "12.22.207.184:38024", 0xd2d0a5de, 0x5c2b394a},
		{"38.27.205.30:48228", "209.142.163.6:2217", 0x82989176, 0xafc7327f},
		{"153.39.163.191:44251", "202.188.127.2:1303", 0x5d1809c5, 0x10e828a2},
		{"[3ffe:2501:200:1fff::7]:2794", "[3ffe:2501:200:3::1]:1766", 0x2cc18cd5, 0x40207d3d},
		{"[3ffe:501:8::260:97ff:fe40:efab]:14230", "[ff02::1]:4739", 0x0f0c461c, 0xdde51bbf},
		{"[3ffe:1900:4545:3:200:f8ff:fe21:67cf]:44251", "[fe80::200:f8ff:fe21:67cf]:38024", 0x4b61e985, 0x02d1feef},
	} {
		const addresses = rndis.HashToeplitz | rndis.HashIPv4 | rndis.HashIPv6
		const tcp = addresses | rndis.HashTCPv4 | rndis.HashTCPv6
		f := flow(t, c.src, c.dst, protoTCP)
		in, ok := hashInput(f, addresses)
		if got := toeplitz(key, in); !ok || got != c.plain {
			t.Errorf("%s to %s: %#08x, want %#08x", c.src, c.dst, got, c.plain)
		}
		in, ok = hashInput(f, tcp)
		if got := toeplitz(key, in); !ok || got != c.ports {
			t.Errorf("%s to %s with ports: %#08x, want %#08x", c.src, c.dst, got, c.ports)
		}
		in, _ = hashInput(flow(t, c.src, c.dst, protoUDP), tcp)
		if got := toeplitz(key, in); got != c.plain {
			t.Errorf("%s to %s, UDP: %#08x, want %#08x", c.src, c.dst, got, c.plain)
		}
		if _, ok := hashInput(f, rndis.HashToeplitz|rndis.HashUDPv4|rndis.HashUDPv6); ok {
			t.Errorf("%s to %s is hashed though not wanted", c.src, c.dst)
		}
	}
	if _, ok := hashInput(make([]byte, 60), ^rndis.RSSHash(0)); ok {
		t.Error("a frame without IP is hashed")
	}
}

func TestSteer(t *testing.T) {
	key, _ := hex.DecodeString(rssKey)
	f := flow(t, "66.9.149.187:2794", "161.142.100.80:1766", protoTCP) // 0x51ccc178
	primary, third := &queue{}, &queue{index: 2}
	s := steering{
		hash: rndis.HashToeplitz | rndis.HashTCPv4, key: key,
		table: []uint32{2, 0, 1, 1}, queues: []*queue{primary, nil, third},
	}
	if got := s.queueOf(f); got != third {
		t.Errorf("channel %d", got.index)
	}
	s.table[0] = 1 // not open
	if got := s.queueOf(f); got != primary {
		t.Errorf("channel %d for one that is not open", got.index)
	}
	s.table[0], s.hash = 2, 0
	if got := s.queueOf(f); got != primary {
		t.Errorf("channel %d without scaling", got.index)
	}
}

func TestSetRSS(t *testing.T) {
	n, err := New(Options{Queues: 4})
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(n, nil)
	key := make([]byte, rndis.RSSKeySize)
	good := rndis.RSSParameters{Hash: rndis.HashToeplitz | rndis.HashIPv4, Table: []uint32{0, 3}, Key: key}
	info := good.AppendTo(nil)
	if st := s.setRSS(info); st != rndis.StatusSuccess || len(s.steering.Load().table) != 2 {
		t.Fatalf("%v, %+v", st, s.rss)
	}
	for i := range info { // the next transfer's memory
		info[i] = 0xA5
	}
	if got := s.steering.Load(); !bytes.Equal(got.key, key) || got.table[1] != 3 {
		t.Errorf("the parameters changed with the guest's message: %+v", got)
	}
	again := rndis.RSSParameters{Flags: rndis.RSSHashUnchanged | rndis.RSSKeyUnchanged, Table: []uint32{1, 1, 1, 2}}
	if st := s.setRSS(again.AppendTo(nil)); st != rndis.StatusSuccess || len(s.rss.table) != 4 || s.rss.hash != good.Hash {
		t.Errorf("%v, %+v", st, s.rss)
	}
	if st := s.setRSS(rndis.RSSParameters{Flags: rndis.RSSDisable}.AppendTo(nil)); st != rndis.StatusSuccess || s.steering.Load().hash != 0 {
		t.Errorf("%v, %+v", st, s.rss)
	}
	for name, bad := range map[string]steering{
		"function":      {hash: 2, key: key, table: []uint32{0}},
		"key":           {hash: rndis.HashToeplitz, key: key[1:], table: []uint32{0}},
		"no table":      {hash: rndis.HashToeplitz, key: key},
		"size of table": {hash: rndis.HashToeplitz, key: key, table: []uint32{0, 0, 0}},
		"long table":    {hash: rndis.HashToeplitz, key: key, table: make([]uint32, 256)},
		"channel":       {hash: rndis.HashToeplitz, key: key, table: []uint32{4}},
	} {
		if checkRSS(bad, 4) == "" {
			t.Errorf("%s: taken", name)
		}
	}
}

// A guest that closes and opens a channel, and takes no notices, costs no memory.
func TestSpreadAgain(t *testing.T) {
	s := newSession(&NIC{opt: Options{Queues: 2}}, nil)
	for range 3 {
		s.mu.Lock()
		s.spread(2)
		s.mu.Unlock()
	}
	if len(s.notices) != 1 {
		t.Errorf("%d notices wait", len(s.notices))
	}
}

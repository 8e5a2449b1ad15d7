// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

func loopbackStack(t *testing.T) *Stack {
	n, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// Datagrams to a group reach all its members on the interface.
func TestGroups(t *testing.T) {
	n := loopbackStack(t)
	group := netip.MustParseAddr("224.0.0.254")
	lo := netip.MustParseAddr("127.0.0.1")
	member := func() *sock {
		s := open(t, n, syscall.AF_INET, syscall.SOCK_DGRAM)
		s.must(s.SetOpt(syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
		s.must(s.Bind(netip.AddrPortFrom(group, 12345)))
		return s
	}
	a, b := member(), member()
	s := a.Socket.(*socket)
	a.must(s.SetGroup(true, group, 1, netip.Addr{}))
	b.must(b.Socket.(*socket).SetGroup(true, group, 0, lo))
	for what, got := range map[string]error{
		"twice":        s.SetGroup(true, group, 1, netip.Addr{}),
		"no member":    s.SetGroup(false, netip.MustParseAddr("224.0.0.9"), 1, netip.Addr{}),
		"no interface": s.SetGroup(true, netip.MustParseAddr("224.0.0.9"), 77, netip.Addr{}),
		"negative":     s.SetGroup(true, group, -1, netip.Addr{}),
	} {
		want := map[string]error{"twice": syscall.EADDRINUSE, "no member": syscall.EADDRNOTAVAIL}[what]
		if want == nil {
			want = syscall.ENODEV
		}
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	listed := func() bool { return slices.Contains(n.Interfaces()[0].Groups, group) }
	if !listed() {
		t.Error("the group is not among the interface's")
	}
	c := open(t, n, syscall.AF_INET, syscall.SOCK_DGRAM)
	c.must(c.Socket.(*socket).SetMulticastInterface(1, netip.Addr{}))
	if i, _ := c.Socket.(*socket).MulticastInterface(); i != 1 {
		t.Errorf("interface %d", i)
	}
	if _, err := c.Send([]byte("all"), netip.AddrPortFrom(group, 12345)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	for _, s := range []*sock{a, b} {
		if k := s.recv(buf); string(buf[:k]) != "all" {
			t.Errorf("a member got %q", buf[:k])
		}
	}
	a.must(s.SetGroup(false, group, 1, netip.Addr{}))
	b.Close()
	if listed() {
		t.Error("the group has no members and is still among the interface's")
	}
}

func TestRaw(t *testing.T) {
	n := loopbackStack(t)
	lo := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 0)
	ep, err := n.Socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_ICMP)
	if err != nil {
		t.Fatal(err)
	}
	s := ep.(*socket)
	if err := s.Connect(lo); err != nil {
		t.Fatal(err)
	}
	echo := header.ICMPv4(make([]byte, header.ICMPv4MinimumSize+4))
	echo.SetType(header.ICMPv4Echo)
	echo.SetIdent(7)
	copy(echo[header.ICMPv4MinimumSize:], "ping")
	echo.SetChecksum(header.ICMPv4Checksum(echo, 0))
	if _, err := s.Send(echo, netip.AddrPort{}); err != nil {
		t.Fatal(err)
	}
	types := map[header.ICMPv4Type]bool{}
	w := wrap(t, s)
	for range 2 { // the question comes in, too
		b := make([]byte, 100)
		k := w.recv(b)
		ip := header.IPv4(b[:k])
		if !ip.IsValid(k) || string(ip.Payload()[header.ICMPv4MinimumSize:]) != "ping" {
			t.Fatalf("packet %x", b[:k])
		}
		types[header.ICMPv4(ip.Payload()).Type()] = true
	}
	if !types[header.ICMPv4Echo] || !types[header.ICMPv4EchoReply] {
		t.Errorf("got packets of types %v", types)
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/hvgo/hvgo/runtime/linux"
)

func TestInterfaces(t *testing.T) {
	n, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	p := netip.MustParsePrefix
	lo := linux.Interface{Index: 1, Name: "lo", MTU: 65536, Loopback: true, Running: true, Addrs: []netip.Prefix{p("127.0.0.1/8"), p("::1/128")}}
	if got := n.Interfaces(); len(got) != 1 || !same(got[0], lo) {
		t.Errorf("without a card: %+v", got)
	}
	card, _ := newPipe(t, 1400, 10)
	if _, err := n.attach(card, func(bool) {}); err != nil {
		t.Fatal(err)
	}
	l := &Lease{Address: p("10.1.2.3/20"), Gateway: netip.MustParseAddr("10.1.0.1")}
	if err := n.setAddress(netip.Prefix{}, l.Address, l.routes()); err != nil {
		t.Fatal(err)
	}
	eth := linux.Interface{Index: 2, Name: "eth0", MTU: 1400, Hardware: [6]byte{2, 0, 0, 0, 0, 1}, Running: true, Addrs: []netip.Prefix{l.Address}}
	got := n.Interfaces()
	if len(got) != 2 || !same(got[0], lo) || !same(got[1], eth) {
		t.Fatalf("with a card: %+v", got)
	}
	if g := netip.MustParseAddr("224.0.0.1"); !slices.Contains(got[1].Groups, g) {
		t.Errorf("groups %v, want %v in it", got[1].Groups, g)
	}
	want := []linux.Route{
		{To: p("::1/128"), Index: 1}, {To: p("10.1.0.0/20"), Index: 2}, {To: p("127.0.0.0/8"), Index: 1}, {To: p("0.0.0.0/0"), Via: l.Gateway, Index: 2},
	}
	if got := n.Routes(); !slices.Equal(got, want) {
		t.Errorf("routes %+v, want %+v", got, want)
	}
}

// same compares all but the groups.
func same(a, b linux.Interface) bool {
	addrs := slices.Equal(a.Addrs, b.Addrs)
	a.Addrs, a.Groups, b.Addrs, b.Groups = nil, nil, nil, nil
	return addrs && a.Index == b.Index && a.Name == b.Name && a.MTU == b.MTU && a.Hardware == b.Hardware && a.Loopback == b.Loopback && a.Running == b.Running
}

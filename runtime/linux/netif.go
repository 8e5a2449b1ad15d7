// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// Interface is a network interface as the stack knows it.
type Interface struct {
	Index    int // from 1 on
	Name     string
	MTU      int // bytes
	Hardware [6]byte
	Loopback bool
	Running  bool // up, and for a card: with the cable plugged in
	Addrs    []netip.Prefix
	Groups   []netip.Addr // multicast groups it listens to
}

// Route is an entry of the routing table.
type Route struct {
	To    netip.Prefix
	Via   netip.Addr // invalid: directly
	Index int        // of the interface
}

// Interfaces is implemented by a Network that can tell what interfaces and routes it has.
type Interfaces interface {
	Interfaces() []Interface // by rising index
	Routes() []Route
}

// interfaces are those of the registered stack; none without one.
func interfaces() []Interface {
	if n := network.Load(); n != nil {
		if l, ok := (*n).(Interfaces); ok {
			return l.Interfaces()
		}
	}
	return nil
}

func routes() []Route {
	if n := network.Load(); n != nil {
		if l, ok := (*n).(Interfaces); ok {
			return l.Routes()
		}
	}
	return nil
}

// flags are the interface's IFF_ flags.
func (i *Interface) flags() uint32 {
	f := uint32(unix.IFF_UP)
	if i.Running {
		f |= unix.IFF_RUNNING | unix.IFF_LOWER_UP
	}
	if i.Loopback {
		return f | unix.IFF_LOOPBACK
	}
	return f | unix.IFF_BROADCAST | unix.IFF_MULTICAST
}

// scope is RT_SCOPE_ of an address.
func scope(a netip.Addr) byte {
	switch {
	case a.IsLoopback():
		return unix.RT_SCOPE_HOST
	case a.Is6() && a.IsLinkLocalUnicast():
		return unix.RT_SCOPE_LINK
	}
	return unix.RT_SCOPE_UNIVERSE
}

// broadcast is the last address of an IPv4 prefix; false when there is none.
func broadcast(p netip.Prefix) ([4]byte, bool) {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return [4]byte{}, false
	}
	b := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return b, true
}

// registerProcNet makes the files of /proc/net that package net and others read.
func registerProcNet() {
	for name, text := range map[string]func() string{
		"igmp": procIGMP, "igmp6": procIGMP6, "if_inet6": procIfInet6, "route": procRoute,
	} {
		RegisterText("/proc/1/net/"+name, text)
	}
	RegisterLink("/proc/net", "self/net")
}

// groups are the interface's multicast groups of one IP version.
func (i *Interface) groups(four bool) (gs []netip.Addr) {
	for _, g := range i.Groups {
		if g.Is4() == four {
			gs = append(gs, g)
		}
	}
	return gs
}

// procIGMP is /proc/net/igmp: addresses as the machine's words.
func procIGMP() string {
	var b strings.Builder
	b.WriteString("Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n")
	for _, i := range interfaces() {
		gs := i.groups(true)
		if len(gs) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%d\t%-10s: %5d %7s\n", i.Index, i.Name, len(gs), "V3")
		for _, g := range gs {
			a := g.As4()
			fmt.Fprintf(&b, "\t\t\t\t%08X %5d 0:00000000\t\t0\n", le.Uint32(a[:]), 1)
		}
	}
	return b.String()
}

func procIGMP6() string {
	var b strings.Builder
	for _, i := range interfaces() {
		for _, g := range i.groups(false) {
			fmt.Fprintf(&b, "%-4d %-15s %x %5d %08X %d\n", i.Index, i.Name, g.As16(), 1, 0x0c, 0)
		}
	}
	return b.String()
}

// ifaPermanent is IFA_F_PERMANENT: an address that does not run out by itself.
const ifaPermanent = 0x80

func procIfInet6() string {
	var b strings.Builder
	for _, i := range interfaces() {
		for _, p := range i.Addrs {
			if !p.Addr().Is6() {
				continue
			}
			kind := 0 // IPV6_ADDR_ scope of the address
			switch scope(p.Addr()) {
			case unix.RT_SCOPE_HOST:
				kind = 0x10
			case unix.RT_SCOPE_LINK:
				kind = 0x20
			}
			fmt.Fprintf(&b, "%x %02x %02x %02x %02x %8s\n", p.Addr().As16(), i.Index, p.Bits(), kind, ifaPermanent, i.Name)
		}
	}
	return b.String()
}

// procRoute is /proc/net/route: IPv4 routes but those of loopback, addresses as the machine's words.
func procRoute() string {
	var b strings.Builder
	line := func(s string) { fmt.Fprintf(&b, "%-127s\n", s) }
	line("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT")
	names := make(map[int]string)
	for _, i := range interfaces() {
		if !i.Loopback {
			names[i.Index] = i.Name
		}
	}
	for _, r := range routes() {
		name := names[r.Index]
		if name == "" || !r.To.Addr().Is4() {
			continue
		}
		const up, gateway = 1, 2
		flags, to, via := up, r.To.Masked().Addr().As4(), [4]byte{}
		if r.Via.Is4() {
			flags, via = up|gateway, r.Via.As4()
		}
		var mask [4]byte
		for bit := range r.To.Bits() {
			mask[bit/8] |= 0x80 >> (bit % 8)
		}
		line(fmt.Sprintf("%s\t%08X\t%08X\t%04X\t0\t0\t0\t%08X\t0\t0\t0", name, le.Uint32(to[:]), le.Uint32(via[:]), flags, le.Uint32(mask[:])))
	}
	return b.String()
}

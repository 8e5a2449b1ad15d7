// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// conformOnStack is conform with the stack that a guest has.
func conformOnStack(t *testing.T, script func(k *kernel)) {
	n, err := otherNetwork()
	if err != nil {
		t.Fatal(err)
	}
	defer RegisterNetwork(*network.Load())
	RegisterNetwork(n)
	conform(t, script)
}

func sockaddrNetlink(port, groups uint32) []byte {
	b := []byte{unix.AF_NETLINK, 0, 0, 0}
	return le.AppendUint32(le.AppendUint32(b, port), groups)
}

// nlRequest is a netlink message.
func nlRequest(typ, flags uint16, payload ...byte) []byte {
	b := le.AppendUint32(nil, uint32(nlmsgHeader+len(payload)))
	b = le.AppendUint16(le.AppendUint16(b, typ), flags)
	b = le.AppendUint32(le.AppendUint32(b, 77), 0)
	return append(b, payload...)
}

// nlReply is a message of an answer.
type nlReply struct {
	typ, flags uint16
	seq        uint32
	payload    []byte
}

// replies receives until the end of the answer.
func (k *kernel) replies(fd int) (all []nlReply) {
	k.t.Helper()
	for {
		b := make([]byte, 1<<16)
		n, e := k.call(unix.SYS_RECVFROM, fd, b, len(b), 0, 0, 0)
		if e != 0 {
			k.result("recv", n, e)
			return all
		}
		for b = b[:n]; len(b) >= nlmsgHeader; {
			size := int(le.Uint32(b))
			r := nlReply{le.Uint16(b[4:]), le.Uint16(b[6:]), le.Uint32(b[8:]), b[nlmsgHeader:size]}
			all = append(all, r)
			if r.typ == unix.NLMSG_DONE || r.typ == unix.NLMSG_ERROR || r.flags&unix.NLM_F_MULTI == 0 {
				return all
			}
			b = b[(size+3)&^3:]
		}
	}
}

// attrs are the attributes behind the first n bytes.
func (r nlReply) attrs(n int) map[uint16][]byte {
	m := make(map[uint16][]byte)
	for b := r.payload[n:]; len(b) >= 4; {
		size := int(le.Uint16(b))
		m[le.Uint16(b[2:])] = b[4:size]
		b = b[min(len(b), (size+3)&^3):]
	}
	return m
}

// noteError notes what an error message says; the kernel may add explanations.
func (k *kernel) noteError(what string, fd int, request []byte) {
	k.t.Helper()
	k.do(what, unix.SYS_SENDTO, fd, request, len(request), 0, 0, 0)
	for _, r := range k.replies(fd) {
		k.note("type %d flags %#x seq %d", r.typ, r.flags&^unix.NLM_F_CAPPED, r.seq)
		if r.typ == unix.NLMSG_ERROR {
			k.note("error %d of a message of %d bytes, type %d", int32(le.Uint32(r.payload)), le.Uint32(r.payload[4:]), le.Uint16(r.payload[8:]))
		}
	}
}

func (k *kernel) netlink() int {
	return k.fd("netlink", unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
}

const dump = unix.NLM_F_REQUEST | unix.NLM_F_DUMP

func TestConformNetlinkErrors(t *testing.T) {
	conformOnStack(t, func(k *kernel) {
		k.do("type", unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_STREAM, 0)
		k.do("protocol", unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, 32)
		k.do("protocol", unix.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, -1)
		k.do("pair", unix.SYS_SOCKETPAIR, unix.AF_NETLINK, unix.SOCK_RAW, 0, make([]byte, 8))
		s := k.netlink()
		k.names(s)
		k.state("new", s)
		k.at("bind short", unix.SYS_BIND, s, sockaddrNetlink(0, 0)[:11])
		k.at("bind family", unix.SYS_BIND, s, sockaddrOf(0))
		k.at("connect short", unix.SYS_CONNECT, s, sockaddrNetlink(0, 0)[:11])
		k.at("connect family", unix.SYS_CONNECT, s, sockaddrOf(0))
		k.do("listen", unix.SYS_LISTEN, s, 1)
		k.do("accept", unix.SYS_ACCEPT4, s, 0, 0, 0)
		k.do("shutdown", unix.SYS_SHUTDOWN, s, 1)
		k.recv("nothing", s, 10, 0)
		k.recv("oob", s, 10, unix.MSG_OOB)
		k.do("send nothing", unix.SYS_SENDTO, s, make([]byte, 1), 0, 0, 0, 0)
		k.do("send too much", unix.SYS_SENDTO, s, make([]byte, 300000), 300000, 0, 0, 0)
		k.do("send bad", unix.SYS_SENDTO, s, badPage, 20, 0, 0, 0)
		k.sendTo("short address", s, "x", sockaddrNetlink(0, 0)[:11])
		k.sendTo("family", s, "x", sockaddrOf(1))
		k.sendTo("nobody", s, "x", sockaddrNetlink(0x7fffffff, 0))
		k.at("bind", unix.SYS_BIND, s, sockaddrNetlink(0, 0))
		k.at("bind another port", unix.SYS_BIND, s, sockaddrNetlink(0x7ffffff0, 0))
		k.at("connect", unix.SYS_CONNECT, s, sockaddrNetlink(0, 0))
		other := k.netlink()
		k.at("bind a port", unix.SYS_BIND, other, sockaddrNetlink(0x7ffffff1, 0))
		k.at("bind a port in use", unix.SYS_BIND, k.netlink(), sockaddrNetlink(0x7ffffff1, 0))
		k.names(other)
		k.sendTo("too short for a message", s, "short", sockaddrNetlink(0, 0))
		k.recv("nothing", s, 10, 0)
		k.noteError("acknowledged", s, nlRequest(unix.NLMSG_NOOP, unix.NLM_F_REQUEST|unix.NLM_F_ACK, 0, 0, 0, 0))
		k.noteError("nothing asked", s, nlRequest(unix.RTM_GETLINK, unix.NLM_F_ACK, make([]byte, 16)...))
		k.noteError("no index", s, nlRequest(unix.RTM_GETLINK, unix.NLM_F_REQUEST, make([]byte, 16)...))
		k.noteError("no such index", s, nlRequest(unix.RTM_GETLINK, unix.NLM_F_REQUEST, 0, 0, 0, 0, 99, 99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
		k.noteError("no family", s, nlRequest(unix.RTM_GETLINK, dump))
		k.noteError("unknown", s, nlRequest(998, unix.NLM_F_REQUEST, 0))
		wrong := nlRequest(unix.RTM_GETLINK, dump, 0)
		wrong[0] = 200
		k.noteError("longer than sent", s, wrong)
		wrong[0] = 15
		k.noteError("shorter than a header", s, wrong)
		for _, name := range []int{unix.NETLINK_EXT_ACK, unix.NETLINK_CAP_ACK, 999} {
			k.do("set", unix.SYS_SETSOCKOPT, s, unix.SOL_NETLINK, name, []byte{1, 0, 0, 0}, 4)
			b := make([]byte, 4)
			k.do("get", unix.SYS_GETSOCKOPT, s, unix.SOL_NETLINK, name, b, []byte{4, 0, 0, 0})
			k.note("% x", b)
		}
	})
}

func TestConformNetlinkLoopback(t *testing.T) {
	conformOnStack(t, func(k *kernel) {
		s := k.netlink()
		ask := func(what string, request []byte) []nlReply {
			k.do(what, unix.SYS_SENDTO, s, request, len(request), 0, sockaddrNetlink(0, 0), 12)
			return k.replies(s)
		}
		link := func(r nlReply) {
			p, a := r.payload, r.attrs(16)
			k.note("link: flags %#x seq %d: %x", r.flags, r.seq, p[:12])
			for _, typ := range []uint16{unix.IFLA_IFNAME, unix.IFLA_ADDRESS, unix.IFLA_BROADCAST, unix.IFLA_MTU, unix.IFLA_OPERSTATE,
				unix.IFLA_LINKMODE, unix.IFLA_TXQLEN, unix.IFLA_CARRIER} {
				k.note("attribute %d: %x", typ, a[typ])
			}
		}
		for _, r := range ask("link by index", nlRequest(unix.RTM_GETLINK, unix.NLM_F_REQUEST, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)) {
			link(r)
		}
		byName := append(make([]byte, 16), 7, 0, unix.IFLA_IFNAME, 0, 'l', 'o', 0, 0)
		for _, r := range ask("link by name", nlRequest(unix.RTM_GETLINK, unix.NLM_F_REQUEST, byName...)) {
			link(r)
		}
		for _, r := range ask("links", nlRequest(unix.RTM_GETLINK, dump, unix.AF_UNSPEC)) {
			if r.typ == unix.RTM_NEWLINK && le.Uint32(r.payload[4:]) == 1 {
				link(r)
			} else if r.typ != unix.RTM_NEWLINK {
				k.note("end: type %d flags %#x seq %d: %x", r.typ, r.flags, r.seq, r.payload)
			}
		}
		for _, family := range []byte{unix.AF_UNSPEC, unix.AF_INET, unix.AF_INET6} {
			for _, r := range ask("addresses", nlRequest(unix.RTM_GETADDR, dump, family)) {
				if r.typ == unix.RTM_NEWADDR && le.Uint32(r.payload[4:]) == 1 {
					a := r.attrs(8)
					k.note("address: flags %#x seq %d: %x", r.flags, r.seq, r.payload[:8])
					k.note("%x %x %x %x %q", a[unix.IFA_ADDRESS], a[unix.IFA_LOCAL], a[unix.IFA_BROADCAST], a[unix.IFA_FLAGS], a[unix.IFA_LABEL])
				}
			}
		}
		text, e := k.readAll("/proc/net/if_inet6")
		k.result("if_inet6", 0, e)
		for line := range strings.Lines(text) {
			if strings.Contains(line, " lo") {
				k.note("%q", line)
			}
		}
		text, e = k.readAll("/proc/net/route")
		k.result("route", 0, e)
		first, _, _ := strings.Cut(text, "\n")
		k.note("%q", first)
	})
}

// cardNetwork is a network with a card, to see what is told of one.
type cardNetwork struct{ *fakeNetwork }

func (cardNetwork) Interfaces() []Interface {
	return []Interface{
		{Index: 1, Name: "lo", MTU: 65536, Loopback: true, Running: true, Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}},
		{Index: 2, Name: "eth0", MTU: 1500, Hardware: [6]byte{0, 0x15, 0x5d, 1, 2, 3}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/20")},
			Groups: []netip.Addr{netip.MustParseAddr("224.0.0.1"), netip.MustParseAddr("ff02::1")}},
	}
}

func (cardNetwork) Routes() []Route {
	return []Route{
		{To: netip.MustParsePrefix("127.0.0.0/8"), Index: 1},
		{To: netip.MustParsePrefix("10.1.0.0/20"), Index: 2},
		{To: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("10.1.0.1"), Index: 2},
	}
}

func TestNetlinkCard(t *testing.T) {
	defer RegisterNetwork(*network.Load())
	RegisterNetwork(cardNetwork{newFakeNetwork()})
	k := &kernel{t: t, name: "door", raw: Door}
	s := k.netlink()
	ask := func(typ uint16) []nlReply {
		request := nlRequest(typ, dump, 0)
		k.do("ask", unix.SYS_SENDTO, s, request, len(request), 0, 0, 0)
		return k.replies(s)
	}
	links := ask(unix.RTM_GETLINK)
	if len(links) != 3 {
		t.Fatalf("%d answers, want two interfaces and the end", len(links))
	}
	a := links[1].attrs(16)
	if got := fmt.Sprintf("%x %s %x %x", links[1].payload[:12], a[unix.IFLA_IFNAME][:4], a[unix.IFLA_ADDRESS], a[unix.IFLA_OPERSTATE]); got !=
		"000001000200000003100000 eth0 00155d010203 02" {
		t.Errorf("a card without a cable is %s", got)
	}
	addrs := ask(unix.RTM_GETADDR)
	if got := addrs[1].attrs(8)[unix.IFA_BROADCAST]; !slices.Equal(got, []byte{10, 1, 15, 255}) {
		t.Errorf("broadcast address %v", got)
	}
	routes := ask(unix.RTM_GETROUTE)
	if r := routes[2]; r.payload[1] != 0 || !slices.Equal(r.attrs(12)[unix.RTA_GATEWAY], []byte{10, 1, 0, 1}) {
		t.Errorf("default route %x", r.payload)
	}
	for path, want := range map[string]string{
		"/proc/net/igmp":  "2\teth0      :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n",
		"/proc/net/igmp6": "2    eth0            ff020000000000000000000000000001     1 0000000C 0\n",
		"/proc/net/route": "eth0\t0000010A\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0",
	} {
		if got, e := k.readAll(path); !strings.Contains(got, want) || e != 0 {
			t.Errorf("%s = %q, %v, want %q in it", path, got, e, want)
		}
	}
}

// Who asks and asks without reading is stopped.
func TestNetlinkQueueIsBounded(t *testing.T) {
	defer RegisterNetwork(*network.Load())
	RegisterNetwork(cardNetwork{newFakeNetwork()})
	k := &kernel{t: t, name: "door", raw: Door}
	s := k.netlink()
	request := nlRequest(unix.RTM_GETLINK, dump, 0)
	for range 100000 {
		if _, e := k.call(unix.SYS_SENDTO, s, request, len(request), 0, 0, 0); e != 0 {
			if e != unix.ENOBUFS {
				t.Errorf("%v, want ENOBUFS", e)
			}
			return
		}
	}
	t.Error("there is no end to what is kept")
}

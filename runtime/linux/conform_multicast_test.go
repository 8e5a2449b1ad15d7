// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// On the loopback interface, the only one that any machine has.
func TestConformMulticast(t *testing.T) {
	n, err := otherNetwork()
	if err != nil {
		t.Fatal(err)
	}
	RegisterNetwork(n)
	defer RegisterNetwork(newFakeNetwork())
	conform(t, func(k *kernel) {
		group, other, no := []byte{224, 0, 0, 254}, []byte{224, 0, 0, 9}, []byte{10, 0, 0, 1}
		lo, any := []byte{127, 0, 0, 1}, []byte{0, 0, 0, 0}
		join := func(parts ...[]byte) (b []byte) {
			for _, p := range parts {
				b = append(b, p...)
			}
			return b
		}
		index := func(i byte) []byte { return []byte{i, 0, 0, 0} }
		s := k.socket(unix.AF_INET, unix.SOCK_DGRAM)
		set := func(what string, fd, level, name int, b []byte) {
			k.do(what, unix.SYS_SETSOCKOPT, fd, level, name, b, len(b))
		}
		ip := func(what string, name int, b []byte) { set(what, s, unix.IPPROTO_IP, name, b) }
		ip("join by number", unix.IP_ADD_MEMBERSHIP, join(group, any, index(1)))
		ip("join again", unix.IP_ADD_MEMBERSHIP, join(group, any, index(1)))
		ip("join by address", unix.IP_ADD_MEMBERSHIP, join(other, lo))
		ip("join no group", unix.IP_ADD_MEMBERSHIP, join(no, lo))
		ip("join nowhere", unix.IP_ADD_MEMBERSHIP, join(group, any, index(77)))
		ip("join at a foreign address", unix.IP_ADD_MEMBERSHIP, join(group, no))
		ip("join short", unix.IP_ADD_MEMBERSHIP, group)
		ip("leave what was not joined", unix.IP_DROP_MEMBERSHIP, join([]byte{224, 0, 0, 77}, any, index(1)))
		ip("leave", unix.IP_DROP_MEMBERSHIP, join(other, lo))
		ip("interface by number", unix.IP_MULTICAST_IF, join(any, any, index(1)))
		ip("interface by address", unix.IP_MULTICAST_IF, lo)
		ip("foreign interface", unix.IP_MULTICAST_IF, no)
		ip("no interface", unix.IP_MULTICAST_IF, any)
		ip("interface short", unix.IP_MULTICAST_IF, []byte{1, 2})
		ip("loop", unix.IP_MULTICAST_LOOP, index(0))
		k.do("bad", unix.SYS_SETSOCKOPT, s, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, badPage, 12)
		text, e := "", error(nil)
		if k.name == "linux" {
			b, err := os.ReadFile("/proc/net/igmp")
			text, e = string(b), err
		} else {
			b, errno := k.readAll("/proc/net/igmp")
			if text = b; errno != 0 {
				e = errno
			}
		}
		k.note("in /proc/net/igmp: %v, %v, not: %v", e, strings.Contains(text, "FE0000E0"), strings.Contains(text, "090000E0"))
		b, n := make([]byte, 16), []byte{16, 0, 0, 0}
		k.do("get the interface", unix.SYS_GETSOCKOPT, s, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, b, n)
		k.note("%v %v", b, n)
		stream := k.socket(unix.AF_INET, unix.SOCK_STREAM)
		set("join of a stream", stream, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, join(group, any, index(1)))
	})
}

func TestConformRaw(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("raw sockets are for root")
	}
	n, err := otherNetwork()
	if err != nil {
		t.Fatal(err)
	}
	RegisterNetwork(n)
	defer RegisterNetwork(newFakeNetwork())
	conform(t, func(k *kernel) {
		k.try("any protocol", unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_RAW, 0)
		k.try("too many protocols", unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_RAW, 300)
		s := k.try("icmp", unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_RAW|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMP)
		b := make([]byte, 4)
		k.do("protocol", unix.SYS_GETSOCKOPT, s, unix.SOL_SOCKET, unix.SO_PROTOCOL, b, []byte{4, 0, 0, 0})
		k.note("%v", b)
		k.do("listen", unix.SYS_LISTEN, s, 1)
		k.do("accept", unix.SYS_ACCEPT, s, nil, nil)
		k.do("read nothing", unix.SYS_READ, s, b, 4)
		k.do("send nowhere", unix.SYS_WRITE, s, b, 4)
		k.do("bind", unix.SYS_BIND, s, sockaddrOf(0), 16)
		k.do("peer of none", unix.SYS_GETPEERNAME, s, make([]byte, 16), []byte{16, 0, 0, 0})
		k.do("connect", unix.SYS_CONNECT, s, sockaddrOf(0), 16)
		peer := make([]byte, 16)
		k.do("peer", unix.SYS_GETPEERNAME, s, peer, []byte{16, 0, 0, 0})
		k.note("%v", peer[4:8])
		echo := []byte{8, 0, 0xf7, 0xf6, 0, 7, 0, 1, 1, 1, 1, 1} // echo request 7, 1
		sum := 0
		for i := 0; i < len(echo); i += 2 {
			if i != 2 {
				sum += int(echo[i])<<8 | int(echo[i+1])
			}
		}
		sum = ^(sum + sum>>16) & 0xffff
		echo[2], echo[3] = byte(sum>>8), byte(sum)
		k.do("send", unix.SYS_WRITE, s, echo, len(echo))
		got := make([]byte, 100)
		for range 2 {
			k.settle(s)
			r := k.do("receive", unix.SYS_READ, s, got, len(got))
			k.note("version and length %#x type %d %v", got[0], got[20], got[24:max(24, r)])
		}
	})
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"encoding/binary"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

const udp = unix.SOCK_DGRAM | unix.SOCK_NONBLOCK

// bound is a UDP socket at 127.0.0.1, and its address.
func (k *kernel) bound() (fd int, addr []byte) {
	fd = k.socket(unix.AF_INET, udp)
	k.do("bind", unix.SYS_BIND, fd, sockaddrOf(0), 16)
	return fd, sockaddrOf(k.port(fd))
}

func (k *kernel) datagram(fd int, data string, to []byte) {
	k.do("sendto", unix.SYS_SENDTO, fd, []byte(data), len(data), 0, to, len(to))
}

// from receives a datagram of at most n bytes, and notes where it came from: by its name there.
func (k *kernel) from(fd, n, flags int, names map[uint16]string) {
	name, b := make([]byte, 28), make([]byte, n+1)
	iov := unix.Iovec{Base: &b[0], Len: uint64(n)}
	m := unix.Msghdr{Name: &name[0], Namelen: 28, Iov: &iov, Iovlen: 1}
	if r := k.do("recvmsg", unix.SYS_RECVMSG, fd, unsafe.Pointer(&m), flags); r >= 0 {
		port := binary.BigEndian.Uint16(name[2:])
		name[2], name[3] = 0, 0
		k.note("%q flags %#x from %q % x", b[:n], m.Flags, names[port], name[:m.Namelen])
	}
}

func (k *kernel) waiting(fd int) {
	b := make([]byte, 4)
	k.do("fionread", unix.SYS_IOCTL, fd, fionread, b)
	k.note("%d bytes", le.Uint32(b))
}

func portOf(addr []byte) uint16 { return binary.BigEndian.Uint16(addr[2:]) }

func TestConformLoopbackDatagrams(t *testing.T) {
	conformOnStack(t, func(k *kernel) {
		a, atA := k.bound()
		b, atB := k.bound()
		c := k.socket(unix.AF_INET, udp) // bound by its first datagram
		k.datagram(c, "first", atB)
		names := map[uint16]string{portOf(atA): "a", portOf(atB): "b", uint16(k.port(c)): "c"}
		for _, s := range []string{"one", "", "three", "four", "five"} {
			k.datagram(a, s, atB)
			k.datagram(c, s, atB)
		}
		k.datagram(b, "myself", atB)
		k.settle(b)
		k.waiting(b)
		k.from(b, 2, unix.MSG_PEEK, names)
		for range 9 {
			k.from(b, 4, 0, names)
		}
		k.from(b, 4, unix.MSG_TRUNC, names)
		k.datagram(a, "behind", atB)
		k.waiting(b)
		k.from(b, 0, 0, names)
		k.from(b, 9, 0, names)
		k.from(b, 9, 0, names)
		k.waiting(b)
		b1 := make([]byte, 65508)
		k.do("longest", unix.SYS_SENDTO, a, b1, 65507, 0, atB, 16)
		k.do("too long", unix.SYS_SENDTO, a, b1, 65508, 0, atB, 16)
		k.settle(b)
		k.do("longest", unix.SYS_READ, b, b1, len(b1))
		k.do("port 0", unix.SYS_SENDTO, a, b1, 1, 0, sockaddrOf(0), 16)
	})
}

func TestConformConnectedDatagrams(t *testing.T) {
	conformOnStack(t, func(k *kernel) {
		a, atA := k.bound()
		b, atB := k.bound()
		c, atC := k.bound()
		names := map[uint16]string{portOf(atA): "a", portOf(atB): "b", portOf(atC): "c"}
		k.datagram(c, "before", atB)
		k.do("connect", unix.SYS_CONNECT, b, atA, 16)
		k.datagram(c, "stranger", atB)
		k.datagram(a, "peer", atB)
		k.settle(b)
		for range 3 {
			k.from(b, 9, 0, names)
		}
		k.do("write", unix.SYS_WRITE, b, []byte("to a"), 4)
		k.datagram(b, "to c", atC)
		k.settle(a)
		k.from(a, 9, 0, names)
		k.settle(c)
		k.from(c, 9, 0, names)

		k.do("connect", unix.SYS_CONNECT, c, atB, 16) // which does not want it
		k.do("write", unix.SYS_WRITE, c, []byte("x"), 1)
		k.do("refused", unix.SYS_WRITE, c, []byte("x"), 1)
		k.do("refused", unix.SYS_READ, c, make([]byte, 9), 9)
		k.do("nothing", unix.SYS_READ, c, make([]byte, 9), 9)

		k.do("connect", unix.SYS_CONNECT, a, atB, 16)
		k.do("write", unix.SYS_WRITE, a, []byte("lost"), 4)
		k.do("write", unix.SYS_WRITE, b, []byte("kept"), 4)
		k.do("close", unix.SYS_CLOSE, b)
		k.do("write", unix.SYS_WRITE, a, []byte("x"), 1)
		k.do("refused before", unix.SYS_READ, a, make([]byte, 9), 9)
		k.from(a, 9, 0, names)
		k.do("disconnect", unix.SYS_CONNECT, a, make([]byte, 16), 16)
		k.do("no peer", unix.SYS_WRITE, a, []byte("x"), 1)

		d, atD := k.bound()
		k.do("connect", unix.SYS_CONNECT, d, atD, 16)
		k.do("write", unix.SYS_WRITE, d, []byte("own"), 3)
		k.settle(d)
		k.do("shutdown", unix.SYS_SHUTDOWN, d, unix.SHUT_WR)
		k.do("write", unix.SYS_SENDTO, d, []byte("x"), 1, unix.MSG_NOSIGNAL, 0, 0)
		k.waiting(d)
		k.do("read", unix.SYS_READ, d, make([]byte, 9), 9)
	})
}

// Which of several sockets of a port gets a datagram.
func TestConformSharedPort(t *testing.T) {
	conformOnStack(t, func(k *kernel) {
		one := []byte{1, 0, 0, 0}
		at := func(last byte, port uint16) []byte {
			a := sockaddrOf(int(port))
			a[7] = last
			return a
		}
		all := k.socket(unix.AF_INET, udp)
		k.do("reuse", unix.SYS_SETSOCKOPT, all, unix.SOL_SOCKET, unix.SO_REUSEADDR, one, 4)
		wild := make([]byte, 16)
		wild[0] = unix.AF_INET
		k.do("bind", unix.SYS_BIND, all, wild, 16)
		port := uint16(k.port(all))
		from, atFrom := k.bound()
		names := map[uint16]string{portOf(atFrom): "from"}
		k.datagram(from, "alone", at(1, port))
		k.settle(all)
		k.from(all, 9, 0, names)

		mine := k.socket(unix.AF_INET, udp)
		k.do("reuse", unix.SYS_SETSOCKOPT, mine, unix.SOL_SOCKET, unix.SO_REUSEADDR, one, 4)
		k.do("bind", unix.SYS_BIND, mine, at(1, port), 16)
		k.datagram(from, "mine", at(1, port))
		k.datagram(from, "all's", at(2, port))
		k.settle(mine)
		k.from(mine, 9, 0, names)
		k.settle(all)
		k.from(all, 9, 0, names)
		k.from(all, 9, 0, names)
		k.do("close", unix.SYS_CLOSE, mine)
		k.datagram(from, "alone", at(1, port))
		k.settle(all)
		k.from(all, 9, 0, names)
		k.from(all, 9, 0, names)

		many := at(255, port)
		many[5], many[6] = 255, 255
		k.datagram(from, "to many", many)
		k.from(all, 9, 0, names)
		k.do("broadcast", unix.SYS_SETSOCKOPT, from, unix.SOL_SOCKET, unix.SO_BROADCAST, one, 4)
		k.datagram(from, "to many", many)
		k.settle(all)
		k.from(all, 9, 0, names)
		// One that has a broadcast address sends from another.
		odd := k.socket(unix.AF_INET, udp)
		k.do("bind", unix.SYS_BIND, odd, many[:16], 16)

		other := k.socket(unix.AF_INET, udp)
		k.do("bind", unix.SYS_BIND, other, at(3, 0), 16)
		k.do("connect", unix.SYS_CONNECT, from, at(1, uint16(k.port(other))), 16)
		k.do("nobody's address", unix.SYS_WRITE, from, []byte("x"), 1)
		k.do("refused", unix.SYS_WRITE, from, []byte("x"), 1)
		k.from(other, 9, 0, names)
	})
}

func TestConformDatagramsOfBothVersions(t *testing.T) {
	conformOnStack(t, func(k *kernel) {
		sixAt := func(port int, ip ...byte) []byte {
			b := make([]byte, 28)
			b[0] = unix.AF_INET6
			binary.BigEndian.PutUint16(b[2:], uint16(port))
			copy(b[24-len(ip):], ip)
			return b
		}
		mapped := []byte{255, 255, 127, 0, 0, 1}
		six := k.socket(unix.AF_INET6, udp)
		k.do("bind", unix.SYS_BIND, six, sixAt(0), 28)
		sixPort := k.port(six)
		four, atFour := k.bound()
		names := map[uint16]string{portOf(atFour): "four", uint16(sixPort): "six"}
		k.datagram(four, "4 to 6", sockaddrOf(sixPort))
		k.datagram(six, "6 to 6", sixAt(sixPort, 1))
		k.datagram(six, "6 to mapped", sixAt(sixPort, mapped...))
		k.datagram(six, "6 to 4", sockaddrOf(sixPort))
		k.datagram(six, "any", sixAt(sixPort))
		k.settle(six)
		for range 6 {
			k.from(six, 20, 0, names)
		}
		k.datagram(six, "mapped to 4", sixAt(int(portOf(atFour)), mapped...))
		k.settle(four)
		k.from(four, 20, 0, names)

		only := k.socket(unix.AF_INET6, udp)
		k.do("v6only", unix.SYS_SETSOCKOPT, only, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, []byte{1, 0, 0, 0}, 4)
		k.do("bind", unix.SYS_BIND, only, sixAt(0), 28)
		onlyPort := k.port(only)
		k.do("connect", unix.SYS_CONNECT, four, sockaddrOf(onlyPort), 16)
		k.do("write", unix.SYS_WRITE, four, []byte("x"), 1)
		k.do("refused", unix.SYS_WRITE, four, []byte("x"), 1)
		k.from(only, 20, 0, names)

		lo := k.socket(unix.AF_INET6, udp)
		k.do("bind", unix.SYS_BIND, lo, sixAt(0, mapped...), 28)
		loPort := k.port(lo)
		k.datagram(six, "to a mapped one", sixAt(loPort, mapped...))
		k.settle(lo)
		k.from(lo, 20, 0, names)
		k.do("connect", unix.SYS_CONNECT, six, sixAt(loPort, 1), 28)
		k.do("write", unix.SYS_WRITE, six, []byte("x"), 1)
		k.do("refused", unix.SYS_WRITE, six, []byte("x"), 1)
	})
}

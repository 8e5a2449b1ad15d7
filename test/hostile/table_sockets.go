// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import "golang.org/x/sys/unix"

// inet is a struct sockaddr_in of the loopback.
func inet(port uint16) []byte {
	return []byte{unix.AF_INET, 0, byte(port >> 8), byte(port), 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
}

// sockaddr is a pointer to an address, with those that are wrong.
func sockaddr(port uint16) arg {
	family := inet(port)
	family[0] = 99
	unspecified := inet(port)
	unspecified[0] = unix.AF_UNSPEC
	return ptr(inet(port), content{"family 99", family}, content{"no family", unspecified}, content{"Unix", append([]byte{unix.AF_UNIX, 0, 'x'}, make([]byte, 13)...)}, content{"IPv6", append([]byte{unix.AF_INET6, 0, 0, 9}, make([]byte, 24)...)},
		content{"netlink", append([]byte{unix.AF_NETLINK, 0}, make([]byte, 14)...)})
}

var addressLengths = num(16, 0, 1, 2, 15, 17, 28, 110, 128, 129, -1, 1<<31, 1<<32, 1<<32+16)

// message is a struct msghdr.
func message(name, nameLength, iov, elements, control, controlLength uint64) []byte {
	return words(name, nameLength, iov, elements, control, controlLength, 0)
}

const (
	messageVector  = data + 1024 // an iovec of two elements, put there by messages
	messageControl = data + 2048
	upperHalf      = 0xffff_8000_0010_0000
)

// messages is a pointer to a message, with wrong ones.
func messages() arg {
	a := ptr(message(0, 0, messageVector, 2, 0, 0),
		content{"name in a hole", message(hole, 16, messageVector, 2, 0, 0)}, content{"name in the upper half", message(upperHalf, 16, messageVector, 2, 0, 0)}, content{"name of -1 bytes", message(data, 1<<32-1, messageVector, 2, 0, 0)},
		content{"name without length", message(hole, 0, messageVector, 2, 0, 0)}, content{"long name", message(data, 129, messageVector, 2, 0, 0)},
		content{"vector in a hole", message(0, 0, hole, 2, 0, 0)}, content{"vector in the upper half", message(0, 0, upperHalf, 2, 0, 0)}, content{"vector not canonical", message(0, 0, 1<<47, 2, 0, 0)},
		content{"no elements", message(0, 0, messageVector, 0, 0, 0)}, content{"1025 elements", message(0, 0, messageVector, 1025, 0, 0)}, content{"-1 elements", message(0, 0, messageVector, 1<<64-1, 0, 0)}, content{"1<<32 elements", message(0, 0, messageVector, 1<<32, 0, 0)},
		content{"control in a hole", message(0, 0, messageVector, 2, hole, 24)}, content{"control in the upper half", message(0, 0, messageVector, 2, upperHalf, 24)}, content{"control of -1 bytes", message(0, 0, messageVector, 2, messageControl, 1<<64-1)},
		content{"control of 1<<31 bytes", message(0, 0, messageVector, 2, messageControl, 1<<31)}, content{"short control", message(0, 0, messageVector, 2, messageControl, 15)})
	get := a.right.get
	a.right.get = func(s *state, slot uintptr) (uintptr, bool) {
		store(messageVector, iovec)
		store(messageControl, make([]byte, 64))
		return get(s, slot)
	}
	return a
}

// several is messages as struct mmsghdr: two of them.
func several() arg {
	one := append(message(0, 0, messageVector, 2, 0, 0), words(0)...)
	return ptr(append(one, one...), content{"second in a hole", append(one[:64:64], append(message(0, 0, hole, 2, 0, 0), words(0)...)...)}, content{"first in the upper half", append(append(message(0, 0, upperHalf, 2, 0, 0), words(0)...), one...)})
}

// Flags of messages that hvgo serves or refuses as Linux does; MSG_OOB, MSG_FASTOPEN and MSG_ZEROCOPY are others' tests'.
const unsureMessage = unix.MSG_OOB | unix.MSG_FASTOPEN | unix.MSG_ZEROCOPY | unix.MSG_MORE | unix.MSG_WAITALL | 0x10 | unix.MSG_CONFIRM

var socketCalls = []call{
	{nr: unix.SYS_PIPE, args: []arg{ptr(halves(0, 0))}},
	{nr: unix.SYS_PIPE2, args: []arg{ptr(halves(0, 0)), flags(0, unix.O_DIRECT, unix.O_EXCL)}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_SOCKET, args: []arg{num(unix.AF_INET, unix.AF_UNSPEC, unix.AF_UNIX, unix.AF_INET6, unix.AF_NETLINK, 45, 46, 99, -1, 1<<31, 1<<32+2), num(unix.SOCK_STREAM, unix.SOCK_DGRAM, 0, 4, 5, 10, 11, 15, -1, 1<<31, 1<<32+1, unix.SOCK_STREAM|nonblock, 1<<4|1, 1<<20|1),
		num(0, 1, 6, 17, 255, 256, 999, -1, 1<<31)}, pairs: [][2]int{{0, 1}, {1, 2}}, result: descr},
	{nr: unix.SYS_SOCKETPAIR, args: []arg{num(unix.AF_UNIX, unix.AF_UNSPEC, unix.AF_INET, 99, -1), num(unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET, 0, 3, 4, 11, -1, 1<<31), num(0, 1, 6, -1), ptr(halves(0, 0))}, pairs: [][2]int{{0, 1}, {1, 2}, {0, 3}, {1, 3}}},
	{nr: unix.SYS_BIND, args: []arg{fd("udp"), sockaddr(0), addressLengths}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}},
	{nr: unix.SYS_LISTEN, args: []arg{fd("tcp"), num(1, 0, -1, 1<<31, 1<<32)}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_ACCEPT, args: []arg{fd("listener"), null(make([]byte, 16)), null(words(16))}, pairs: [][2]int{{0, 1}, {1, 2}}, result: descr},
	{nr: unix.SYS_ACCEPT4, args: []arg{fd("listener"), null(make([]byte, 16)), null(words(16)), flags(nonblock)}, pairs: [][2]int{{0, 1}, {1, 2}, {0, 3}}, result: descr},
	{nr: unix.SYS_CONNECT, args: []arg{fd("udp"), sockaddr(9), addressLengths}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}},
	{nr: unix.SYS_GETSOCKNAME, args: []arg{fd("udp"), ptr(make([]byte, 16)), sockLength()}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}},
	{nr: unix.SYS_GETPEERNAME, args: []arg{fd("unix stream"), ptr(make([]byte, 16)), sockLength()}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}},
	{nr: unix.SYS_SETSOCKOPT, args: []arg{fd("udp"), num(unix.SOL_SOCKET, -1, 999, 1<<31, 1<<32+1), num(unix.SO_BROADCAST, -1, 999, 1<<31), ptr(halves(1)), num(4, 0, 1, 3, 5, -1, 1<<31, 1<<32+4)}, pairs: [][2]int{{0, 1}, {0, 3}, {3, 4}}},
	{nr: unix.SYS_GETSOCKOPT, args: []arg{fd("udp"), num(unix.SOL_SOCKET, -1, 999, 1<<31, 1<<32+1), num(unix.SO_TYPE, unix.SO_ERROR, unix.SO_LINGER, unix.SO_RCVTIMEO, -1, 999, 1<<31), ptr(words(0, 0)), sockLength()}, pairs: [][2]int{{0, 1}, {0, 3}, {2, 4}, {3, 4}}},
	{nr: unix.SYS_SHUTDOWN, args: []arg{fd("unix stream"), num(unix.SHUT_RD, unix.SHUT_WR, unix.SHUT_RDWR, 3, -1, 1<<31, 1<<32)}, pairs: [][2]int{{0, 1}}},
	{nr: unix.SYS_SENDTO, args: []arg{fd("udp"), ptr(sixteenBytes), num(16, 0, 1, -1, 1<<31, 1<<47, -1<<63), flags(unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, unsureMessage, unix.MSG_DONTWAIT), sockaddr(9), addressLengths},
		pairs: [][2]int{{0, 1}, {0, 3}, {0, 4}, {1, 2}, {4, 5}}},
	{nr: unix.SYS_RECVFROM, args: []arg{fd("unix stream"), ptr(sixteenBytes), num(16, 0, 1, -1, 1<<31, 1<<47, -1<<63), flags(unix.MSG_DONTWAIT, unsureMessage, unix.MSG_DONTWAIT, unix.MSG_ERRQUEUE), null(make([]byte, 16)), ptr(words(16))},
		pairs: [][2]int{{0, 1}, {0, 3}, {0, 4}, {1, 2}, {4, 5}}},
	{nr: unix.SYS_SENDMSG, args: []arg{fd("unix stream"), messages(), flags(unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, unsureMessage, unix.MSG_DONTWAIT)}, pairs: [][2]int{{0, 1}, {1, 2}}},
	{nr: unix.SYS_RECVMSG, args: []arg{fd("unix stream"), messages(), flags(unix.MSG_DONTWAIT, unsureMessage, unix.MSG_DONTWAIT, unix.MSG_ERRQUEUE)}, pairs: [][2]int{{0, 1}, {1, 2}}},
	{nr: unix.SYS_SENDMMSG, args: []arg{fd("unix stream"), several(), num(2, 0, 1), flags(unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, unsureMessage, unix.MSG_DONTWAIT)}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}},
	{nr: unix.SYS_RECVMMSG, args: []arg{fd("unix stream"), several(), num(2, 0, 1), flags(unix.MSG_DONTWAIT, unsureMessage, unix.MSG_DONTWAIT, unix.MSG_ERRQUEUE), null(words(0, 0), badTimes()...)}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}, {0, 4}}},
}

// sockLength is a pointer to the size of a buffer.
func sockLength() arg {
	return ptr(halves(16), content{"0", halves(0)}, content{"1", halves(1)}, content{"-1", halves(1<<32 - 1)}, content{"1<<31", halves(1 << 31)}, content{"65536", halves(65536)})
}

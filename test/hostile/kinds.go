// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import "golang.org/x/sys/unix"

// kinds are the kinds of descriptors. None of them blocks.
var kinds = []struct {
	name string
	open func(s *state) (int, bool)
}{
	{"eventfd", func(s *state) (int, bool) { return s.keep(unix.Eventfd(1, unix.EFD_NONBLOCK)) }},
	{"empty eventfd", func(s *state) (int, bool) { return s.keep(unix.Eventfd(0, unix.EFD_NONBLOCK)) }},
	{"epoll", func(s *state) (int, bool) { return s.keep(unix.EpollCreate1(0)) }},
	{"file", openFile("f", unix.O_RDWR)},
	{"file to read", openFile("f", unix.O_RDONLY)},
	{"file to write", openFile("f", unix.O_WRONLY)},
	{"folder", openFile("d", unix.O_RDONLY|unix.O_DIRECTORY)},
	{"path only", openFile("f", unix.O_PATH)},
	{"null device", openFile("/dev/null", unix.O_RDWR)},
	{"zero device", openFile("/dev/zero", unix.O_RDWR)},
	{"pipe to read", func(s *state) (int, bool) {
		r, w, ok := s.pipe()
		unix.Write(w, sixteen)
		return r, ok
	}},
	{"empty pipe", func(s *state) (int, bool) { r, _, ok := s.pipe(); return r, ok }},
	{"pipe to write", func(s *state) (int, bool) { _, w, ok := s.pipe(); return w, ok }},
	{"udp", func(s *state) (int, bool) { return s.keep(unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|nonblock, 0)) }},
	{"tcp", func(s *state) (int, bool) { return s.keep(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|nonblock, 0)) }},
	{"listener", func(s *state) (int, bool) {
		l, ok := s.keep(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|nonblock, 0))
		err := unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
		return l, ok && err == nil && unix.Listen(l, 1) == nil
	}},
	{"unix stream", func(s *state) (int, bool) { return s.socketPair(unix.SOCK_STREAM) }},
	{"unix datagrams", func(s *state) (int, bool) { return s.socketPair(unix.SOCK_DGRAM) }},
	{"netlink", func(s *state) (int, bool) {
		return s.keep(unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|nonblock, unix.NETLINK_ROUTE))
	}},
}

const nonblock = unix.SOCK_NONBLOCK

var sixteen = []byte("sixteen bytes...")

func openFile(name string, mode int) func(s *state) (int, bool) {
	return func(s *state) (int, bool) { return s.keep(unix.Open(name, mode|unix.O_CLOEXEC, 0)) }
}

// keep remembers a descriptor that was just made, to close it when the call was made.
func (s *state) keep(fd int, err error) (int, bool) {
	if err != nil {
		return 0, false
	}
	s.open = append(s.open, fd)
	return fd, true
}

func (s *state) pipe() (r, w int, ok bool) {
	var p [2]int
	if unix.Pipe2(p[:], unix.O_NONBLOCK) != nil {
		return 0, 0, false
	}
	s.open = append(s.open, p[0], p[1])
	return p[0], p[1], true
}

// socketPair is one of a pair, with something to read.
func (s *state) socketPair(typ int) (int, bool) {
	p, err := unix.Socketpair(unix.AF_UNIX, typ|nonblock, 0)
	if err != nil {
		return 0, false
	}
	s.open = append(s.open, p[0], p[1])
	unix.Write(p[1], sixteen)
	return p[0], true
}

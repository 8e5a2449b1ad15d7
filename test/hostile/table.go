// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"golang.org/x/sys/unix"

	"github.com/hvgo/hvgo/runtime/linux"
)

// calls are all calls, in the order in which they are made.
var calls = gather(descriptorCalls, memoryCalls, threadCalls, signalCalls, timeCalls, fileCalls, pathCalls, socketCalls, machineCalls)

func gather(groups ...[]call) (all []call) {
	seen := map[string]int{}
	for _, g := range groups {
		for _, c := range g {
			if c.name == "" {
				c.name = linux.CallName[c.nr]
			}
			if seen[c.name]++; seen[c.name] > 1 {
				panic("hostile: two calls are called " + c.name)
			}
			all = append(all, c)
		}
	}
	return all
}

var (
	sixteenBytes = make([]byte, 16)
	iovec        = words(data, 8, data+64, 8)
)

// vectors is a pointer to two elements, with wrong elements.
func vectors() arg {
	return ptr(iovec,
		content{"null base", words(0, 8, data, 8)}, content{"second base null", words(data, 8, 0, 8)},
		content{"base in a hole", words(hole, 8, data, 8)}, content{"second in a hole", words(data, 8, hole, 8)},
		content{"base not canonical", words(1<<47, 8, data, 8)}, content{"base in the upper half", words(0xffff_8000_0010_0000, 8, data, 8)},
		content{"second in the upper half", words(data, 8, 0xffff_8000_0010_0000, 8)},
		content{"length -1", words(data, 1<<64-1, data, 8)}, content{"length 1<<63", words(data, 1<<63, data, 8)},
		content{"huge sum", words(data, 1<<62, data, 1<<62)}, content{"length wraps", words(userEnd-8, 16, data, 8)},
		content{"empty", words(data, 0, data, 0)}, content{"null and empty", words(0, 0, 0, 0)}, content{"upper half and empty", words(0xffff_8000_0010_0000, 0, 0, 0)})
}

// Counts of arrays of which the longest has 1024 elements. More than the right
// number would read what no test put there.
func elements() arg { return num(2, 0, 1, 1025, -1, 1<<31, 1<<32, 1<<32+2, -1<<63) }

var descriptorCalls = []call{
	{nr: unix.SYS_READ, args: []arg{fd("eventfd"), ptr(sixteenBytes[:8]), length(8)}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}},
	{nr: unix.SYS_WRITE, args: []arg{fd("eventfd"), ptr(words(1), content{"2^64-1", words(1<<64 - 1)}, content{"2^64-2", words(1<<64 - 2)}), length(8)}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}, files: true},
	{nr: unix.SYS_READV, args: []arg{fd("eventfd"), vectors(), elements()}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}},
	{nr: unix.SYS_WRITEV, args: []arg{fd("eventfd"), vectors(), elements()}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}, files: true},
	{nr: unix.SYS_CLOSE, args: []arg{fd("eventfd")}},
	{nr: unix.SYS_DUP, args: []arg{fd("file")}, result: descr},
	{nr: unix.SYS_DUP2, args: []arg{fd("file"), num(901, 900, 1023, 1024, 4096, -1, 1<<31, 1<<32+901)}, pairs: [][2]int{{0, 1}}, result: descr},
	{nr: unix.SYS_DUP3, args: []arg{fd("file"), num(901, 900, 1023, 1024, 4096, -1, 1<<31, 1<<32+901), flags(unix.O_CLOEXEC)}, pairs: [][2]int{{0, 1}}, result: descr},
	{nr: unix.SYS_FCNTL, args: []arg{fd("file"), num(unix.F_GETFL, unix.F_GETFD, unix.F_SETFD, unix.F_GETOWN, unix.F_GETPIPE_SZ, unix.F_GETLK, unix.F_SETLK,
		-1, 9999, 1<<31, 1<<32|unix.F_GETFL), ptr(words(0, 0, 0, 0))}, pairs: [][2]int{{0, 1}, {1, 2}}},
	{name: "fcntl F_SETFL", nr: unix.SYS_FCNTL, args: []arg{fd("eventfd"), num(unix.F_SETFL), flags(unix.O_NONBLOCK, unix.O_NONBLOCK, unix.O_ASYNC)}, pairs: [][2]int{{0, 2}}},
	{name: "fcntl F_DUPFD", nr: unix.SYS_FCNTL, args: []arg{fd("file"), num(unix.F_DUPFD, unix.F_DUPFD_CLOEXEC), num(900, 1023, 1024, 4096, -1, 1<<31, 1<<32+900)}, pairs: [][2]int{{0, 1}, {0, 2}}, result: descr},
	{nr: unix.SYS_EPOLL_CREATE, args: []arg{num(1, 0, -1, 1<<31, 1<<32)}, result: descr},
	{nr: unix.SYS_EPOLL_CREATE1, args: []arg{flags(unix.EPOLL_CLOEXEC)}, result: descr},
	{nr: unix.SYS_EVENTFD, args: []arg{num(0, 1, -1, 1<<32)}, result: descr},
	{nr: unix.SYS_EVENTFD2, args: []arg{num(0, 1, -1, 1<<32), flags(unix.EFD_CLOEXEC)}, result: descr},
	{nr: unix.SYS_EPOLL_CTL, args: []arg{fd("epoll"), num(unix.EPOLL_CTL_ADD, unix.EPOLL_CTL_MOD, unix.EPOLL_CTL_DEL, 0, 4, -1, 1<<31, 1<<32+unix.EPOLL_CTL_ADD), fd("eventfd"), ptr(halves(1, 7, 0))},
		pairs: [][2]int{{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}}},
	{name: "epoll_ctl on a registered one", nr: unix.SYS_EPOLL_CTL, args: []arg{registered(), num(unix.EPOLL_CTL_ADD, unix.EPOLL_CTL_MOD, unix.EPOLL_CTL_DEL, 0, 4), lastButOne(), ptr(halves(1, 7, 0))},
		pairs: [][2]int{{1, 3}}},
	{nr: unix.SYS_EPOLL_WAIT, args: []arg{fd("epoll"), ptr(make([]byte, 24)), num(2, 0, 1, -1, 1<<31, 1<<32, 1<<32+2, 178956970, 178956971), num(0, 1<<32)}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}},
	{name: "epoll_wait with something ready", nr: unix.SYS_EPOLL_WAIT, args: []arg{registered(), ptr(make([]byte, 12)), num(1, 0, 2, -1, 1<<31), num(0, 1)}, pairs: [][2]int{{1, 2}}},
	{nr: unix.SYS_EPOLL_PWAIT, args: []arg{fd("epoll"), ptr(make([]byte, 24)), num(2, 0, 1, -1, 1<<31), num(0), null(words(0)), num(8, 0, 1, 4, 16, -1)}, pairs: [][2]int{{0, 4}, {4, 5}}},
	{nr: unix.SYS_EPOLL_PWAIT2, args: []arg{fd("epoll"), ptr(make([]byte, 24)), num(2, 0, 1, -1, 1<<31), ptr(words(0, 0), badTimes()...).except("null"), null(words(0)), num(8, 0, 1, 4, 16, -1)}, pairs: [][2]int{{0, 3}, {4, 5}}},
}

// registered is an epoll that watches an eventfd with something to read, which is opened before it.
func registered() arg {
	return arg{right: value{"epoll with an eventfd", func(s *state, _ uintptr) (uintptr, bool) {
		ev, ok := s.keep(unix.Eventfd(1, unix.EFD_NONBLOCK))
		ep, ok2 := s.keep(unix.EpollCreate1(0))
		err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, ev, &unix.EpollEvent{Events: unix.EPOLLIN})
		return uintptr(ep), ok && ok2 && err == nil
	}}}
}

// lastButOne is the descriptor that registered watches.
func lastButOne() arg {
	return arg{right: value{"its eventfd", func(s *state, _ uintptr) (uintptr, bool) { return uintptr(s.open[len(s.open)-2]), true }}}
}

var memoryCalls = []call{
	{nr: unix.SYS_MMAP, args: []arg{addresses(0), mapLengths(), flags(unix.PROT_READ | unix.PROT_WRITE), flags(unix.MAP_PRIVATE | unix.MAP_ANONYMOUS), num(-1, 0, 900), num(0, 1, page, -1, 1<<63-1)},
		pairs: [][2]int{{0, 1}, {1, 3}}, result: address, memory: true},
	{name: "mmap fixed", nr: unix.SYS_MMAP, args: []arg{addresses(ground), mapLengths(), flags(unix.PROT_READ), flags(unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED), num(-1), num(0)},
		pairs: [][2]int{{0, 1}}, result: address, memory: true},
	{name: "mmap of a file", nr: unix.SYS_MMAP, args: []arg{addresses(0), mapLengths(), flags(unix.PROT_READ), num(unix.MAP_PRIVATE, unix.MAP_SHARED, 0, 3, 4), fd("file to read"), num(0, 1, page, -1, -4096, 1<<62)},
		pairs: [][2]int{{3, 4}}, result: address, memory: true},
	{nr: unix.SYS_MUNMAP, args: []arg{addresses(ground).except("null", "lowest page"), mapLengths()}, pairs: [][2]int{{0, 1}}, memory: true},
	{nr: unix.SYS_MPROTECT, args: []arg{addresses(ground), mapLengths(), flags(unix.PROT_READ)}, pairs: [][2]int{{0, 1}, {0, 2}}, memory: true},
	{nr: unix.SYS_MADVISE, args: []arg{addresses(ground), num(4*page, 0, 1, page-1, page+1, grounds*page, 20*page, -1, -4095, -4096), num(unix.MADV_NORMAL, advice...)}, pairs: [][2]int{{0, 2}, {1, 2}}, memory: true},
	{nr: unix.SYS_MREMAP, args: []arg{addresses(ground), mapLengths(), mapLengths(), flags(unix.MREMAP_MAYMOVE, unix.MREMAP_DONTUNMAP), addresses(ground + 32*page)},
		pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}, {1, 3}, {2, 3}}, result: address, memory: true},
	{name: "mremap fixed", nr: unix.SYS_MREMAP, args: []arg{addresses(ground), mapLengths(), mapLengths(), num(unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, unix.MREMAP_FIXED), addresses(ground + 32*page)},
		pairs: [][2]int{{0, 1}, {0, 4}, {1, 2}, {1, 4}, {2, 4}}, result: address, memory: true},
	{nr: unix.SYS_MINCORE, args: []arg{addresses(ground), num(4*page, 0, 1, page-1, 20*page, -1, -4096, 1<<63-1, 1<<47), ptr(make([]byte, 4))}, pairs: [][2]int{{0, 1}, {0, 2}, {1, 2}}, memory: true},
	{nr: unix.SYS_MSYNC, args: []arg{addresses(ground), num(4*page, 0, 1, page-1, 20*page, -1, -4096), flags(unix.MS_ASYNC)}, pairs: [][2]int{{0, 1}, {0, 2}}, memory: true},
	{nr: unix.SYS_MLOCK, args: []arg{addresses(ground), mapLengths()}, pairs: [][2]int{{0, 1}}, memory: true},
	{nr: unix.SYS_MUNLOCK, args: []arg{addresses(ground), mapLengths()}, pairs: [][2]int{{0, 1}}, memory: true},
	{nr: unix.SYS_MLOCKALL, args: []arg{num(0, 4, 8, 1<<31, -1)}},
}

// advice are all but those that make a machine's memory bad (100, 101), or take a
// whole arena from a machine without swap.
var advice = []int64{1, 2, 3, 4, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 5, 6, 7, 26, 31, 32, 33, -1, 1 << 31, 1<<32 + 4}

// mapLengths go with addresses of the ground: none of them reaches the memory of
// others.
func mapLengths() arg {
	return num(4*page, 0, 1, page, page-1, page+1, grounds*page, 20*page, -1, -4095, -4096, -1<<63, 1<<63-1, -1<<63+page)
}

// addresses are of mappings.
func addresses(right uintptr) arg {
	a := arg{right: plain("right", right)}
	if right == ground {
		a.right.name = "ground"
	}
	a.wrong = append(a.wrong, nowhere...)
	a.wrong = append(a.wrong, plain("ground + 1", ground+1), plain("below the ground", ground-page), plain("ground's last page", ground+(grounds-1)*page),
		plain("read-only", readOnly), plain("no access", noAccess), plain("hole", hole))
	return a
}

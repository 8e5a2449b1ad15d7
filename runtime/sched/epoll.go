// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"unsafe"

	"github.com/hvgo/hvgo/runtime/ring0"
)

// Linux's epoll events (sys/epoll.h).
const (
	epollIn      = 0x1
	epollOut     = 0x4
	epollErr     = 0x8
	epollHup     = 0x10
	epollOneshot = 1 << 30
	epollEdge    = 1 << 31

	epollAdd = 1
	epollDel = 2
	epollMod = 3

	epollAlways   = epollErr | epollHup // reported whether wanted or not
	epollTriggers = epollOneshot | epollEdge | 1<<28 | 1<<29
)

// event is struct epoll_event: packed, 12 bytes.
type event [3]uint32

const eventBytes = 12

// NewEpoll makes an epoll descriptor.
//
//go:nosplit
func NewEpoll(flags uint32) int { return AllocFD(ring0.FDEpoll, flags, 0) }

// EpollCtl is epoll_ctl. A descriptor can be registered with one epoll at a
// time, which is all that Go's runtime asks for.
//
//go:nosplit
func EpollCtl(ep uint64, op uint64, fd uint64, ev uintptr) int {
	var e event
	if op != epollDel && !ring0.CopyUser(uintptr(unsafe.Pointer(&e)), ev, eventBytes) {
		return eFault
	}
	if Kind(ep) == ring0.FDFree || Kind(fd) == ring0.FDFree {
		return eBadF
	}
	if Kind(ep) != ring0.FDEpoll || ep == fd {
		return eInval
	}
	if Kind(fd) == ring0.FDEpoll {
		return eLoop // nested epolls are not supported
	}
	if Kind(fd) == ring0.FDConsole || Flags(fd)&NoPoll != 0 {
		return ePerm // like a regular file
	}
	f := fileAt(int32(fd))
	registered := f.epoll == int32(ep)
	switch op {
	case epollAdd:
		if f.epoll != -1 {
			return eExist
		}
		f.epoll = int32(ep)
	case epollMod, epollDel:
		if !registered {
			return eNoEnt
		}
		if op == epollDel {
			unregister(int32(fd))
			return 0
		}
	default:
		return eInval
	}
	f.wanted = e[0]
	f.user = uint64(e[1]) | uint64(e[2])<<32
	markHot(int32(fd))
	return 0
}

// NoPoll is a flag of door descriptors that epoll refuses, as Linux does for
// regular files and block devices.
const NoPoll = 1 << 31

// Notify says that fd's readiness is now ready, and that something happened
// to it: an edge.
//
//go:nosplit
func Notify(fd int32, ready uint32) {
	fileAt(fd).ready = ready
	markHot(fd)
}

// Level says that fd's readiness is now ready, without an edge.
//
//go:nosplit
func Level(fd int32, ready uint32) {
	f := fileAt(fd)
	f.ready = ready
	if f.wanted&epollEdge == 0 {
		markHot(fd)
	}
}

// markHot puts a registered descriptor that is ready for what was asked into
// its epoll's list, and wakes a thread that waits there.
//
//go:nosplit
func markHot(fd int32) {
	f := fileAt(fd)
	if f.epoll < 0 || f.ready&(f.wanted|epollAlways)&^epollTriggers == 0 {
		return
	}
	if !f.hot {
		f.hot, f.nextHot = true, -1
		p := fileAt(f.epoll)
		if p.firstHot < 0 {
			p.firstHot = fd
		} else {
			fileAt(p.lastHot).nextHot = fd
		}
		p.lastHot = fd
	}
	wakeWaiters(WaitEpoll, uintptr(f.epoll), 1)
}

//go:nosplit
func takeHot(p *file) int32 {
	fd := p.firstHot
	if fd >= 0 {
		f := fileAt(fd)
		p.firstHot = f.nextHot
		f.hot, f.nextHot = false, -1
	}
	return fd
}

// unregister takes a descriptor out of its epoll.
//
//go:nosplit
func unregister(fd int32) {
	f := fileAt(fd)
	if f.epoll < 0 {
		return
	}
	if f.hot {
		p, before := fileAt(f.epoll), int32(-1)
		for at := p.firstHot; at >= 0; at = fileAt(at).nextHot {
			if at == fd {
				if before < 0 {
					p.firstHot = f.nextHot
				} else {
					fileAt(before).nextHot = f.nextHot
				}
				if p.lastHot == fd {
					p.lastHot = before
				}
				break
			}
			before = at
		}
	}
	f.hot, f.nextHot, f.epoll, f.wanted = false, -1, -1, 0
}

// forgetEpoll drops all registrations of an epoll that is closed.
//
//go:nosplit
func forgetEpoll(ep int32) {
	for fd := int32(0); fd < ring0.MaxFD; fd++ {
		if fileAt(fd).epoll == ep {
			unregister(fd)
		}
	}
}

// EpollWait is epoll_wait: up to n events to buf; due is a reference time, 0
// to wait for ever, and negative not to wait.
//
//go:nosplit
func EpollWait(ep uint64, buf uintptr, n int32, due int64) int {
	if Kind(ep) == ring0.FDFree {
		return eBadF
	}
	if Kind(ep) != ring0.FDEpoll || n <= 0 {
		return eInval
	}
	for {
		if got := collect(fileAt(int32(ep)), buf, n); got != 0 || due < 0 {
			return got
		}
		switch Block(WaitEpoll, uintptr(ep), due) {
		case TimedOut:
			return collect(fileAt(int32(ep)), buf, n)
		case Interrupted:
			return eIntr
		}
		if Kind(ep) != ring0.FDEpoll {
			return eBadF
		}
	}
}

// collect moves up to n events from the list to buf. A level-triggered
// descriptor stays in the list while it is ready.
//
//go:nosplit
func collect(p *file, buf uintptr, n int32) int {
	got, stop := int32(0), p.lastHot
	for got < n {
		fd := takeHot(p)
		if fd < 0 {
			break
		}
		f := fileAt(fd)
		ready := f.ready & (f.wanted | epollAlways) &^ epollTriggers
		if ready != 0 {
			e := event{ready, uint32(f.user), uint32(f.user >> 32)}
			if !ring0.CopyUser(buf+uintptr(got)*eventBytes, uintptr(unsafe.Pointer(&e)), eventBytes) {
				markHot(fd)
				if got == 0 {
					return eFault
				}
				break
			}
			got++
			switch {
			case f.wanted&epollOneshot != 0:
				f.wanted &= epollTriggers
			case f.wanted&epollEdge == 0:
				markHot(fd)
			}
		}
		if fd == stop {
			break // what was put back behind is for the next call
		}
	}
	return int(got)
}

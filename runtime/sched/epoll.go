// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"unsafe"

	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// Linux's epoll events (sys/epoll.h) and the operations of epoll_ctl.
const (
	epollIn        = 0x1
	epollOut       = 0x4
	epollErr       = 0x8
	epollHup       = 0x10
	epollRdNorm    = 0x40
	epollWrNorm    = 0x100
	epollExclusive = 1 << 28
	epollWakeup    = 1 << 29
	epollOneshot   = 1 << 30
	epollEdge      = 1 << 31

	epollAdd = 1
	epollDel = 2
	epollMod = 3

	epollAlways   = epollErr | epollHup // reported whether wanted or not
	epollTriggers = epollOneshot | epollEdge | epollExclusive | epollWakeup

	// What may stand beside EPOLLEXCLUSIVE (epoll_ctl(2)).
	epollExclusiveOK = epollIn | epollOut | epollErr | epollHup | epollWakeup | epollEdge | epollExclusive
)

// event is struct epoll_event: packed, 12 bytes.
type event [3]uint32

const eventBytes = 12

// maxEvents is the most that epoll_wait may be asked for.
const maxEvents = (1<<31 - 1) / eventBytes

// reg is a registration: a descriptor with an epoll. It is in the list of what
// it watches, and in its epoll's while it is hot, that is, to be reported: a
// level-triggered one as long as its descriptor is ready, an edge-triggered one
// from an edge to the report, if it is ready all the time.
type reg struct {
	epoll            int32 // object; 0: not in use
	fd               int32
	wanted           uint32 // 0 but for the triggers: switched off by EPOLLONESHOT
	hot              bool
	user             uint64
	next             int32 // of the same target; or the next that is free
	hotPrev, hotNext int32
}

// Registrations are numbered from 1; 0 is none.
const maxRegs = 2 * ring0.MaxFD

var (
	regs     [maxRegs]reg
	freeReg  int32 // the first that was used and is free
	usedRegs int32 // how many were ever used

	// levelRegs counts the level-triggered registrations of door files.
	levelRegs uint32
)

//go:nosplit
func regAt(i int32) *reg { return &regs[uint32(i-1)%maxRegs] }

// LevelTriggered says whether any door file is watched without EPOLLET. Only
// then matters that what was read to its end is reported as empty at once, and
// not at the next call that finds it so.
//
//go:nosplit
func LevelTriggered() bool { return levelRegs != 0 }

// NewEpoll makes an epoll, the lowest free descriptor from low on; flags are those of
// epoll_create1.
//
//go:nosplit
func NewEpoll(flags uint32, low uint64) int {
	if flags&^cloexec != 0 {
		return eInval
	}
	fd, _ := newObject(ring0.FDEpoll, flags, low)
	return fd
}

// EpollCtl is epoll_ctl.
//
//go:nosplit
func EpollCtl(ep uint64, op uint64, fd uint64, ev uintptr) int {
	var e event
	ep, fd, op = uint64(uint32(ep)), uint64(uint32(fd)), uint64(uint32(op))
	if op != epollDel && (ev > mem.UserEnd-eventBytes || !ring0.CopyUser(uintptr(unsafe.Pointer(&e)), ev, eventBytes)) {
		return eFault
	}
	kind := Kind(fd)
	if !usable(ep) || !usable(fd) {
		return eBadF
	}
	if kind == ring0.FDConsole || Flags(fd)&NoPoll != 0 {
		return ePerm // like a regular file
	}
	f, at := fileAt(int32(fd)), fileAt(int32(ep)).object
	if Kind(ep) != ring0.FDEpoll || kind == ring0.FDEpoll && f.object == at {
		return eInval
	}
	if op != epollDel && e[0]&epollExclusive != 0 && (op == epollMod || kind == ring0.FDEpoll || e[0]&^epollExclusiveOK != 0) {
		return eInval
	}
	if op == epollAdd && kind == ring0.FDEpoll && !mayNest(at, f.object) {
		return eLoop
	}
	t := f.targetOf(kind)
	i := findReg(t, at, int32(fd))
	switch op {
	case epollAdd:
		if i != 0 {
			return eExist
		}
		if i = newReg(t, at, int32(fd)); i == 0 {
			return eNoSpc
		}
	case epollDel:
		if i == 0 {
			return eNoEnt
		}
		remove(t, i)
		tellParents()
		return 0
	case epollMod:
		if i == 0 {
			return eNoEnt
		}
		if regAt(i).wanted&epollExclusive != 0 {
			return eInval
		}
	default:
		return eInval
	}
	r := regAt(i)
	r.want(e[0] | epollAlways)
	r.user = uint64(e[1]) | uint64(e[2])<<32
	if r.reports(t.ready) == 0 {
		cool(i)
	} else if !r.hot {
		heat(i)
	}
	tellParents()
	return 0
}

// usable tells whether there is a descriptor, and more than a path behind it.
//
//go:nosplit
func usable(fd uint64) bool { return Kind(fd) != ring0.FDFree && Flags(fd)&PathOnly == 0 }

// want sets what a registration waits for.
//
//go:nosplit
func (r *reg) want(events uint32) {
	if r.isLevel() {
		levelRegs--
	}
	r.wanted = events
	if r.isLevel() {
		levelRegs++
	}
}

//go:nosplit
func (r *reg) isLevel() bool {
	return Kind(uint64(uint32(r.fd))) == ring0.FDDoor && r.wanted&^epollTriggers != 0 && r.wanted&epollEdge == 0
}

// reports is what of a readiness the registration has to report.
//
//go:nosplit
func (r *reg) reports(ready uint32) uint32 { return ready & r.wanted &^ epollTriggers }

//go:nosplit
func findReg(t *target, ep, fd int32) int32 {
	for i := t.watch; i != 0; i = regAt(i).next {
		if r := regAt(i); r.epoll == ep && r.fd == fd {
			return i
		}
	}
	return 0
}

//go:nosplit
func newReg(t *target, ep, fd int32) int32 {
	i := freeReg
	if i != 0 {
		freeReg = regAt(i).next
	} else {
		if usedRegs == maxRegs {
			return 0
		}
		usedRegs++
		i = usedRegs
	}
	*regAt(i) = reg{epoll: ep, fd: fd}
	// Behind the others: they are told in the order in which they came.
	if t.watch == 0 {
		t.watch = i
		return i
	}
	last := t.watch
	for regAt(last).next != 0 {
		last = regAt(last).next
	}
	regAt(last).next = i
	return i
}

// remove ends a registration.
//
//go:nosplit
func remove(t *target, i int32) {
	r := regAt(i)
	cool(i)
	r.want(0)
	if t.watch == i {
		t.watch = r.next
	} else {
		for at := t.watch; at != 0; at = regAt(at).next {
			if regAt(at).next == i {
				regAt(at).next = r.next
				break
			}
		}
	}
	*r = reg{next: freeReg}
	freeReg = i
}

// unregister takes a descriptor out of all epolls.
//
//go:nosplit
func unregister(t *target, fd int32) {
	for i := t.watch; i != 0; {
		next := regAt(i).next
		if regAt(i).fd == fd {
			remove(t, i)
		}
		i = next
	}
}

// forgetEpoll ends all registrations with an epoll that is closed.
//
//go:nosplit
func forgetEpoll(ep int32) {
	for i := int32(1); i <= usedRegs; i++ {
		if r := regAt(i); r.epoll == ep {
			remove(fileAt(r.fd).targetOf(Kind(uint64(uint32(r.fd)))), i)
		}
	}
}

// NoPoll is a flag of door descriptors that epoll refuses, as Linux does for
// regular files and block devices.
const NoPoll = 1 << 31

// PathOnly is the flag of door descriptors that were opened with O_PATH: epoll knows
// them not at all.
const PathOnly = 1 << 30

// Notify says that a door file's readiness is now ready, and that something
// happened to it: an edge.
//
//go:nosplit
func Notify(fd int32, ready uint32) {
	if Kind(uint64(uint32(fd))) == ring0.FDDoor {
		tell(&fileAt(fd).target, normal(ready), ^uint32(0))
		tellParents()
	}
}

// Level says that a door file's readiness is now ready, without an edge.
//
//go:nosplit
func Level(fd int32, ready uint32) {
	if Kind(uint64(uint32(fd))) == ring0.FDDoor {
		tell(&fileAt(fd).target, normal(ready), 0)
		tellParents()
	}
}

// normal adds the events that say the same as EPOLLIN and EPOLLOUT.
//
//go:nosplit
func normal(ready uint32) uint32 {
	return ready | ready&epollIn*epollRdNorm | ready&epollOut*(epollWrNorm/epollOut)
}

// tell passes a readiness on to those who watch; edges are the events that
// something happened to. Of the registrations with EPOLLEXCLUSIVE one is told,
// if there is one where a thread waits. tellParents has to follow.
//
//go:nosplit
func tell(t *target, ready, edges uint32) {
	t.ready = ready
	given := int32(0)
	for i := t.watch; i != 0; i = regAt(i).next {
		r := regAt(i)
		switch {
		case r.reports(ready) == 0:
			cool(i)
		case edges == 0 && (r.hot || r.wanted&epollEdge != 0):
		case edges != 0 && edges&r.wanted == 0:
		case r.wanted&epollExclusive == 0:
			heat(i)
		case given == 0 || objectAt(regAt(given).epoll).waiting == 0 && objectAt(r.epoll).waiting != 0:
			given = i
		}
	}
	if given != 0 {
		heat(given)
	}
}

// heat makes a registration hot, and wakes a thread that waits for its epoll.
//
//go:nosplit
func heat(i int32) {
	insert(i)
	ep := regAt(i).epoll
	changed(ep, epollIn)
	wakeWaiters(WaitEpoll, uintptr(ep), 1)
}

// insert puts a registration at the end of its epoll's list.
//
//go:nosplit
func insert(i int32) {
	r := regAt(i)
	if r.hot {
		return
	}
	o := objectAt(r.epoll)
	r.hot, r.hotPrev, r.hotNext = true, o.lastHot, 0
	if o.lastHot == 0 {
		o.firstHot = i
	} else {
		regAt(o.lastHot).hotNext = i
	}
	o.lastHot = i
	o.ready = epollIn | epollRdNorm
}

// cool takes a registration out of its epoll's list.
//
//go:nosplit
func cool(i int32) {
	r := regAt(i)
	if !r.hot {
		return
	}
	o := objectAt(r.epoll)
	if r.hotPrev == 0 {
		o.firstHot = r.hotNext
	} else {
		regAt(r.hotPrev).hotNext = r.hotNext
	}
	if r.hotNext == 0 {
		o.lastHot = r.hotPrev
	} else {
		regAt(r.hotNext).hotPrev = r.hotPrev
	}
	r.hot, r.hotPrev, r.hotNext = false, 0, 0
	if o.firstHot == 0 {
		o.ready = 0
	}
	changed(r.epoll, 0)
}

// EpollWait is epoll_wait: up to n events to buf; due is a reference time, 0
// to wait for ever, and negative not to wait.
//
//go:nosplit
func EpollWait(ep uint64, buf uintptr, n int32, due int64) int {
	ep = uint64(uint32(ep))
	if !usable(ep) {
		return eBadF
	}
	if n <= 0 || n > maxEvents {
		return eInval
	}
	if end := buf + uintptr(n)*eventBytes; end < buf || end > mem.UserEnd {
		return eFault
	}
	if Kind(ep) != ring0.FDEpoll {
		return eInval
	}
	i := fileAt(int32(ep)).object
	o := objectAt(i)
	o.refs++ // it may be closed meanwhile
	got := o.wait(i, buf, n, due)
	drop(i)
	return got
}

//go:nosplit
func (o *object) wait(i int32, buf uintptr, n int32, due int64) int {
	for {
		if got := o.collect(i, buf, n); got != 0 || due < 0 {
			return got
		}
		o.waiting++
		reason := Block(WaitEpoll, uintptr(i), due)
		o.waiting--
		switch reason {
		case TimedOut:
			return o.collect(i, buf, n)
		case Interrupted:
			return eIntr
		}
	}
}

// collect moves up to n events from the list to buf. A level-triggered
// registration goes to the end of the list, to be reported again.
//
//go:nosplit
func (o *object) collect(ep int32, buf uintptr, n int32) int {
	got, last := int32(0), o.lastHot
	for i := o.firstHot; i != 0 && got < n; {
		r := regAt(i)
		t := fileAt(r.fd).targetOf(Kind(uint64(uint32(r.fd))))
		e := event{r.reports(t.ready), uint32(r.user), uint32(r.user >> 32)}
		if !ring0.CopyUser(buf+uintptr(got)*eventBytes, uintptr(unsafe.Pointer(&e)), eventBytes) {
			if got == 0 {
				return eFault
			}
			break
		}
		got++
		cool(i)
		if r.wanted&epollOneshot != 0 {
			r.want(r.wanted & epollTriggers)
		} else if r.wanted&epollEdge == 0 {
			insert(i)
		}
		if i == last {
			break // what was put back behind is for the next call
		}
		i = o.firstHot
	}
	if o.firstHot != 0 && o.waiting > 0 {
		wakeWaiters(WaitEpoll, uintptr(ep), 1)
	}
	tellParents()
	return int(got)
}

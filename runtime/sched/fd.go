// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"unsafe"

	"github.com/hvgo/hvgo/runtime/ring0"
)

// fdKind is the kind of each descriptor (ring0.FD…). The system call entry
// reads it to find out who serves a call.
var fdKind [ring0.MaxFD]uint8

// file is what both leaves need to know of a descriptor. Door files have
// their own half in runtime/linux.
type file struct {
	flags             uint32 // O_CLOEXEC, O_NONBLOCK
	ready             uint32 // EPOLL… now
	wanted            uint32 // epoll registration: events and EPOLLET, EPOLLONESHOT
	epoll             int32  // the epoll descriptor it is registered with, -1 for none
	user              uint64 // the registration's data
	nextHot           int32  // in the epoll's list of ready files, -1 at its end
	hot               bool   // in that list
	sema              bool   // eventfd: EFD_SEMAPHORE
	count             uint64 // eventfd: the counter
	firstHot, lastHot int32  // epoll: the list
}

var files [ring0.MaxFD]file

//go:nosplit
func fileAt(fd int32) *file { return &files[uint32(fd)%ring0.MaxFD] }

//go:nosplit
func initFDs() {
	for fd := int32(0); fd < ring0.MaxFD; fd++ {
		*fileAt(fd) = file{epoll: -1, nextHot: -1, firstHot: -1, lastHot: -1}
	}
	fdKind[0], fdKind[1], fdKind[2] = ring0.FDConsole, ring0.FDConsole, ring0.FDConsole
}

// Kind is a descriptor's kind, ring0.FDFree for one that is out of range.
//
//go:nosplit
func Kind(fd uint64) uint8 {
	if fd >= ring0.MaxFD {
		return ring0.FDFree
	}
	return fdKind[fd%ring0.MaxFD]
}

// AllocFD takes the lowest free descriptor from low on, or gives -EMFILE.
//
//go:nosplit
func AllocFD(kind uint8, flags uint32, low uint64) int {
	for fd := low; fd < ring0.MaxFD; fd++ {
		if fdKind[fd%ring0.MaxFD] == ring0.FDFree {
			fdKind[fd%ring0.MaxFD] = kind
			*fileAt(int32(fd)) = file{flags: flags, epoll: -1, nextHot: -1, firstHot: -1, lastHot: -1}
			return int(fd)
		}
	}
	return eMFile
}

// FreeFD closes a descriptor on this side.
//
//go:nosplit
func FreeFD(fd int32) {
	switch fdKind[uint32(fd)%ring0.MaxFD] {
	case ring0.FDFree:
		return
	case ring0.FDEpoll:
		forgetEpoll(fd)
	}
	unregister(fd)
	fdKind[uint32(fd)%ring0.MaxFD] = ring0.FDFree
}

// Flags and SetFlags are a descriptor's O_CLOEXEC and O_NONBLOCK.
//
//go:nosplit
func Flags(fd uint64) uint32 { return fileAt(int32(fd)).flags }

//go:nosplit
func SetFlags(fd uint64, flags uint32) { fileAt(int32(fd)).flags = flags }

// nonblock is O_NONBLOCK.
const nonblock = 0x800

// NewEvent makes an eventfd.
//
//go:nosplit
func NewEvent(count uint64, flags uint32, semaphore bool) int {
	fd := AllocFD(ring0.FDEvent, flags, 0)
	if fd >= 0 {
		f := fileAt(int32(fd))
		f.count, f.sema = count, semaphore
		f.ready = eventReady(f)
	}
	return fd
}

//go:nosplit
func eventReady(f *file) uint32 {
	ready := uint32(0)
	if f.count > 0 {
		ready |= epollIn
	}
	if f.count < 1<<64-2 {
		ready |= epollOut
	}
	return ready
}

// ReadEvent is read on an eventfd: 8 bytes to buf, or a negative errno.
//
//go:nosplit
func ReadEvent(fd int32, buf uintptr, n uint64) int {
	f := fileAt(fd)
	if n < 8 {
		return eInval
	}
	for f.count == 0 {
		if f.flags&nonblock != 0 {
			return eAgain
		}
		if Block(WaitEvent, uintptr(fd), 0) == Interrupted {
			return eIntr
		}
		if Kind(uint64(fd)) != ring0.FDEvent {
			return eBadF
		}
	}
	value := f.count
	if f.sema {
		value = 1
	}
	if !ring0.CopyUser(buf, uintptr(unsafe.Pointer(&value)), 8) {
		return eFault
	}
	f.count -= value
	Notify(fd, eventReady(f))
	return 8
}

// WriteEvent is write on an eventfd.
//
//go:nosplit
func WriteEvent(fd int32, buf uintptr, n uint64) int {
	var value uint64
	if n < 8 {
		return eInval
	}
	if !ring0.CopyUser(uintptr(unsafe.Pointer(&value)), buf, 8) {
		return eFault
	}
	if value == 1<<64-1 {
		return eInval
	}
	f := fileAt(fd)
	if value > 1<<64-2-f.count {
		return eAgain // a blocking writer that overflows 64 bits is not worth a wait queue
	}
	AddEvent(fd, value)
	return 8
}

// AddEvent adds to an eventfd's counter: what an interrupt does to wake the
// goroutine that reads it.
//
//go:nosplit
func AddEvent(fd int32, value uint64) {
	if Kind(uint64(uint32(fd))) != ring0.FDEvent {
		return
	}
	f := fileAt(fd)
	f.count += value
	wakeWaiters(WaitEvent, uintptr(fd), 1)
	Notify(fd, eventReady(f))
}

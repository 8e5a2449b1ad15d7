// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

import (
	"unsafe"

	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// efdSemaphore is EFD_SEMAPHORE.
const efdSemaphore = 1

// eventMost is the highest value of an eventfd's counter (eventfd(2)).
const eventMost = 1<<64 - 2

// NewEvent makes an eventfd, the lowest free descriptor from low on; flags are those
// of eventfd2.
//
//go:nosplit
func NewEvent(count uint64, flags uint32, low uint64) int {
	if flags&^(nonblock|cloexec|efdSemaphore) != 0 {
		return eInval
	}
	fd, o := newObject(ring0.FDEvent, flags, low)
	if o != nil {
		o.count, o.sema = count, flags&efdSemaphore != 0
		o.ready = eventReady(o)
	}
	return fd
}

//go:nosplit
func eventReady(o *object) uint32 {
	ready := uint32(0)
	if o.count > 0 {
		ready |= epollIn
	}
	if o.count < eventMost {
		ready |= epollOut
	}
	return ready
}

// A writer waits for the object's number, with this bit.
const eventWriter = 1 << 31

// ReadEvent is read on an eventfd: 8 bytes to buf, or a negative errno.
//
//go:nosplit
func ReadEvent(fd int32, buf uintptr, n uint64) int {
	if n < 8 {
		return eInval
	}
	i := fileAt(fd).object
	o := objectAt(i)
	o.refs++ // it may be closed meanwhile
	got := o.take(i, buf)
	drop(i)
	return got
}

//go:nosplit
func (o *object) take(i int32, buf uintptr) int {
	for o.count == 0 {
		if o.flags&nonblock != 0 {
			return eAgain
		}
		if Block(WaitEvent, uintptr(i), 0) == Interrupted {
			return eIntr
		}
	}
	value := o.count
	if o.sema {
		value = 1
	}
	if buf > mem.UserEnd-8 || !ring0.CopyUser(buf, uintptr(unsafe.Pointer(&value)), 8) {
		return eFault
	}
	o.count -= value
	wakeWaiters(WaitEvent, uintptr(i)|eventWriter, MaxThreads)
	tell(&o.target, eventReady(o), epollOut)
	tellParents()
	return 8
}

// WriteEvent is write on an eventfd: of 8 bytes, no more, as newer Linux (6.12) has it.
//
//go:nosplit
func WriteEvent(fd int32, buf uintptr, n uint64) int {
	var value uint64
	if n != 8 {
		return eInval
	}
	if buf > mem.UserEnd-8 || !ring0.CopyUser(uintptr(unsafe.Pointer(&value)), buf, 8) {
		return eFault
	}
	if value == 1<<64-1 {
		return eInval
	}
	i := fileAt(fd).object
	o := objectAt(i)
	o.refs++
	got := o.put(i, value)
	drop(i)
	return got
}

//go:nosplit
func (o *object) put(i int32, value uint64) int {
	for value > eventMost-o.count {
		if o.flags&nonblock != 0 {
			return eAgain
		}
		if Block(WaitEvent, uintptr(i)|eventWriter, 0) == Interrupted {
			return eIntr
		}
	}
	o.add(i, value)
	return 8
}

//go:nosplit
func (o *object) add(i int32, value uint64) {
	o.count += value
	if o.count > 0 {
		wakeWaiters(WaitEvent, uintptr(i), 1)
	}
	tell(&o.target, eventReady(o), epollIn)
	tellParents()
}

// AddEvent adds to an eventfd's counter: what an interrupt does to wake the
// goroutine that reads it.
//
//go:nosplit
func AddEvent(fd int32, value uint64) {
	if Kind(uint64(uint32(fd))) != ring0.FDEvent {
		return
	}
	i := fileAt(fd).object
	o := objectAt(i)
	o.add(i, min(value, eventMost-o.count))
}

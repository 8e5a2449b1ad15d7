// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	"sync"
	"time"
	"unsafe"

	"github.com/hvgo/hvgo/runtime/linux"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/sched"
	"golang.org/x/sys/unix"
)

// The Go runtime itself writes to files and pipes where no Go can run: a heap dump with
// the world stopped, a byte from a signal handler. Such a write is taken as done, and kept
// in frames until somebody makes it: for files, the next call that comes through the
// door, so that all sees what was written; for what may have no room, a goroutine (LateWriter).

// late is a frame's worth of a write.
type late struct {
	next uintptr
	fd   int32
	n    uint32
	data [lateBytes]byte
}

const lateBytes = mem.PageSize - 16

// lateWrites is the queue. Guarded by the kernel lock.
var lateWrites struct {
	first, last uintptr
	event       int32 // eventfd that announces it, plus one; 0: nobody makes them
}

// lateReserve is the part of memory that late writes leave free: 1/16.
const lateReserve = 16

//go:nosplit
func lateAt(at uintptr) *late { return (*late)(ring0.Pointer(at)) }

// writeLate takes up to n bytes at buf for a descriptor of the door.
//
//go:nosplit
func writeLate(fd int32, buf uintptr, n uint64) int {
	q := &lateWrites
	if q.event == 0 {
		return eAgain
	}
	done := uint64(0)
	for done < n {
		if q.last == 0 || lateAt(q.last).fd != fd || lateAt(q.last).n == lateBytes {
			if !addLate(fd) {
				break
			}
		}
		w := lateAt(q.last)
		k := min(n-done, lateBytes-uint64(w.n))
		from := buf + uintptr(done)
		if !userRange(from, uintptr(k)) || !ring0.CopyUser(q.last+16+uintptr(w.n), from, uintptr(k)) {
			if done == 0 {
				return eFault
			}
			break
		}
		w.n += uint32(k)
		done += k
	}
	if done == 0 && n > 0 {
		return eAgain
	}
	sched.AddEvent(q.event-1, 1)
	return int(done)
}

//go:nosplit
func addLate(fd int32) bool {
	if mem.Free() < mem.Total()/lateReserve {
		return false
	}
	pa := mem.AllocFrame()
	if pa == 0 {
		return false
	}
	q, at := &lateWrites, mem.Phys(pa)
	lateAt(at).next, lateAt(at).fd, lateAt(at).n = 0, fd, 0
	if q.first == 0 {
		q.first = at
	} else {
		lateAt(q.last).next = at
	}
	q.last = at
	return true
}

// takeLate moves the first piece of the queue to buf, of mem.PageSize bytes, and gives
// its descriptor and size, as fd<<32|n; -EAGAIN when there is none. Without buf the piece
// stays.
//
//go:nosplit
func takeLate(buf uintptr) int {
	q := &lateWrites
	if q.first == 0 {
		return eAgain
	}
	at := q.first
	w := lateAt(at)
	if buf == 0 {
		return int(w.fd)<<32 | int(w.n)
	}
	if !userRange(buf, uintptr(w.n)) || !ring0.CopyUser(buf, at+16, uintptr(w.n)) {
		return eFault
	}
	answer := int(w.fd)<<32 | int(w.n)
	if q.first = w.next; q.first == 0 {
		q.last = 0
	}
	mem.FreeFrame(uint64(at - mem.Phys(0)))
	return answer
}

// lateMu keeps the order of late writes to files. It is not held while one waits for room.
var lateMu sync.Mutex

// lateBuffer is for those who hold lateMu.
var lateBuffer [mem.PageSize]byte

// makeLateWrites makes the late writes up to the first that may have to wait.
func makeLateWrites() {
	if lateWrites.first == 0 { // a guess, without the lock; the caller's own were before
		return
	}
	lateMu.Lock()
	defer lateMu.Unlock()
	makeThoseToFiles()
}

// makeThoseToFiles does, with lateMu held, and tells whether another is behind them.
func makeThoseToFiles() (more bool) {
	for {
		r := Kernel(KernelLate, 0, 0, 0)
		if r < 0 || !isFile(r>>32) {
			return r >= 0
		}
		if fd, piece := popLate(&lateBuffer); piece != nil {
			writeAll(fd, piece)
		}
	}
}

// popLate takes the first piece, which is in buf then; nil: there is none.
func popLate(buf *[mem.PageSize]byte) (fd int, piece []byte) {
	r := Kernel(KernelLate, uintptr(unsafe.Pointer(buf)), 0, 0)
	if r < 0 {
		return 0, nil
	}
	return r >> 32, buf[:min(r&0xffffffff, len(buf))]
}

// popWaiting makes what goes to files and takes the first piece behind it.
func popWaiting(buf *[mem.PageSize]byte) (fd int, piece []byte) {
	lateMu.Lock()
	defer lateMu.Unlock()
	if !makeThoseToFiles() {
		return 0, nil
	}
	return popLate(buf)
}

// LateWriter makes late writes that may have to wait, whenever the eventfd says that there
// are some: wait waits for it. It returns when that fails.
func LateWriter(eventfd uintptr, wait func() error) {
	Kernel(KernelLateEvent, eventfd, 0, 0)
	buf := new([mem.PageSize]byte)
	for wait() == nil {
		for fd, piece := popWaiting(buf); piece != nil; fd, piece = popWaiting(buf) {
			writeAll(fd, piece)
		}
	}
}

// isFile tells whether a descriptor is a regular file's.
func isFile(fd int) bool {
	var st unix.Stat_t
	r := linux.Direct(unix.SYS_FSTAT, &[6]uintptr{uintptr(fd), uintptr(unsafe.Pointer(&st))})
	return r == 0 && st.Mode&unix.S_IFMT == unix.S_IFREG
}

// writeAll writes to a descriptor that may be non-blocking. There is nobody to tell of an
// error: it may have been closed.
func writeAll(fd int, b []byte) {
	for len(b) > 0 {
		r := int(linux.Direct(unix.SYS_WRITE, &[6]uintptr{uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))}))
		switch {
		case r == eAgain:
			time.Sleep(time.Millisecond)
		case r < 0 && r != eIntr:
			return
		}
		b = b[max(r, 0):]
	}
}

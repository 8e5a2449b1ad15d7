// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	"math/bits"
	"unsafe"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/sched"
)

// Kernel makes one of the runtime's own calls from ordinary Go into trap
// context, by SYSCALL like all others; the result is a value or a negative
// errno. On Linux it faults or gives -ENOSYS: only a booted guest makes it.
func Kernel(call, a, b, c uintptr) int

// kernelMark is the last argument of the runtime's own calls ("hvgocall"): a number
// that a program made up is none of them.
const kernelMark = 0x6c6c61636f677668

// The runtime's own calls.
const (
	KernelNotify    = 0x1000 + iota // fd, ready: sched.Notify
	KernelLevel                     // fd, ready: sched.Level
	KernelAllocFD                   // kind, flags, lowest
	KernelFreeFD                    // fd
	KernelPost                      // connection, payload, n: hv.PostMessage, gives the status
	KernelTake                      // 240 bytes: a message of VMBus's SINT; gives its size, -EAGAIN when there is none
	KernelListen                    // event flag, eventfd (or -1 for none)
	KernelMessages                  // eventfd that messages are announced on
	KernelContig                    // pages: physical address of that many zeroed frames
	KernelUncontig                  // physical address, pages
	KernelFrame                     // address, write: its page's physical address, after filling it
	KernelSignal                    // signal: sent to the program
	KernelPowerOff                  // exit status
	KernelBalloon                   // pages, pages to keep free: physical address of frames for the host, plus their number; 0 for none
	KernelDeflate                   // physical address, pages: frames from the host
	KernelDupFD                     // fd, flags, lowest: sched.DupFD
	KernelLimitFDs                  // number: sched.LimitFDs
	KernelTask                      // slot, *TaskInfo: the first thread there or behind
	KernelStore                     // *storeCall: files in memory
	KernelLateEvent                 // eventfd that late writes are announced on
	KernelLate                      // a page: the first late write; gives fd<<32|n, -EAGAIN when there is none

	KernelOwn // 1 or 0: eventfds and epolls that this thread makes are the runtime's own; the program cannot close them

	KernelInterrupts = 0x10fe // eventfd that is told of Ctrl-C on the console: who reads it sends SIGINT
	KernelProvoke    = 0x10ff // what: fails, for tests; only with the build tag hvgo_probe
)

// flagEvent is the eventfd of each of VMBus's event flags, plus one; 0 for
// none. messageEvent is that of messages. Guarded by the kernel lock.
var (
	flagEvent    [2048]int32
	messageEvent int32
)

//go:nosplit
func kernelCall(f *ring0.Frame) int {
	a, b, c := uintptr(f.RDI), uintptr(f.RSI), uintptr(f.RDX)
	switch f.RAX {
	case KernelNotify:
		sched.Notify(int32(a), uint32(b))
	case KernelLevel:
		sched.Level(int32(a), uint32(b))
	case KernelAllocFD:
		return sched.AllocFD(uint8(a), uint32(b), uint64(c))
	case KernelFreeFD:
		sched.FreeFD(int32(a))
	case KernelPost:
		return int(postMessage(uint32(a), b, c))
	case KernelTake:
		return takeMessage(a)
	case KernelListen:
		flagEvent[a%uintptr(len(flagEvent))] = int32(b) + 1
	case KernelMessages:
		messageEvent = int32(a) + 1
		announceMessage()
	case KernelContig:
		return contig(uint64(a))
	case KernelUncontig:
		mem.FreeFrames(uint64(a), uint64(b))
		driverPages -= uint64(b)
	case KernelFrame:
		if !mem.Prepare(a, 1, b != 0) {
			return eFault
		}
		pa, _, _ := mem.Walk(a)
		return int(pa)
	case KernelInterrupts:
		interruptEvent = int32(a) + 1
	case KernelSignal:
		interruptAsked = false
		return signalProgram(uint64(a))
	case KernelPowerOff:
		powerOff(uint64(a))
	case KernelBalloon:
		pa, pages := mem.TakeBalloon(uint64(a), uint64(b))
		return int(pa | pages) // at most mem.BalloonPages, so it fits below the page
	case KernelProvoke:
		return provoke(a)
	case KernelDeflate:
		if !mem.GiveBalloon(uint64(a), uint64(b)) {
			return eInval
		}
	case KernelDupFD:
		return sched.DupFD(uint64(a), uint32(b), uint64(c))
	case KernelLimitFDs:
		sched.LimitFDs(uint64(a))
	case KernelTask:
		return taskInfo(uint32(a), b)
	case KernelLateEvent:
		lateWrites.event = int32(a) + 1
	case KernelLate:
		return takeLate(a)
	case KernelOwn:
		sched.Current().Own = a != 0
	default:
		return eNoSys
	}
	return 0
}

// messages are those that came and that nobody took yet: the host has one slot on the
// first processor, and only that one can free it. Guarded by the kernel lock.
var messages struct {
	at [16]struct {
		n    uint32
		data [tlfs.MessagePayloadSize]byte
	}
	first, count uint32
}

//go:nosplit
func takeMessage(dst uintptr) int {
	q := &messages
	if q.count == 0 {
		return eAgain
	}
	m := &q.at[q.first%uint32(len(q.at))]
	if !userRange(dst, tlfs.MessagePayloadSize) || !ring0.CopyUser(dst, uintptr(unsafe.Pointer(&m.data)), tlfs.MessagePayloadSize) {
		return eFault
	}
	q.first++
	if q.count--; q.count == uint32(len(q.at))-1 { // there may be more
		sched.Kick(0)
	}
	announceMessage()
	return int(m.n)
}

// takeMessages takes what is in the slot, if c, ours, is the first processor.
//
//go:nosplit
func takeMessages(c *ring0.CPU) {
	if c.ID != 0 {
		return
	}
	q, before := &messages, messages.count
	for q.count < uint32(len(q.at)) && hv.MessageWaits(tlfs.SINTVMBus) {
		m := &q.at[(q.first+q.count)%uint32(len(q.at))]
		_, n := hv.TakeMessage(tlfs.SINTVMBus, uintptr(unsafe.Pointer(&m.data)))
		m.n = uint32(n)
		q.count++
	}
	if q.count != before {
		announceMessage()
	}
}

//go:nosplit
func announceMessage() {
	if messageEvent != 0 && messages.count != 0 {
		sched.AddEvent(messageEvent-1, 1)
	}
}

// vmbusInterrupt marks and wakes: the goroutines that read the eventfds do the
// work. c is our processor.
//
//go:nosplit
func vmbusInterrupt(c *ring0.CPU) {
	takeMessages(c)
	for i := uintptr(0); i < hv.FlagWords; i++ {
		flags := hv.TakeFlags(i)
		for ; flags != 0; flags &= flags - 1 {
			if fd := flagEvent[(i*64+uintptr(bits.TrailingZeros64(flags)))%uintptr(len(flagEvent))]; fd != 0 {
				sched.AddEvent(fd-1, 1)
			}
		}
	}
}

//go:nosplit
func contig(pages uint64) int {
	pa := mem.AllocContig(pages)
	if pa == 0 {
		return eNoMem
	}
	driverPages += pages
	for at := mem.Phys(pa); at < mem.Phys(pa)+uintptr(pages)*mem.PageSize; at += 8 {
		*(*uint64)(ring0.Pointer(at)) = 0
	}
	return int(pa)
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hv

import (
	"sync/atomic"

	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// sintTimer is the SINT of timer messages, where timers have no direct mode.
const sintTimer = 4

// initSynIC enables this processor's message and event pages and VMBus's SINT (TLFS
// 11.8). Both
// pages are zeroed first: a host may take what lies there for a message that
// waits to be read.
//
//go:nosplit
func initSynIC() bool {
	messages, events := mem.AllocFrame(), mem.AllocFrame()
	if messages == 0 || events == 0 {
		return false
	}
	clearPage(messages)
	clearPage(events)
	l := mine()
	l.simp, l.siefp = mem.Phys(messages), mem.Phys(events)
	ring0.Wrmsr(tlfs.MSRSIMP, messages|tlfs.OverlayEnable)
	ring0.Wrmsr(tlfs.MSRSIEFP, events|tlfs.OverlayEnable)
	ring0.Wrmsr(tlfs.MSRSINT0+tlfs.SINTVMBus, VecVMBus)
	ring0.Wrmsr(tlfs.MSRSControl, tlfs.SControlEnable)
	return true
}

// MessageWaits tells whether the host has put a message into a slot of this processor's.
//
//go:nosplit
func MessageWaits(sint uintptr) bool {
	return atomic.LoadUint32((*uint32)(ring0.Pointer(mine().simp+sint*tlfs.MessageSize))) != tlfs.MessageTypeNone
}

// TakeMessage copies the message in a slot of this processor's to dst (240 bytes) and
// frees the slot.
// It gives the message's type, 0 when there is none, and the payload's size.
// Trap context.
//
//go:nosplit
func TakeMessage(sint, dst uintptr) (messageType uint32, n uintptr) {
	slot := mine().simp + sint*tlfs.MessageSize
	typ := (*uint32)(ring0.Pointer(slot + tlfs.MessageTypeOffset))
	if messageType = atomic.LoadUint32(typ); messageType == tlfs.MessageTypeNone {
		return 0, 0
	}
	n = uintptr(*(*uint8)(ring0.Pointer(slot + 4)))
	if n > tlfs.MessagePayloadSize {
		n = tlfs.MessagePayloadSize
	}
	if dst != 0 && !ring0.CopyUser(dst, slot+tlfs.MessagePayloadOffset, tlfs.MessagePayloadSize) {
		n = 0
	}
	// TLFS 11.10.1: free the slot, then look at the pending flag, in this
	// order for the host too; only then may EOM be skipped.
	atomic.StoreUint32(typ, tlfs.MessageTypeNone)
	ring0.Mfence()
	if *(*uint8)(ring0.Pointer(slot + tlfs.MessageFlagsOffset))&tlfs.MessagePending != 0 {
		ring0.Wrmsr(tlfs.MSREOM, 0)
	}
	return messageType, n
}

// TakeFlags takes and clears word i (of 32) of this processor's VMBus event flags: bit b is
// flag 64*i+b. Trap context.
//
//go:nosplit
func TakeFlags(i uintptr) uint64 {
	word := (*uint64)(ring0.Pointer(mine().siefp + tlfs.SINTVMBus*tlfs.EventFlagsSize + 8*(i&31)))
	if atomic.LoadUint64(word) == 0 {
		return 0
	}
	return atomic.SwapUint64(word, 0)
}

// FlagWords is how many words TakeFlags knows.
const FlagWords = tlfs.EventFlagsPerSINT / 64

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hv

import (
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// HypercallVA is where the host's hypercall page is mapped: the one page that
// is executable and not ours.
const HypercallVA = 0xffff_d000_0000_0000

// guestOSID says who we are (TLFS 2.6): open source, an OS type that nobody
// else uses ('H'), version 1.
const guestOSID = tlfs.GuestOSIDOpenSource | 'H'<<56 | 1<<32

func callPage(page, control, input, output uintptr) uint64

// initHypercall names the guest and enables the hypercall page (TLFS 3.13).
//
//go:nosplit
func initHypercall() bool {
	page := mem.AllocFrame()
	if page == 0 {
		return false
	}
	clearPage(page)
	ring0.Wrmsr(tlfs.MSRGuestOSID, guestOSID)
	ring0.Wrmsr(tlfs.MSRHypercall, page|tlfs.OverlayEnable)
	if ring0.Rdmsr(tlfs.MSRHypercall)&tlfs.OverlayEnable == 0 {
		return false
	}
	return mem.Map(HypercallVA, page, 0)
}

// initInput takes the page for this processor's slow hypercalls.
//
//go:nosplit
func initInput() bool {
	l := mine()
	if l.inputPA = mem.AllocFrame(); l.inputPA == 0 {
		return false
	}
	clearPage(l.inputPA)
	return true
}

// PostMessage posts n bytes at payload (at most 240) as a VMBus message to a
// connection, and gives the hypercall's status. Trap context.
//
//go:nosplit
func PostMessage(connection uint32, payload, n uintptr) tlfs.Status {
	if n > tlfs.MessagePayloadSize {
		return tlfs.StatusInvalidParameter
	}
	inputPA := mine().inputPA
	in := mem.Phys(inputPA)
	head := (*[4]uint32)(ring0.Pointer(in))
	head[0], head[1], head[2], head[3] = connection, 0, tlfs.MessageTypeVMBus, uint32(n)
	if !ring0.CopyUser(in+tlfs.MessageHeaderSize, payload, n) {
		return tlfs.StatusInvalidParameter
	}
	return tlfs.Status(callPage(HypercallVA, tlfs.HvCallPostMessage, uintptr(inputPA), 0))
}

// SignalEvent sets an event flag of a connection. It is a fast hypercall:
// nothing but registers, so any context may make it.
//
//go:nosplit
func SignalEvent(connection uint32, flag uint16) tlfs.Status {
	return tlfs.Status(callPage(HypercallVA, tlfs.HvCallSignalEvent|tlfs.HypercallFast,
		uintptr(connection)|uintptr(flag)<<32, 0))
}

// clearPage zeroes a frame.
//
//go:nosplit
func clearPage(pa uint64) {
	p := (*[mem.PageSize / 8]uint64)(ring0.Pointer(mem.Phys(pa)))
	for i := range p {
		p[i] = 0
	}
}

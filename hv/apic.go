// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hv

import (
	"sync/atomic"

	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// Interrupt vectors. The local APIC's spurious vector must end in 1111b on
// old processors.
const (
	VecTimer    = ring0.FirstInterrupt + iota // synthetic timer in direct mode
	VecVMBus                                  // SINT 2: messages and event flags of VMBus
	VecTimerMsg                               // SINT 4: synthetic timer by message
	VecIPI                                    // from another processor: look at the run queue, signals, translations
	VecSpurious = ring0.NumVectors - 1
)

// Registers of the local APIC: offsets of its page; divided by 16 and added
// to 0x800 they are the MSRs of x2APIC mode (Intel SDM volume 3, 12.12.1).
const (
	apicID     = 0x20
	apicEOI    = 0xb0
	apicSVR    = 0xf0
	apicICR    = 0x300
	apicICRHi  = 0x310
	apicTimer  = 0x320
	apicLINT0  = 0x350
	apicLINT1  = 0x360
	apicMasked = 1 << 16
	apicOn     = 1 << 8

	// Of the interrupt command register (12.6.1).
	icrNMI     = 4 << 8
	icrInit    = 5 << 8
	icrStartup = 6 << 8
	icrPending = 1 << 12
	icrAssert  = 1 << 14

	apicBaseX2     = 1 << 10
	apicBaseEnable = 1 << 11
)

// apicPage is the mapped local APIC, or 0 in x2APIC mode.
var apicPage uintptr

// initAPIC turns the processor's local APIC on, in x2APIC mode where there is one, with
// all its own sources masked: SynIC is the only one that interrupts us.
//
//go:nosplit
func initAPIC() {
	base := ring0.Rdmsr(ring0.MSRApicBase)
	if _, _, ecx, _ := ring0.Cpuid(1, 0); ecx&(1<<21) != 0 {
		ring0.Wrmsr(ring0.MSRApicBase, base|apicBaseEnable|apicBaseX2)
	} else {
		ring0.Wrmsr(ring0.MSRApicBase, base|apicBaseEnable)
		pa := base &^ 0xfff & (1<<52 - 1)
		if apicPage == 0 { // else another processor's: it is at the same address
			apicPage = mem.Phys(pa)
			mem.MapKernel(apicPage, pa, mem.PageSize, mem.Writable|mem.NoExec|mem.Uncached)
		}
	}
	ring0.This().APIC = apicNumber()
	apicWrite(apicLINT0, apicMasked)
	apicWrite(apicLINT1, apicMasked)
	apicWrite(apicTimer, apicMasked)
	apicWrite(apicSVR, apicOn|VecSpurious)
}

// apicNumber is the id of this processor's local APIC.
//
//go:nosplit
func apicNumber() uint32 {
	if apicPage != 0 {
		return *(*uint32)(ring0.Pointer(apicPage + apicID)) >> 24
	}
	return uint32(ring0.Rdmsr(0x800 + apicID>>4))
}

// command writes the interrupt command register (12.6.1; 12.12.9 for x2APIC mode).
// What is not sent yet is waited for, in the mode that can still hold it.
//
//go:nosplit
func command(apic, what uint32) {
	if apicPage == 0 {
		ring0.Wrmsr(0x800+apicICR>>4, uint64(apic)<<32|uint64(what))
		return
	}
	if has(tlfs.AccessApic) { // one exit instead of two
		ring0.Wrmsr(tlfs.MSRICR, uint64(apic)<<56|uint64(what))
		return
	}
	low := (*uint32)(ring0.Pointer(apicPage + apicICR))
	for i := 0; atomic.LoadUint32(low)&icrPending != 0 && i < apicPatience; i++ {
		ring0.Pause()
	}
	apicWrite(apicICRHi, apic<<24)
	apicWrite(apicICR, what)
}

// apicPatience bounds the wait for a command to be sent, in turns.
const apicPatience = 1 << 20

//go:nosplit
func apicWrite(reg uint32, value uint32) {
	if apicPage != 0 {
		*(*uint32)(ring0.Pointer(apicPage + uintptr(reg))) = value
		return
	}
	ring0.Wrmsr(0x800+reg>>4, uint64(value))
}

// EOI ends the interrupt in service.
//
//go:nosplit
func EOI() {
	if needless() {
		return
	}
	if has(tlfs.AccessApic) {
		ring0.Wrmsr(tlfs.MSREOI, 0)
		return
	}
	apicWrite(apicEOI, 0)
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hv

import (
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// Init takes the hypervisor's interfaces into use on the first processor, after mem
// works and before interrupts are unmasked. Detect has filled Host, and nothing is
// Missing. It gives what failed, or "".
//
//go:nosplit
func Init() string {
	if !initHypercall() {
		return "the hypercall page could not be enabled"
	}
	initRefTime()
	initSpin()
	mem.FlushOthers = flushOthers
	return InitProcessor()
}

// InitProcessor takes into use what each processor has of its own. It gives what
// failed, or "".
//
//go:nosplit
func InitProcessor() string {
	initAPIC()
	if has(tlfs.AccessVpIndex) {
		ring0.This().VP = uint32(ring0.Rdmsr(tlfs.MSRVpIndex))
	}
	if !initInput() || !initSynIC() {
		return "no memory for the SynIC's pages"
	}
	initAssist()
	initTimer()
	return ""
}

// Crash reports the end of the guest to the host (TLFS 2.4.10 and 4.10, guest
// crash MSRs), where it listens. text is a physical address.
//
//go:nosplit
func Crash(p0, p1, p2, text, bytes uint64) {
	if Host.Misc&tlfs.FeatureGuestCrashMSRs == 0 {
		return
	}
	ring0.Wrmsr(tlfs.MSRCrashP0, p0)
	ring0.Wrmsr(tlfs.MSRCrashP1, p1)
	ring0.Wrmsr(tlfs.MSRCrashP2, p2)
	ring0.Wrmsr(tlfs.MSRCrashP3, text)
	ring0.Wrmsr(tlfs.MSRCrashP4, bytes)
	ring0.Wrmsr(tlfs.MSRCrashCtl, tlfs.CrashNotify|tlfs.CrashMessage)
}

// Shutdown turns this processor's SynIC and timer off, so that whoever runs next (firmware)
// finds the machine as it was.
//
//go:nosplit
func Shutdown() {
	ring0.Wrmsr(tlfs.MSRStimer0Config, 0)
	ring0.Wrmsr(tlfs.MSRSINT0+tlfs.SINTVMBus, tlfs.SINTMasked)
	ring0.Wrmsr(tlfs.MSRSControl, 0)
	ring0.Wrmsr(tlfs.MSRSIMP, 0)
	ring0.Wrmsr(tlfs.MSRSIEFP, 0)
	if l := mine(); l.assist != 0 {
		l.assist = 0
		ring0.Wrmsr(tlfs.MSRVpAssistPage, 0)
	}
	if tscPage != 0 {
		tscPage = 0
		ring0.Wrmsr(tlfs.MSRReferenceTSC, 0)
	}
	ring0.Wrmsr(tlfs.MSRHypercall, 0)
	ring0.Wrmsr(tlfs.MSRGuestOSID, 0)
}

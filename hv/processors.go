// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hv

import (
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// wordVPs is how many processors the 64-bit masks of hypercalls name (TLFS 7.8.1).
const wordVPs = 64

//go:nosplit
func recommends(what uint32) bool { return Host.Recommendations&what != 0 }

// Interrupt makes VecIPI come to another processor: by hypercall where the host
// prefers that (TLFS 11.10.4, HvCallSendSyntheticClusterIpi), else by the APIC.
//
//go:nosplit
func Interrupt(c *ring0.CPU) {
	if recommends(tlfs.RecommendClusterIPI) && c.VP < wordVPs {
		r := callPage(HypercallVA, tlfs.HvCallSendSyntheticClusterIpi|tlfs.HypercallFast, VecIPI, 1<<c.VP)
		if tlfs.ResultStatus(r) == tlfs.StatusSuccess {
			return
		}
	}
	command(c.APIC, VecIPI)
}

// flushOthers makes all other processors drop what ring0.Flush says, and waits until
// they have. mem's lock is held, so there is one request at a time.
//
//go:nosplit
func flushOthers() {
	me, n, asked := ring0.This(), ring0.NumCPUs(), uint64(0)
	hypercall := recommends(tlfs.RecommendRemoteFlush)
	for i := uint32(0); i < n; i++ {
		c := ring0.CPUAt(i)
		switch {
		case c == me || !c.MarkStale():
		case hypercall && c.VP < wordVPs:
			asked |= 1 << c.VP
		default:
			Interrupt(c)
		}
	}
	if asked != 0 && !flushByHost(asked) {
		for i := uint32(0); i < n; i++ {
			if c := ring0.CPUAt(i); c.VP < wordVPs && asked>>c.VP&1 != 0 {
				Interrupt(c)
			}
		}
		asked = 0
	}
	for i := uint32(0); i < n; i++ {
		c := ring0.CPUAt(i)
		if c == me {
			continue
		}
		if c.VP < wordVPs && asked>>c.VP&1 != 0 {
			c.NotStale()
			continue
		}
		for spins := uint32(1); c.IsStale(); spins++ {
			ring0.Relax(spins)
		}
	}
}

// flushByHost makes the host drop translations of the processors of a mask (TLFS
// 7.11.2 and 7.11.3: HvCallFlushVirtualAddressSpace and …List). All of them use the same
// page tables, so the address space is not named.
//
//	0                8       16               24
//	+----------------+-------+----------------+---------------------------+
//	| address space  | flags | processor mask | page | count-1 of more ... |
//	+----------------+-------+----------------+---------------------------+
//
//go:nosplit
func flushByHost(processors uint64) bool {
	const allSpaces = 1 << 1 // HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES
	pa := mine().inputPA
	in := (*[3 + ring0.FlushPages]uint64)(ring0.Pointer(mem.Phys(pa)))
	in[0], in[1], in[2] = 0, allSpaces, processors
	control := uint64(tlfs.HvCallFlushVirtualAddressSpace)
	if n := ring0.Flush.N; n <= ring0.FlushPages {
		for i := uint32(0); i < n; i++ {
			in[3+i%ring0.FlushPages] = uint64(ring0.Flush.Pages[i%ring0.FlushPages])
		}
		control = tlfs.HvCallFlushVirtualAddressList | uint64(n)<<tlfs.HypercallRepCountShift
	}
	r := callPage(HypercallVA, uintptr(control), uintptr(pa), 0)
	return tlfs.ResultStatus(r) == tlfs.StatusSuccess
}

// Wake starts a processor that waits for its startup interrupt at a page below 1 MiB
// (Intel SDM volume 3, 9.4.4), or again does so if the first was lost.
//
//go:nosplit
func Wake(apic uint32, page uintptr, again bool) {
	ring0.Mfence() // WRMSR to an x2APIC does not wait for stores (12.12.3)
	if !again {
		command(apic, icrInit|icrAssert)
	}
	command(apic, icrStartup|icrAssert|uint32(page>>mem.PageShift))
}

// StopSignal makes an NMI come to another processor.
//
//go:nosplit
func StopSignal(c *ring0.CPU) { command(c.APIC, icrNMI|icrAssert) }

// initSpin learns how long to wait for a lock until the host is told (TLFS 2.4.5, leaf
// 0x40000004 EBX; 11.10.3, HvCallNotifyLongSpinWait).
//
//go:nosplit
func initSpin() {
	const never = 1<<32 - 1
	if Host.Spins != 0 && Host.Spins != never {
		ring0.SpinLimit = Host.Spins
		ring0.LongSpin = longSpin
	}
}

//go:nosplit
func longSpin(spins uint32) {
	callPage(HypercallVA, tlfs.HvCallNotifyLongSpinWait|tlfs.HypercallFast, uintptr(spins), 0)
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hv

import (
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// Attributes of a Segment (tlfs), and the PAT's register (Intel SDM volume 4).
const (
	attrCode = 0xa09b // 64-bit code, present, accessed
	attrData = 0xc093
	attrTSS  = 0x8b
	attrLDT  = 0x82
	msrPAT   = 0x277
)

// CanStart tells whether the host starts processors by hypercall.
//
//go:nosplit
func CanStart() bool { return Host.Privileges&tlfs.StartVirtualProcessor != 0 }

// Start makes the processor with that APIC id run at entry, on stack, in the state that
// this one is in, but without interrupts and descriptor tables: HvCallStartVirtualProcessor
// (TLFS, appendix A). Before the program runs.
func Start(apic uint32, entry, stack uintptr) tlfs.Status {
	vp, status := vpOf(apic)
	if status != tlfs.StatusSuccess {
		return status
	}
	pa := mine().inputPA
	clearPage(pa)
	in := (*tlfs.StartVPInput)(ring0.Pointer(mem.Phys(pa)))
	in.Partition, in.VPIndex = tlfs.PartitionSelf, vp
	c := &in.Context
	c.RIP, c.RSP, c.RFlags = uint64(entry), uint64(stack), 2
	c.CS = tlfs.Segment{Limit: 1<<32 - 1, Selector: ring0.SelCode, Attributes: attrCode}
	c.DS = tlfs.Segment{Limit: 1<<32 - 1, Selector: ring0.SelData, Attributes: attrData}
	c.ES, c.SS, c.FS, c.GS = c.DS, c.DS, c.DS, c.DS
	c.TR = tlfs.Segment{Limit: 0xffff, Attributes: attrTSS}
	c.LDTR = tlfs.Segment{Limit: 0xffff, Attributes: attrLDT}
	c.EFER = ring0.Rdmsr(ring0.MSREFER)
	c.CR0, c.CR3, c.CR4 = ring0.CR0(), ring0.CR3(), ring0.CR4()
	c.PAT = ring0.Rdmsr(msrPAT)
	return tlfs.ResultStatus(callPage(HypercallVA, tlfs.HvCallStartVirtualProcessor, uintptr(pa), 0))
}

// vpOf asks for the VP index of the processor with that APIC id.
func vpOf(apic uint32) (vp uint32, status tlfs.Status) {
	type ask struct {
		head tlfs.VPIndexInput
		apic uint32
		_    uint32
		vp   uint32 // the output
	}
	const atVP = tlfs.VPIndexInputSize + 8
	pa := mine().inputPA
	clearPage(pa)
	in := (*ask)(ring0.Pointer(mem.Phys(pa)))
	in.head.Partition, in.apic = tlfs.PartitionSelf, apic
	r := callPage(HypercallVA, tlfs.HvCallGetVpIndexFromApicId|1<<tlfs.HypercallRepCountShift, uintptr(pa), uintptr(pa)+atVP)
	return in.vp, tlfs.ResultStatus(r)
}

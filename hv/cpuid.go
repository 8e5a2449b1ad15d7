// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hv

import (
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// Info is what CPUID says of the hypervisor (TLFS 2.4).
type Info struct {
	Present         bool   // CPUID.1:ECX[31]: some hypervisor runs this
	MaxLeaf         uint32 // EAX of leaf 0x40000000
	Vendor          [3]uint32
	Interface       uint32 // "Hv#1" for a hypervisor that follows the TLFS
	Build, Version  uint32 // may be zero
	Features        uint32 // leaf 3 EAX: MSRs (tlfs.Access…)
	Privileges      uint32 // leaf 3 EBX: hypercalls; some hosts leave it zero though all work
	Misc            uint32 // leaf 3 EDX: tlfs.Feature…
	Recommendations uint32 // leaf 4 EAX
	Spins           uint32 // leaf 4 EBX: how often to look at a lock until the host is told
}

// Detect reads the hypervisor's CPUID leaves.
//
//go:nosplit
func Detect(i *Info) {
	_, _, ecx, _ := ring0.Cpuid(1, 0)
	if i.Present = ecx&tlfs.HypervisorPresent != 0; !i.Present {
		return
	}
	i.MaxLeaf, i.Vendor[0], i.Vendor[1], i.Vendor[2] = ring0.Cpuid(tlfs.LeafVendor, 0)
	if i.MaxLeaf < tlfs.LeafInterface {
		return
	}
	i.Interface, _, _, _ = ring0.Cpuid(tlfs.LeafInterface, 0)
	if i.Interface != tlfs.InterfaceSignature || i.MaxLeaf < tlfs.LeafRecommendations {
		return
	}
	i.Build, i.Version, _, _ = ring0.Cpuid(tlfs.LeafVersion, 0)
	i.Features, i.Privileges, _, i.Misc = ring0.Cpuid(tlfs.LeafFeatures, 0)
	i.Recommendations, i.Spins, _, _ = ring0.Cpuid(tlfs.LeafRecommendations, 0)
}

// Missing names the first thing that hvgo needs and this hypervisor lacks, or
// is empty. PostMessages and SignalEvents are not asked for: hosts exist that
// serve both and say neither.
//
//go:nosplit
func (i *Info) Missing() string {
	switch {
	case !i.Present:
		return "no hypervisor (CPUID.1:ECX bit 31 is clear)"
	case i.MaxLeaf < tlfs.LeafInterface || i.Interface != tlfs.InterfaceSignature:
		return "a hypervisor other than Hyper-V (no Hv#1 interface)"
	case i.Features&tlfs.AccessHypercall == 0:
		return "no hypercalls (leaf 0x40000003 EAX bit 5)"
	case i.Features&tlfs.AccessSynic == 0:
		return "no SynIC (leaf 0x40000003 EAX bit 2)"
	case i.Features&tlfs.AccessStimer == 0:
		return "no synthetic timers (leaf 0x40000003 EAX bit 3)"
	case i.Features&(tlfs.AccessReferenceTSC|tlfs.AccessPartitionRefCount) == 0:
		return "no reference time (leaf 0x40000003 EAX bits 1 and 9)"
	}
	return ""
}

// Host is what Detect found, once Init ran.
var Host Info

// has tells whether the host offers all MSRs of the mask.
//
//go:nosplit
func has(mask uint32) bool { return Host.Features&mask == mask }

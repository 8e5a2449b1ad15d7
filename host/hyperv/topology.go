// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv

import (
	"math/bits"

	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

// CPUID leaves that differ from one processor to the next, or tell how they belong
// together (Intel SDM volume 2, CPUID; AMD APM volume 3, E.3 and E.4).
const (
	leafVendor      = 0
	leafFeatures    = 1
	leafCaches      = 4    // Intel
	leafTopology    = 0xB  // both
	leafTopologyV2  = 0x1F // Intel
	leafExtFeatures = 0x80000001
	leafSizes       = 0x80000008 // AMD
	leafExtCaches   = 0x8000001D // AMD
	leafExtTopology = 0x8000001E // AMD
)

const (
	featureX2APIC    = 1 << 21    // leaf 1, ECX
	featureHTT       = 1 << 28    // leaf 1, EDX: the package has several processors
	featureCmpLegacy = 1 << 1     // leaf 0x80000001, ECX: and they are cores, not threads
	vendorAMD        = 0x68747541 // "Auth", EBX of leaf 0
	vendorHygon      = 0x6F677948 // "Hygo"
)

// processorLeaves makes the leaves of virtual processor vp of count out of what KVM
// supports: one package of count cores with one thread each. The APIC id is the
// number of the virtual processor. KVM knows of topology only the leaves' numbers.
func processorLeaves(supported []kvm.CPUIDEntry, vp, count uint32) []kvm.CPUIDEntry {
	const hypervisorLeaves = 4 // 0x40000000 and up
	idBits := uint32(bits.Len32(count - 1))
	amd, maxLeaf := false, uint32(0)
	var out []kvm.CPUIDEntry
	for _, e := range supported {
		if e.Function>>28 == hypervisorLeaves {
			continue
		}
		switch e.Function {
		case leafVendor:
			maxLeaf = e.EAX
			amd = e.EBX == vendorAMD || e.EBX == vendorHygon
		case leafFeatures:
			e.EBX = e.EBX&0xFFFF | count<<16 | vp<<24
			e.ECX |= tlfs.HypervisorPresent
			setBit(&e.EDX, featureHTT, count > 1)
		case leafCaches, leafExtCaches:
			shareCache(&e, idBits)
		case leafTopology, leafTopologyV2:
			continue // made below
		case leafExtFeatures:
			if amd {
				setBit(&e.ECX, featureCmpLegacy, count > 1)
			}
		case leafSizes:
			e.ECX = 0
			if amd && count > 1 {
				e.ECX = idBits<<12 | (count - 1)
			}
		case leafExtTopology:
			e.EAX, e.EBX, e.ECX = vp, vp, 0
		}
		out = append(out, e)
	}
	for _, leaf := range []uint32{leafTopology, leafTopologyV2} {
		if leaf <= maxLeaf {
			out = append(out, topologyLeaf(leaf, vp, count, idBits)...)
		}
	}
	return out
}

// topologyLeaf makes the levels of leaf 0xB or 0x1F: threads of a core, cores of the
// package, and the end of the list.
func topologyLeaf(leaf, vp, count, idBits uint32) []kvm.CPUIDEntry {
	const smt, core = 1 << 8, 2 << 8
	level := func(index, shift, processors, kind uint32) kvm.CPUIDEntry {
		return kvm.CPUIDEntry{
			Function: leaf, Index: index, Flags: kvm.CPUIDSignificantIndex,
			EAX: shift, EBX: processors, ECX: kind | index, EDX: vp,
		}
	}
	return []kvm.CPUIDEntry{level(0, 0, 1, smt), level(1, idBits, count, core), level(2, 0, 0, 0)}
}

// shareCache says in leaf 4 or 0x8000001D that a cache of level 3 and up belongs to
// the package, others to a core.
func shareCache(e *kvm.CPUIDEntry, idBits uint32) {
	kind, level := e.EAX&0x1F, e.EAX>>5&7
	if kind == 0 {
		return // the end of the list
	}
	ids := uint32(1)<<idBits - 1 // in the package, less one
	e.EAX &= 0x3FFF
	if level >= 3 {
		e.EAX |= min(ids, 0xFFF) << 14
	}
	if e.Function == leafCaches {
		e.EAX |= min(ids, 0x3F) << 26
	}
}

// hideX2APIC takes x2APIC mode away from a guest.
func hideX2APIC(entries []kvm.CPUIDEntry) {
	for i := range entries {
		if entries[i].Function == leafFeatures {
			entries[i].ECX &^= featureX2APIC
		}
	}
}

func setBit(word *uint32, bit uint32, on bool) {
	*word &^= bit
	if on {
		*word |= bit
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

// Mask names features that CPUID shall not announce. Hosts differ in what they
// offer; a guest is tested on each of its ways by masking.
type Mask uint32

// What can be masked. What KVM refuses when it is not announced is said in TLFS 4.2.2;
// recommendations are enforced likewise for the hypercalls that they name.
const (
	NoReferenceTSC     Mask = 1 << iota // reference TSC page
	NoReferenceCounter                  // the reference counter register
	NoTimers                            // synthetic timers
	NoDirectTimers                      // their direct mode
	NoCrash                             // crash registers
	NoFrequencies                       // TSC and APIC frequency registers
	NoPostMessages                      // the privilege bit; with enforcement the hypercall is refused too
	NoSignalEvents                      // likewise
	NoInvariantTSC                      // the invariant TSC control register
	NoReset                             // the reset register
	NoVersion                           // leaf 0x40000002 is zero
	NoClusterIPI                        // the hypercalls that send interrupts between processors
	NoTLBFlush                          // the hypercalls that flush translations of other processors
	NoExtendedMasks                     // the variants of both for more than 64 processors
	NoAPICMSRs                          // synthetic registers of the local APIC: EOI, ICR, TPR
	NoX2APIC                            // x2APIC mode: the local APIC is memory only
	NoHyperv                            // the leaves of KVM stand where those of Hyper-V were
	lastMask
)

var maskNames = []string{
	"no-reference-tsc", "no-reference-counter", "no-timers", "no-direct-timers", "no-crash", "no-frequencies",
	"no-post-messages", "no-signal-events", "no-invariant-tsc", "no-reset", "no-version",
	"no-cluster-ipi", "no-tlb-flush", "no-extended-masks", "no-apic-registers", "no-x2apic", "no-hyperv",
}

// String returns the names, separated by commas.
func (m Mask) String() string {
	var s []string
	for i, name := range maskNames {
		if m&(1<<i) != 0 {
			s = append(s, name)
		}
	}
	return strings.Join(s, ",")
}

// ParseMask reads names separated by commas, as String writes them.
func ParseMask(s string) (m Mask, err error) {
	for name := range strings.SplitSeq(s, ",") {
		if name == "" {
			continue
		}
		i := slices.Index(maskNames, name)
		if i < 0 {
			return 0, fmt.Errorf("unknown mask %q: it is one of %s", name, strings.Join(maskNames, ", "))
		}
		m |= 1 << i
	}
	return m, nil
}

// clear takes the masked bits out of leaf 0x40000003.
func (m Mask) clear(e *kvm.CPUIDEntry) {
	for _, c := range []struct {
		mask          Mask
		eax, ebx, edx uint32
	}{
		{mask: NoReferenceTSC, eax: tlfs.AccessReferenceTSC},
		{mask: NoReferenceCounter, eax: tlfs.AccessPartitionRefCount},
		{mask: NoTimers, eax: tlfs.AccessStimer, edx: tlfs.FeatureDirectSyntheticTmrs},
		{mask: NoDirectTimers, edx: tlfs.FeatureDirectSyntheticTmrs},
		{mask: NoCrash, edx: tlfs.FeatureGuestCrashMSRs},
		{mask: NoFrequencies, eax: tlfs.AccessFrequency, edx: tlfs.FeatureFrequencyMSRs},
		{mask: NoPostMessages, ebx: tlfs.PostMessages},
		{mask: NoSignalEvents, ebx: tlfs.SignalEvents},
		{mask: NoInvariantTSC, eax: tlfs.AccessTSCInvariant},
		{mask: NoReset, eax: tlfs.AccessReset},
		{mask: NoAPICMSRs, eax: tlfs.AccessApic},
	} {
		if m&c.mask != 0 {
			e.EAX &^= c.eax
			e.EBX &^= c.ebx
			e.EDX &^= c.edx
		}
	}
}

// clearRecommendations takes the masked bits out of leaf 0x40000004.
func (m Mask) clearRecommendations(e *kvm.CPUIDEntry) {
	for _, c := range []struct {
		mask Mask
		eax  uint32
	}{
		{NoClusterIPI, tlfs.RecommendClusterIPI},
		{NoTLBFlush, tlfs.RecommendRemoteFlush | tlfs.RecommendLocalFlush},
		{NoExtendedMasks, tlfs.RecommendExProcessorMasks},
		{NoAPICMSRs, tlfs.RecommendApicMSRs | tlfs.RecommendX2ApicMSRs},
		{NoX2APIC, tlfs.RecommendX2ApicMSRs},
	} {
		if m&c.mask != 0 {
			e.EAX &^= c.eax
		}
	}
}

const (
	debuggingEBX   = 1 << 11 // KVM's synthetic debugger, which this host has not
	debuggingEDX   = 1 << 1
	enlightenedVMX = 1 << 14 // leaf 0x40000004: enlightened VMCS, for nested use
	maxLeaf        = tlfs.LeafHardware
)

// hvLeaves makes the leaves 0x40000000 to 0x40000006 of KVM's own: named as
// Hyper-V names itself, and without the synthetic debugger and nested features.
// privileges are bits of EBX of leaf 0x40000003 for hypercalls of this host's own.
func hvLeaves(supported []kvm.CPUIDEntry, m Mask, privileges uint32) ([]kvm.CPUIDEntry, error) {
	var out []kvm.CPUIDEntry
	seen := map[uint32]bool{}
	for _, e := range supported {
		if e.Function < tlfs.LeafVendor || e.Function > maxLeaf {
			continue
		}
		seen[e.Function] = true
		switch e.Function {
		case tlfs.LeafVendor:
			v := []byte(tlfs.VendorSignature)
			e.EAX = maxLeaf
			e.EBX, e.ECX, e.EDX = binary.LittleEndian.Uint32(v), binary.LittleEndian.Uint32(v[4:]), binary.LittleEndian.Uint32(v[8:])
		case tlfs.LeafVersion:
			if m&NoVersion != 0 {
				e.EAX, e.EBX, e.ECX, e.EDX = 0, 0, 0, 0
			}
		case tlfs.LeafFeatures:
			// KVM serves none of these; the last is put back where this host does.
			e.EBX &^= debuggingEBX | tlfs.ExtendedHypercalls | tlfs.StartVirtualProcessor
			e.EBX |= privileges
			e.EDX &^= debuggingEDX
			m.clear(&e)
		case tlfs.LeafRecommendations:
			e.EAX &^= enlightenedVMX
			m.clearRecommendations(&e)
		}
		out = append(out, e)
	}
	for l := uint32(tlfs.LeafVendor); l <= tlfs.LeafLimits; l++ {
		if !seen[l] {
			return nil, fmt.Errorf("KVM has no Hyper-V CPUID leaf %#x", l)
		}
	}
	return out, nil
}

// cpuid returns what CPUID shows on virtual processor vp of count.
func cpuid(s *kvm.System, m Mask, vp, count, privileges uint32) ([]kvm.CPUIDEntry, error) {
	base, err1 := s.SupportedCPUID()
	hv, err2 := s.SupportedHvCPUID()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	out := processorLeaves(base, vp, count)
	if m&NoX2APIC != 0 {
		hideX2APIC(out)
	}
	if m&NoHyperv != 0 {
		for _, e := range base {
			if e.Function == tlfs.LeafVendor || e.Function == tlfs.LeafInterface {
				out = append(out, e)
			}
		}
		return out, nil
	}
	leaves, err := hvLeaves(hv, m, privileges)
	return append(out, leaves...), err
}

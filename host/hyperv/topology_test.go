// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv

import (
	"testing"

	"github.com/hvgo/hvgo/host/kvm"
)

// leaves returns what a processor shows, by leaf and subleaf.
func leaves(entries []kvm.CPUIDEntry) map[[2]uint32]kvm.CPUIDEntry {
	m := map[[2]uint32]kvm.CPUIDEntry{}
	for _, e := range entries {
		m[[2]uint32{e.Function, e.Index}] = e
	}
	return m
}

// supportedAMD and supportedIntel are in the form of KVM_GET_SUPPORTED_CPUID: leaf 0xB
// without levels, caches as on the host.
func supportedAMD() []kvm.CPUIDEntry {
	return []kvm.CPUIDEntry{
		{Function: 0, EAX: 0xD, EBX: vendorAMD}, {Function: 1, EBX: 0x01020304, EDX: featureHTT}, {Function: 0xB, Flags: 1},
		{Function: 0x40000000, EBX: 1}, {Function: 0x80000001, ECX: featureCmpLegacy}, {Function: 0x80000008, ECX: 0x7007},
		{Function: 0x8000001D, Index: 0, EAX: 0x4121}, {Function: 0x8000001D, Index: 1, EAX: 0x1C163}, {Function: 0x8000001D, Index: 2},
		{Function: 0x8000001E, EAX: 9, EBX: 0x107, ECX: 0x101},
	}
}

func supportedIntel() []kvm.CPUIDEntry {
	return []kvm.CPUIDEntry{
		{Function: 0, EAX: 0x1F, EBX: 0x756E6547}, {Function: 1, EBX: 0x01020304}, {Function: 4, Index: 0, EAX: 0x1C004121},
		{Function: 4, Index: 3, EAX: 0x1C03C163}, {Function: 4, Index: 4}, {Function: 0xB}, {Function: 0x1F},
		{Function: 0x80000001, ECX: 1}, {Function: 0x80000008, EAX: 0x3028},
	}
}

// One package of as many cores as there are processors, whoever made the host's.
func TestProcessorLeaves(t *testing.T) {
	for _, tt := range []struct{ vp, count, bits uint32 }{{0, 1, 0}, {1, 2, 1}, {2, 3, 2}, {7, 8, 3}, {63, 64, 6}} {
		for name, in := range map[string][]kvm.CPUIDEntry{"AMD": supportedAMD(), "Intel": supportedIntel()} {
			out := leaves(processorLeaves(in, tt.vp, tt.count))
			if e := out[[2]uint32{1, 0}]; e.EBX != tt.vp<<24|tt.count<<16|0x0304 || e.ECX>>31 != 1 || (e.EDX&featureHTT != 0) != (tt.count > 1) {
				t.Errorf("%s, VP %d of %d: leaf 1: %+v", name, tt.vp, tt.count, e)
			}
			if _, ok := out[[2]uint32{0x40000000, 0}]; ok {
				t.Error("a leaf of KVM is shown")
			}
			checkLevels(t, out, 0xB, tt.vp, tt.count, tt.bits)
			if name == "Intel" {
				checkLevels(t, out, 0x1F, tt.vp, tt.count, tt.bits)
				checkIntel(t, out, tt.bits)
			} else {
				if _, ok := out[[2]uint32{0x1F, 0}]; ok {
					t.Error("a leaf above the highest is shown")
				}
				checkAMD(t, out, tt.vp, tt.count, tt.bits)
			}
		}
	}
}

func checkLevels(t *testing.T, out map[[2]uint32]kvm.CPUIDEntry, leaf, vp, count, bits uint32) {
	t.Helper()
	for i, want := range []kvm.CPUIDEntry{
		{EBX: 1, ECX: 0x100, EDX: vp}, {EAX: bits, EBX: count, ECX: 0x201, EDX: vp}, {ECX: 2, EDX: vp},
	} {
		want.Function, want.Index, want.Flags = leaf, uint32(i), kvm.CPUIDSignificantIndex
		if got := out[[2]uint32{leaf, uint32(i)}]; got != want {
			t.Errorf("leaf %#x: %+v, want %+v", leaf, got, want)
		}
	}
}

func checkIntel(t *testing.T, out map[[2]uint32]kvm.CPUIDEntry, bits uint32) {
	t.Helper()
	ids := uint32(1)<<bits - 1
	if e := out[[2]uint32{4, 0}]; e.EAX != ids<<26|0x121 {
		t.Errorf("first cache %#x", e.EAX)
	}
	if e := out[[2]uint32{4, 3}]; e.EAX != ids<<26|ids<<14|0x163 {
		t.Errorf("last cache %#x", e.EAX)
	}
	if e := out[[2]uint32{4, 4}]; e.EAX != 0 {
		t.Errorf("behind the last cache %#x", e.EAX)
	}
	if a, b := out[[2]uint32{0x80000001, 0}], out[[2]uint32{0x80000008, 0}]; a.ECX != 1 || b.ECX != 0 {
		t.Errorf("AMD's bits: %+v, %+v", a, b)
	}
}

func checkAMD(t *testing.T, out map[[2]uint32]kvm.CPUIDEntry, vp, count, bits uint32) {
	t.Helper()
	legacy, sizes := uint32(0), uint32(0)
	if count > 1 {
		legacy, sizes = featureCmpLegacy, bits<<12|(count-1)
	}
	if a, b := out[[2]uint32{0x80000001, 0}], out[[2]uint32{0x80000008, 0}]; a.ECX != legacy || b.ECX != sizes {
		t.Errorf("%d processors: %+v, %+v", count, a, b)
	}
	first, last := out[[2]uint32{0x8000001D, 0}], out[[2]uint32{0x8000001D, 1}]
	if first.EAX != 0x121 || last.EAX != (1<<bits-1)<<14|0x163 {
		t.Errorf("caches %#x, %#x", first.EAX, last.EAX)
	}
	if e := out[[2]uint32{0x8000001E, 0}]; e.EAX != vp || e.EBX != vp || e.ECX != 0 {
		t.Errorf("leaf 0x8000001E: %+v", e)
	}
}

func TestHideX2APIC(t *testing.T) {
	in := []kvm.CPUIDEntry{{Function: 1, ECX: 0xFFFFFFFF}, {Function: 7, ECX: 0xFFFFFFFF}}
	if hideX2APIC(in); in[0].ECX != 0xFFDFFFFF || in[1].ECX != 0xFFFFFFFF {
		t.Errorf("%+v", in)
	}
}

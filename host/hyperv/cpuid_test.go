// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv

import (
	"testing"

	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

func TestMaskNames(t *testing.T) {
	all := lastMask - 1
	if len(maskNames) != 17 || Mask(1)<<len(maskNames) != lastMask {
		t.Fatalf("%d names", len(maskNames))
	}
	got, err := ParseMask(all.String())
	if err != nil || got != all {
		t.Errorf("%v, %v", got, err)
	}
	if m, err := ParseMask(""); err != nil || m != 0 {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := ParseMask("no-such-thing"); err == nil {
		t.Error("an unknown name is accepted")
	}
}

// fromKVM is what KVM_GET_SUPPORTED_HV_CPUID gives on Linux 6.12 (AMD), with all
// bits of the features leaf set.
func fromKVM() []kvm.CPUIDEntry {
	return []kvm.CPUIDEntry{
		{Function: 0x40000000, EAX: 0x40000082, EBX: 0x756E694C, ECX: 0x564B2078, EDX: 0x7648204D},
		{Function: 0x40000001, EAX: tlfs.InterfaceSignature},
		{Function: 0x40000002, EAX: 0x3839, EBX: 0xA0000},
		{Function: 0x40000003, EAX: ^uint32(0), EBX: ^uint32(0), EDX: ^uint32(0)},
		{Function: 0x40000004, EAX: 0x4FFF},
		{Function: 0x40000005, EAX: 1024, EBX: 64},
		{Function: 0x40000006, EAX: 0xF},
		{Function: 0x4000000A},
		{Function: 0x40000080, EBX: 1},
		{Function: 0x40000081}, {Function: 0x40000082},
	}
}

func TestHvLeaves(t *testing.T) {
	leaf := func(m Mask, f uint32) kvm.CPUIDEntry {
		t.Helper()
		out, err := hvLeaves(fromKVM(), m, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out {
			if e.Function == f {
				return e
			}
			if e.Function > 0x40000006 {
				t.Errorf("leaf %#x is shown", e.Function)
			}
		}
		return kvm.CPUIDEntry{}
	}
	v := leaf(0, tlfs.LeafVendor)
	if v.EAX != 0x40000006 || v.EBX != 0x7263694D || v.ECX != 0x666F736F || v.EDX != 0x76482074 {
		t.Errorf("vendor leaf %+v", v)
	}
	if leaf(0, tlfs.LeafVersion).EAX == 0 || leaf(NoVersion, tlfs.LeafVersion) != (kvm.CPUIDEntry{Function: tlfs.LeafVersion}) {
		t.Error("version leaf")
	}
	for m := Mask(1); m < NoVersion; m <<= 1 {
		plain, masked := leaf(0, tlfs.LeafFeatures), leaf(m, tlfs.LeafFeatures)
		if plain == masked {
			t.Errorf("mask %v changes nothing", m)
		}
		if masked.EAX&^plain.EAX != 0 || masked.EBX&^plain.EBX != 0 || masked.EDX&^plain.EDX != 0 {
			t.Errorf("mask %v adds bits", m)
		}
	}
	for m := NoClusterIPI; m < NoX2APIC; m <<= 1 {
		plain, masked := leaf(0, tlfs.LeafRecommendations).EAX, leaf(m, tlfs.LeafRecommendations).EAX
		if plain&^masked == 0 || masked&^plain != 0 {
			t.Errorf("mask %v: recommendations %#x of %#x", m, masked, plain)
		}
	}
	if leaf(NoAPICMSRs, tlfs.LeafFeatures).EAX&tlfs.AccessApic != 0 {
		t.Error("no-apic-registers leaves the privilege")
	}
	if leaf(0, tlfs.LeafFeatures).EBX&tlfs.StartVirtualProcessor != 0 {
		t.Error("a hypercall is announced that nobody serves")
	}
	if e := leaf(NoDirectTimers, tlfs.LeafFeatures); e.EDX&(1<<19) != 0 || e.EAX&(1<<3) == 0 {
		t.Errorf("direct timers: %+v", e)
	}
	if _, err := hvLeaves(fromKVM()[1:], 0, 0); err == nil {
		t.Error("a missing leaf is not noticed")
	}
}

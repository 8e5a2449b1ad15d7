// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package kvm

import (
	"errors"
	"testing"
	"unsafe"
)

// The sizes stand in the ioctl codes: the kernel would refuse a call with another.
func TestStructureSizes(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"kvm_regs", unsafe.Sizeof(Regs{}), regsSize},
		{"kvm_sregs", unsafe.Sizeof(Sregs{}), sregsSize},
		{"kvm_cpuid_entry2", unsafe.Sizeof(CPUIDEntry{}), cpuidEntrySize},
		{"kvm_cpuid2", unsafe.Offsetof(cpuidList{}.e), cpuidHeaderSize},
		{"kvm_msr_entry", unsafe.Sizeof(MSR{}), msrEntrySize},
		{"kvm_msrs", unsafe.Offsetof(msrList{}.e), msrsHeaderSize},
		{"kvm_translation", unsafe.Sizeof(Translation{}), translationSize},
		{"kvm_userspace_memory_region", unsafe.Sizeof(memoryRegion{}), memoryRegionSize},
		{"kvm_msr_filter", unsafe.Sizeof(msrFilter{}), msrFilterSize},
		{"kvm_irq_level", unsafe.Sizeof(irqLevel{}), irqLevelSize},
		{"kvm_clock_data", unsafe.Sizeof(clock{}), clockSize},
		{"kvm_irqfd", unsafe.Sizeof(irqfd{}), irqfdSize},
		{"kvm_enable_cap", unsafe.Sizeof(enableCap{}), enableCapSize},
		{"kvm_mp_state", unsafe.Sizeof(MPState(0)), mpStateSize},
		{"kvm_irq_routing_entry", unsafe.Sizeof(routingEntry{}), routingEntrySize},
		{"kvm_irq_routing", unsafe.Offsetof(routingTable{}.e), routingHeaderSize},
	} {
		if c.got != c.want {
			t.Errorf("struct %s: %d bytes, want %d", c.name, c.got, c.want)
		}
	}
}

// Codes as the C compiler makes them of linux/kvm.h on x86-64.
func TestIoctlCodes(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uint32
	}{
		{"KVM_GET_SUPPORTED_CPUID", ioGetSupportedCPUID, 0xC008AE05},
		{"KVM_SET_USER_MEMORY_REGION", ioSetUserMemoryRegion, 0x4020AE46},
		{"KVM_IRQ_LINE", ioIRQLine, 0x4008AE61},
		{"KVM_SET_GSI_ROUTING", ioSetGSIRouting, 0x4008AE6A},
		{"KVM_IRQFD", ioIRQFD, 0x4020AE76},
		{"KVM_GET_CLOCK", ioGetClock, 0x8030AE7C},
		{"KVM_RUN", ioRun, 0xAE80},
		{"KVM_SET_REGS", ioSetRegs, 0x4090AE82},
		{"KVM_SET_SREGS", ioSetSregs, 0x4138AE84},
		{"KVM_TRANSLATE", ioTranslate, 0xC018AE85},
		{"KVM_GET_MSRS", ioGetMSRs, 0xC008AE88},
		{"KVM_SET_CPUID2", ioSetCPUID2, 0x4008AE90},
		{"KVM_GET_MP_STATE", ioGetMPState, 0x8004AE98},
		{"KVM_SET_MP_STATE", ioSetMPState, 0x4004AE99},
		{"KVM_NMI", ioNMI, 0xAE9A},
		{"KVM_ENABLE_CAP", ioEnableCap, 0x4068AEA3},
		{"KVM_GET_SUPPORTED_HV_CPUID", ioGetSupportedHvCPUID, 0xC008AEC1},
	} {
		if c.got != c.want {
			t.Errorf("%s is %#x, want %#x", c.name, c.got, c.want)
		}
	}
}

// Usable either runs its trial guest or says what is missing.
func TestUsable(t *testing.T) {
	err := Usable()
	if err == nil {
		return
	}
	if !errors.Is(err, ErrUnusable) {
		t.Errorf("Usable: %v does not wrap ErrUnusable", err)
	}
	t.Logf("%v", err)
}

func TestPin(t *testing.T) {
	if err := Usable(); err != nil {
		t.Skip(err)
	}
	p, err := Pin()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

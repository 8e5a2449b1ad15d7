// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package kvm

import (
	"encoding/binary"
	"fmt"
)

// MSRRange names Count registers from First on, and which accesses to them.
type MSRRange struct {
	First, Count uint32
	Read, Write  bool
}

// Reasons for which an access to a register leaves the kernel (KVM_MSR_EXIT_REASON_*).
const (
	msrExitInvalid = 1 << 0 // KVM knows the register, but refuses the access
	msrExitUnknown = 1 << 1
	msrExitFilter  = 1 << 2
)

// Limits of KVM_X86_SET_MSR_FILTER.
const (
	maxMSRRanges = 16
	maxMSRCount  = 8 * len(denyAll)
)

// FilterMSRs makes the guest leave at accesses to the ranges and, with refused, at all
// that KVM refuses, in place of the fault (ExitRDMSR, ExitWRMSR). A VCPU's SetMSRs is
// not filtered.
func (m *VM) FilterMSRs(ranges []MSRRange, refused bool) error {
	if len(ranges) > maxMSRRanges {
		return fmt.Errorf("kvm: %d ranges of MSRs, at most %d", len(ranges), maxMSRRanges)
	}
	e := enableCap{cap: uint32(CapUserSpaceMSR), args: [4]uint64{msrExitFilter}}
	if refused {
		e.args[0] |= msrExitInvalid | msrExitUnknown
	}
	if _, err := ioctlPtr(m.fd, ioEnableCap, &e); err != nil {
		return wrap("KVM_ENABLE_CAP "+CapUserSpaceMSR.String(), err)
	}
	var f msrFilter // by default all is allowed
	for i, r := range ranges {
		if r.Count == 0 || r.Count > uint32(maxMSRCount) {
			return fmt.Errorf("kvm: range of %d MSRs, at most %d", r.Count, maxMSRCount)
		}
		const read, write = 1, 2
		f.ranges[i] = msrFilterRange{count: r.Count, base: r.First, bitmap: denyAllAddress()}
		if r.Read {
			f.ranges[i].flags |= read
		}
		if r.Write {
			f.ranges[i].flags |= write
		}
	}
	_, err := ioctlPtr(m.fd, ioSetMSRFilter, &f)
	return wrap("KVM_X86_SET_MSR_FILTER", err)
}

// msrFilter is struct kvm_msr_filter.
type msrFilter struct {
	_, _   uint32 // flags: KVM_MSR_FILTER_DEFAULT_ALLOW is none
	ranges [maxMSRRanges]msrFilterRange
}

type msrFilterRange struct {
	flags, count, base, _ uint32
	bitmap                uint64 // address; a clear bit is an access that is not allowed
}

// MSRAccess is an access to a model-specific register that KVM leaves to user space.
type MSRAccess struct {
	Index    uint32
	Write    bool
	Data     uint64 // what is written
	Filtered bool   // named to FilterMSRs; else KVM refuses it
}

// MSR decodes ExitRDMSR or ExitWRMSR.
func (v *VCPU) MSR(why ExitReason) MSRAccess {
	return MSRAccess{
		Index: v.u32(runUnion + 12), Write: why == ExitWRMSR, Data: v.u64(runUnion + 16),
		Filtered: v.u32(runUnion+8) == msrExitFilter,
	}
}

// AnswerMSR ends an access: the guest reads data, or, if ok is false, gets #GP.
func (v *VCPU) AnswerMSR(data uint64, ok bool) {
	v.run[runUnion] = 1
	if ok {
		v.run[runUnion] = 0
	}
	binary.LittleEndian.PutUint64(v.run[runUnion+16:], data)
}

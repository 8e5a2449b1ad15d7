// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package kvm

// xcrs is struct kvm_xcrs.
type xcrs struct {
	n, _ uint32
	xcr  [16]struct {
		number, _ uint32
		value     uint64
	}
	_ [16]uint64
}

const (
	xcrsSize  = 392
	ioSetXCRs = dirWrite | xcrsSize<<16 | kvmIO | 0xA7
)

// SetXCR0 sets which extended states the processor uses before the guest sets
// it itself.
func (v *VCPU) SetXCR0(value uint64) error {
	x := xcrs{n: 1}
	x.xcr[0].value = value
	_, err := ioctlPtr(v.fd, ioSetXCRs, &x)
	return wrap("KVM_SET_XCRS", err)
}

// SupportedXCR0 is what a guest with these CPUID leaves may set in XCR0 (Intel
// SDM volume 1, 13.2), 0 without XSAVE.
func SupportedXCR0(entries []CPUIDEntry) uint64 {
	for _, e := range entries {
		if e.Function == 0xD && e.Index == 0 {
			return uint64(e.EDX)<<32 | uint64(e.EAX)
		}
	}
	return 0
}

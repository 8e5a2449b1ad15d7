// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

// announced are MSRs and the bit of CPUID leaf 0x40000003 that announces them: EAX,
// or EDX where eax is 0 (TLFS 2.4.4).
var announced = []struct {
	name     string
	msr      uint32
	eax, edx uint32
}{
	{"VP_RUNTIME", tlfs.MSRVpRuntime, tlfs.AccessVpRuntime, 0},
	{"TIME_REF_COUNT", tlfs.MSRTimeRefCount, tlfs.AccessPartitionRefCount, 0},
	{"SCONTROL", tlfs.MSRSControl, tlfs.AccessSynic, 0},
	{"STIMER0_CONFIG", tlfs.MSRStimer0Config, tlfs.AccessStimer, 0},
	{"TPR", tlfs.MSRTPR, tlfs.AccessApic, 0},
	{"GUEST_OS_ID", tlfs.MSRGuestOSID, tlfs.AccessHypercall, 0},
	{"VP_INDEX", tlfs.MSRVpIndex, tlfs.AccessVpIndex, 0},
	{"RESET", tlfs.MSRReset, tlfs.AccessReset, 0},
	{"REFERENCE_TSC", tlfs.MSRReferenceTSC, tlfs.AccessReferenceTSC, 0},
	{"TSC_FREQUENCY", tlfs.MSRTSCFrequency, tlfs.AccessFrequency, 0},
	{"TSC_INVARIANT_CONTROL", tlfs.MSRTSCInvariantCtl, tlfs.AccessTSCInvariant, 0},
	{"CRASH_P0", tlfs.MSRCrashP0, 0, tlfs.FeatureGuestCrashMSRs},
}

// msrs are the registers themselves.
func (m *machine) msrs() {
	m.check("SynIC announced by CPUID", func() (string, error) {
		if hv.Host.Features&tlfs.AccessSynic == 0 {
			return "", errors.New("bit 2 of EAX of leaf 0x40000003 is clear")
		}
		return "", nil
	})
	for _, a := range announced {
		m.check("MSR "+a.name+" exists if CPUID says so", func() (string, error) {
			_, ok := m.first.rdmsr(a.msr)
			says := hv.Host.Features&a.eax != 0 || hv.Host.Misc&a.edx != 0
			if ok != says {
				return "", fmt.Errorf("announced: %v, readable: %v", says, ok)
			}
			return fmt.Sprintf("announced: %v", says), nil
		})
	}
	m.each("SVERSION reads 1", reads(tlfs.MSRSVersion, tlfs.SVersion1))
	m.each("EOM reads 0", reads(tlfs.MSREOM, 0))
	m.each("VP_INDEX reads the processor's number", func(p *processor) (string, error) {
		return reads(tlfs.MSRVpIndex, uint64(p.index))(p)
	})
	m.each("SCONTROL keeps what is written", keeps(tlfs.MSRSControl, 0, tlfs.SControlEnable))
	m.each("SIMP holds the page", func(p *processor) (string, error) { return p.holdsPage(tlfs.MSRSIMP, p.simp) })
	m.each("SIEFP holds the page", func(p *processor) (string, error) { return p.holdsPage(tlfs.MSRSIEFP, p.siefp) })
	for s := range uint32(tlfs.SINTCount) {
		name := fmt.Sprintf("SINT%d keeps what is written", s)
		m.each(name, keeps(tlfs.MSRSINT0+s, sintVector(s), sintVector(s)|tlfs.SINTAutoEOI, tlfs.SINTMasked))
	}
	m.each("SINT refuses vector 15", refusesWrite(tlfs.MSRSINT0, 15))
	m.each("SINT takes vector 15 when masked", keeps(tlfs.MSRSINT0, 15|tlfs.SINTMasked, tlfs.SINTMasked))
	m.each("SVERSION is read-only", refusesWrite(tlfs.MSRSVersion, 1))
	m.each("VP_INDEX is read-only", refusesWrite(tlfs.MSRVpIndex, 1))
	m.each("VP_RUNTIME is read-only", refusesWrite(tlfs.MSRVpRuntime, 1))
	m.each("TIME_REF_COUNT is read-only", refusesWrite(tlfs.MSRTimeRefCount, 1))
	m.each("TSC_FREQUENCY is read-only", refusesWrite(tlfs.MSRTSCFrequency, 1))
	m.each("EOI is write-only", func(p *processor) (string, error) {
		if v, ok := p.rdmsr(tlfs.MSREOI); ok {
			return "", fmt.Errorf("reads %#x", v)
		}
		return "", nil
	})
	m.each("VP_RUNTIME grows", grows)
	m.each("STIMER direct mode if CPUID says so", directAllowed)
	m.check("TSC_INVARIANT_CONTROL has one bit", m.invariantControl)
	m.check("HYPERCALL needs GUEST_OS_ID", m.hypercallNeedsID)
}

// sintVector is the vector of a SINT in the checks.
func sintVector(sint uint32) uint64 { return 0xB0 + uint64(sint) }

func reads(msr uint32, want uint64) func(*processor) (string, error) {
	return func(p *processor) (string, error) {
		v, ok := p.rdmsr(msr)
		if !ok {
			return "", errors.New("#GP on a read")
		}
		if v != want {
			return "", fmt.Errorf("reads %#x instead of %#x", v, want)
		}
		return "", nil
	}
}

// keeps writes values, the last of which stays.
func keeps(msr uint32, values ...uint64) func(*processor) (string, error) {
	return func(p *processor) (string, error) {
		for _, v := range values {
			if !p.wrmsr(msr, v) {
				return "", fmt.Errorf("#GP on a write of %#x", v)
			}
			if _, err := reads(msr, v)(p); err != nil {
				return "", err
			}
		}
		return "", nil
	}
}

func refusesWrite(msr uint32, value uint64) func(*processor) (string, error) {
	return func(p *processor) (string, error) {
		if p.wrmsr(msr, value) {
			return "", fmt.Errorf("a write of %#x is accepted", value)
		}
		return "", nil
	}
}

// holdsPage checks SIMP or SIEFP, which were written when the SynIC was enabled.
func (p *processor) holdsPage(msr uint32, page uintptr) (string, error) {
	v, ok := p.rdmsr(msr)
	if !ok {
		return "", errors.New("#GP on a read")
	}
	if v&tlfs.OverlayEnable == 0 || physical(v) != page {
		return "", fmt.Errorf("reads %#x", v)
	}
	return "", nil
}

func grows(p *processor) (string, error) {
	before, ok := p.rdmsr(tlfs.MSRVpRuntime)
	if !ok {
		return "", notRun("the host does not announce VP_RUNTIME")
	}
	spin(20 * time.Millisecond)
	if after, _ := p.rdmsr(tlfs.MSRVpRuntime); after < before || !p.remote && after == before {
		return "", fmt.Errorf("%d units of 100 ns, then %d", before, after)
	}
	return "", nil
}

func directAllowed(p *processor) (string, error) {
	const msr = tlfs.MSRStimer0Config + 2*3
	says := hv.Host.Misc&tlfs.FeatureDirectSyntheticTmrs != 0
	ok := p.wrmsr(msr, tlfs.StimerDirect|0xC0<<tlfs.StimerVectorShift)
	p.wrmsr(msr, 0)
	if ok != says {
		return "", fmt.Errorf("announced: %v, accepted: %v", says, ok)
	}
	return fmt.Sprintf("announced: %v", says), nil
}

func (m *machine) invariantControl() (string, error) {
	p := m.first
	before, ok := p.rdmsr(tlfs.MSRTSCInvariantCtl)
	if !ok {
		return "", notRun("the host does not announce it")
	}
	if p.wrmsr(tlfs.MSRTSCInvariantCtl, before|2) {
		return "", errors.New("bit 1 is accepted")
	}
	if !p.wrmsr(tlfs.MSRTSCInvariantCtl, tlfs.MSRTSCInvariantBit) {
		return "", errors.New("bit 0 is refused")
	}
	return "", nil
}

// hypercallNeedsID takes the guest's identity back, which disables the hypercall
// page, and gives it again (TLFS 3.13).
func (m *machine) hypercallNeedsID() (string, error) {
	p := m.first
	id, _ := p.rdmsr(tlfs.MSRGuestOSID)
	page, ok := p.rdmsr(tlfs.MSRHypercall)
	if !ok || id == 0 || page&tlfs.OverlayEnable == 0 {
		return "", fmt.Errorf("GUEST_OS_ID reads %#x, HYPERCALL %#x", id, page)
	}
	p.wrmsr(tlfs.MSRGuestOSID, 0)
	disabled, _ := p.rdmsr(tlfs.MSRHypercall)
	p.wrmsr(tlfs.MSRHypercall, page)
	refused, _ := p.rdmsr(tlfs.MSRHypercall)
	p.wrmsr(tlfs.MSRGuestOSID, id)
	p.wrmsr(tlfs.MSRHypercall, page)
	again, _ := p.rdmsr(tlfs.MSRHypercall)
	if disabled&tlfs.OverlayEnable != 0 || refused&tlfs.OverlayEnable != 0 || again != page {
		return "", fmt.Errorf("HYPERCALL read %#x, %#x without identity and %#x with it", disabled, refused, again)
	}
	return "", nil
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package tlfs

// Synthetic MSRs, TLFS appendix F.
const (
	MSRGuestOSID        = 0x40000000
	MSRHypercall        = 0x40000001
	MSRVpIndex          = 0x40000002
	MSRReset            = 0x40000003
	MSRVpRuntime        = 0x40000010
	MSRTimeRefCount     = 0x40000020 // 100 ns units
	MSRReferenceTSC     = 0x40000021
	MSRTSCFrequency     = 0x40000022 // Hz
	MSRAPICFrequency    = 0x40000023 // Hz
	MSREOI              = 0x40000070
	MSRICR              = 0x40000071
	MSRTPR              = 0x40000072
	MSRVpAssistPage     = 0x40000073
	MSRSControl         = 0x40000080
	MSRSVersion         = 0x40000081
	MSRSIEFP            = 0x40000082
	MSRSIMP             = 0x40000083
	MSREOM              = 0x40000084
	MSRSINT0            = 0x40000090 // + SINT number
	MSRStimer0Config    = 0x400000B0 // + 2 x timer number
	MSRStimer0Count     = 0x400000B1 // + 2 x timer number
	MSRGuestIdle        = 0x400000F0
	MSRCrashP0          = 0x40000100 // P0 to P4 follow one another
	MSRCrashP1          = 0x40000101
	MSRCrashP2          = 0x40000102
	MSRCrashP3          = 0x40000103
	MSRCrashP4          = 0x40000104
	MSRCrashCtl         = 0x40000105
	MSRTSCInvariantCtl  = 0x40000118
	CrashParameterMSRs  = 5
	SINTCount           = 16
	StimerCount         = 4
	SVersion1           = 1
	SControlEnable      = 1 << 0
	MSRTSCInvariantBit  = 1 << 0
	ResetRequest        = 1 << 0
	ReferenceUnit100ns  = 100 // nanoseconds in one unit of reference time
	VpIndexSelf         = 0xFFFFFFFE
	VpIndexAny          = 0xFFFFFFFF
	PageSize            = 4096
	OverlayEnable       = 1 << 0 // MSRHypercall, MSRReferenceTSC, MSRSIMP, MSRSIEFP
	OverlayAddressMask  = ^uint64(PageSize - 1)
	HypercallPageLocked = 1 << 1 // MSRHypercall: no further change until reset
)

// SINT register bits, TLFS 11.8.4. Bits 0 to 7 are the vector.
const (
	SINTVectorMask = 0xFF
	SINTMasked     = 1 << 16
	SINTAutoEOI    = 1 << 17
	SINTPolling    = 1 << 18
)

// SINTVMBus is the SINT by which VMBus reaches a guest in VTL 0; it is named
// in INITIATE_CONTACT, and some hosts accept no other.
const SINTVMBus = 2

// Synthetic timer configuration bits, TLFS 12.3.1.
const (
	StimerEnabled     = 1 << 0
	StimerPeriodic    = 1 << 1
	StimerLazy        = 1 << 2
	StimerAutoEnable  = 1 << 3
	StimerVectorShift = 4 // 8 bits, direct mode only
	StimerDirect      = 1 << 12
	StimerSINTShift   = 16 // 4 bits, message mode only; 0 disables the timer
)

// Crash control bits, TLFS 2.5 (MSRCrashCtl).
const (
	CrashPreOSShift = 58 // 3 bits
	CrashNoDump     = 1 << 61
	CrashMessage    = 1 << 62 // P3 is the GPA of a text, P4 its length in bytes
	CrashNotify     = 1 << 63
)

// GuestOSIDOpenSource marks a guest identity that is not Microsoft's, TLFS 2.6.
// The OS type follows in bits 62 to 56, the version in 47 to 16.
const GuestOSIDOpenSource = 1 << 63

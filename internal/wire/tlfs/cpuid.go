// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package tlfs

// CPUID leaves, TLFS 2.4.
const (
	LeafVendor               = 0x40000000 // EAX: highest leaf; EBX ECX EDX: VendorSignature
	LeafInterface            = 0x40000001 // EAX: InterfaceSignature
	LeafVersion              = 0x40000002 // build, version, service pack; may be all zero
	LeafFeatures             = 0x40000003 // privileges and features, below
	LeafRecommendations      = 0x40000004
	LeafLimits               = 0x40000005
	LeafHardware             = 0x40000006
	LeafNestedFeatures       = 0x4000000A
	LeafIsolation            = 0x4000000C
	LeafVirtStackVendor      = 0x40000080
	LeafVirtStackInterface   = 0x40000081
	LeafVirtStackProperties  = 0x40000082
	HypervisorPresent        = 1 << 31 // in ECX of leaf 1
	InterfaceSignature       = 0x31237648
	VendorSignature          = "Microsoft Hv"
	MinimumConformingMaxLeaf = LeafLimits
)

// Leaf 0x40000003, EAX: which synthetic MSRs the partition may use, TLFS 4.2.2.
const (
	AccessVpRuntime         = 1 << 0
	AccessPartitionRefCount = 1 << 1 // MSRTimeRefCount
	AccessSynic             = 1 << 2
	AccessStimer            = 1 << 3
	AccessApic              = 1 << 4
	AccessHypercall         = 1 << 5
	AccessVpIndex           = 1 << 6
	AccessReset             = 1 << 7
	AccessStats             = 1 << 8
	AccessReferenceTSC      = 1 << 9
	AccessGuestIdle         = 1 << 10
	AccessFrequency         = 1 << 11
	AccessDebug             = 1 << 12
	AccessReenlightenment   = 1 << 13
	AccessTSCInvariant      = 1 << 15
)

// Leaf 0x40000003, EBX: which hypercalls the partition may make. Some hosts
// leave both bits clear although the hypercalls work, so a guest must not
// insist on them.
const (
	PostMessages          = 1 << 4
	SignalEvents          = 1 << 5
	ExtendedHypercalls    = 1 << 20
	StartVirtualProcessor = 1 << 21 // HvCallStartVirtualProcessor, HvCallGetVpIndexFromApicId
)

// Leaf 0x40000003, EDX: features.
const (
	FeatureXMMHypercallInput   = 1 << 4
	FeatureGuestIdle           = 1 << 5
	FeatureFrequencyMSRs       = 1 << 8
	FeatureGuestCrashMSRs      = 1 << 10
	FeatureXMMHypercallOutput  = 1 << 15
	FeatureDirectSyntheticTmrs = 1 << 19
)

// Leaf 0x40000004, EAX: recommendations.
const (
	RecommendAddressSpaceSwitch = 1 << 0
	RecommendLocalFlush         = 1 << 1
	RecommendRemoteFlush        = 1 << 2
	RecommendApicMSRs           = 1 << 3
	RecommendResetMSR           = 1 << 4
	RecommendRelaxedTiming      = 1 << 5
	RecommendX2ApicMSRs         = 1 << 8
	RecommendNoAutoEOI          = 1 << 9
	RecommendClusterIPI         = 1 << 10
	RecommendExProcessorMasks   = 1 << 11
	RecommendNested             = 1 << 12
)

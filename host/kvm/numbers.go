// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package kvm

import "fmt"

// Ioctl codes of linux/kvm.h: direction << 30 | size << 16 | 0xAE00 | number.
const (
	dirWrite = 1 << 30 // user space to kernel
	dirRead  = 2 << 30 // kernel to user space
	kvmIO    = 0xAE00

	ioGetAPIVersion       = kvmIO
	ioCreateVM            = kvmIO | 0x01
	ioCheckExtension      = kvmIO | 0x03
	ioGetVCPUMmapSize     = kvmIO | 0x04
	ioGetSupportedCPUID   = dirRead | dirWrite | cpuidHeaderSize<<16 | kvmIO | 0x05
	ioCreateVCPU          = kvmIO | 0x41
	ioSetUserMemoryRegion = dirWrite | memoryRegionSize<<16 | kvmIO | 0x46
	ioSetTSSAddr          = kvmIO | 0x47
	ioCreateIRQChip       = kvmIO | 0x60
	ioIRQLine             = dirWrite | irqLevelSize<<16 | kvmIO | 0x61
	ioSetGSIRouting       = dirWrite | routingHeaderSize<<16 | kvmIO | 0x6A
	ioIRQFD               = dirWrite | irqfdSize<<16 | kvmIO | 0x76
	ioGetClock            = dirRead | clockSize<<16 | kvmIO | 0x7C
	ioRun                 = kvmIO | 0x80
	ioGetRegs             = dirRead | regsSize<<16 | kvmIO | 0x81
	ioSetRegs             = dirWrite | regsSize<<16 | kvmIO | 0x82
	ioGetSregs            = dirRead | sregsSize<<16 | kvmIO | 0x83
	ioSetSregs            = dirWrite | sregsSize<<16 | kvmIO | 0x84
	ioTranslate           = dirRead | dirWrite | translationSize<<16 | kvmIO | 0x85
	ioGetMSRs             = dirRead | dirWrite | msrsHeaderSize<<16 | kvmIO | 0x88
	ioSetMSRs             = dirWrite | msrsHeaderSize<<16 | kvmIO | 0x89
	ioGetMPState          = dirRead | mpStateSize<<16 | kvmIO | 0x98
	ioSetMPState          = dirWrite | mpStateSize<<16 | kvmIO | 0x99
	ioNMI                 = kvmIO | 0x9A
	ioSetCPUID2           = dirWrite | cpuidHeaderSize<<16 | kvmIO | 0x90
	ioEnableCap           = dirWrite | enableCapSize<<16 | kvmIO | 0xA3
	ioSetMSRFilter        = dirWrite | msrFilterSize<<16 | kvmIO | 0xC6
	ioGetStatsFD          = kvmIO | 0xCE
	ioGetSupportedHvCPUID = dirRead | dirWrite | cpuidHeaderSize<<16 | kvmIO | 0xC1
)

// Sizes of the structures in linux/kvm.h and asm/kvm.h, as they stand in the ioctl codes.
const (
	cpuidHeaderSize   = 8
	cpuidEntrySize    = 40
	memoryRegionSize  = 32
	irqLevelSize      = 8
	routingHeaderSize = 8
	routingEntrySize  = 48
	irqfdSize         = 32
	clockSize         = 48
	regsSize          = 144
	sregsSize         = 312
	translationSize   = 24
	msrsHeaderSize    = 8
	msrEntrySize      = 16
	enableCapSize     = 104
	mpStateSize       = 4
	msrFilterSize     = 392
)

// APIVersion is the only version KVM_GET_API_VERSION has returned since Linux 2.6.22.
const APIVersion = 12

// Cap is a capability number for KVM_CHECK_EXTENSION and KVM_ENABLE_CAP.
type Cap uint32

// Capabilities the test host asks for.
const (
	CapIRQRouting         Cap = 25
	CapIRQFD              Cap = 32
	CapHyperv             Cap = 44
	CapMaxVCPUs           Cap = 66
	CapSyncRegs           Cap = 74
	CapIRQFDResample      Cap = 82
	CapHypervTime         Cap = 96
	CapMaxVCPUID          Cap = 128
	CapImmediateExit      Cap = 136
	CapHypervSynIC2       Cap = 148
	CapHypervVPIndex      Cap = 149
	CapHypervCPUID        Cap = 167
	CapUserSpaceMSR       Cap = 188
	CapSysHypervCPUID     Cap = 191
	CapHypervEnforceCPUID Cap = 199
)

var capNames = map[Cap]string{
	CapIRQRouting:         "KVM_CAP_IRQ_ROUTING",
	CapIRQFD:              "KVM_CAP_IRQFD",
	CapHyperv:             "KVM_CAP_HYPERV",
	CapMaxVCPUs:           "KVM_CAP_MAX_VCPUS",
	CapSyncRegs:           "KVM_CAP_SYNC_REGS",
	CapIRQFDResample:      "KVM_CAP_IRQFD_RESAMPLE",
	CapHypervTime:         "KVM_CAP_HYPERV_TIME",
	CapMaxVCPUID:          "KVM_CAP_MAX_VCPU_ID",
	CapImmediateExit:      "KVM_CAP_IMMEDIATE_EXIT",
	CapHypervSynIC2:       "KVM_CAP_HYPERV_SYNIC2",
	CapHypervVPIndex:      "KVM_CAP_HYPERV_VP_INDEX",
	CapHypervCPUID:        "KVM_CAP_HYPERV_CPUID",
	CapUserSpaceMSR:       "KVM_CAP_X86_USER_SPACE_MSR",
	CapSysHypervCPUID:     "KVM_CAP_SYS_HYPERV_CPUID",
	CapHypervEnforceCPUID: "KVM_CAP_HYPERV_ENFORCE_CPUID",
}

// String returns the name linux/kvm.h gives the capability.
func (c Cap) String() string {
	if s, ok := capNames[c]; ok {
		return s
	}
	return fmt.Sprintf("KVM capability %d", uint32(c))
}

// ExitReason says why KVM_RUN returned.
type ExitReason uint32

// Exit reasons a guest of the test host can cause.
const (
	ExitUnknown       ExitReason = 0
	ExitIO            ExitReason = 2
	ExitHypercall     ExitReason = 3
	ExitDebug         ExitReason = 4
	ExitHLT           ExitReason = 5
	ExitMMIO          ExitReason = 6
	ExitIRQWindow     ExitReason = 7
	ExitShutdown      ExitReason = 8
	ExitFailEntry     ExitReason = 9
	ExitInterrupted   ExitReason = 10
	ExitInternalError ExitReason = 17
	ExitSystemEvent   ExitReason = 24
	ExitHyperv        ExitReason = 27
	ExitRDMSR         ExitReason = 29
	ExitWRMSR         ExitReason = 30
)

var exitNames = map[ExitReason]string{
	ExitUnknown: "unknown", ExitIO: "I/O port", ExitHypercall: "KVM hypercall", ExitDebug: "debug", ExitHLT: "HLT",
	ExitMMIO: "MMIO", ExitIRQWindow: "interrupt window", ExitShutdown: "shutdown", ExitFailEntry: "entry failed",
	ExitInterrupted: "interrupted", ExitInternalError: "internal error", ExitSystemEvent: "system event",
	ExitHyperv: "Hyper-V", ExitRDMSR: "RDMSR", ExitWRMSR: "WRMSR",
}

// String returns the reason in words.
func (r ExitReason) String() string {
	if s, ok := exitNames[r]; ok {
		return s
	}
	return fmt.Sprintf("exit %d", uint32(r))
}

// System events (struct kvm_run, system_event.type).
const (
	SystemEventShutdown = 1
	SystemEventReset    = 2
	SystemEventCrash    = 3
)

// Kinds of a Hyper-V exit (struct kvm_hyperv_exit, type).
const (
	HypervSynIC     = 1
	HypervHypercall = 2
	HypervSynDbg    = 3
)

// MPState says what a virtual processor is doing (struct kvm_mp_state).
type MPState uint32

// The states of a virtual processor with a local APIC in the kernel.
const (
	MPRunnable      MPState = 0
	MPUninitialized MPState = 1 // waits for INIT: the state of all processors but the first
	MPInitReceived  MPState = 2 // waits for a startup interrupt
	MPHalted        MPState = 3
	MPSIPIReceived  MPState = 4
)

// CPUIDSignificantIndex (KVM_CPUID_FLAG_SIGNIFCANT_INDEX) marks an entry whose subleaf counts.
const CPUIDSignificantIndex = 1

const (
	routeIRQChip = 1
	routeHvSINT  = 4

	irqchipIOAPIC = 2

	irqfdDeassign = 1 << 0
	irqfdResample = 1 << 1
)

// IOAPICPins is the number of inputs of KVM's I/O APIC: GSIs 0 to 23.
const IOAPICPins = 24

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package hyperv is the hypervisor's part of the test host that KVM leaves to
// user space: what CPUID shows, the two hypercalls VMBus is made of, and the
// delivery of messages and events through the SynIC.
//
//	guest: HvCallPostMessage --exit--> Hypercall --> Server (package vmbus)
//	guest: HvCallSignalEvent --exit--> Hypercall --> Server
//
//	Server --> PostMessage --> slot in the SIMP page  --> KVM raises the SINT
//	Server --> SignalEvent --> bit in the SIEFP page  --> KVM raises the SINT
//	guest: EOM --resampling irqfd--> the next message that waits
//
// KVM itself does the rest of the interface in the kernel: the MSRs, the
// hypercall page, the reference TSC page, synthetic timers, SINT vectors, the
// hypercalls of TLB flush and IPI. With KVM_CAP_HYPERV_ENFORCE_CPUID it refuses
// the guest what CPUID does not announce, which catches a guest that ignores
// feature bits.
//
// Source: TLFS 6.0b, chapters 2 to 4 and 11; KVM's api.rst, 4.118 and 5.
package hyperv

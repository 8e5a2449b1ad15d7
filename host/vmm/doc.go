// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package vmm is the machine of the test host: memory, virtual processors and
// the loop that serves their exits. It knows no protocol.
//
//	guest --exit--> VCPU.serve --> Port handler (COM1, firmware services)
//	                          \--> Hypervisor (package hyperv: hypercalls, SynIC)
//	                          \--> Exit (reset, crash, triple fault), which ends Run
//
// Guest-physical memory has a hole below 4 GiB, as a Generation 2 VM has: RAM
// from 0 to LowMemoryEnd at most, the rest from 4 GiB up. The interrupt
// controllers are KVM's.
//
// Everything a guest hands over is checked here or in the handler: an address is
// used only through Memory.Bytes or VCPU.ReadVirtual and its kin, which fail for
// what is not RAM.
package vmm

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package machine puts the test host together: a VM (package vmm) whose
// hypervisor is package hyperv, whose firmware is package firmware and whose
// synthetic devices stand behind package vmbus.
//
//	New -> vmm.New -> hyperv.New -> vmbus.New, devices -> firmware.Boot
//	Run -> the guest runs until it ends, or ctx does
//
// It is what `hvgo run` and the tests that boot a guest use. KVM with Hyper-V
// enlightenments is needed (kvm.Usable); where it is missing, package nested
// supplies it.
package machine

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package qemu boots hvgo's guest in QEMU on KVM, with Hyper-V's enlightenments: a
// hypervisor, a SynIC and a VMBus that nobody here wrote. It has no code of its own.
//
//	enlightenments_test.go  CPUID, hypercalls, SynIC, clock and timers, with all
//	                        enlightenments and with few; KVM refuses what CPUID does
//	                        not announce (hv-enforce-cpuid)
//	vmbus_test.go           negotiation and offers, by QEMU's own trace
//	balloon_test.go         hv-balloon: a channel, and Dynamic Memory on it
//	linux_test.go           what QEMU sees of our guest, and of Debian's kernel
//	microvm_test.go         QEMU's microvm: no SeaBIOS, ACPI with reduced hardware
//	command_test.go         the hvgo run --qemu process
//
// The tests run by `hvgo vm-test --qemu`, which says in HVGO_TEST_QEMU what QEMU to
// start. HVGO_TEST_QEMU_GUEST names the guest: test/vm/guests/probe, built by `hvgo
// build --format elf`; HVGO_TEST_QEMU_IMAGE the same as an image. scripts/witness does
// all of it.
package qemu

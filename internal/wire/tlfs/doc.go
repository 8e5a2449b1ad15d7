// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package tlfs holds the numbers and layouts of the hypervisor's own
// interface: CPUID leaves, synthetic MSRs, hypercalls, and the memory that the
// synthetic interrupt controller (SynIC) writes.
//
// Everything above it (VMBus, disks, network) rests on two hypercalls,
// HvCallPostMessage and HvCallSignalEvent, and on two pages per virtual
// processor by which the other side answers:
//
//	SIMP, 4096 bytes: one message slot for each of 16 SINTs
//	+-------+-------+-----+-------+      slot, 256 bytes:
//	| slot0 | slot1 | ... | slot15|      0      4    5     6     8        16          256
//	+-------+-------+-----+-------+      +------+----+-----+-----+--------+-----------+
//	                                     | type |size|flags| 0   | origin | payload   |
//	SIEFP, 4096 bytes: 16 x 2048 flags   +------+----+-----+-----+--------+-----------+
//
// A slot belongs to the guest while its type is not zero. The guest copies the
// message, sets type to zero, and, when the pending flag is set, writes EOM so
// that the next one is delivered.
//
// Source: Hypervisor Top Level Functional Specification (TLFS) 6.0b, whose
// names are kept; sections are cited at each block. Second reading: the facts
// of OpenVMM's hvdef and of kvm-unit-tests' x86/hyperv*.c.
package tlfs

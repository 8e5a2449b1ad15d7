// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package boot takes the machine from the firmware to the program:
//
//  1. entry (entry_amd64.s): the firmware calls the image as a UEFI
//     application, or a monitor starts it as a kernel, by Linux's 64-bit boot
//     protocol or PVH; a stack and a stand-in for Go's g are set up.
//  2. start (start.go): CPUID says whether this is Hyper-V; memory map, ACPI
//     and SMBIOS tables, command line, wall clock and random seed are taken
//     from where they come from (source.go): the firmware (firmware.go), whose
//     boot services are left, or what the monitor handed over.
//  3. own page tables replace the firmware's (paging.go): text is not
//     writable, data not executable, page zero and the stacks' neighbours are
//     unmapped.
//  4. descriptor tables, SynIC, clock and timer are set up (runtime/ring0, hv).
//  5. the first thread is made as Linux makes a process's (process.go): a
//     stack with arguments, environment and auxiliary vector, a vDSO, and the
//     entry point of the Go runtime.
//  6. Start (boot.go) runs as ordinary Go before main: it finds disks and
//     network over VMBus and plugs them into runtime/linux.
//
// Up to step 5 nothing may allocate: there is no Go runtime yet.
package boot

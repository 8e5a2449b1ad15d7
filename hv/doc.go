// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package hv talks to the hypervisor: it finds out by CPUID what there is,
// and drives the hypercall page, the SynIC (messages and event flags), the
// reference time and the synthetic timers, as Microsoft's Hypervisor Top Level
// Functional Specification (TLFS) 6.0b describes them.
//
// On the way of a byte it stands at both ends of the machine: the host's
// interrupt is read here (TakeFlags, TakeMessage), and a channel's signal to
// the host leaves from here (SignalEvent).
//
// Two things stand beside that way. The clock of the vDSO (ClockGettime,
// vdso_amd64.s) reads the reference time without a trap, in the program's own
// threads. And Crash reports the end of the guest to the host.
//
// All of it is nosplit and may run in trap context (docs/HACKING.md). What each
// processor has of its own lies in locals.
package hv

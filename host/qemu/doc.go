// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package qemu runs a guest in QEMU on KVM with Hyper-V's enlightenments: a host
// that nobody here wrote. QEMU and KVM answer CPUID, hypercalls, SynIC, timers and
// the reference TSC page; QEMU's vmbus-bridge is a VMBus of version 4.0, and its
// hv-balloon the one device on it. There are no disks and no network.
//
//	program.go   which QEMU there is, what it can do, and what it needs to run
//	args.go      a Config becomes QEMU's arguments
//	vm.go        the process: console, end, crash report
//	qmp.go       QEMU's control protocol
//	trace.go     QEMU's log of what it saw on the VMBus
//
// It works where /dev/kvm has Hyper-V, which may be inside the emulated machine of
// host/nested: then QEMU is started by its dynamic loader, from the outside's
// folders, since there is nothing else in there.
package qemu

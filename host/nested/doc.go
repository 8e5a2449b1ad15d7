// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package nested runs static Linux programs on a kernel whose /dev/kvm offers
// Hyper-V, on machines that have no such kernel: it starts Debian's kernel in
// QEMU, with the processor and its AMD virtualisation emulated in software.
//
// The test host (host/vmm and above) is the same program either way; this
// package only gives it a place to run. It stands beside the way of a byte, not
// on it: what it carries is the program's standard streams, its signals and
// its exit status, over one virtio-serial port, and TCP connections to the
// ports it publishes.
//
//	outside                              inside (Debian kernel under QEMU/TCG)
//	+---------------+   virtio-serial   +---------+  pipes   +---------+
//	| Machine.Run   |<----------------->| PID 1   |<-------->| program |
//	|               |  frames (wire.go) | init.go |          | on KVM  |
//	| 127.0.0.1:P   |---- user net ---->| proxy   |--------->| 127...:P|
//	| folders       |---- 9p shares ----| mounts at the same paths     |
//	+---------------+                   +------------------------------+
//
// kernel.go gets the kernel from a Debian package without installing it,
// modules.go picks the modules and initramfs.go packs them together with PID 1,
// which is the hvgo binary itself (init.go). qemu.go owns the QEMU process and
// machine.go is the interface to all of it.
package nested

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package kvm holds the calls of Linux's /dev/kvm that the test host needs, one
// Go method per ioctl and nothing above them: package vmm makes a machine of it.
//
// A guest's byte passes here twice: [VCPU.Run] returns when the guest did
// something the kernel does not serve itself (an I/O port, a hypercall, a SynIC
// register), and the methods of [VM] raise interrupts in the other direction.
//
// The reference is Documentation/virt/kvm/api.rst of the Linux kernel, version
// 6.12; sentences in quotation marks are from there. Structures of the kernel's
// uapi header linux/kvm.h are read and written as bytes by hand where the kernel
// shares memory (struct kvm_run), and as Go structs of the same layout where it
// copies them; a test holds their sizes against the numbers in the ioctl codes.
package kvm

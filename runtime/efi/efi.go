// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package efi calls the UEFI firmware: any service while the machine boots,
// and ResetSystem when it ends (UEFI 2.10). It is the last step of a program's
// way out. Nosplit, trap context.
package efi

import (
	"unsafe"

	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// Kinds of ResetSystem (UEFI 2.10, 8.5.1), and the statuses that hvgo gives.
const (
	Cold     = 0
	Warm     = 1
	Shutdown = 2

	Success = 0
	Aborted = 1<<63 | 21
)

// resetSystem is the address of the service, identity the page tables that
// map the firmware where it believes to be.
var resetSystem, identity uintptr

// tls stands for the running thread's thread-local storage.
var tls [2]uintptr

func call(fn uintptr, a, b, c, d, e uint64) uint64

// Call calls a service at fn with up to five arguments and gives its status.
//
//go:nosplit
func Call(fn uintptr, a, b, c, d, e uint64) uint64 { return call(fn, a, b, c, d, e) }

// SetReset says where ResetSystem is, and which value of CR3 makes it (and
// this code, and its stack) reachable; 0 while the firmware's own is loaded.
//
//go:nosplit
func SetReset(service uintptr, cr3 uint64) { resetSystem, identity = service, uintptr(cr3) }

// Reset ends the machine. It returns where there is no such firmware, and halts for
// ever where the firmware does nothing: our memory may not be mapped any more.
//
//go:nosplit
func Reset(kind, status uint64) {
	ring0.Cli()
	if resetSystem == 0 {
		return
	}
	if identity != 0 {
		// Go code looks at -8(FS) behind each call of assembly; the
		// thread's own word is not mapped where firmware runs.
		ring0.Wrmsr(ring0.MSRFSBase, uint64(uintptr(unsafe.Pointer(&tls))+8))
		shareUpperHalf()
		ring0.SetCR3(uint64(identity))
	}
	call(resetSystem, kind, status, 0, 0, 0)
	ring0.StopForever()
}

// shareUpperHalf makes the kernel's half of the running page tables, our
// stack in it, part of the firmware's.
//
//go:nosplit
func shareUpperHalf() {
	ours, theirs := mem.Phys(ring0.CR3()&^0xfff), mem.Phys(uint64(identity))
	for at := uintptr(mem.PageSize / 2); at < mem.PageSize; at += 8 {
		*(*uint64)(ring0.Pointer(theirs + at)) = *(*uint64)(ring0.Pointer(ours + at))
	}
}

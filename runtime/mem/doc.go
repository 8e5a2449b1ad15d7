// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package mem is the guest's memory: physical frames, page tables, and the one
// address space in which the program, the Go runtime and hvgo itself live.
//
// It stands under everything. boot hands it the RAM of the firmware's map
// (AddExtent), builds the page tables (NewRoot, MapKernel) and names what is
// already in place (Reserve). From then on runtime/linux turns the program's
// mmap, munmap, mprotect and madvise into the calls of the same names here, and
// the page-fault entry calls Fault, which gives a page its frame when it is first
// touched. A byte that a driver shares with the host lies in frames from
// AllocContig.
//
//	0x0                 never mapped: nil dereferences fault
//	UserStart           program: image, heap, stacks        (VMAs, demand-zero)
//	UserEnd             end of the lower canonical half
//	DirectBase          all of physical memory, one to one  (Phys)
//
// # Trap context
//
// Every function of this package runs on a trap stack, possibly while the Go
// world is stopped and without a P. So each is go:nosplit, keeps its frame
// small, neither allocates nor stores a Go pointer (addresses are uintptr,
// table positions are numbers), and indexes only through helpers that cannot
// panic. State lives in package variables guarded by lock, which the exported
// functions take (locked.go): the caller has interrupts off. Page tables are one
// set for all processors; where an entry comes to allow less, settle (pagetable.go)
// tells the others, before a frame that it named is used again.
//
// CR0.WP must be set: everything runs in ring 0, and read-only pages are
// read-only only with it. EFER.NXE must be set before a table with NoExec is used.
package mem

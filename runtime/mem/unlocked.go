// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

// What file.go and filemap.go call with the lock held. There is no lock yet: one
// processor, interrupts off.

//go:nosplit
func allocFrame() uint64 { return AllocFrame() }

//go:nosplit
func freeFrame(pa uint64) { FreeFrame(pa) }

//go:nosplit
func mmap(addr, length uintptr, prot, flags int32) (start, errno uintptr) {
	return Mmap(addr, length, prot, flags)
}

// changed says that the entry of page allows less than before, or another frame.
//
//go:nosplit
func changed(page uintptr) { invalidate(page) }

// settle comes behind all of them, before a frame that they named is used again.
//
//go:nosplit
func settle() {}

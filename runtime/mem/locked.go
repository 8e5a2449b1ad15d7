// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import "github.com/hvgo/hvgo/runtime/ring0"

// lock guards all of this package: the areas, the page tables and the frames. Any
// context may take it whose interrupts are off.
var lock ring0.Lock

// Madvise is madvise(2). MADV_DONTNEED and MADV_FREE free the frames of private
// memory at once; a later read sees zero. MADV_REMOVE does so for shared memory.
// MADV_POPULATE_* fill. MADV_COLLAPSE is refused with EINVAL, as Linux does where
// no huge page can be made. All other advice is accepted and changes nothing:
// there is no swap, no fork and no huge page.
//
//go:nosplit
func Madvise(addr, length uintptr, advice int32) (errno uintptr) {
	lock.Lock()
	errno = madvise(addr, length, advice)
	lock.Unlock()
	return errno
}

// Mincore is mincore(2): it writes one byte for each page to vec, 1 when the
// page has a frame.
//
//go:nosplit
func Mincore(addr, length, vec uintptr) (errno uintptr) {
	lock.Lock()
	errno = mincore(addr, length, vec)
	lock.Unlock()
	return errno
}

// TakeBalloon takes up to want adjacent frames for the host, while at least keep
// others remain free; it returns their physical address and number, 0 when there
// are none. It prefers long ranges.
//
//go:nosplit
func TakeBalloon(want, keep uint64) (pa, pages uint64) {
	lock.Lock()
	pa, pages = takeBalloon(want, keep)
	lock.Unlock()
	return pa, pages
}

// GiveBalloon takes back frames from TakeBalloon, BalloonPages at most. It returns
// false, and does nothing, when they cannot all be such.
//
//go:nosplit
func GiveBalloon(pa, pages uint64) bool {
	lock.Lock()
	answer := giveBalloon(pa, pages)
	lock.Unlock()
	return answer
}

// Fault resolves a page fault at addr: it gives the page a frame when the access
// is allowed, zeroed or the file's that is mapped there. write and exec say what was
// attempted (bits 1 and 4 of the error code); neither means a read. Anonymous memory
// never has a frame that another page shows too, so a read gets one of its own: what
// is handed to the host for writing needs no second fault.
//
//go:nosplit
func Fault(addr uintptr, write, exec bool) int {
	lock.Lock()
	answer := fault(addr, write, exec)
	lock.Unlock()
	return answer
}

// Valid reports whether the program may read (or write) all n bytes at addr:
// the test for a pointer that came with a system call. They need not be
// resident; see Prepare.
//
//go:nosplit
func Valid(addr, n uintptr, write bool) bool {
	lock.Lock()
	answer := valid(addr, n, write)
	lock.Unlock()
	return answer
}

// Prepare is Valid, and fills the pages: after it, trap context and the host can
// use the n bytes at addr until the program gives them up. False also when
// there is no memory.
//
//go:nosplit
func Prepare(addr, n uintptr, write bool) bool {
	lock.Lock()
	answer := prepare(addr, n, write)
	lock.Unlock()
	return answer
}

// AllocFrame returns the physical address of a frame with unknown contents, or
// 0 when only PageReserve frames are left.
//
//go:nosplit
func AllocFrame() uint64 {
	lock.Lock()
	answer := allocFrame()
	lock.Unlock()
	return answer
}

// FreeFrame gives back one frame.
//
//go:nosplit
func FreeFrame(pa uint64) {
	lock.Lock()
	freeFrame(pa)
	lock.Unlock()
}

// AllocContig returns the physical address of a range of frames with unknown
// contents, or 0 when there is no such range. Take what is needed early: single
// freed frames do not grow together again.
//
//go:nosplit
func AllocContig(pages uint64) uint64 {
	lock.Lock()
	answer := allocContig(pages)
	lock.Unlock()
	return answer
}

// FreeFrames gives back a range from AllocContig, or a part of one.
//
//go:nosplit
func FreeFrames(pa, pages uint64) {
	lock.Lock()
	freeFrames(pa, pages)
	lock.Unlock()
}

// Mremap is mremap(2) for one area: shrink, grow in place, or move with the
// pages' frames.
//
//go:nosplit
func Mremap(old, oldLength, newLength uintptr, flags int32, fixed uintptr) (addr, errno uintptr) {
	lock.Lock()
	addr, errno = mremap(old, oldLength, newLength, flags, fixed)
	lock.Unlock()
	return addr, errno
}

// Map maps the page at va to the frame pa. It fails when there is no memory for
// a table or va is mapped already.
//
//go:nosplit
func Map(va uintptr, pa uint64, flags Flags) bool {
	lock.Lock()
	answer := mapPage(va, pa, flags)
	lock.Unlock()
	return answer
}

// MapKernel maps bytes at va to physical memory from pa, with 1 GiB and 2 MiB
// pages where both are aligned. All three are multiples of PageSize. It fails
// when there is no memory for tables or a part is mapped already; what was
// mapped until then stays.
//
//go:nosplit
func MapKernel(va uintptr, pa, bytes uint64, flags Flags) bool {
	lock.Lock()
	answer := mapKernel(va, pa, bytes, flags)
	lock.Unlock()
	return answer
}

// Walk returns the physical address that va is mapped to, down to the byte, and the flags.
//
//go:nosplit
func Walk(va uintptr) (pa uint64, flags Flags, ok bool) {
	lock.Lock()
	pa, flags, ok = walk(va)
	lock.Unlock()
	return pa, flags, ok
}

// Unmap removes the mapping of the page at va, cutting a larger page into
// smaller ones, and returns its frame; 0 when nothing was mapped or there is no
// memory to cut with. The frame is not freed.
//
//go:nosplit
func Unmap(va uintptr) uint64 {
	lock.Lock()
	answer := unmapPage(va)
	lock.Unlock()
	return answer
}

// Reserve says that [start, end) is in use and mapped by boot: the image, the
// first stack, the vDSO. Such an area is never faulted in, and refuses munmap,
// mprotect, mremap and MAP_FIXED with EPERM, as memory sealed by mseal(2) does.
//
//go:nosplit
func Reserve(start, end uintptr, prot int32) (errno uintptr) {
	lock.Lock()
	errno = reserve(start, end, prot)
	lock.Unlock()
	return errno
}

// Mmap is mmap(2) for anonymous memory. Pages get a frame when first touched.
// There is no overcommit limit, since Go reserves far more than it uses:
// memory that is not there shows as FaultNoMemory. Not served: MAP_GROWSDOWN
// (EOPNOTSUPP) and MAP_HUGETLB (ENOMEM, as on a Linux without huge pages).
//
//go:nosplit
func Mmap(addr, length uintptr, prot, flags int32) (start, errno uintptr) {
	lock.Lock()
	start, errno = mmap(addr, length, prot, flags)
	lock.Unlock()
	return start, errno
}

// Munmap is munmap(2).
//
//go:nosplit
func Munmap(addr, length uintptr) (errno uintptr) {
	lock.Lock()
	errno = munmap(addr, length)
	lock.Unlock()
	return errno
}

// Mprotect is mprotect(2).
//
//go:nosplit
func Mprotect(addr, length uintptr, prot int32) (errno uintptr) {
	lock.Lock()
	errno = mprotect(addr, length, prot)
	lock.Unlock()
	return errno
}

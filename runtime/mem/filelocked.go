// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

// Files for those who do not hold the lock.

// NewFile makes an empty file and returns its number, or 0 when there is no memory.
//
//go:nosplit
func NewFile() uint32 {
	lock.Lock()
	answer := newFile()
	lock.Unlock()
	return answer
}

// DropFile says that the owner needs a file no more. What is mapped stays until it
// is unmapped. It returns true when it has to be called again, to free the rest.
//
//go:nosplit
func DropFile(number uint32) (more bool) {
	lock.Lock()
	more = dropFile(number)
	lock.Unlock()
	return more
}

// FilePage returns the physical address of a page of a file, or 0 when it has none.
// With fill it gets one then, of zeroes; 0 means that there is no room.
//
//go:nosplit
func FilePage(number uint32, index uint64, fill bool) uint64 {
	lock.Lock()
	answer := filePage(number, index, fill)
	lock.Unlock()
	return answer
}

// ResizeFile sets the size of a file in pages. What is behind it is unmapped, private
// copies too, and freed. It returns true when it has to be called again, to free the rest.
//
//go:nosplit
func ResizeFile(number uint32, size uint64) (more bool) {
	lock.Lock()
	more = resizeFile(number, size)
	lock.Unlock()
	return more
}

// PunchFile makes a hole of the pages [first, end) of a file. Private copies stay.
// It returns true when it has to be called again, to free the rest.
//
//go:nosplit
func PunchFile(number uint32, first, end uint64) (more bool) {
	lock.Lock()
	more = punchFile(number, first, end)
	lock.Unlock()
	return more
}

// NextPage returns the index of the first page from index on that a file has, or
// MaxFilePages.
//
//go:nosplit
func NextPage(number uint32, index uint64) uint64 {
	lock.Lock()
	answer := nextPage(number, index)
	lock.Unlock()
	return answer
}

// CountPages returns the number of pages that a file has.
//
//go:nosplit
func CountPages(number uint32) uint64 {
	lock.Lock()
	answer := countPages(number)
	lock.Unlock()
	return answer
}

// MapFile is mmap(2) for a file; with MAP_ANONYMOUS it is Mmap. Pages get a frame
// when first touched; a fault behind the end of the file is FaultBus.
//
//go:nosplit
func MapFile(m *Mapping) (start, errno uintptr) {
	lock.Lock()
	start, errno = mapFile(m)
	lock.Unlock()
	return start, errno
}

// FileRange returns the file and the pages of it that a shared, writable mapping
// shows from addr on, up to end; 0 when there is no such mapping at addr. It also
// returns where that part ends.
//
//go:nosplit
func FileRange(addr, end uintptr) (number uint32, first, last uint64, stop uintptr) {
	lock.Lock()
	number, first, last, stop = fileRange(addr, end)
	lock.Unlock()
	return number, first, last, stop
}

// Msync is msync(2). Files in memory have nowhere else to be, so it only looks for holes.
//
//go:nosplit
func Msync(addr, length uintptr, flags int32) (errno uintptr) {
	lock.Lock()
	errno = msync(addr, length, flags)
	lock.Unlock()
	return errno
}

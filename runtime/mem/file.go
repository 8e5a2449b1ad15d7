// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import "unsafe"

// The contents of files in memory lie in frames, outside of Go's heap, so that
// read, write and mappings see the same bytes, and a fault in a mapping is served
// here. runtime/linux owns the files: it makes and drops them, and reads and writes
// their pages through the direct map. A frame belongs to its file, whatever maps it,
// and is freed when the file is cut or punched there, or is gone: without an owner
// and without a mapping.
//
// Whoever removes pages holds off those who read and write the file (runtime/linux,
// tmpData.mu): their addresses are good until then.

// FileBatch is the number of pages that one call frees: interrupts are off meanwhile.
const FileBatch = 1024

// MaxFilePages is the largest size of a file in pages.
const MaxFilePages = treeMax

// file is one file. Files lie in frames, filesPerFrame to each.
type file struct {
	pages  tree
	size   uint64 // in pages; a mapping behind it gives SIGBUS
	count  uint64 // pages that have a frame
	mapped uint64 // pages of areas that show it
	next   uint32 // in the list of unused or of dying files
	owned  uint32 // 1: the owner has not dropped it
	_      [2]uint64
}

const (
	fileBytes     = unsafe.Sizeof(file{})
	filesPerFrame = PageSize / uint64(fileBytes)
)

// files are all files, by their number less one. Guarded by the lock of this package.
var files struct {
	records tree
	n       uint32 // numbers ever used
	unused  uint32 // first of the list of those that are free again; 0: none
	dying   uint32 // first of the list of files to be freed by reapFiles
	pages   uint64 // frames with contents
	limit   uint64 // most of those
}

// fileAt returns a file by its number, or nil.
//
//go:nosplit
func fileAt(number uint32) *file {
	if number == 0 || number > files.n {
		return nil
	}
	i := uint64(number - 1)
	frame := files.records.get(i / filesPerFrame)
	if frame == 0 {
		return nil
	}
	return (*file)(unsafe.Add(unsafe.Pointer(nil), Phys(frame)+uintptr(i%filesPerFrame)*fileBytes))
}

// LimitFiles sets how many pages all files together may have.
//
//go:nosplit
func LimitFiles(pages uint64) { files.limit = pages }

// FileLimit returns that number.
//
//go:nosplit
func FileLimit() uint64 { return files.limit }

// FilePages returns the number of pages that files have.
//
//go:nosplit
func FilePages() uint64 { return files.pages }

// newFile is NewFile, with the lock held.
//
//go:nosplit
func newFile() uint32 {
	number := files.unused
	if number == 0 {
		if files.n == ^uint32(0) {
			return 0
		}
		if i := uint64(files.n) / filesPerFrame; files.records.get(i) == 0 && files.records.grow(i) == 0 {
			return 0
		}
		files.n++
		number = files.n
	}
	f := fileAt(number)
	files.unused = f.next
	*f = file{owned: 1}
	return number
}

// dropFile is DropFile, with the lock held.
//
//go:nosplit
func dropFile(number uint32) (more bool) {
	f := fileAt(number)
	if f == nil || f.owned == 0 {
		return false
	}
	if f.mapped == 0 {
		f.size = 0
		if freePages(f, 0, treeMax) {
			return true
		}
	}
	f.owned = 0
	release(number, f)
	reapFiles()
	return false
}

// release puts a file that nobody has on the list of dying ones.
//
//go:nosplit
func release(number uint32, f *file) {
	if f.owned == 0 && f.mapped == 0 {
		f.next = files.dying
		files.dying = number
	}
}

// reapFiles frees the files on that list. No page of theirs is mapped.
//
//go:nosplit
func reapFiles() {
	for files.dying != 0 {
		number := files.dying
		f := fileAt(number)
		files.dying = f.next
		for freePages(f, 0, treeMax) {
		}
		f.next = files.unused
		files.unused = number
	}
}

// freePages frees the pages [first, end) of a file, FileBatch at most, and tells
// whether there are more. They are not mapped.
//
//go:nosplit
func freePages(f *file, first, end uint64) (more bool) {
	for n := 0; ; n++ {
		i, frame := f.pages.next(first)
		if frame == 0 || i >= end {
			return false
		}
		if n == FileBatch {
			return true
		}
		freeFrame(f.pages.take(i))
		f.count--
		files.pages--
		first = i + 1
	}
}

// filePage is FilePage, with the lock held.
//
//go:nosplit
func filePage(number uint32, index uint64, fill bool) uint64 {
	f := fileAt(number)
	if f == nil {
		return 0
	}
	if frame := f.pages.get(index); frame != 0 || !fill {
		return frame
	}
	return newPage(f, index)
}

// newPage gives a file a page of zeroes, or returns 0. Files leave a part of the
// memory alone (1/32): whoever writes files gets ENOSPC before the machine ends.
//
//go:nosplit
func newPage(f *file, index uint64) uint64 {
	if files.pages >= files.limit || ram.free <= ram.total/32 {
		return 0
	}
	frame := f.pages.grow(index)
	if frame != 0 {
		f.count++
		files.pages++
	}
	return frame
}

// resizeFile is ResizeFile, with the lock held.
//
//go:nosplit
func resizeFile(number uint32, size uint64) (more bool) {
	f := fileAt(number)
	if f == nil {
		return false
	}
	cut := size < f.size
	f.size = min(size, treeMax)
	if cut && f.mapped != 0 {
		unmapFile(number, size, treeMax, true)
	}
	return freePages(f, size, treeMax)
}

// punchFile is PunchFile, with the lock held.
//
//go:nosplit
func punchFile(number uint32, first, end uint64) (more bool) {
	f := fileAt(number)
	if f == nil || first >= end {
		return false
	}
	if f.mapped != 0 {
		unmapFile(number, first, end, false)
	}
	return freePages(f, first, end)
}

// nextPage is NextPage, with the lock held.
//
//go:nosplit
func nextPage(number uint32, index uint64) uint64 {
	f := fileAt(number)
	if f == nil {
		return MaxFilePages
	}
	i, frame := f.pages.next(index)
	if frame == 0 {
		return MaxFilePages
	}
	return i
}

// countPages is CountPages, with the lock held.
//
//go:nosplit
func countPages(number uint32) uint64 {
	f := fileAt(number)
	if f == nil {
		return 0
	}
	return f.count
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"sync/atomic"
	"syscall"
)

// Page is one page of a file's contents.
type Page = [tmpPage]byte

// PageStore holds the contents of files in memory, in pages outside of Go's heap, so that a mapping shows the
// same bytes as read and write. A file in it has a number; 0 is none. Pages have indices from 0 on. No method
// blocks, and all may be called from several goroutines at once.
type PageStore interface {
	// New makes an empty file; 0 when there is no memory.
	New() uint32

	// Drop gives a file up: its pages are free once nothing maps them.
	Drop(file uint32)

	// Resize sets the size in pages, behind which a mapping gives SIGBUS, and frees the pages behind it.
	Resize(file uint32, pages int64)

	// Punch frees the pages from first up to, not including, end.
	Punch(file uint32, first, end int64)

	// Pages gives the pages from first on, nil for each that the file has not. With fill it adds those that
	// are missing, zeroed, up to the first that there is no room for, and returns how many it gave.
	// They are good until the caller's own Resize, Punch or Drop.
	Pages(file uint32, first int64, fill bool, out []*Page) int

	// Next is the first index from first on of a page that the file has, or -1.
	Next(file uint32, first int64) int64

	// Count is the number of pages that the file has.
	Count(file uint32) int64

	// Usage is the number of pages of all files together, and their limit.
	Usage() (pages, limit int64)

	// SetLimit sets that limit.
	SetLimit(pages int64)

	// Map maps a file (File != 0) or anonymous memory as mmap(2) does.
	Map(m *Mapping) (addr uintptr, e syscall.Errno)

	// Shown is the file that a shared, writable mapping shows at addr, the range of its pages up to end, and
	// the address where that part ends. 0: there is no such mapping at addr.
	Shown(addr, end uintptr) (file uint32, first, last int64, stop uintptr)

	// Advise is madvise(2) for all but the contents of files.
	Advise(addr, length uintptr, advice int) syscall.Errno
}

// Mapping is what mmap(2) asks.
type Mapping struct {
	Addr, Length uintptr
	Prot, Flags  int32
	File         uint32
	Offset       int64         // in pages
	ReadOnly     bool          // a shared mapping may never become writable
	Refuse       syscall.Errno // what else is wrong; Linux looks at the address first
}

// Store is where files have their contents. Until the trap side sets it there is room for none.
var Store PageStore = noStore{}

// noStore is the store before there is one.
type noStore struct{}

func (noStore) New() uint32                                        { return 0 }
func (noStore) Drop(uint32)                                        {}
func (noStore) Resize(uint32, int64)                               {}
func (noStore) Punch(uint32, int64, int64)                         {}
func (noStore) Pages(uint32, int64, bool, []*Page) int             { return 0 }
func (noStore) Next(uint32, int64) int64                           { return -1 }
func (noStore) Count(uint32) int64                                 { return 0 }
func (noStore) Usage() (pages, limit int64)                        { return 0, 0 }
func (noStore) SetLimit(int64)                                     {}
func (noStore) Map(*Mapping) (uintptr, syscall.Errno)              { return 0, syscall.ENODEV }
func (noStore) Advise(uintptr, uintptr, int) syscall.Errno         { return syscall.EINVAL }
func (noStore) Shown(_, _ uintptr) (uint32, int64, int64, uintptr) { return 0, 0, 0, 0 }

// FilesChanged is told, in a goroutine of its own, how many pages files have in all, when that has changed by
// 1/64 of their limit since the last time. What a mapping fills is noticed with the next write, truncation or
// removal of any file.
var FilesChanged func(pages int64)

// filesTold is the number that FilesChanged was told last; filesTelling says that it is at work.
var (
	filesTold    atomic.Int64
	filesTelling atomic.Bool
)

// tellFiles tells FilesChanged, if there is something to tell.
func tellFiles() {
	if FilesChanged == nil {
		return
	}
	pages, limit := Store.Usage()
	if d := pages - filesTold.Load(); max(d, -d) > limit/64 && !filesTelling.Swap(true) {
		filesTold.Store(pages)
		go func() {
			FilesChanged(pages)
			filesTelling.Store(false)
			tellFiles() // of what has changed meanwhile
		}()
	}
}

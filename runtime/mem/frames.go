// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

// Sizes of a page and of the largest machine.
const (
	PageShift = 12
	PageSize  = 1 << PageShift
	pageMask  = PageSize - 1

	// MaxPhys is the end of the physical addresses that the direct map can
	// show: 64 TiB, half of the upper canonical half.
	MaxPhys = 1 << 46
	// MaxExtents is the number of free ranges of RAM that AddExtent keeps.
	MaxExtents = 128
	// PageReserve is the number of frames that AllocFrame and AllocContig leave
	// for page tables, so that a machine without memory can still say so.
	PageReserve = 32

	maxRuns = 64
)

// DirectBase is the virtual address of physical address 0. It is a variable so
// that tests on Linux can put an ordinary mapping in the place of RAM.
var DirectBase uintptr = 0xFFFF_8000_0000_0000

// Phys returns the virtual address of a physical address.
//
//go:nosplit
func Phys(pa uint64) uintptr { return DirectBase + uintptr(pa) }

// extent is a range of RAM from the firmware's map. Single frames are taken
// from below, contiguous ones from above; what lies between was never touched.
//
//	first       next             top         end
//	  | frames    |   untouched   |  contig   |
type extent struct {
	first, next, top, end uint64
}

// run is a freed contiguous range.
type run struct {
	pa, pages uint64
}

// ram is the state of the frame allocator. Guarded by lock.
var ram struct {
	extents  [MaxExtents]extent
	nExtents uint
	current  uint // extents below have no untouched frames left
	runs     [maxRuns]run
	nRuns    uint

	freed      uint64 // physical address of the first freed frame, 0: none
	freedCount uint64 // frames on that list

	low, high uint64 // bounds of all extents
	total     uint64 // frames
	free      uint64 // frames, PageReserve included
	lost      uint64 // frames: refused extents, damaged free list
}

// Total returns the number of frames the allocator was given.
//
//go:nosplit
func Total() uint64 { return ram.total }

// Free returns the number of frames not in use, PageReserve included.
//
//go:nosplit
func Free() uint64 { return ram.free }

// Lost returns the number of frames that cannot be used: extents refused by
// AddExtent, frees refused by FreeFrame, a free list damaged by a stray write.
//
//go:nosplit
func Lost() uint64 { return ram.lost }

// AddExtent adds the whole pages of a free range of RAM. It does not touch the
// range. Frame 0 is left out (0 means "none"); a range that overlaps an earlier
// one or lies beyond MaxPhys is refused and counted by Lost, and so is the
// smallest range when there are more than MaxExtents.
//
//go:nosplit
func AddExtent(pa, bytes uint64) {
	if bytes > MaxPhys || pa > MaxPhys-bytes {
		ram.lost += bytes >> PageShift
		return
	}
	end := (pa + bytes) &^ pageMask
	pa = (pa + pageMask) &^ pageMask
	if pa == 0 {
		pa = PageSize
	}
	if pa >= end {
		return
	}
	for i := uint(0); i < ram.nExtents; i++ {
		if e := extentAt(i); pa < e.end && end > e.first {
			ram.lost += (end - pa) >> PageShift
			return
		}
	}
	e := placeExtent(pa, end)
	if e == nil {
		ram.lost += (end - pa) >> PageShift
		return
	}
	e.first, e.next, e.top, e.end = pa, pa, end, end
	ram.total += (end - pa) >> PageShift
	ram.free += (end - pa) >> PageShift
	if ram.low == 0 || pa < ram.low {
		ram.low = pa
	}
	if end > ram.high {
		ram.high = end
	}
	ram.current = 0
}

// placeExtent finds a place in the table for [pa, end): a new one, or when the
// table is full that of the smallest extent, if it is smaller and unused.
//
//go:nosplit
func placeExtent(pa, end uint64) *extent {
	if ram.nExtents < MaxExtents {
		ram.nExtents++
		return extentAt(ram.nExtents - 1)
	}
	smallest := extentAt(0)
	for i := uint(1); i < MaxExtents; i++ {
		if e := extentAt(i); e.end-e.first < smallest.end-smallest.first {
			smallest = e
		}
	}
	pages := (smallest.end - smallest.first) >> PageShift
	unused := smallest.next == smallest.first && smallest.top == smallest.end
	if !unused || pages >= (end-pa)>>PageShift {
		return nil
	}
	ram.total -= pages
	ram.free -= pages
	ram.lost += pages
	return smallest
}

// extentAt returns extent i. The mask stands for the bounds check: i is below MaxExtents.
//
//go:nosplit
func extentAt(i uint) *extent { return &ram.extents[i%MaxExtents] }

//go:nosplit
func runAt(i uint) *run { return &ram.runs[i%maxRuns] }

// allocFrame is AllocFrame, with the lock held.
//
//go:nosplit
func allocFrame() uint64 {
	if ram.free <= PageReserve {
		return 0
	}
	return takeFrame()
}

// allocTable returns a zeroed frame for a page table, from the reserve if need be, or 0.
//
//go:nosplit
func allocTable() uint64 {
	pa := takeFrame()
	if pa != 0 {
		clearPage(Phys(pa))
	}
	return pa
}

//go:nosplit
func takeFrame() uint64 {
	if pa := ram.freed; pa != 0 {
		next := load(Phys(pa))
		if next != 0 && !isFrame(next) {
			// Something wrote to a freed frame. Give the list up rather
			// than follow it.
			ram.lost += ram.freedCount - 1
			ram.free -= ram.freedCount - 1
			ram.freedCount, next = 1, 0
		}
		ram.freed = next
		ram.freedCount--
		ram.free--
		return pa
	}
	for ; ram.current < ram.nExtents; ram.current++ {
		if e := extentAt(ram.current); e.next < e.top {
			pa := e.next
			e.next += PageSize
			ram.free--
			return pa
		}
	}
	if ram.nRuns > 0 {
		r := runAt(ram.nRuns - 1)
		r.pages--
		if r.pages == 0 {
			ram.nRuns--
		}
		ram.free--
		return r.pa + r.pages<<PageShift
	}
	return 0
}

// isFrame reports whether pa can be a frame of ours.
//
//go:nosplit
func isFrame(pa uint64) bool {
	return pa&pageMask == 0 && pa >= ram.low && pa < ram.high && pa != 0
}

// freeFrame is FreeFrame, with the lock held.
//
//go:nosplit
func freeFrame(pa uint64) {
	if !isFrame(pa) {
		ram.lost++
		return
	}
	store(Phys(pa), ram.freed)
	ram.freed = pa
	ram.freedCount++
	ram.free++
}

// allocContig is AllocContig, with the lock held.
//
//go:nosplit
func allocContig(pages uint64) uint64 {
	if pages == 0 || pages > ram.free || ram.free-pages < PageReserve {
		return 0
	}
	for i := uint(0); i < ram.nRuns; i++ {
		if r := runAt(i); r.pages >= pages {
			r.pages -= pages
			pa := r.pa + r.pages<<PageShift
			if r.pages == 0 {
				ram.nRuns--
				*r = *runAt(ram.nRuns)
			}
			ram.free -= pages
			return pa
		}
	}
	for i := ram.nExtents; i > 0; i-- {
		if e := extentAt(i - 1); e.top-e.next >= pages<<PageShift {
			e.top -= pages << PageShift
			ram.free -= pages
			return e.top
		}
	}
	return 0
}

// freeFrames is FreeFrames, with the lock held.
//
//go:nosplit
func freeFrames(pa, pages uint64) {
	if pages == 0 {
		return
	}
	end := pa + pages<<PageShift
	if pages > MaxPhys>>PageShift || !isFrame(pa) || end < pa || end > ram.high {
		ram.lost += pages
		return
	}
	if giveBack(pa, end) || joinRun(pa, pages) {
		ram.free += pages
		return
	}
	for ; pa < end; pa += PageSize {
		freeFrame(pa)
	}
}

// giveBack makes [pa, end) untouched again if it borders an untouched part.
//
//go:nosplit
func giveBack(pa, end uint64) bool {
	for i := uint(0); i < ram.nExtents; i++ {
		e := extentAt(i)
		if pa == e.top && end <= e.end {
			e.top = end
		} else if end == e.next && pa >= e.first {
			e.next = pa
		} else {
			continue
		}
		if i < ram.current {
			ram.current = i
		}
		return true
	}
	return false
}

// joinRun keeps the range together for another AllocContig.
//
//go:nosplit
func joinRun(pa, pages uint64) bool {
	for i := uint(0); i < ram.nRuns; i++ {
		r := runAt(i)
		if r.pa+r.pages<<PageShift == pa {
			r.pages += pages
			return true
		}
		if pa+pages<<PageShift == r.pa {
			r.pa = pa
			r.pages += pages
			return true
		}
	}
	if ram.nRuns == maxRuns {
		return false
	}
	r := runAt(ram.nRuns)
	r.pa, r.pages = pa, pages
	ram.nRuns++
	return true
}

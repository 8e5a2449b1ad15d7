// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import "unsafe"

// Bounds of the program's addresses. The lowest 64 KiB are never mapped; the
// end is Linux's TASK_SIZE, one page below the end of the lower half.
const (
	UserStart uintptr = 0x10000
	UserEnd   uintptr = 0x7FFF_FFFF_F000

	// MaxAreas is the number of areas the program may have (Linux's default
	// for vm.max_map_count).
	MaxAreas = 65530

	// mmapTop is where the search for a free range begins, downwards.
	mmapTop uintptr = 0x7FFF_0000_0000
	// low2GStart and low2GEnd bound the search for MAP_32BIT, as on Linux.
	low2GStart uintptr = 0x4000_0000
	low2GEnd   uintptr = 0x8000_0000
)

// Kinds of area.
const (
	kindPrivate  = 1 // anonymous, private: demand-zero
	kindShared   = 2 // anonymous, shared: the same, but DONTNEED keeps the contents
	kindReserved = 3 // in place before the program: never faulted in, never unmapped
)

// area is a range of the program's addresses with one protection (a VMA).
type area struct {
	start, end uintptr
	prot       uint32
	kind       uint32
	file       uint32 // the file that it shows; 0: none
	flags      uint32
	offset     uint64 // of start in the file, in pages
}

// areaReadOnly is the flag of an area that may not become writable: a shared
// mapping of a file that was opened for reading only.
const areaReadOnly = 1

const areaSize = unsafe.Sizeof(area{})

// space is the program's address space: the areas, sorted and disjoint, in a
// table of contiguous frames. Guarded by lock.
var space struct {
	table    uint64 // physical address of the table
	pages    uint64 // its size
	n        int    // areas in it
	recent   int    // where lookup found its last answer
	resident uint64 // frames that belong to areas
	mapped   [4]uint64
	faults   uint64
	zeroed   uint64
}

// Counters are figures about the address space, in pages where not said otherwise.
type Counters struct {
	Areas    uint64 // number of areas
	Private  uint64 // private anonymous, resident or not
	Shared   uint64 // shared anonymous, resident or not
	Reserved uint64 // in place before the program
	Resident uint64 // frames that belong to areas
	Tables   uint64 // frames that hold page tables
	Faults   uint64 // calls of Fault
	Zeroed   uint64 // pages filled on demand since the start
}

// ReadCounters fills c.
//
//go:nosplit
func ReadCounters(c *Counters) {
	c.Areas = uint64(space.n)
	c.Private = space.mapped[kindPrivate]
	c.Shared = space.mapped[kindShared]
	c.Reserved = space.mapped[kindReserved]
	c.Resident = space.resident
	c.Tables = paging.tables
	c.Faults = space.faults
	c.Zeroed = space.zeroed
}

// Resident returns the number of frames that belong to areas.
//
//go:nosplit
func Resident() uint64 { return space.resident }

// at returns area i. Precondition: 0 <= i < space.n. The pointer is into the
// table and is good until areas are added or removed.
//
//go:nosplit
func at(i int) *area {
	return (*area)(unsafe.Add(unsafe.Pointer(nil), Phys(space.table)+uintptr(i)*areaSize))
}

// lookup returns the first area that ends above addr; space.n when there is none.
//
//go:nosplit
func lookup(addr uintptr) int {
	if i := space.recent; i < space.n {
		if a := at(i); a.start <= addr && addr < a.end {
			return i
		}
	}
	low, high := 0, space.n
	for low < high {
		middle := int(uint(low+high) >> 1)
		if at(middle).end > addr {
			high = middle
		} else {
			low = middle + 1
		}
	}
	space.recent = low
	return low
}

// room makes sure that k more areas fit.
//
//go:nosplit
func room(k int) bool {
	n := space.n + k
	if n > MaxAreas {
		return false
	}
	if uintptr(n)*areaSize <= uintptr(space.pages)<<PageShift {
		return true
	}
	pages := space.pages * 2
	if pages == 0 {
		pages = 1
	}
	table := allocContig(pages)
	if table == 0 {
		return false
	}
	from, to := Phys(space.table), Phys(table)
	for i := uintptr(0); i < uintptr(space.n)*areaSize; i += 8 {
		store(to+i, load(from+i))
	}
	freeFrames(space.table, space.pages)
	space.table, space.pages = table, pages
	return true
}

// insert puts an area before area i. Precondition: room(1).
//
//go:nosplit
func insert(i int, a *area) {
	first := Phys(space.table) + uintptr(i)*areaSize
	for p := Phys(space.table) + uintptr(space.n)*areaSize; p > first; p -= 8 {
		store(p+areaSize-8, load(p-8))
	}
	space.n++
	*at(i) = *a
}

// remove takes areas [i, j) out of the table.
//
//go:nosplit
func remove(i, j int) {
	if i >= j {
		return
	}
	to := Phys(space.table) + uintptr(i)*areaSize
	from := Phys(space.table) + uintptr(j)*areaSize
	end := Phys(space.table) + uintptr(space.n)*areaSize
	for ; from < end; from += 8 {
		store(to, load(from))
		to += 8
	}
	space.n -= j - i
}

// split cuts the area that has addr inside, if there is one, in two, and
// returns the first area at or above addr. Precondition: room(1).
//
//go:nosplit
func split(addr uintptr) int {
	i := lookup(addr)
	if i == space.n {
		return i
	}
	a := at(i)
	if a.start >= addr {
		return i
	}
	upper := *a
	upper.start = addr
	upper.offset += uint64(addr-a.start) >> PageShift
	a.end = addr
	insert(i+1, &upper)
	return i + 1
}

// join merges each of the areas i-1 to j with its neighbour when both are alike.
//
//go:nosplit
func join(i, j int) {
	if i > 0 {
		i--
	}
	for i < j && i+1 < space.n {
		a, b := at(i), at(i+1)
		if a.end == b.start && alike(a, b) {
			a.end = b.end
			remove(i+1, i+2)
			j--
		} else {
			i++
		}
	}
}

// alike tells whether two areas, of which b begins where a ends, can be one.
//
//go:nosplit
func alike(a, b *area) bool {
	return a.prot == b.prot && a.kind == b.kind && a.file == b.file && a.flags == b.flags &&
		(a.file == 0 || a.offset+uint64(a.end-a.start)>>PageShift == b.offset)
}

// count adds the pages of an area to the figures of its kind and its file.
//
//go:nosplit
func count(a *area) {
	pages := uint64(a.end-a.start) >> PageShift
	space.mapped[a.kind&3] += pages
	if f := fileAt(a.file); f != nil {
		f.mapped += pages
	}
}

// uncount takes them away.
//
//go:nosplit
func uncount(a *area) {
	pages := uint64(a.end-a.start) >> PageShift
	space.mapped[a.kind&3] -= pages
	if f := fileAt(a.file); f != nil {
		f.mapped -= pages
		release(a.file, f)
	}
}

// gap returns the highest free range of length bytes within [low, high), or 0.
//
//go:nosplit
func gap(length, low, high uintptr) uintptr {
	for i := lookup(high - 1); ; i-- {
		if i < space.n {
			if a := at(i); a.start < high {
				high = a.start
			}
		}
		floor := low
		if i > 0 {
			if below := at(i - 1).end; below > floor {
				floor = below
			}
		}
		if high < low {
			return 0
		}
		if high > floor && high-floor >= length {
			return high - length
		}
		if i <= 0 {
			return 0
		}
	}
}

// overlaps reports whether any area has a part in [start, end).
//
//go:nosplit
func overlaps(start, end uintptr) bool {
	i := lookup(start)
	return i < space.n && at(i).start < end
}

// sealed reports whether a reserved area has a part in [start, end).
//
//go:nosplit
func sealed(start, end uintptr) bool {
	for i := lookup(start); i < space.n; i++ {
		a := at(i)
		if a.start >= end {
			return false
		}
		if a.kind == kindReserved {
			return true
		}
	}
	return false
}

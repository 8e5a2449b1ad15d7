// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import "github.com/hvgo/hvgo/runtime/ring0"

// Flags are the properties of a mapping. Each is the bit of the page-table entry
// (Intel SDM volume 3, 4.5), except Small and NoGiant, which are wishes to MapKernel.
type Flags uint64

// Mappings are readable; all are supervisor mappings, since everything is ring 0.
const (
	Writable Flags = 1 << 1
	Uncached Flags = 1<<3 | 1<<4 // PWT and PCD: PAT entry 3, uncached after reset
	Global   Flags = 1 << 8
	NoExec   Flags = 1 << 63

	Small   Flags = 1 << 60 // 4 KiB pages only
	NoGiant Flags = 1 << 61 // no 1 GiB pages (CPUID 0x80000001 EDX bit 26 is clear)

	flagBits = Writable | Uncached | Global | NoExec
)

// Bits of a page-table entry that are not the caller's.
const (
	entryPresent  = 1 << 0
	entryAccessed = 1 << 5
	entryDirty    = 1 << 6
	entryLarge    = 1 << 7
	entryOwned    = 1 << 9  // ours: the frame belongs to the program's address space
	entryFile     = 1 << 10 // ours: the frame belongs to a file
	entryFrame    = 0x000F_FFFF_FFFF_F000

	// entryUsed sets accessed and dirty in advance, so that the processor need
	// not write to the entry.
	entryUsed = entryPresent | entryAccessed | entryDirty
	// entryTable makes an entry point to a lower table.
	entryTable = entryPresent | uint64(Writable) | entryAccessed
)

// Shifts of the four levels: which bits of an address index the table.
const (
	shiftPML4  = 39
	shiftGiant = 30
	shiftLarge = 21
	shiftSmall = 12
)

// paging is the state of the page tables. Guarded by lock.
var paging struct {
	root   uint64 // physical address of the PML4, 0: none
	tables uint64 // frames
	live   bool   // the processor uses these tables
}

// NewRoot makes empty page tables, on which every function of this package
// works from now on, and returns what is to be loaded into CR3; 0 when there is no memory.
//
//go:nosplit
func NewRoot() uint64 {
	paging.root = allocTable()
	paging.live = false
	if paging.root != 0 {
		paging.tables++
	}
	return paging.root
}

// SetLive says that CR3 was loaded: changed entries are invalidated from now on.
//
//go:nosplit
func SetLive() { paging.live = true }

// invalidate drops this processor's translation of va. Others may keep one that
// allows less: they fault, and come here.
//
//go:nosplit
func invalidate(va uintptr) {
	if paging.live {
		ring0.Invlpg(va)
	}
}

// FlushOthers makes all other processors drop what ring0.Flush says, and returns
// when they have. Package hv sets it.
var FlushOthers func()

// dying are frames whose translations may still be in use until settle.
var dying struct {
	frames [512]uint64
	n      uint
}

// changed says that the entry of page allows less than before, or nothing.
//
//go:nosplit
func changed(page uintptr) {
	f := &ring0.Flush
	if f.N < ring0.FlushPages {
		f.Pages[f.N%ring0.FlushPages] = page
	}
	if f.N <= ring0.FlushPages {
		f.N++
	}
}

// freeLater frees a frame in settle.
//
//go:nosplit
func freeLater(frame uint64) {
	if dying.n == uint(len(dying.frames)) {
		settle()
	}
	dying.frames[dying.n%uint(len(dying.frames))] = frame
	dying.n++
}

// settle drops the translations of all that changed, on every processor, and frees
// what was waiting for that.
//
//go:nosplit
func settle() {
	if ring0.Flush.N > 0 && paging.live {
		ring0.Drop()
		if FlushOthers != nil && ring0.NumCPUs() > 1 {
			FlushOthers()
		}
	}
	ring0.Flush.N = 0
	for i := uint(0); i < dying.n; i++ {
		freeFrame(dying.frames[i%uint(len(dying.frames))])
	}
	dying.n = 0
}

// slot returns the address of va's entry in a table.
//
//go:nosplit
func slot(table uint64, va uintptr, shift uint) uintptr {
	return Phys(table&entryFrame) + va>>(shift&63)&511*8
}

// canonical reports whether va is an address at all (SDM volume 1, 3.3.7.1).
//
//go:nosplit
func canonical(va uintptr) bool {
	top := int64(va) >> 47
	return top == 0 || top == -1
}

// findEntry returns the address of the entry that maps va, and its level. The
// entry may be unused. 0: a table is missing.
//
//go:nosplit
func findEntry(va uintptr) (at uintptr, shift uint) {
	table := paging.root
	if table == 0 || !canonical(va) {
		return 0, 0
	}
	for shift = shiftPML4; ; shift -= 9 {
		at = slot(table, va, shift)
		table = load(at)
		if shift == shiftSmall || table&entryLarge != 0 {
			return at, shift
		}
		if table&entryPresent == 0 {
			return 0, shift
		}
	}
}

// makeEntry returns the address of va's entry at the level of shift, with
// missing tables added. 0: no memory, or a larger page is in the way.
//
//go:nosplit
func makeEntry(va uintptr, shift uint) uintptr {
	table := paging.root
	if table == 0 || !canonical(va) {
		return 0
	}
	for level := uint(shiftPML4); ; level -= 9 {
		at := slot(table, va, level)
		if level <= shift {
			return at
		}
		table = load(at)
		if table == 0 {
			table = allocTable()
			if table == 0 {
				return 0
			}
			paging.tables++
			table |= entryTable
			store(at, table)
		}
		if table&entryLarge != 0 {
			return 0
		}
	}
}

// mapPage is Map, with the lock held.
//
//go:nosplit
func mapPage(va uintptr, pa uint64, flags Flags) bool {
	at := makeEntry(va, shiftSmall)
	if at == 0 || load(at) != 0 || (uint64(va)|pa)&pageMask != 0 || pa > entryFrame {
		return false
	}
	store(at, pa|uint64(flags&flagBits)|entryUsed)
	return true
}

// mapKernel is MapKernel, with the lock held.
//
//go:nosplit
func mapKernel(va uintptr, pa, bytes uint64, flags Flags) bool {
	if (uint64(va)|pa|bytes)&pageMask != 0 || bytes > MaxPhys || pa > MaxPhys-bytes {
		return false
	}
	for bytes > 0 {
		shift, large := pageShift(uint64(va)|pa, bytes, flags), uint64(entryLarge)
		if shift == shiftSmall {
			large = 0
		}
		at := makeEntry(va, shift)
		if at == 0 || load(at) != 0 {
			return false
		}
		store(at, pa|uint64(flags&flagBits)|entryUsed|large)
		size := uint64(1) << (shift & 63)
		va += uintptr(size)
		pa += size
		bytes -= size
	}
	return true
}

// pageShift chooses the largest page for the addresses whose bits are in align.
//
//go:nosplit
func pageShift(align, bytes uint64, flags Flags) uint {
	switch {
	case flags&Small != 0:
		return shiftSmall
	case flags&NoGiant == 0 && align&(1<<shiftGiant-1) == 0 && bytes >= 1<<shiftGiant:
		return shiftGiant
	case align&(1<<shiftLarge-1) == 0 && bytes >= 1<<shiftLarge:
		return shiftLarge
	}
	return shiftSmall
}

// walk is Walk, with the lock held.
//
//go:nosplit
func walk(va uintptr) (pa uint64, flags Flags, ok bool) {
	at, shift := findEntry(va)
	if at == 0 {
		return 0, 0, false
	}
	e := load(at)
	if e&entryPresent == 0 {
		return 0, 0, false
	}
	offset := uint64(1)<<(shift&63) - 1
	return e&entryFrame&^offset | uint64(va)&offset, Flags(e) & flagBits, true
}

// unmapPage is Unmap, with the lock held.
//
//go:nosplit
func unmapPage(va uintptr) uint64 {
	for {
		at, shift := findEntry(va)
		if at == 0 {
			return 0
		}
		e := load(at)
		if e&entryPresent == 0 {
			return 0
		}
		if shift == shiftSmall {
			store(at, 0)
			changed(va)
			settle()
			return e & entryFrame
		}
		if !cut(at, e, shift) {
			return 0
		}
		changed(va)
		settle()
	}
}

// cut replaces the large page e of the given level by a table of 512 smaller ones.
//
//go:nosplit
func cut(at uintptr, e uint64, shift uint) bool {
	table := allocTable()
	if table == 0 {
		return false
	}
	paging.tables++
	shift -= 9
	if shift == shiftSmall {
		e &^= entryLarge
	}
	for i := uintptr(0); i < 512; i++ {
		store(Phys(table)+i*8, e)
		e += 1 << (shift & 63)
	}
	store(at, table|entryTable)
	return true
}

// nextEntry returns the first used 4 KiB entry of [va, end), and its page; 0
// when there is none. Empty tables and larger pages are stepped over whole, and the
// entries of one table are looked at without finding it anew.
//
//go:nosplit
func nextEntry(va, end uintptr) (at, page uintptr) {
	for va < end {
		at, shift := findEntry(va)
		if shift == 0 {
			return 0, 0
		}
		if at == 0 || shift != shiftSmall {
			size := uintptr(1) << (shift & 63)
			va = va&^(size-1) + size
			continue
		}
		for table := va >> shiftLarge; va>>shiftLarge == table && va < end; at += 8 {
			if load(at) != 0 {
				return at, va
			}
			va += PageSize
		}
	}
	return 0, 0
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import "unsafe"

// tree finds frames by a number: a radix tree of frames, 512 entries to a table
// as in page tables. A tree of no levels is the frame of number 0 itself, so a
// small file takes no table.
//
// A table's entry in the table above counts, in its low bits, how many of its 512
// entries are used: a table that becomes empty is freed without looking at it.
type tree struct {
	top    uint64 // entry of the top table; 0: empty
	levels uint32
	_      uint32
}

const (
	treeBits   = 9
	treeMask   = 1<<treeBits - 1
	treeLevels = 4
	// treeMax is one more than the largest number in a tree.
	treeMax = 1 << (treeLevels * treeBits)
	// treeCount are the bits of an entry that count the entries below.
	treeCount = pageMask
)

//go:nosplit
func (t *tree) topSlot() uintptr { return uintptr(unsafe.Pointer(&t.top)) }

// reaches tells whether the tree is deep enough for number i.
//
//go:nosplit
func (t *tree) reaches(i uint64) bool { return i>>(t.levels*treeBits&63) == 0 }

// below returns the address of the entry for number i in the table of entry e.
// level counts from 0, the lowest.
//
//go:nosplit
func below(e, i uint64, level uint32) uintptr {
	return Phys(e&entryFrame) + uintptr(i>>(level*treeBits&63)&treeMask*8)
}

// get returns the frame of number i, or 0.
//
//go:nosplit
func (t *tree) get(i uint64) uint64 {
	if !t.reaches(i) {
		return 0
	}
	e := t.top
	for level := t.levels; level > 0 && e != 0; level-- {
		e = load(below(e, i, level-1))
	}
	return e & entryFrame
}

// put enters a frame, and returns false when there is no memory for tables.
// Precondition: nothing is there.
//
//go:nosplit
func (t *tree) put(i, frame uint64) bool {
	// With so many frames nothing below fails half way.
	if i >= treeMax || ram.free <= PageReserve+2*treeLevels {
		return false
	}
	for !t.reaches(i) {
		if t.top != 0 {
			table := allocTable()
			if table == 0 {
				return false
			}
			store(Phys(table), t.top)
			t.top = table + 1
		}
		t.levels++
	}
	at := t.topSlot()
	for level := t.levels; level > 0; level-- {
		e := load(at)
		if e == 0 {
			if e = allocTable(); e == 0 {
				return false
			}
		}
		next := below(e, i, level-1)
		if load(next) == 0 {
			e++
		}
		store(at, e)
		at = next
	}
	store(at, frame)
	return true
}

// grow enters a frame of zeroes and returns it, or 0 when there is no memory.
// Precondition: as put's.
//
//go:nosplit
func (t *tree) grow(i uint64) uint64 {
	frame := allocFrame()
	if frame == 0 {
		return 0
	}
	clearPage(Phys(frame))
	if !t.put(i, frame) {
		freeFrame(frame)
		return 0
	}
	return frame
}

// take removes number i and returns its frame, or 0.
//
//go:nosplit
func (t *tree) take(i uint64) uint64 {
	if !t.reaches(i) {
		return 0
	}
	var path [treeLevels + 1]uintptr
	at := t.topSlot()
	for level := t.levels; ; level-- {
		path[level%uint32(len(path))] = at
		e := load(at)
		if e == 0 {
			return 0
		}
		if level == 0 {
			break
		}
		at = below(e, i, level-1)
	}
	frame := load(at) & entryFrame
	store(at, 0)
	for level := uint32(1); level <= t.levels; level++ {
		at = path[level%uint32(len(path))]
		e := load(at) - 1
		if e&treeCount != 0 {
			store(at, e)
			return frame
		}
		store(at, 0)
		freeFrame(e & entryFrame)
	}
	t.levels = 0
	return frame
}

// next returns the first number from i on that has a frame, and the frame; 0 when
// there is none.
//
//go:nosplit
func (t *tree) next(i uint64) (number, frame uint64) {
	for t.reaches(i) {
		e := t.top
		level := t.levels
		for ; level > 0 && e != 0; level-- {
			e = load(below(e, i, level-1))
		}
		if e != 0 {
			return i, e & entryFrame
		}
		shift := level * treeBits & 63
		i = (i>>shift + 1) << shift
	}
	return 0, 0
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

// freeTables frees the page tables that became empty when [start, end) was, so that
// a program that maps and unmaps all over its addresses does not fill memory with
// them. The caller settles behind it.
//
//go:nosplit
func freeTables(start, end uintptr) {
	for shift := uint(shiftLarge); shift <= shiftPML4; shift += 9 {
		if !freeTablesAt(shift, start, end) {
			return // nor is a table above them empty
		}
	}
}

// freeTablesAt frees the empty tables that entries of the given level lead to, and
// tells whether there were any. Most tables are not worth a look: those in whose
// reach more than [start, end) is mapped.
//
//go:nosplit
func freeTablesAt(shift uint, start, end uintptr) (freed bool) {
	size := uintptr(1) << (shift & 63)
	for va := start &^ (size - 1); va < end; va += size {
		at, reached := entryAt(va, shift)
		if at == 0 {
			gap := uintptr(1) << (reached & 63)
			va = va&^(gap-1) + gap - size
			continue
		}
		e := load(at)
		if e&entryPresent == 0 || e&entryLarge != 0 || (va < start || va+size > end) && overlaps(va, va+size) || !isEmpty(e&entryFrame) {
			continue
		}
		store(at, 0)
		paging.tables--
		changed(va) // the processor may remember the table, too
		freeLater(e & entryFrame)
		freed = true
	}
	return freed
}

// entryAt returns the address of va's entry at the level of shift; 0 when a table is
// missing or a larger page in the way, and the level where that is.
//
//go:nosplit
func entryAt(va uintptr, shift uint) (at uintptr, reached uint) {
	table := paging.root
	for reached = shiftPML4; ; reached -= 9 {
		at = slot(table, va, reached)
		if reached == shift {
			return at, reached
		}
		table = load(at)
		if table&entryPresent == 0 || table&entryLarge != 0 {
			return 0, reached
		}
	}
}

// isEmpty tells whether no entry of a table is used.
//
//go:nosplit
func isEmpty(table uint64) bool {
	for at := Phys(table); at < Phys(table)+PageSize; at += 8 {
		if load(at) != 0 {
			return false
		}
	}
	return true
}

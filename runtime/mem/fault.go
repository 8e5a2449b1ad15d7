// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

// Answers of Fault.
const (
	Resolved      = 0 // run the instruction again
	FaultUnmapped = 1 // nothing is there: SIGSEGV with SEGV_MAPERR
	FaultDenied   = 2 // the protection forbids it: SIGSEGV with SEGV_ACCERR
	FaultNoMemory = 3 // no frame is free
	FaultBus      = 4 // behind the end of a file, or no room for a page of it: SIGBUS with BUS_ADRERR
)

// fault is Fault, with the lock held.
//
//go:nosplit
func fault(addr uintptr, write, exec bool) int {
	space.faults++
	i := lookup(addr)
	if i == space.n {
		return FaultUnmapped
	}
	a := at(i)
	if addr < a.start {
		return FaultUnmapped
	}
	if !allows(a.prot, write, exec) {
		return FaultDenied
	}
	if a.kind == kindReserved {
		return faultReserved(addr, write)
	}
	if a.file != 0 {
		return fillFromFile(a, addr&^pageMask, write)
	}
	return fill(addr&^pageMask, a.prot)
}

// allows reports whether a protection permits an access. Whatever is accessible
// at all is readable, as on Linux without protection keys.
//
//go:nosplit
func allows(prot uint32, write, exec bool) bool {
	switch {
	case write:
		return prot&ProtWrite != 0
	case exec:
		return prot&ProtExec != 0
	}
	return prot != 0
}

// faultReserved tells a stale translation from a hole (a guard page) in an area
// that boot mapped.
//
//go:nosplit
func faultReserved(addr uintptr, write bool) int {
	_, flags, ok := walk(addr)
	if !ok {
		return FaultUnmapped
	}
	if write && flags&Writable == 0 {
		return FaultDenied
	}
	invalidate(addr)
	return Resolved
}

// fill gives a page its frame, unless it has one.
//
//go:nosplit
func fill(page uintptr, prot uint32) int {
	entry := makeEntry(page, shiftSmall)
	if entry == 0 {
		return FaultNoMemory
	}
	e := load(entry)
	if e != 0 {
		// The translation was stale. Writing the entry anew costs nothing
		// and means that the same fault cannot come for ever.
		store(entry, e&entryFrame|e&entryOwned|protBits(prot))
		invalidate(page)
		return Resolved
	}
	frame := allocFrame()
	if frame == 0 {
		return FaultNoMemory
	}
	clearPage(Phys(frame))
	store(entry, frame|entryOwned|protBits(prot))
	space.resident++
	space.zeroed++
	return Resolved
}

// populate fills the pages of [start, end), which lie in areas, and returns
// other than Resolved at the first that cannot be filled.
//
//go:nosplit
func populate(start, end uintptr, write bool) int {
	for ; start < end; start += PageSize {
		if answer := fault(start, write, false); answer != Resolved {
			return answer
		}
	}
	return Resolved
}

// valid is Valid, with the lock held.
//
//go:nosplit
func valid(addr, n uintptr, write bool) bool {
	if n == 0 {
		return true
	}
	end := addr + n
	if end < addr || end > UserEnd {
		return false
	}
	for i := lookup(addr); addr < end; i++ {
		if i == space.n {
			return false
		}
		a := at(i)
		if a.start > addr || !allows(a.prot, write, false) || !inFile(a, min(a.end, end)) {
			return false
		}
		addr = a.end
	}
	return true
}

// prepare is Prepare, with the lock held.
//
//go:nosplit
func prepare(addr, n uintptr, write bool) bool {
	if n == 0 {
		return true
	}
	if !valid(addr, n, write) {
		return false
	}
	for page := addr &^ pageMask; page < addr+n; page += PageSize {
		if _, flags, ok := walk(page); ok && (!write || flags&Writable != 0) {
			continue
		}
		if fault(page, write, false) != Resolved {
			return false
		}
	}
	return true
}

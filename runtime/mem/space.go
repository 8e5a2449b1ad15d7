// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

// Protections, as in Linux's mman.h.
const (
	ProtRead      = 1
	ProtWrite     = 2
	ProtExec      = 4
	protSem       = 8
	protGrowsDown = 0x0100_0000
	protGrowsUp   = 0x0200_0000
	protAll       = ProtRead | ProtWrite | ProtExec
)

// Flags of Mmap, as in Linux's mman.h. Those not named here have no effect on
// anonymous memory.
const (
	MapShared         = 0x1
	MapPrivate        = 0x2
	MapFixed          = 0x10
	MapAnonymous      = 0x20
	Map32Bit          = 0x40
	MapGrowsDown      = 0x100
	MapLocked         = 0x2000
	MapPopulate       = 0x8000
	MapHugeTLB        = 0x40000
	MapFixedNoReplace = 0x100000
	mapType           = 0xF
)

// Linux's error numbers, as the calls below return them; 0 is success.
const (
	EPERM      = 1
	ENOMEM     = 12
	EACCES     = 13
	EFAULT     = 14
	EEXIST     = 17
	ENODEV     = 19
	EINVAL     = 22
	EOVERFLOW  = 75
	EOPNOTSUPP = 95
)

// pageAlign rounds up to whole pages; 0 when that overflows.
//
//go:nosplit
func pageAlign(n uintptr) uintptr { return (n + pageMask) &^ pageMask }

// reserve is Reserve, with the lock held.
//
//go:nosplit
func reserve(start, end uintptr, prot int32) (errno uintptr) {
	if (start|end)&pageMask != 0 || start >= end || start < UserStart || end > UserEnd {
		return EINVAL
	}
	if overlaps(start, end) {
		return EEXIST
	}
	return add(&area{start: start, end: end, prot: uint32(prot) & protAll, kind: kindReserved})
}

// add enters a free range into the table.
//
//go:nosplit
func add(a *area) (errno uintptr) {
	if !room(1) {
		return ENOMEM
	}
	i := lookup(a.start)
	insert(i, a)
	count(a)
	join(i, i+1)
	return 0
}

// mmap is Mmap, with the lock held.
//
//go:nosplit
func mmap(addr, length uintptr, prot, flags int32) (start, errno uintptr) {
	if length == 0 {
		return 0, EINVAL
	}
	length = pageAlign(length)
	if length == 0 || length > UserEnd {
		return 0, ENOMEM
	}
	if flags&MapFixedNoReplace != 0 {
		flags |= MapFixed
	}
	if flags&MapFixed != 0 {
		errno = checkFixed(addr, length, flags)
	} else {
		addr, errno = place(addr, length, flags)
	}
	if errno == 0 {
		errno = checkType(flags)
	}
	if errno != 0 {
		return 0, errno
	}
	if flags&MapFixed != 0 {
		if errno = clear(addr, addr+length); errno != 0 {
			return 0, errno
		}
	}
	errno = add(&area{start: addr, end: addr + length, prot: uint32(prot) & protAll, kind: uint32(kindOf(flags))})
	if errno != 0 {
		return 0, errno
	}
	if flags&(MapPopulate|MapLocked) != 0 {
		populate(addr, addr+length, prot&ProtWrite != 0)
	}
	return addr, 0
}

// kindOf returns the kind of area for checked flags.
//
//go:nosplit
func kindOf(flags int32) int {
	if flags&mapType == MapShared {
		return kindShared
	}
	return kindPrivate
}

// checkType refuses what is not plain anonymous memory. Linux looks at these
// after the address.
//
//go:nosplit
func checkType(flags int32) (errno uintptr) {
	switch {
	case flags&MapAnonymous == 0:
		return ENODEV
	case flags&mapType != MapShared && flags&mapType != MapPrivate:
		return EINVAL
	case flags&MapHugeTLB != 0:
		return ENOMEM
	case flags&MapGrowsDown != 0 && flags&mapType == MapShared:
		return EINVAL
	case flags&MapGrowsDown != 0:
		return EOPNOTSUPP
	}
	return 0
}

// checkFixed checks an address that the caller insists on.
//
//go:nosplit
func checkFixed(addr, length uintptr, flags int32) (errno uintptr) {
	switch {
	case addr > UserEnd-length:
		return ENOMEM
	case addr&pageMask != 0:
		return EINVAL
	case addr < UserStart:
		return EPERM
	case flags&MapFixedNoReplace != 0 && overlaps(addr, addr+length):
		return EEXIST
	case sealed(addr, addr+length):
		return EPERM
	}
	return 0
}

// place chooses the address: the hint, if that is free, else the highest free range.
//
//go:nosplit
func place(hint, length uintptr, flags int32) (addr, errno uintptr) {
	low, high := UserStart, mmapTop
	if flags&Map32Bit != 0 {
		low, high = low2GStart, low2GEnd
	}
	hint &^= pageMask
	if hint != 0 && hint < UserStart {
		hint = UserStart
	}
	// Linux honours a hint with MAP_32BIT only when it satisfies it.
	if hint != 0 && length <= UserEnd && hint <= UserEnd-length &&
		(flags&Map32Bit == 0 || hint+length <= low2GEnd) && !overlaps(hint, hint+length) {
		return hint, 0
	}
	if addr = gap(length, low, high); addr != 0 {
		return addr, 0
	}
	if flags&Map32Bit == 0 {
		if addr = gap(length, mmapTop, UserEnd); addr != 0 {
			return addr, 0
		}
	}
	return 0, ENOMEM
}

// munmap is Munmap, with the lock held.
//
//go:nosplit
func munmap(addr, length uintptr) (errno uintptr) {
	if addr&pageMask != 0 || addr > UserEnd || length > UserEnd-addr {
		return EINVAL
	}
	length = pageAlign(length)
	if length == 0 {
		return EINVAL
	}
	if sealed(addr, addr+length) {
		return EPERM
	}
	return clear(addr, addr+length)
}

// clear removes all areas in [start, end) and frees their frames.
// Preconditions: whole pages, nothing reserved within.
//
//go:nosplit
func clear(start, end uintptr) (errno uintptr) {
	if !overlaps(start, end) {
		return 0
	}
	if !room(2) {
		return ENOMEM
	}
	i := split(start)
	j := split(end)
	for k := i; k < j; k++ {
		uncount(at(k))
	}
	remove(i, j)
	discard(start, end)
	reapFiles()
	return 0
}

// discard frees the frames of [start, end), and takes a file's out of sight.
//
//go:nosplit
func discard(start, end uintptr) {
	for at := start; ; {
		entry, page := nextEntry(at, end)
		if entry == 0 {
			break
		}
		at = page + PageSize
		e := load(entry)
		if e&(entryOwned|entryFile) == 0 {
			continue
		}
		store(entry, 0)
		if e&entryPresent != 0 {
			changed(page)
		}
		if e&entryOwned != 0 {
			freeLater(e & entryFrame)
			space.resident--
		}
	}
	freeTables(start, end)
	settle()
}

// mprotect is Mprotect, with the lock held.
//
//go:nosplit
func mprotect(addr, length uintptr, prot int32) (errno uintptr) {
	grows := prot & (protGrowsDown | protGrowsUp)
	prot &^= protGrowsDown | protGrowsUp
	if addr&pageMask != 0 || grows == protGrowsDown|protGrowsUp {
		return EINVAL
	}
	if length == 0 {
		return 0
	}
	end := addr + pageAlign(length)
	if end <= addr {
		return ENOMEM
	}
	if prot&^(protAll|protSem) != 0 {
		return EINVAL
	}
	i := lookup(addr)
	if i == space.n || at(i).start > addr && (grows == 0 || at(i).start >= end) {
		return ENOMEM
	}
	if grows != 0 {
		return EINVAL // no area here grows
	}
	if sealed(addr, end) {
		return EPERM
	}
	return protect(addr, end, uint32(prot)&protAll)
}

// protect changes [addr, end) up to the first hole, where it returns ENOMEM:
// what lies before stays changed, as on Linux.
//
//go:nosplit
func protect(addr, end uintptr, prot uint32) (errno uintptr) {
	if !room(2) {
		return ENOMEM
	}
	first := split(addr)
	i := first
	for ; addr < end; i++ {
		if i == space.n || at(i).start != addr {
			errno = ENOMEM
			break
		}
		if at(i).end > end {
			split(end)
		}
		a := at(i)
		if a.flags&areaReadOnly != 0 && prot&ProtWrite != 0 {
			errno = EACCES
			break
		}
		addr = a.end
		if a.prot != prot {
			a.prot = prot
			reprotect(a.start, a.end, prot)
		}
	}
	join(first, i)
	return errno
}

// reprotect gives the pages of [start, end) that have frames their new protection.
//
//go:nosplit
func reprotect(start, end uintptr, prot uint32) {
	for {
		entry, page := nextEntry(start, end)
		if entry == 0 {
			break
		}
		start = page + PageSize
		e := load(entry)
		if e&entryFile != 0 {
			store(entry, 0) // the next fault finds the page again
		} else {
			store(entry, e&entryFrame|entryOwned|protBits(prot))
		}
		if e&entryPresent != 0 {
			changed(page)
		}
	}
	settle()
}

// protBits returns the bits of an entry. With PROT_NONE the entry keeps its
// frame but is not present. Readable is all that is accessible, as on Linux.
//
//go:nosplit
func protBits(prot uint32) uint64 {
	if prot&protAll == 0 {
		return 0
	}
	bits := uint64(entryUsed)
	if prot&ProtWrite != 0 {
		bits |= uint64(Writable)
	}
	if prot&ProtExec == 0 {
		bits |= uint64(NoExec)
	}
	return bits
}

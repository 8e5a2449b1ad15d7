// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

// Flags of Mremap, as in Linux's mman.h. MREMAP_DONTUNMAP (4) is not served (EINVAL).
const (
	mremapMayMove = 1
	mremapFixed   = 2
)

// mremap is Mremap, with the lock held.
//
//go:nosplit
func mremap(old, oldLength, newLength uintptr, flags int32, fixed uintptr) (addr, errno uintptr) {
	if flags&^(mremapMayMove|mremapFixed) != 0 || flags == mremapFixed || old&pageMask != 0 {
		return 0, EINVAL
	}
	oldLength, newLength = pageAlign(oldLength), pageAlign(newLength)
	if newLength == 0 {
		return 0, EINVAL
	}
	if flags&mremapFixed != 0 {
		if errno = checkTarget(old, oldLength, newLength, fixed); errno != 0 {
			return 0, errno
		}
	}
	i := lookup(old)
	if i == space.n || at(i).start > old {
		return 0, EFAULT
	}
	if oldLength == 0 {
		return 0, EINVAL // a second view of shared memory: not served
	}
	if oldLength > UserEnd || old > UserEnd-oldLength {
		return 0, EINVAL
	}
	if min(oldLength, newLength) > at(i).end-old && (newLength > oldLength || flags&mremapFixed != 0) {
		return 0, EFAULT
	}
	if old+oldLength > UserEnd || sealed(old, old+oldLength) {
		return 0, EPERM
	}
	if flags&mremapFixed == 0 {
		if newLength <= oldLength {
			if newLength < oldLength {
				errno = clear(old+newLength, old+oldLength)
			}
			return old, errno
		}
		if end := old + newLength; at(i).end == old+oldLength && newLength <= UserEnd-old && !overlaps(old+oldLength, end) {
			return old, extend(i, end)
		}
		if flags&mremapMayMove == 0 {
			return 0, ENOMEM
		}
	}
	return move(old, oldLength, newLength, flags, fixed)
}

// extend makes area i longer. It is a function of its own so that its variables take no
// room on the stack below those that call deeper.
//
//go:nosplit
//go:noinline
func extend(i int, end uintptr) (errno uintptr) {
	more := at(i).part(at(i).end, end)
	return add(&more)
}

// checkTarget checks the new address of MREMAP_FIXED.
//
//go:nosplit
func checkTarget(old, oldLength, newLength, fixed uintptr) (errno uintptr) {
	switch {
	case fixed&pageMask != 0 || newLength > UserEnd || fixed > UserEnd-newLength:
		return EINVAL
	case old+oldLength > fixed && fixed+newLength > old:
		return EINVAL
	case fixed < UserStart || sealed(fixed, fixed+newLength):
		return EPERM
	}
	return 0
}

// move takes an area's pages to another address. Preconditions: the old range
// lies in one area, which is not reserved.
//
//go:nosplit
func move(old, oldLength, newLength uintptr, flags int32, fixed uintptr) (addr, errno uintptr) {
	// Two areas may be cut at the target, one at the source, and one is new.
	// With this room nothing below can fail half way.
	if newLength > UserEnd || !room(5) {
		return 0, ENOMEM
	}
	addr = fixed
	if flags&mremapFixed == 0 {
		if addr = gap(newLength, UserStart, mmapTop); addr == 0 {
			return 0, ENOMEM
		}
	} else {
		clear(addr, addr+newLength)
	}
	if newLength < oldLength {
		clear(old+newLength, old+oldLength)
		oldLength = newLength
	}
	a := at(lookup(old)).part(old, old+newLength)
	errno = moveEntries(old, addr, oldLength)
	if errno != 0 {
		return 0, errno
	}
	a.start, a.end = addr, addr+newLength
	add(&a)
	clear(old, old+oldLength)
	return addr, 0
}

// moveEntries moves frames from [from, from+length) to the same places above
// to. The tables come first, so that a lack of memory changes nothing.
//
//go:nosplit
func moveEntries(from, to, length uintptr) (errno uintptr) {
	for at := from; ; at += PageSize {
		entry, page := nextEntry(at, from+length)
		if entry == 0 {
			break
		}
		at = page
		if makeEntry(page-from+to, shiftSmall) == 0 {
			return ENOMEM
		}
	}
	for at := from; ; at += PageSize {
		entry, page := nextEntry(at, from+length)
		if entry == 0 {
			settle()
			return 0
		}
		at = page
		store(makeEntry(page-from+to, shiftSmall), load(entry))
		store(entry, 0)
		changed(page)
	}
}

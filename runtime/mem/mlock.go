// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

// Mlock is mlock(2), or munlock(2). There is no swap: what is in memory stays
// there, so that only the range is checked, and filled to be in memory.
//
//go:nosplit
func Mlock(addr, length uintptr, fill bool) (errno uintptr) {
	lock.Lock()
	errno = mlock(addr, length, fill)
	lock.Unlock()
	return errno
}

//go:nosplit
func mlock(addr, length uintptr, fill bool) (errno uintptr) {
	length += addr & pageMask
	if length = pageAlign(length); length == 0 {
		return 0
	}
	addr &^= pageMask
	end := addr + length
	if end < addr {
		return EINVAL
	}
	for start := addr; start < end; {
		i := lookup(start)
		if i == space.n || at(i).start > start {
			return ENOMEM
		}
		start = at(i).end
	}
	if fill && (uint64(end-addr)>>PageShift > ram.free || populate(addr, end, false) != Resolved) {
		return ENOMEM
	}
	return 0
}

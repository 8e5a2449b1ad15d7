// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

// Advice of Madvise, as in Linux's mman-common.h.
const (
	adviceNormal        = 0
	adviceRandom        = 1
	adviceSequential    = 2
	adviceWillNeed      = 3
	adviceDontNeed      = 4
	adviceFree          = 8
	adviceRemove        = 9
	adviceDontFork      = 10
	adviceDoFork        = 11
	adviceHugePage      = 14
	adviceNoHugePage    = 15
	adviceDontDump      = 16
	adviceDoDump        = 17
	adviceWipeOnFork    = 18
	adviceKeepOnFork    = 19
	adviceCold          = 20
	advicePageOut       = 21
	advicePopulateRead  = 22
	advicePopulateWrite = 23
	adviceDontNeedLock  = 24
	adviceCollapse      = 25
)

// adviceMask has a bit for each advice above. KSM (12, 13), memory-failure
// tests (100, 101) and guard pages (102, 103) are EINVAL, as on a Linux
// configured without them.
const adviceMask = 1<<adviceNormal | 1<<adviceRandom | 1<<adviceSequential | 1<<adviceWillNeed |
	1<<adviceDontNeed | 1<<adviceFree | 1<<adviceRemove | 1<<adviceDontFork | 1<<adviceDoFork |
	1<<adviceHugePage | 1<<adviceNoHugePage | 1<<adviceDontDump | 1<<adviceDoDump |
	1<<adviceWipeOnFork | 1<<adviceKeepOnFork | 1<<adviceCold | 1<<advicePageOut |
	1<<advicePopulateRead | 1<<advicePopulateWrite | 1<<adviceDontNeedLock | 1<<adviceCollapse

// madvise is Madvise, with the lock held.
//
//go:nosplit
func madvise(addr, length uintptr, advice int32) (errno uintptr) {
	if advice < 0 || advice > 31 || adviceMask>>uint(advice&31)&1 == 0 || addr&pageMask != 0 {
		return EINVAL
	}
	end := addr + pageAlign(length)
	if length != 0 && end == addr || end < addr {
		return EINVAL
	}
	if advice == advicePopulateRead || advice == advicePopulateWrite {
		return advisePopulate(addr, end, advice == advicePopulateWrite)
	}
	for i := lookup(addr); addr < end; i++ {
		if i == space.n {
			return ENOMEM
		}
		a := at(i)
		if a.start > addr {
			// A hole is an error, but only after all the rest is done.
			errno = ENOMEM
			if a.start >= end {
				break
			}
			addr = a.start
		}
		stop := min(a.end, end)
		if e := advise(a, addr, stop, advice); e != 0 {
			return e
		}
		addr = stop
	}
	return errno
}

// advise applies advice to [start, end), which lies in area a.
//
//go:nosplit
func advise(a *area, start, end uintptr, advice int32) (errno uintptr) {
	switch advice {
	case adviceDontNeed, adviceDontNeedLock:
		if a.kind == kindReserved {
			return EPERM
		}
		if a.kind == kindPrivate || a.file != 0 {
			discard(start, end)
		}
	case adviceFree:
		if a.kind != kindPrivate || a.file != 0 {
			return EINVAL
		}
		discard(start, end)
	case adviceCollapse:
		return EINVAL
	case adviceRemove:
		if a.file != 0 {
			return removeFromFile(a)
		}
		if a.kind != kindShared {
			return EINVAL
		}
		discard(start, end)
	}
	return 0
}

// advisePopulate is MADV_POPULATE_READ and MADV_POPULATE_WRITE.
//
//go:nosplit
func advisePopulate(start, end uintptr, write bool) (errno uintptr) {
	switch populate(start, end, write) {
	case FaultUnmapped, FaultNoMemory:
		return ENOMEM
	case FaultDenied:
		return EINVAL
	case FaultBus:
		return EFAULT
	}
	return 0
}

// mincore is Mincore, with the lock held.
//
//go:nosplit
func mincore(addr, length, vec uintptr) (errno uintptr) {
	if addr&pageMask != 0 {
		return EINVAL
	}
	end := addr + length
	if end < addr || end > UserEnd {
		return ENOMEM
	}
	end = pageAlign(end)
	if pages := (end - addr) >> PageShift; vec+pages < vec || vec+pages > UserEnd {
		return EFAULT
	}
	for ; addr < end; addr += PageSize {
		i := lookup(addr)
		if i == space.n || at(i).start > addr {
			return ENOMEM
		}
		if !prepare(vec, 1, true) {
			return EFAULT
		}
		resident := byte(0)
		if entry, shift := findEntry(addr); entry != 0 {
			if load(entry) != 0 || shift != shiftSmall {
				resident = 1
			}
		}
		if f := fileAt(at(i).file); f != nil && f.pages.get(at(i).indexOf(addr)) != 0 {
			resident = 1
		}
		pa, _, _ := walk(vec) // not vec itself: never a fault in here
		storeByte(Phys(pa), resident)
		vec++
	}
	return 0
}

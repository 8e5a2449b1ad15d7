// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

// Mapping is what mmap(2) asks of a file.
type Mapping struct {
	Addr, Length uintptr
	Prot, Flags  int32
	Offset       uint64  // in pages
	File         uint32  // number of the file
	ReadOnly     bool    // a shared mapping may never become writable
	Refuse       uintptr // errno of what else is wrong; Linux looks at the address first
}

// mapFile is MapFile, with the lock held.
//
//go:nosplit
func mapFile(m *Mapping) (start, errno uintptr) {
	if m.Flags&MapAnonymous != 0 {
		return mmap(m.Addr, m.Length, m.Prot, m.Flags)
	}
	addr, length, flags := m.Addr, pageAlign(m.Length), m.Flags
	switch {
	case m.Length == 0:
		return 0, EINVAL
	case length == 0 || length > UserEnd:
		return 0, ENOMEM
	case m.Offset+uint64(length)>>PageShift > MaxFilePages:
		return 0, EOVERFLOW
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
		errno = m.Refuse
	}
	if errno == 0 && fileAt(m.File) == nil {
		errno = ENODEV
	}
	if errno == 0 && flags&MapFixed != 0 {
		errno = clear(addr, addr+length)
	}
	if errno != 0 {
		return 0, errno
	}
	a := area{start: addr, end: addr + length, prot: uint32(m.Prot) & protAll, kind: kindShared, file: m.File, offset: m.Offset}
	if flags&mapType == MapPrivate {
		a.kind = kindPrivate
	} else if m.ReadOnly {
		a.flags = areaReadOnly
	}
	if errno = add(&a); errno != 0 {
		return 0, errno
	}
	if flags&(MapPopulate|MapLocked) != 0 {
		populate(addr, addr+length, m.Prot&ProtWrite != 0)
	}
	return addr, 0
}

// indexOf returns the page of the file that an area shows at addr, which lies in it.
//
//go:nosplit
func (a *area) indexOf(addr uintptr) uint64 {
	return a.offset + uint64(addr-a.start)>>PageShift
}

// part returns an area that shows at [start, end) what a would. start is not below
// a's, end may be above.
//
//go:nosplit
func (a *area) part(start, end uintptr) area {
	p := *a
	p.start, p.end = start, end
	p.offset = a.indexOf(start)
	return p
}

// inFile tells whether an area shows bytes of its file, if it has one, up to end.
//
//go:nosplit
func inFile(a *area, end uintptr) bool {
	f := fileAt(a.file)
	return f == nil || a.indexOf(end-1) < f.size
}

// fillFromFile gives a page of a mapping of a file its frame: the file's own, or in
// a private mapping that is written to a copy. A hole becomes a page, as on Linux.
//
//go:nosplit
func fillFromFile(a *area, page uintptr, write bool) int {
	f := fileAt(a.file)
	index := a.indexOf(page)
	if f == nil || index >= f.size {
		return FaultBus
	}
	entry := makeEntry(page, shiftSmall)
	if entry == 0 {
		return FaultNoMemory
	}
	old := load(entry)
	bits := protBits(a.prot)
	if old&entryOwned != 0 { // a copy, and a stale translation
		store(entry, old&entryFrame|entryOwned|bits)
		invalidate(page)
		return Resolved
	}
	if a.kind == kindPrivate && write {
		return copyOnWrite(f.pages.get(index), entry, page, bits)
	}
	frame := f.pages.get(index)
	if frame == 0 {
		if frame = newPage(f, index); frame == 0 {
			return FaultBus
		}
		space.zeroed++
	}
	if a.kind == kindPrivate {
		bits &^= uint64(Writable)
	}
	store(entry, frame|entryFile|bits)
	if old != 0 {
		invalidate(page)
	}
	return Resolved
}

// copyOnWrite gives a page a frame of its own, with the contents of the file's, or
// zeroes where the file has none.
//
//go:nosplit
func copyOnWrite(from uint64, entry, page uintptr, bits uint64) int {
	frame := allocFrame()
	if frame == 0 {
		return FaultNoMemory
	}
	if from == 0 {
		clearPage(Phys(frame))
	} else {
		for i := uintptr(0); i < PageSize; i += 8 {
			store(Phys(frame)+i, load(Phys(from)+i))
		}
	}
	old := load(entry)
	store(entry, frame|entryOwned|bits)
	if old != 0 { // another processor may still read the file's page
		changed(page)
		settle()
	}
	space.resident++
	return Resolved
}

// unmapFile takes the pages [first, end) of a file out of all areas; with copies it
// frees private copies too.
//
//go:nosplit
func unmapFile(number uint32, first, end uint64, copies bool) {
	for i := 0; i < space.n; i++ {
		a := at(i)
		if a.file != number {
			continue
		}
		low, high := max(first, a.offset), min(end, a.indexOf(a.end))
		if low >= high {
			continue
		}
		start := a.start + uintptr(low-a.offset)<<PageShift
		stop := a.start + uintptr(high-a.offset)<<PageShift
		if copies {
			discard(start, stop)
		} else {
			hide(start, stop)
		}
	}
}

// hide takes a file's pages out of [start, end), and leaves private copies there.
//
//go:nosplit
func hide(start, end uintptr) {
	for {
		entry, page := nextEntry(start, end)
		if entry == 0 {
			break
		}
		start = page + PageSize
		if load(entry)&entryFile != 0 {
			store(entry, 0)
			changed(page)
		}
	}
	settle()
}

// removeFromFile is MADV_REMOVE for a mapping of a file. What can be done is done by
// the file's owner, who finds the pages with FileRange: here remain the errors.
//
//go:nosplit
func removeFromFile(a *area) (errno uintptr) {
	if a.kind != kindShared || a.flags&areaReadOnly != 0 {
		return EACCES
	}
	return 0
}

// fileRange is FileRange, with the lock held.
//
//go:nosplit
func fileRange(addr, end uintptr) (number uint32, first, last uint64, stop uintptr) {
	i := lookup(addr)
	if i == space.n || at(i).start > addr || at(i).file == 0 || removeFromFile(at(i)) != 0 || addr >= end {
		return 0, 0, 0, 0
	}
	a := at(i)
	stop = min(a.end, pageAlign(end))
	return a.file, a.indexOf(addr &^ pageMask), a.indexOf(stop), stop
}

// Flags of Msync, as in Linux's mman.h.
const (
	syncAsync      = 1
	syncInvalidate = 2
	syncSync       = 4
)

// msync is Msync, with the lock held.
//
//go:nosplit
func msync(addr, length uintptr, flags int32) (errno uintptr) {
	if flags&^(syncAsync|syncInvalidate|syncSync) != 0 || addr&pageMask != 0 || flags&syncAsync != 0 && flags&syncSync != 0 {
		return EINVAL
	}
	end := addr + pageAlign(length)
	if end < addr {
		return ENOMEM
	}
	for i := lookup(addr); addr < end; i++ {
		if i == space.n || at(i).start > addr {
			return ENOMEM
		}
		addr = at(i).end
	}
	return 0
}

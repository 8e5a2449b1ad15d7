// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// sysMmap is mmap of a file. Anonymous memory is the trap leaf's, whose checks these are too: Store.Map looks
// at length and address, and Refuse comes behind that, as on Linux.
func sysMmap(c *call) (int, syscall.Errno) {
	if c.arg[5]%tmpPage != 0 {
		return 0, syscall.EINVAL
	}
	m := Mapping{Addr: c.arg[0], Length: c.arg[1], Prot: int32(c.arg[2]), Flags: int32(c.arg[3])}
	if m.Offset = int64(c.arg[5] / tmpPage); m.Flags&unix.MAP_ANONYMOUS != 0 {
		addr, e := Store.Map(&m)
		return int(addr), e
	}
	d, e := lookup(c.arg[4])
	if e != 0 {
		return 0, e
	}
	defer d.put()
	switch {
	case d.flags.Load()&unix.O_PATH != 0:
		return 0, syscall.EBADF
	case m.Flags&unix.MAP_HUGETLB != 0:
		return 0, syscall.EINVAL
	}
	return d.mmap(&m)
}

func (d *description) mmap(m *Mapping) (int, syscall.Errno) {
	m.Refuse = d.mayMap(m)
	m.ReadOnly = !d.allows(true)
	copied := uint32(0)
	if m.Refuse == 0 && m.Length != 0 {
		switch f := d.file.(type) {
		case *tmpFile:
			t := f.node.data
			t.mu.Lock()
			defer t.mu.Unlock()
			if !t.make() {
				return 0, syscall.ENOMEM
			}
			m.File = t.file
		case textFile:
			if copied = copyText(string(f), m); copied == 0 {
				return 0, syscall.ENOMEM
			}
			m.File, m.Offset, m.ReadOnly = copied, 0, true
		case zeroFile:
			m.Flags |= unix.MAP_ANONYMOUS
		}
	}
	if m.File != 0 && m.Flags&unix.MAP_TYPE == unix.MAP_SHARED_VALIDATE {
		m.Flags = m.Flags&^unix.MAP_TYPE | unix.MAP_SHARED
	}
	addr, e := Store.Map(m)
	if copied != 0 {
		dropFile(copied)
	}
	return int(addr), e
}

// legacyMapFlags are those that MAP_SHARED_VALIDATE takes; MAP_SYNC needs memory that is durable.
const legacyMapFlags = unix.MAP_SHARED_VALIDATE | unix.MAP_FIXED | unix.MAP_ANONYMOUS | unix.MAP_DENYWRITE | unix.MAP_EXECUTABLE |
	unix.MAP_GROWSDOWN | unix.MAP_LOCKED | unix.MAP_NORESERVE | unix.MAP_POPULATE | unix.MAP_NONBLOCK | unix.MAP_STACK |
	unix.MAP_HUGETLB | unix.MAP_32BIT | 0x80 /* MAP_ABOVE4G */ | 0x4000000 /* MAP_UNINITIALIZED */

// mayMap says what is against mapping d, in the order Linux looks.
func (d *description) mayMap(m *Mapping) syscall.Errno {
	switch m.Flags & unix.MAP_TYPE {
	case unix.MAP_SHARED_VALIDATE:
		if m.Flags&^legacyMapFlags != 0 {
			return syscall.EOPNOTSUPP
		}
		fallthrough
	case unix.MAP_SHARED:
		if m.Prot&unix.PROT_WRITE != 0 && !d.allows(true) {
			return syscall.EACCES
		}
	case unix.MAP_PRIVATE:
	default:
		return syscall.EINVAL
	}
	switch {
	case !d.allows(false):
		return syscall.EACCES
	case !d.mappable():
		return syscall.ENODEV
	case m.Flags&unix.MAP_GROWSDOWN != 0:
		return syscall.EINVAL
	}
	return 0
}

// mappable says whether d can be mapped: files in memory, also those registered as text, and /dev/zero. What
// /proc and /sys tell is made when it is read, and a disk has no pages to be shown (docs/decisions/0022).
func (d *description) mappable() bool {
	switch d.file.(type) {
	case *tmpFile, zeroFile:
		return true
	case textFile:
		return d.node.fs == &tmpFS
	}
	return false
}

// copyText puts the part of a text that is to be mapped into a file of its own; 0 when there is no room.
func copyText(text string, m *Mapping) uint32 {
	file := newFile(nil)
	if file == 0 {
		return 0
	}
	text = text[min(int64(len(text)), min(m.Offset, pagesOf(int64(len(text))))*tmpPage):] // the offset may be any
	text = text[:min(uint64(len(text)), uint64(m.Length))]
	var page [1]*Page
	for i := int64(0); i*tmpPage < int64(len(text)); i++ {
		if Store.Pages(file, i, true, page[:]) == 0 {
			dropFile(file)
			return 0
		}
		copy(page[0][:], text[i*tmpPage:])
	}
	Store.Resize(file, pagesOf(int64(len(text))))
	return file
}

// sysMadvise is madvise(MADV_REMOVE): it punches holes into the files that are mapped at the range. All other
// advice, and other memory, is the trap leaf's.
func sysMadvise(c *call) (int, syscall.Errno) {
	addr, length := c.arg[0], c.arg[1]
	end := addr + length
	for c.int32Arg(2) == unix.MADV_REMOVE && addr%tmpPage == 0 && addr < end {
		if addr = punchShown(addr, end); addr == 0 {
			break
		}
	}
	return 0, Store.Advise(c.arg[0], length, c.int32Arg(2))
}

// punchShown makes a hole of what is mapped at addr, and returns where that part ends; 0 when no file is
// mapped there for writing.
func punchShown(addr, end uintptr) uintptr {
	owners.mu.Lock()
	file, first, last, stop := Store.Shown(addr, end)
	t := owners.by[file]
	if t == nil {
		// Only mappings are left of it, or it is none. Nobody gets its number while owners is locked.
		Store.Punch(file, first, last)
		owners.mu.Unlock()
		return stop
	}
	owners.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file == file {
		Store.Punch(file, first, last)
	}
	return stop
}

// owners finds the owner of a file of Store by its number. Its lock comes behind tmpData.mu.
var owners = struct {
	mu sync.Mutex
	by map[uint32]*tmpData
}{by: make(map[uint32]*tmpData)}

// newFile makes a file in Store; t is nil for one that is only mapped.
func newFile(t *tmpData) uint32 {
	owners.mu.Lock()
	defer owners.mu.Unlock()
	file := Store.New()
	if file != 0 && t != nil {
		owners.by[file] = t
	}
	return file
}

// dropFile gives it up.
func dropFile(file uint32) {
	owners.mu.Lock()
	defer owners.mu.Unlock()
	delete(owners.by, file)
	Store.Drop(file)
}

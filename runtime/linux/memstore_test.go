// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"sync"
	"syscall"
	"unsafe"

	"github.com/hvgo/hvgo/runtime/mem"
	"golang.org/x/sys/unix"
)

// memStore is the store of a booted machine, package mem, on memory of this process: the trap side does the
// same under its lock.
type memStore struct{ mu sync.Mutex }

const memStorePages = 64 << 20 / tmpPage

func newMemStore() *memStore {
	const start = 1 << 20
	arena, err := unix.Mmap(-1, 0, memStorePages*tmpPage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		panic(err)
	}
	mem.DirectBase = uintptr(unsafe.Pointer(unsafe.SliceData(arena))) - start
	mem.AddExtent(start, memStorePages*tmpPage)
	if mem.NewRoot() == 0 {
		panic("no memory for page tables")
	}
	mem.LimitFiles(memStorePages / 2)
	return new(memStore)
}

func (s *memStore) New() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return mem.NewFile()
}

func (s *memStore) Drop(file uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for mem.DropFile(file) {
	}
}

func (s *memStore) Resize(file uint32, pages int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for mem.ResizeFile(file, uint64(pages)) {
	}
}

func (s *memStore) Punch(file uint32, first, end int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for mem.PunchFile(file, uint64(first), uint64(end)) {
	}
}

func (s *memStore) Pages(file uint32, first int64, fill bool, out []*Page) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range out {
		out[i] = nil
		if pa := mem.FilePage(file, uint64(first)+uint64(i), fill); pa != 0 {
			out[i] = (*Page)(unsafe.Add(unsafe.Pointer(nil), mem.Phys(pa)))
		} else if fill {
			return i
		}
	}
	return len(out)
}

func (s *memStore) Next(file uint32, first int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if next := mem.NextPage(file, uint64(first)); next != mem.MaxFilePages {
		return int64(next)
	}
	return -1
}

func (s *memStore) Count(file uint32) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(mem.CountPages(file))
}

func (s *memStore) Usage() (pages, limit int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(mem.FilePages()), int64(mem.FileLimit())
}

func (s *memStore) SetLimit(pages int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mem.LimitFiles(uint64(pages))
}

func (s *memStore) Map(m *Mapping) (uintptr, syscall.Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	addr, errno := mem.MapFile(&mem.Mapping{Addr: m.Addr, Length: m.Length, Prot: m.Prot, Flags: m.Flags,
		Offset: uint64(m.Offset), File: m.File, ReadOnly: m.ReadOnly, Refuse: uintptr(m.Refuse)})
	return addr, syscall.Errno(errno)
}

func (s *memStore) Shown(addr, end uintptr) (file uint32, first, last int64, stop uintptr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	file, from, to, stop := mem.FileRange(addr, end)
	return file, int64(from), int64(to), stop
}

func (s *memStore) Advise(addr, length uintptr, advice int) syscall.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	return syscall.Errno(mem.Madvise(addr, length, int32(advice)))
}

// usedBytes is how much of the root file system is used, and its limit.
func usedBytes() (used, limit int64) {
	used, limit = Store.Usage()
	return used * tmpPage, limit * tmpPage
}

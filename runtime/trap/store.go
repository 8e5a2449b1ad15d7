// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	"sync"
	"unsafe"

	"github.com/hvgo/hvgo/runtime/linux"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
	"golang.org/x/sys/unix"
)

// storeCall is one call of KernelStore. It lies in the heap: no stack moves under
// trap context, and its pages are there, since the caller just wrote to it.
type storeCall struct {
	do         int
	file       uint32
	fill       bool
	first, end uint64
	n          int
	pages      [storePages]uint64 // physical addresses; 0: none
	mapping    mem.Mapping
	stop       uintptr
}

// storePages is how many pages one call looks up.
const storePages = 16

// What a storeCall does.
const (
	storeNew = iota
	storeDrop
	storeResize
	storePunch
	storeFind
	storeNext
	storeMap
	storeShown
	storeAdvise
)

// storeCalled serves KernelStore. It returns 1 for calls that have to be made again.
//
//go:nosplit
func storeCalled(at uintptr) int {
	if at&7 != 0 || !mem.Prepare(at, unsafe.Sizeof(storeCall{}), true) {
		return eFault
	}
	c := (*storeCall)(ring0.Pointer(at))
	switch c.do {
	case storeNew:
		return int(mem.NewFile())
	case storeDrop:
		return again(mem.DropFile(c.file))
	case storeResize:
		return again(mem.ResizeFile(c.file, c.end))
	case storePunch:
		return again(mem.PunchFile(c.file, c.first, c.end))
	case storeFind:
		return findPages(c)
	case storeNext:
		return int(mem.NextPage(c.file, c.first))
	case storeMap:
		start, errno := mem.MapFile(&c.mapping)
		return result(start, errno)
	case storeShown:
		c.file, c.first, c.end, c.stop = mem.FileRange(uintptr(c.first), uintptr(c.end))
		return 0
	case storeAdvise:
		return -int(mem.Madvise(uintptr(c.first), uintptr(c.end), int32(c.n)))
	}
	return eInval
}

//go:nosplit
func again(more bool) int {
	if more {
		return 1
	}
	return 0
}

// findPages looks up c.n pages, and with fill adds those that are missing. It
// returns how many it looked up.
//
//go:nosplit
func findPages(c *storeCall) int {
	n := min(uint(c.n), storePages)
	for i := uint(0); i < n; i++ {
		pa := mem.FilePage(c.file, c.first+uint64(i), c.fill)
		if pa == 0 && c.fill {
			return int(i)
		}
		c.pages[i%storePages] = pa
	}
	return int(n)
}

// pageStore is linux.PageStore on package mem.
type pageStore struct{}

var storeCalls = sync.Pool{New: func() any { return new(storeCall) }}

// makeCall makes a call, again and again if it says so, and returns the last
// result. get takes more results out of it.
func makeCall(c storeCall, get func(*storeCall)) int {
	p := storeCalls.Get().(*storeCall)
	defer storeCalls.Put(p)
	*p = c
	r := p.run()
	for r == 1 && (c.do == storeDrop || c.do == storeResize || c.do == storePunch) {
		r = p.run()
	}
	if get != nil {
		get(p)
	}
	return r
}

func (c *storeCall) run() int { return Kernel(KernelStore, uintptr(unsafe.Pointer(c)), 0, 0) }

func (pageStore) New() uint32      { return uint32(makeCall(storeCall{do: storeNew}, nil)) }
func (pageStore) Drop(file uint32) { makeCall(storeCall{do: storeDrop, file: file}, nil) }

func (pageStore) Resize(file uint32, pages int64) {
	makeCall(storeCall{do: storeResize, file: file, end: uint64(pages)}, nil)
}

func (pageStore) Punch(file uint32, first, end int64) {
	makeCall(storeCall{do: storePunch, file: file, first: uint64(first), end: uint64(end)}, nil)
}

func (pageStore) Pages(file uint32, first int64, fill bool, out []*linux.Page) int {
	p := storeCalls.Get().(*storeCall)
	defer storeCalls.Put(p)
	done := 0
	for done < len(out) {
		p.do, p.file, p.fill = storeFind, file, fill
		p.first, p.n = uint64(first)+uint64(done), min(len(out)-done, storePages)
		n := max(p.run(), 0)
		for i := range n {
			out[done+i] = nil
			if pa := p.pages[i]; pa != 0 {
				out[done+i] = (*linux.Page)(ring0.Pointer(mem.Phys(pa)))
			}
		}
		if done += n; n < p.n {
			break
		}
	}
	return done
}

func (pageStore) Next(file uint32, first int64) int64 {
	if next := makeCall(storeCall{do: storeNext, file: file, first: uint64(first)}, nil); next < mem.MaxFilePages {
		return int64(next)
	}
	return -1
}

func (pageStore) Count(file uint32) int64 { return int64(countPages(file)) }

// countPages asks mem with interrupts masked, as its lock wants it: fstat does no system
// call for it.
//
//go:nosplit
func countPages(file uint32) uint64 {
	cliOnGoroutine()
	n := mem.CountPages(file)
	ring0.Sti()
	return n
}

func (pageStore) Usage() (pages, limit int64) {
	return int64(mem.FilePages()), int64(mem.FileLimit())
}

func (pageStore) SetLimit(pages int64) { mem.LimitFiles(uint64(max(pages, 0))) }

func (pageStore) Map(m *linux.Mapping) (uintptr, unix.Errno) {
	r := makeCall(storeCall{do: storeMap, mapping: mem.Mapping{Addr: m.Addr, Length: m.Length, Prot: m.Prot, Flags: m.Flags,
		Offset: uint64(m.Offset), File: m.File, ReadOnly: m.ReadOnly, Refuse: uintptr(m.Refuse)}}, nil)
	if r < 0 {
		return 0, unix.Errno(-r)
	}
	return uintptr(r), 0
}

func (pageStore) Shown(addr, end uintptr) (file uint32, first, last int64, stop uintptr) {
	makeCall(storeCall{do: storeShown, first: uint64(addr), end: uint64(end)}, func(c *storeCall) {
		file, first, last, stop = c.file, int64(c.first), int64(c.end), c.stop
	})
	return file, first, last, stop
}

func (pageStore) Advise(addr, length uintptr, advice int) unix.Errno {
	return unix.Errno(-makeCall(storeCall{do: storeAdvise, first: uint64(addr), end: uint64(length), n: advice}, nil))
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package loopback

import (
	"fmt"
	"sync"
	"unsafe"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// firstPFN is the number of the first page of guest RAM: above 4 GiB.
const firstPFN = 0x100000 + 0x1000

// scatter is odd, so that multiplying by it permutes the pages of a power of two.
const scatter = 0x9E3779B1

// memory is guest RAM: an array on the Go heap, where the race detector watches it,
// and any other memory of the process that the guest has asked a page number for.
type memory struct {
	ram     []byte // a power of two of pages, page aligned
	pages   int
	inverse []int // page number less firstPFN -> index in ram

	mu      sync.Mutex
	used    []bool
	foreign map[uint64]bool // page numbers outside ram: addresses / PageSize
}

func newMemory(pages int) *memory {
	n := 1
	if pages == 0 {
		pages = 8192
	}
	for n < pages {
		n *= 2
	}
	b := make([]byte, (n+1)*wire.PageSize)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (wire.PageSize - 1)
	m := &memory{ram: b[skip : skip+n*wire.PageSize], pages: n, inverse: make([]int, n), used: make([]bool, n), foreign: map[uint64]bool{}}
	for i := range n {
		m.inverse[m.pfn(i)-firstPFN] = i
	}
	return m
}

// pfn returns the guest page number of the page with index i in ram.
func (m *memory) pfn(i int) uint64 {
	return firstPFN + uint64(uint32(i)*scatter&uint32(m.pages-1))
}

// Bytes is host/vmbus.Memory.
func (m *memory) Bytes(gpa, n uint64) ([]byte, error) {
	number, off := gpa/wire.PageSize, gpa%wire.PageSize
	if off+n > wire.PageSize || n > wire.PageSize {
		return nil, fmt.Errorf("loopback: %d bytes at %#x cross a page", n, gpa)
	}
	if number >= firstPFN && number < firstPFN+uint64(m.pages) {
		at := uint64(m.inverse[number-firstPFN])*wire.PageSize + off
		return m.ram[at : at+n : at+n], nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.foreign[number] {
		return nil, fmt.Errorf("loopback: %#x is not RAM", gpa)
	}
	return foreignPage(number)[off : off+n], nil
}

// foreignPage makes a slice of a page of the process. It may hold more than one Go
// object, which the pointer checks of -race would refuse; the page lies inside one span
// of the heap, and the host touches only the part it was told of.
//
//go:nocheckptr
func foreignPage(number uint64) []byte {
	address := uintptr(number * wire.PageSize)
	return (*[wire.PageSize]byte)(*(*unsafe.Pointer)(unsafe.Pointer(&address)))[:]
}

// alloc takes n adjacent free pages, zeroed.
func (m *memory) alloc(n int) (mem []byte, pfns []uint64, release func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	run := 0
	for i := range m.used {
		if run++; m.used[i] {
			run = 0
		}
		if run == n {
			return m.take(i-n+1, n)
		}
	}
	return nil, nil, nil
}

// take marks n pages from first on as used. mu is held.
func (m *memory) take(first, n int) (mem []byte, pfns []uint64, release func()) {
	for i := first; i < first+n; i++ {
		m.used[i] = true
		pfns = append(pfns, m.pfn(i))
	}
	mem = m.ram[first*wire.PageSize : (first+n)*wire.PageSize : (first+n)*wire.PageSize]
	clear(mem)
	return mem, pfns, func() {
		for i := range mem { // whoever still reads it shall notice
			mem[i] = 0xDD
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		for i := first; i < first+n; i++ {
			m.used[i] = false
		}
	}
}

func (m *memory) free() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, used := range m.used {
		if !used {
			n++
		}
	}
	return n
}

// pfns appends the page numbers of b's pages.
func (m *memory) pfns(b []byte, dst []uint64) []uint64 {
	if len(b) == 0 {
		return dst
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	ram := uintptr(unsafe.Pointer(&m.ram[0]))
	first := uintptr(unsafe.Pointer(&b[0])) &^ (wire.PageSize - 1)
	last := uintptr(unsafe.Pointer(&b[len(b)-1])) &^ (wire.PageSize - 1)
	for p := first; p <= last; p += wire.PageSize {
		if p >= ram && p-ram < uintptr(len(m.ram)) {
			dst = append(dst, m.pfn(int(p-ram)/wire.PageSize))
			continue
		}
		m.foreign[uint64(p)/wire.PageSize] = true
		dst = append(dst, uint64(p)/wire.PageSize)
	}
	return dst
}

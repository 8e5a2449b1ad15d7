// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmm

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// PageSize is the size of a page in bytes.
const PageSize = 4096

const (
	// LowMemoryEnd is where the hole for devices below 4 GiB begins, as in a Generation 2 VM.
	LowMemoryEnd = 0xF800_0000
	// HighMemory is where RAM goes on above the hole.
	HighMemory = 1 << 32
	// MinMemory and MaxMemory bound the size of a VM's RAM in bytes.
	MinMemory = 16 << 20
	MaxMemory = 1 << 38
)

// Region is a stretch of guest RAM.
type Region struct {
	GPA uint64
	Mem []byte
}

// Memory is the RAM of a VM, shared with the guest: what is read from it can
// change at any time. Its methods are safe for concurrent use.
type Memory struct {
	regions []Region
	all     []byte
}

// ErrNotRAM is wrapped by errors about guest addresses that are not RAM.
var ErrNotRAM = errors.New("not guest RAM")

// NewMemory maps size bytes of zeroed RAM, at most low of them (0: LowMemoryEnd)
// below 4 GiB. Both are multiples of a page.
func NewMemory(size, low uint64) (*Memory, error) {
	if size < MinMemory || size > MaxMemory || size%PageSize != 0 {
		return nil, fmt.Errorf("guest memory of %d bytes: must be whole pages, from %d MiB to %d MiB", size, MinMemory>>20, MaxMemory>>20)
	}
	if low == 0 || low > LowMemoryEnd {
		low = LowMemoryEnd
	}
	if low < MinMemory || low%PageSize != 0 {
		return nil, fmt.Errorf("guest memory below 4 GiB of %d bytes: must be whole pages, %d MiB at least", low, MinMemory>>20)
	}
	all, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("map %d MiB of guest memory: %w", size>>20, err)
	}
	m := &Memory{all: all}
	n := min(low, size)
	m.regions = append(m.regions, Region{0, all[:n:n]})
	if n < size {
		m.regions = append(m.regions, Region{HighMemory, all[n:]})
	}
	return m, nil
}

// adviseHuge asks for pages of 2 MiB, as far as the system has them for shared
// memory: a guest that uses most of its memory then faults for a five-hundredth of
// its pages, which is what costs in a machine in a machine. It is advice: without,
// all works the same.
func (m *Memory) adviseHuge() { _ = unix.Madvise(m.all, unix.MADV_HUGEPAGE) }

// Close unmaps the memory. Nothing may use it any more.
func (m *Memory) Close() error { return unix.Munmap(m.all) }

// Size returns the amount of RAM in bytes.
func (m *Memory) Size() uint64 { return uint64(len(m.all)) }

// Regions returns the RAM in rising order of address.
func (m *Memory) Regions() []Region { return m.regions }

// Bytes returns the n bytes of guest RAM at gpa. The error wraps ErrNotRAM when
// any of them is not RAM.
func (m *Memory) Bytes(gpa, n uint64) ([]byte, error) {
	for _, r := range m.regions {
		size := uint64(len(r.Mem))
		if gpa >= r.GPA && gpa-r.GPA <= size && n <= size-(gpa-r.GPA) {
			off := gpa - r.GPA
			return r.Mem[off : off+n : off+n], nil
		}
	}
	return nil, fmt.Errorf("guest address %#x, %d bytes: %w", gpa, n, ErrNotRAM)
}

// Discard gives the memory of the n bytes at gpa, whole pages, back to the system. The
// guest finds zeros there; memory is taken anew when they are touched.
func (m *Memory) Discard(gpa, n uint64) error {
	b, err := m.Bytes(gpa, n)
	if err != nil || n == 0 {
		return err
	}
	if gpa%PageSize != 0 || n%PageSize != 0 {
		return fmt.Errorf("discard %d bytes at guest address %#x: not whole pages", n, gpa)
	}
	if err := unix.Madvise(b, unix.MADV_REMOVE); err != nil {
		return fmt.Errorf("discard %d bytes at guest address %#x: %w", n, gpa, err)
	}
	return nil
}

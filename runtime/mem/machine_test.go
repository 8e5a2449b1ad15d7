// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// arenaStart is the physical address of the first frame of a test's machine.
const arenaStart = 0x10_0000

// newMachine puts a mapping of this process in the place of RAM and starts
// everything anew.
func newMachine(t testing.TB, pages int) {
	t.Helper()
	arena, err := unix.Mmap(-1, 0, pages*PageSize, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		t.Fatalf("mapping %d pages of test memory: %v", pages, err)
	}
	base := DirectBase
	t.Cleanup(func() {
		DirectBase = base
		if err := unix.Munmap(arena); err != nil {
			t.Errorf("unmapping test memory: %v", err)
		}
	})
	DirectBase = uintptr(unsafe.Pointer(unsafe.SliceData(arena))) - arenaStart
	for i := range arena[:min(len(arena), 4096*PageSize)] {
		arena[i] = 0xA5 // RAM is not zero at power-on
	}
	clearState()
	AddExtent(arenaStart, uint64(pages)*PageSize)
	if NewRoot() == 0 {
		t.Fatal("no memory for page tables")
	}
}

// clearState empties the package's variables, as they are at power-on.
func clearState() {
	ram.nExtents, ram.current, ram.nRuns = 0, 0, 0
	ram.freed, ram.freedCount, ram.low, ram.high = 0, 0, 0, 0
	ram.total, ram.free, ram.lost = 0, 0, 0
	ballooned = 0
	paging.root, paging.tables, paging.live = 0, 0, false
	space.table, space.pages, space.n, space.recent = 0, 0, 0, 0
	space.resident, space.faults, space.zeroed = 0, 0, 0
	space.mapped = [4]uint64{}
	files.records, files.n, files.unused, files.dying, files.pages, files.limit = tree{}, 0, 0, 0, 0, 0
}

// translate is a page walk written from the manual (SDM volume 3, 4.5), apart
// from the code under test: address and write permission, as a processor finds them.
func translate(va uintptr) (pa uint64, writable, executable, ok bool) {
	table := paging.root
	writable, executable = true, true
	for _, level := range []struct{ shift, offset uint }{{39, 0}, {30, 30}, {21, 21}, {12, 12}} {
		e := load(Phys(table) + (va>>level.shift)%512*8)
		if e&1 == 0 {
			return 0, false, false, false
		}
		writable = writable && e&2 != 0
		executable = executable && e>>63 == 0
		table = e & 0x000F_FFFF_FFFF_F000
		if level.offset == 12 || level.offset != 0 && e&0x80 != 0 {
			mask := uint64(1)<<level.offset - 1
			return table&^mask | uint64(va)&mask, writable, executable, true
		}
	}
	panic("unreachable")
}

// access does what the processor and the fault entry do for one access.
func access(t testing.TB, va uintptr, write, exec bool) (pa uint64, answer int) {
	t.Helper()
	for range 2 {
		pa, writable, executable, ok := translate(va)
		if ok && (!write || writable) && (!exec || executable) {
			return pa, Resolved
		}
		if answer := Fault(va, write, exec); answer != Resolved {
			return 0, answer
		}
	}
	t.Fatalf("access to %#x faults again after Resolved", va)
	return 0, 0
}

// peek reads a byte of the program's memory.
func peek(t testing.TB, va uintptr) (byte, int) {
	t.Helper()
	pa, answer := access(t, va, false, false)
	if answer != Resolved {
		return 0, answer
	}
	return byte(load(Phys(pa&^7)) >> (pa % 8 * 8)), Resolved
}

// poke writes a byte of the program's memory.
func poke(t testing.TB, va uintptr, b byte) int {
	t.Helper()
	pa, answer := access(t, va, true, false)
	if answer == Resolved {
		storeByte(Phys(pa), b)
	}
	return answer
}

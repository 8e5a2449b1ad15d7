// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTablesComeBack touches pages all over the program's addresses, gives them up by
// every means there is, and counts frames.
func TestTablesComeBack(t *testing.T) {
	newMachine(t, 4096)
	tables := func() uint64 {
		var c Counters
		ReadCounters(&c)
		return c.Tables
	}
	if _, errno := Mmap(window, PageSize, rw, anon|unix.MAP_FIXED); errno != 0 { // makes the table of areas
		t.Fatal(unix.Errno(errno))
	}
	Munmap(window, PageSize)
	before, free := tables(), Free()
	if before != 1 {
		t.Errorf("%d tables before anything is mapped, want the root", before)
	}
	for range 2000 {
		addr := (UserStart + rand.N(UserEnd-UserStart-64<<20)) &^ pageMask
		length := PageSize + rand.N(uintptr(8<<20))&^pageMask
		if _, errno := Mmap(addr, length, rw, anon|unix.MAP_FIXED); errno != 0 {
			t.Fatal(unix.Errno(errno))
		}
		poke(t, addr, 1)
		poke(t, addr+length-1, 1)
		if rand.N(2) == 0 {
			Mprotect(addr, length, 0)
		}
		to := addr ^ 1<<40
		if rand.N(3) == 0 {
			if _, errno := Mremap(addr, length, length, 3, to); errno != 0 {
				t.Fatal(unix.Errno(errno))
			}
			addr = to
		}
		if rand.N(2) == 0 {
			Madvise(addr, length, adviceDontNeed)
		} else if half := length / 2 &^ pageMask; half > 0 {
			Munmap(addr, half)
		}
		Munmap(addr, length)
		if tables() != before || Free() != free || Resident() != 0 {
			t.Fatalf("%#x+%#x: %d tables, were %d; %d frames free, were %d; %d resident", addr, length, tables(), before, Free(), free, Resident())
		}
	}
	// A table stays as long as something is in it, and what the kernel mapped always.
	if !MapKernel(window, arenaStart+100*PageSize, PageSize, Small) {
		t.Fatal("MapKernel")
	}
	Mmap(window+PageSize, 600*PageSize, rw, anon|unix.MAP_FIXED)
	for i := range uintptr(600) {
		poke(t, window+PageSize+i*PageSize, byte(i))
	}
	Munmap(window+2*PageSize, 599*PageSize)
	if b, answer := peek(t, window+PageSize); b != 0 || answer != Resolved {
		t.Errorf("the page that is left: %d, %d", b, answer)
	}
	Munmap(window+PageSize, PageSize)
	if pa, _, ok := Walk(window); !ok || pa != arenaStart+100*PageSize {
		t.Error("the kernel's page went with the program's")
	}
}

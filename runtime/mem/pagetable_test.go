// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"math/rand/v2"
	"testing"
)

func TestMapKernelPageSizes(t *testing.T) {
	tests := []struct {
		name      string
		va        uintptr
		pa, bytes uint64
		flags     Flags
		tables    uint64 // below the root
	}{
		{"one page", 0x40_0000, 0x1000, 0x1000, Writable, 3},
		{"2 MiB", 0x40_0000, 0x20_0000, 0x20_0000, Writable, 2},
		{"2 MiB in small pages", 0x40_0000, 0x20_0000, 0x20_0000, Small, 3},
		{"1 GiB", 0xFFFF_8000_0000_0000, 0, 1 << 30, Writable | NoExec, 1},
		{"1 GiB without giant pages", 0xFFFF_8000_0000_0000, 0, 1 << 30, NoGiant, 2},
		{"all sizes", 0xFFFF_8000_3FDF_F000, 0x3FDF_F000, 0x1000 + 0x20_0000 + 1<<30 + 0x20_0000 + 0x1000, NoExec, 5},
		{"alignments differ", 0x40_0000, 0x20_1000, 0x20_0000, Uncached, 3},
		{"end of the direct map", 0xFFFF_8000_0000_0000 + MaxPhys - 0x1000, MaxPhys - 0x1000, 0x1000, 0, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			newMachine(t, 200)
			if !MapKernel(test.va, test.pa, test.bytes, test.flags) {
				t.Fatal("not mapped")
			}
			if paging.tables != test.tables+1 {
				t.Errorf("%d tables, want %d", paging.tables-1, test.tables)
			}
			for range 2000 {
				offset := rand.Uint64N(test.bytes)
				checkMapping(t, test.va+uintptr(offset), test.pa+offset, test.flags)
			}
			checkMapping(t, test.va, test.pa, test.flags)
			checkMapping(t, test.va+uintptr(test.bytes-1), test.pa+test.bytes-1, test.flags)
			for _, va := range []uintptr{test.va - 1, test.va + uintptr(test.bytes)} {
				if _, _, _, ok := translate(va); ok && canonical(va) {
					t.Errorf("%#x is mapped", va)
				}
				if _, _, ok := Walk(va); ok {
					t.Errorf("Walk finds %#x", va)
				}
			}
		})
	}
}

func checkMapping(t *testing.T, va uintptr, pa uint64, flags Flags) {
	t.Helper()
	flags &= flagBits
	got, writable, executable, ok := translate(va)
	if !ok || got != pa || writable != (flags&Writable != 0) || executable != (flags&NoExec == 0) {
		t.Fatalf("%#x is at %#x (mapped %v writable %v executable %v), want %#x", va, got, ok, writable, executable, pa)
	}
	if got, f, ok := Walk(va); !ok || got != pa || f != flags {
		t.Fatalf("Walk(%#x) = %#x, %#x, %v, want %#x, %#x", va, got, f, ok, pa, flags)
	}
}

func TestMapRefusals(t *testing.T) {
	newMachine(t, 100)
	if !Map(0x1000, 0x5000, Writable) {
		t.Fatal("not mapped")
	}
	if !MapKernel(0x20_0000, 0x20_0000, 0x20_0000, 0) {
		t.Fatal("not mapped")
	}
	for _, c := range [][2]uint64{{0x1000, 0x6000}, {0x2001, 0x6000}, {0x2000, 0x6001}, {0x20_1000, 0x6000},
		{0x8000_0000_0000, 0x6000}, {0xFFFF_7FFF_FFFF_F000, 0x6000}, {0x2000, 1 << 63}} {
		if Map(uintptr(c[0]), c[1], 0) {
			t.Errorf("mapped %#x to %#x", c[0], c[1])
		}
	}
	for _, c := range [][3]uint64{{0, 0, 0x2000}, {1, 0, 0x1000}, {0x4000, 1, 0x1000}, {0x4000, 0, 1},
		{0x4000, 0, 1 << 63}, {0x4000, MaxPhys, 0x1000}, {0x7FFF_FFFF_F000, 0, 0x2000}} {
		if MapKernel(uintptr(c[0]), c[1], c[2], 0) {
			t.Errorf("mapped %#x bytes at %#x to %#x", c[2], c[0], c[1])
		}
	}
}

func TestUnmapCutsLargePages(t *testing.T) {
	newMachine(t, 100)
	const va = 0xFFFF_8000_4000_0000
	if !MapKernel(va, 1<<30, 1<<30, Writable|NoExec) {
		t.Fatal("not mapped")
	}
	hole := uint64(0x1234_5000)
	if pa := Unmap(va + uintptr(hole)); pa != 1<<30+hole {
		t.Fatalf("Unmap gives %#x", pa)
	}
	if pa := Unmap(va + uintptr(hole)); pa != 0 {
		t.Errorf("Unmap twice gives %#x", pa)
	}
	if _, _, _, ok := translate(va + uintptr(hole)); ok {
		t.Error("still mapped")
	}
	for range 5000 {
		offset := rand.Uint64N(1 << 30)
		if offset&^pageMask != hole {
			checkMapping(t, va+uintptr(offset), 1<<30+offset, Writable|NoExec)
		}
	}
	for _, offset := range []uint64{hole - 1, hole + PageSize} {
		checkMapping(t, va+uintptr(offset), 1<<30+offset, Writable|NoExec)
	}
}

func TestNoMemoryForTables(t *testing.T) {
	newMachine(t, 3) // the root and two more
	if Map(0x1000, 0x5000, 0) {
		t.Error("mapped with two tables where three are needed")
	}
	if _, _, ok := Walk(0x1000); ok {
		t.Error("Walk finds it")
	}
	clearState()
	if NewRoot() != 0 || Map(0x1000, 0x5000, 0) || Unmap(0x1000) != 0 {
		t.Error("page tables out of nothing")
	}
}

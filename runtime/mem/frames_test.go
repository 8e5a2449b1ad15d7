// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import "testing"

func TestExtents(t *testing.T) {
	tests := []struct {
		name        string
		add         [][2]uint64
		total, lost uint64
	}{
		{"whole pages only", [][2]uint64{{0x1001, 0x3000}}, 2, 0},
		{"smaller than a page", [][2]uint64{{0x1001, 0x1ffe}}, 0, 0},
		{"frame 0 is left out", [][2]uint64{{0, 0x3000}}, 2, 0},
		{"overlap refused", [][2]uint64{{0x1000, 0x3000}, {0x2000, 0x4000}}, 3, 4},
		{"same twice", [][2]uint64{{0x1000, 0x3000}, {0x1000, 0x3000}}, 3, 3},
		{"neighbours", [][2]uint64{{0x1000, 0x3000}, {0x4000, 0x1000}}, 4, 0},
		{"wraps around", [][2]uint64{{^uint64(0) - 0xfff, 0x2000}}, 0, 2},
		{"beyond the direct map", [][2]uint64{{MaxPhys - 0x1000, 0x2000}}, 0, 2},
		{"at its end", [][2]uint64{{MaxPhys - 0x1000, 0x1000}}, 1, 0},
		{"size overflows", [][2]uint64{{0x1000, ^uint64(0)}}, 0, ^uint64(0) >> PageShift},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			clearState()
			for _, e := range test.add {
				AddExtent(e[0], e[1])
			}
			if Total() != test.total || Free() != test.total || Lost() != test.lost {
				t.Errorf("total %d free %d lost %d, want %d %d %d",
					Total(), Free(), Lost(), test.total, test.total, test.lost)
			}
		})
	}
}

func TestTooManyExtents(t *testing.T) {
	clearState()
	for i := uint64(0); i < MaxExtents; i++ {
		AddExtent(0x10_0000*(i+1), PageSize*(i+2))
	}
	before := Total()
	AddExtent(0x1_0000_0000, PageSize) // smaller than all
	if Total() != before || Lost() != 1 {
		t.Errorf("total %d lost %d, want %d and 1", Total(), Lost(), before)
	}
	AddExtent(0x1_0000_0000, 100*PageSize) // takes the place of the smallest, 2 pages
	if Total() != before+98 || Lost() != 3 {
		t.Errorf("total %d lost %d, want %d and 3", Total(), Lost(), before+98)
	}
}

func TestFramesAreDistinctAndCounted(t *testing.T) {
	const pages = 300
	newMachine(t, pages)
	AddExtent(arenaStart+pages*PageSize, 0) // nothing
	seen := map[uint64]bool{}
	var frames []uint64
	for {
		pa := AllocFrame()
		if pa == 0 {
			break
		}
		if pa < arenaStart || pa >= arenaStart+pages*PageSize || pa%PageSize != 0 || seen[pa] {
			t.Fatalf("frame %#x is outside, crooked or given twice", pa)
		}
		seen[pa] = true
		frames = append(frames, pa)
	}
	if len(frames) != pages-1-PageReserve || Free() != PageReserve {
		t.Errorf("%d frames, %d free", len(frames), Free())
	}
	for i := range PageReserve {
		pa := allocTable()
		if pa == 0 || seen[pa] {
			t.Fatalf("table %d from the reserve: %#x", i, pa)
		}
		seen[pa] = true
	}
	if pa := allocTable(); pa != 0 {
		t.Errorf("table %#x from an empty machine", pa)
	}
	for _, pa := range frames {
		FreeFrame(pa)
	}
	if Free() != uint64(len(frames)) {
		t.Errorf("%d free after freeing %d", Free(), len(frames))
	}
}

func TestContiguous(t *testing.T) {
	newMachine(t, 200)
	free := Free()
	a, b, c := AllocContig(10), AllocContig(20), AllocContig(30)
	if a == 0 || b == 0 || c == 0 {
		t.Fatalf("got %#x %#x %#x", a, b, c)
	}
	FreeFrames(b, 20) // between two others: kept as a run
	if again := AllocContig(20); again != b {
		t.Errorf("run of 20 not found again: %#x, want %#x", again, b)
	}
	FreeFrames(b, 10)
	FreeFrames(b+10*PageSize, 10) // grows together
	if again := AllocContig(20); again != b {
		t.Errorf("two halves of a run: %#x, want %#x", again, b)
	}
	FreeFrames(c, 30)
	FreeFrames(b, 20)
	FreeFrames(a, 10)
	if Free() != free {
		t.Errorf("%d free, want %d", Free(), free)
	}
	if pa := AllocContig(free - PageReserve); pa == 0 {
		t.Error("the ranges did not grow together again")
	}
	if pa := AllocContig(1); pa != 0 {
		t.Errorf("range %#x out of the reserve", pa)
	}
}

func TestContiguousRefusals(t *testing.T) {
	newMachine(t, 100)
	for _, pages := range []uint64{0, 100, 1 << 52, ^uint64(0)} {
		if pa := AllocContig(pages); pa != 0 {
			t.Errorf("%d pages: %#x", pages, pa)
		}
	}
	free := Free()
	FreeFrame(0)
	FreeFrame(arenaStart + 1)
	FreeFrame(arenaStart + 100*PageSize)
	FreeFrames(arenaStart, 101)
	FreeFrames(arenaStart, ^uint64(0))
	if Free() != free || Lost() == 0 {
		t.Errorf("bad frees were taken: %d free, want %d", Free(), free)
	}
}

func TestManyRuns(t *testing.T) {
	newMachine(t, 1000)
	var ranges []uint64
	for range 2 * (maxRuns + 20) {
		ranges = append(ranges, AllocContig(3))
	}
	free := Free()
	for i := 0; i < len(ranges); i += 2 {
		FreeFrames(ranges[i], 3)
	}
	if want := free + 3*(maxRuns+20); Free() != want {
		t.Fatalf("%d free, want %d", Free(), want)
	}
	for n := Free() - PageReserve; n > 0; n-- {
		if AllocFrame() == 0 {
			t.Fatalf("%d frames are counted as free but not found", n)
		}
	}
}

func TestDamagedFreeList(t *testing.T) {
	newMachine(t, 100)
	a, b, c := AllocFrame(), AllocFrame(), AllocFrame()
	FreeFrame(a)
	FreeFrame(b)
	FreeFrame(c)
	free := Free()
	store(Phys(c), 0xdead_beef_dead_beef)
	if pa := AllocFrame(); pa != c {
		t.Errorf("got %#x, want %#x", pa, c)
	}
	if Free() != free-3 || Lost() != 2 {
		t.Errorf("%d free, %d lost", Free(), Lost())
	}
	for n := Free() - PageReserve; n > 0; n-- {
		if pa := AllocFrame(); pa == 0 || pa == a || pa == b {
			t.Fatalf("frame %#x", pa)
		}
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"math/rand/v2"
	"testing"
)

func TestBalloonKeepsFloor(t *testing.T) {
	newMachine(t, 8192)
	const keep = 3000
	taken := map[uint64]bool{}
	total, before := Total(), Free()
	var runs [][2]uint64
	for {
		pa, n := TakeBalloon(1<<40, keep)
		if n == 0 {
			break
		}
		if n > BalloonPages {
			t.Fatalf("%d pages at once", n)
		}
		for i := range n {
			if frame := pa + i*PageSize; taken[frame] || !isFrame(frame) {
				t.Fatalf("frame %#x twice or not of this machine", frame)
			} else {
				taken[frame] = true
			}
		}
		runs = append(runs, [2]uint64{pa, n})
	}
	if Free() != keep || Ballooned() != before-keep || uint64(len(taken)) != Ballooned() || Total() != total {
		t.Fatalf("free %d, ballooned %d, taken %d of %d", Free(), Ballooned(), len(taken), before)
	}
	if len(runs) > int(before/BalloonPages)+10 {
		t.Errorf("%d pieces for %d untouched pages", len(runs), len(taken))
	}
	// No frame that the allocator still gives may be one of them.
	for range keep - PageReserve {
		if pa := AllocFrame(); pa == 0 || taken[pa] {
			t.Fatalf("frame %#x while the host has it, or none", pa)
		}
	}
	rand.Shuffle(len(runs), func(i, j int) { runs[i], runs[j] = runs[j], runs[i] })
	for _, r := range runs {
		half := r[1] / 2 // in pieces
		if half > 0 && !GiveBalloon(r[0], half) || !GiveBalloon(r[0]+half*PageSize, r[1]-half) {
			t.Fatalf("%#x, %d pages not taken back", r[0], r[1])
		}
	}
	if Free() != before-keep+PageReserve || Ballooned() != 0 || Lost() != 0 {
		t.Errorf("free %d of %d, ballooned %d, lost %d", Free(), before, Ballooned(), Lost())
	}
	again := map[uint64]bool{}
	for pa := takeFrame(); pa != 0; pa = takeFrame() {
		if again[pa] {
			t.Fatalf("frame %#x was given back twice", pa)
		}
		again[pa] = true
		delete(taken, pa)
	}
	if len(taken) > 0 {
		t.Errorf("%d frames were not given back", len(taken))
	}
}

// TestBalloonLeavesAdjacent sees that freed single frames go first when few
// adjacent ones are left.
func TestBalloonLeavesAdjacent(t *testing.T) {
	newMachine(t, 8192)
	var single []uint64
	for range 5000 {
		single = append(single, AllocFrame())
	}
	for _, pa := range single {
		FreeFrame(pa)
	}
	for range Free() - 2000 {
		if _, n := TakeBalloon(1, 2000); n != 1 {
			t.Fatal("no page to be had above the floor")
		}
	}
	if pa := AllocContig(1024); pa == 0 {
		t.Error("no adjacent frames are left for a driver")
	}
}

func TestBalloonRefuses(t *testing.T) {
	newMachine(t, 1024)
	if _, n := TakeBalloon(5, Free()); n != 0 {
		t.Errorf("%d pages below the floor", n)
	}
	if _, n := TakeBalloon(5, ^uint64(0)); n != 0 {
		t.Errorf("%d pages below a huge floor", n)
	}
	if _, n := TakeBalloon(0, 0); n != 0 {
		t.Errorf("%d pages for none", n)
	}
	pa, n := TakeBalloon(5, 0)
	if n != 5 {
		t.Fatalf("%d pages, want 5", n)
	}
	free := Free()
	for _, g := range [][2]uint64{
		{pa, 0}, {pa, 6}, {pa - PageSize, 6}, {pa, BalloonPages + 1}, {pa + 1, 1}, {0, 1}, {^uint64(0) &^ 0xfff, 1}, {ram.high, 1}, {ram.high - PageSize, 2},
	} {
		if GiveBalloon(g[0], g[1]) {
			t.Errorf("%#x, %d pages taken back", g[0], g[1])
		}
	}
	if Free() != free || Ballooned() != 5 || !GiveBalloon(pa, 5) {
		t.Errorf("free %d, ballooned %d", Free(), Ballooned())
	}
}

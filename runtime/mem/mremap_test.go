// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMremapErrorsAreThoseOfLinux(t *testing.T) {
	const p = PageSize
	clearWindow(t)
	for _, side := range []func(uintptr, uintptr, int32, int32) (uintptr, uintptr){linuxMmap, Mmap} {
		side(window, 4*p, rw, anon|unix.MAP_FIXED)
		side(window+4*p, 4*p, unix.PROT_READ, anon|unix.MAP_FIXED)
	}
	for _, test := range []struct {
		old, oldLength, newLength uintptr
		flags                     int32
		fixed                     uintptr
	}{
		{window + 1, p, 2 * p, 1, 0},
		{window, p, 0, 1, 0},
		{window, 0, p, 1, 0},
		{window, p, 2 * p, 8, 0},
		{window, p, 2 * p, 2, window + 20*p},
		{window, p, p, 3, window + 20*p + 1},
		{window, p, p, 3, window},
		{window, 2 * p, p, 3, window + p},
		{window + p, p, 2 * p, 3, window},
		{window, p, p, 3, UserEnd},
		{window, p, UserEnd + p, 3, window + 20*p},
		{window, p, ^uintptr(0), 3, window + 20*p},
		{window, 4 * p, 5 * p, 0, 0},
		{window, 2 * p, 3 * p, 0, 0},
		{window, 5 * p, 6 * p, 1, 0},
		{window, 4 * p, UserEnd, 1, 0},
		{window + 20*p, p, 2 * p, 1, 0},
		{window + 8*p, p, 2 * p, 1, 0},
		{window, 4 * p, 4 * p, 0, 0},
		{window, 4 * p, 3*p + 1, 0, 0},
	} {
		_, theirs := linux(unix.SYS_MREMAP, test.old, test.oldLength, test.newLength, uintptr(test.flags), test.fixed, 0)
		_, ours := Mremap(test.old, test.oldLength, test.newLength, test.flags, test.fixed)
		if ours != theirs {
			t.Errorf("mremap(%#x, %#x, %#x, %d, %#x): %q, on Linux %q", test.old, test.oldLength,
				test.newLength, test.flags, test.fixed, unix.Errno(ours), unix.Errno(theirs))
		}
	}
	compareWindow(t, "all calls")
}

// TestRandomMremapAgainstLinux moves and resizes one area. Areas that Linux
// would not join (it looks at more than protection) are left out.
func TestRandomMremapAgainstLinux(t *testing.T) {
	clearWindow(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	for range 800 {
		linux(unix.SYS_MUNMAP, window, windowPages*PageSize, 0, 0, 0, 0)
		Munmap(window, windowPages*PageSize)
		pages := uintptr(1 + random.IntN(8))
		start := window + 20*PageSize
		for _, side := range []func(uintptr, uintptr, int32, int32) (uintptr, uintptr){linuxMmap, Mmap} {
			side(start, pages*PageSize, rw, anon|unix.MAP_FIXED)
			side(window+40*PageSize, 3*PageSize, unix.PROT_READ, anon|unix.MAP_FIXED)
		}
		if random.IntN(2) == 0 { // something in the way
			linuxMmap(start+pages*PageSize, PageSize, unix.PROT_READ, anon|unix.MAP_FIXED)
			Mmap(start+pages*PageSize, PageSize, unix.PROT_READ, anon|unix.MAP_FIXED)
		}
		for i := uintptr(0); i < pages; i += 1 + uintptr(random.IntN(3)) {
			linuxPoke(start+i*PageSize+mark, byte(i+1))
			poke(t, start+i*PageSize+mark, byte(i+1))
		}
		old := start + uintptr(random.IntN(int(pages)))*PageSize
		oldLength := (1 + uintptr(random.IntN(int(pages-(old-start)/PageSize)))) * PageSize
		newLength := (1 + uintptr(random.IntN(12))) * PageSize
		flags := int32([]int{0, 1, 1, 3}[random.IntN(4)])
		fixed := window + uintptr(random.IntN(windowPages-12))*PageSize
		a, theirs := linux(unix.SYS_MREMAP, old, oldLength, newLength, uintptr(flags), fixed, 0)
		b, ours := Mremap(old, oldLength, newLength, flags, fixed)
		if ours != theirs || (a == old) != (b == old) {
			t.Fatalf("mremap of %d+%d pages to %d, flags %d: %#x %q, on Linux %#x %q", (old-start)/PageSize,
				oldLength/PageSize, newLength/PageSize, flags, b, unix.Errno(ours), a, unix.Errno(theirs))
		}
		if theirs == 0 && a != b {
			compareMoved(t, a, b, newLength)
		}
		compareWindow(t, "mremap")
		checkAreas(t)
	}
}

// compareMoved compares an area that lies at a on Linux and at b with us, and unmaps both.
func compareMoved(t *testing.T, a, b, length uintptr) {
	t.Helper()
	for i := uintptr(0); i < length; i += PageSize {
		theirs, _ := linuxPeek(a + i + mark)
		if ours, answer := peek(t, b+i+mark); answer != Resolved || ours != theirs {
			t.Fatalf("moved page %d holds %d, on Linux %d", i/PageSize, ours, theirs)
		}
	}
	linux(unix.SYS_MUNMAP, a, length, 0, 0, 0, 0)
	if errno := Munmap(b, length); errno != 0 {
		t.Fatalf("munmap of %#x: %v", b, unix.Errno(errno))
	}
}

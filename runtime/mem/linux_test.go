// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The tests in this file do the same to Linux and to this package, and compare.

const (
	anon        = unix.MAP_ANON | unix.MAP_PRIVATE
	rw          = unix.PROT_READ | unix.PROT_WRITE
	windowPages = 64
)

// window is a range that neither the Go runtime nor Linux uses by itself.
const window uintptr = 0x2000_0000_0000

// mark is where in a page the tests read and write: not at its start, where a
// freed frame has its link.
const mark uintptr = 200

func linux(number, a, b, c, d, e, f uintptr) (uintptr, uintptr) {
	r, _, errno := unix.Syscall6(number, a, b, c, d, e, f)
	if errno != 0 {
		return 0, uintptr(errno)
	}
	return r, 0
}

func linuxMmap(addr, length uintptr, prot, flags int32) (uintptr, uintptr) {
	return linux(unix.SYS_MMAP, addr, length, uintptr(prot), uintptr(flags), ^uintptr(0), 0)
}

// pipe is what Linux copies through when we look at memory: as the processor
// would, it reads whatever is accessible and writes what is writable.
var pipe = sync.OnceValue(func() (p [2]int) {
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK); err != nil {
		panic(err)
	}
	return p
})

// linuxPeek reads a byte of this process, if Linux lets it be read.
func linuxPeek(va uintptr) (b byte, ok bool) {
	if _, errno := linux(unix.SYS_WRITE, uintptr(pipe()[1]), va, 1, 0, 0, 0); errno != 0 {
		return 0, false
	}
	var got [1]byte
	unix.Read(pipe()[0], got[:])
	return got[0], true
}

// linuxPoke writes one, if Linux lets it be written.
func linuxPoke(va uintptr, b byte) bool {
	unix.Write(pipe()[1], []byte{b})
	_, errno := linux(unix.SYS_READ, uintptr(pipe()[0]), va, 1, 0, 0, 0)
	if errno != 0 {
		unix.Read(pipe()[0], make([]byte, 1))
	}
	return errno == 0
}

// clearWindow unmaps the window on both sides and skips the test where Linux
// does not let us look.
func clearWindow(t *testing.T) {
	t.Helper()
	newMachine(t, 4096)
	both := func() { linux(unix.SYS_MUNMAP, window, windowPages*PageSize, 0, 0, 0, 0) }
	both()
	t.Cleanup(both)
	if _, errno := linuxMmap(window, PageSize, rw, anon|unix.MAP_FIXED); errno != 0 {
		t.Skipf("Linux does not map %#x: %v", window, unix.Errno(errno))
	}
	if !linuxPoke(window, 7) {
		t.Fatal("Linux does not write to writable memory")
	}
	both()
}

// compareWindow compares each page: readable, writable, contents.
func compareWindow(t *testing.T, when string) {
	t.Helper()
	for page := window + mark; page < window+windowPages*PageSize; page += PageSize {
		theirs, readable := linuxPeek(page)
		ours, answer := peek(t, page)
		if readable != (answer == Resolved) || ours != theirs {
			t.Fatalf("after %s: page %d: Linux reads %d (%v), we read %d (%v)",
				when, (page-window)/PageSize, theirs, readable, ours, answer == Resolved)
		}
		if readable != Valid(page-mark, PageSize, false) {
			t.Fatalf("after %s: Valid is wrong for page %d", when, (page-window)/PageSize)
		}
		writable := readable && linuxPoke(page, theirs)
		if writable != (poke(t, page, ours) == Resolved) || writable != Valid(page-mark, PageSize, true) {
			t.Fatalf("after %s: page %d: Linux writable %v", when, (page-window)/PageSize, writable)
		}
	}
}

func TestErrorsAreThoseOfLinux(t *testing.T) {
	const p = PageSize
	type call struct {
		name  string
		a, b  uintptr
		c     int32
		flags int32
	}
	tests := []call{
		{"mmap", 0, 0, rw, anon},
		{"mmap", 0, ^uintptr(0), rw, anon},
		{"mmap", 0, ^uintptr(0) - p, rw, anon},
		{"mmap", 0, UserEnd + p, rw, anon},
		{"mmap", 0, UserEnd, rw, anon},
		{"mmap", 0, p, rw, unix.MAP_ANON},
		{"mmap", 0, p, rw, unix.MAP_ANON | 3},
		{"mmap", 0, p, rw, unix.MAP_ANON | 15},
		{"mmap", window + 1, p, rw, anon | unix.MAP_FIXED},
		{"mmap", window + 1, p, rw, anon | unix.MAP_FIXED_NOREPLACE},
		{"mmap", UserEnd, p, rw, anon | unix.MAP_FIXED},
		{"mmap", UserEnd - p, 2 * p, rw, anon | unix.MAP_FIXED},
		{"mmap", UserEnd + 1, p, rw, anon | unix.MAP_FIXED},
		{"mmap", ^uintptr(0) &^ (p - 1), p, rw, anon | unix.MAP_FIXED},
		{"mmap", ^uintptr(0) &^ (p - 1), 2 * p, rw, anon | unix.MAP_FIXED},
		{"mmap", window + 4*p, 4 * p, rw, anon | unix.MAP_FIXED},
		{"mmap", window, 5 * p, rw, anon | unix.MAP_FIXED_NOREPLACE},
		{"mmap", window, 4 * p, rw, anon | unix.MAP_FIXED_NOREPLACE},
		{"mmap", window + 7*p, 2 * p, rw, anon | unix.MAP_FIXED_NOREPLACE},
		{"mmap", window + 8*p, 4 * p, rw | 0x10, anon | unix.MAP_FIXED},
		{"mmap", window + 12*p, 4 * p, 0, anon | unix.MAP_FIXED | unix.MAP_NORESERVE},
		{"mmap", window + 16*p, 4 * p, unix.PROT_READ, unix.MAP_SHARED | unix.MAP_ANON | unix.MAP_FIXED},
		{"mmap", window + 32*p, p, rw, unix.MAP_SHARED | unix.MAP_ANON | unix.MAP_FIXED | unix.MAP_GROWSDOWN},
		{"munmap", window + 1, p, 0, 0},
		{"munmap", window, 0, 0, 0},
		{"munmap", window + 1, 0, 0, 0},
		{"munmap", window, ^uintptr(0), 0, 0},
		{"munmap", UserEnd, p, 0, 0},
		{"munmap", UserEnd + p, p, 0, 0},
		{"munmap", UserEnd, 0, 0, 0},
		{"munmap", ^uintptr(0) &^ (p - 1), p, 0, 0},
		{"munmap", window + 40*p, p, 0, 0},
		{"munmap", window + 5*p, 1, 0, 0},
		{"mprotect", window + 1, p, rw, 0},
		{"mprotect", window + 1, 0, rw, 0},
		{"mprotect", window, 0, rw, 0},
		{"mprotect", window, 0, 0x40, 0},
		{"mprotect", window, 5 * p, rw, 0},
		{"mprotect", window + 4*p, p, 0x40, 0},
		{"mprotect", window + 4*p, p, unix.PROT_GROWSDOWN | rw, 0},
		{"mprotect", window + 4*p, p, unix.PROT_GROWSUP | unix.PROT_GROWSDOWN, 0},
		{"mprotect", window, p, unix.PROT_GROWSDOWN, 0},
		{"mprotect", window + 4*p, ^uintptr(0), rw, 0},
		{"mprotect", window + 4*p, ^uintptr(0) - window, rw, 0},
		{"mprotect", window + 4*p, 2 * p, unix.PROT_READ, 0},
		{"mprotect", window + 4*p, 1, unix.PROT_WRITE, 0},
		{"mprotect", window + 6*p, 1, unix.PROT_EXEC, 0},
		{"mprotect", ^uintptr(0) &^ (p - 1), p, rw, 0},
		{"madvise", window + 4*p, p, -1, 0},
		{"madvise", window + 4*p, p, 5, 0},
		{"madvise", window + 4*p, p, 7, 0},
		{"madvise", window + 4*p, p, 26, 0},
		{"madvise", window + 4*p, p, 64, 0},
		{"madvise", window + 1, p, unix.MADV_DONTNEED, 0},
		{"madvise", window + 1, 0, unix.MADV_DONTNEED, 0},
		{"madvise", window, 0, unix.MADV_DONTNEED, 0},
		{"madvise", window, p, unix.MADV_DONTNEED, 0},
		{"madvise", window + 7*p, 3 * p, unix.MADV_DONTNEED, 0},
		{"madvise", window + 4*p, ^uintptr(0), unix.MADV_DONTNEED, 0},
		{"madvise", window + 4*p, ^uintptr(0) - p, unix.MADV_DONTNEED, 0},
		{"madvise", UserEnd, p, unix.MADV_DONTNEED, 0},
		{"madvise", window + 8*p, p, unix.MADV_NORMAL, 0},
		{"madvise", window + 8*p, p, unix.MADV_RANDOM, 0},
		{"madvise", window + 8*p, p, unix.MADV_SEQUENTIAL, 0},
		{"madvise", window + 8*p, p, unix.MADV_DONTFORK, 0},
		{"madvise", window + 8*p, p, unix.MADV_DOFORK, 0},
		{"madvise", window + 8*p, p, unix.MADV_DONTDUMP, 0},
		{"madvise", window + 8*p, p, unix.MADV_DODUMP, 0},
		{"madvise", window + 8*p, p, unix.MADV_FREE, 0},
		{"madvise", window + 16*p, p, unix.MADV_FREE, 0},
		{"madvise", window + 8*p, p, unix.MADV_REMOVE, 0},
		{"madvise", window + 16*p, p, unix.MADV_REMOVE, 0},
		{"madvise", window + 8*p, p, unix.MADV_COLD, 0},
		{"madvise", window + 8*p, p, unix.MADV_PAGEOUT, 0},
		{"madvise", window + 8*p, p, unix.MADV_POPULATE_READ, 0},
		{"madvise", window + 8*p, p, unix.MADV_POPULATE_WRITE, 0},
		{"madvise", window + 12*p, p, unix.MADV_POPULATE_READ, 0},
		{"madvise", window + 16*p, p, unix.MADV_POPULATE_WRITE, 0},
		{"madvise", window + 11*p, 2 * p, unix.MADV_POPULATE_WRITE, 0},
		{"madvise", window, p, unix.MADV_POPULATE_READ, 0},
		{"madvise", window + 8*p, p, unix.MADV_HUGEPAGE, 0},
		{"madvise", window + 8*p, p, unix.MADV_NOHUGEPAGE, 0},
		{"madvise", window + 8*p, p, unix.MADV_COLLAPSE, 0},
		{"madvise", window, p, unix.MADV_HUGEPAGE, 0},
	}
	clearWindow(t)
	for _, test := range tests {
		var theirs, ours uintptr
		switch test.name {
		case "mmap":
			_, theirs = linuxMmap(test.a, test.b, test.c, test.flags)
			_, ours = Mmap(test.a, test.b, test.c, test.flags)
		case "munmap":
			_, theirs = linux(unix.SYS_MUNMAP, test.a, test.b, 0, 0, 0, 0)
			ours = Munmap(test.a, test.b)
		case "mprotect":
			_, theirs = linux(unix.SYS_MPROTECT, test.a, test.b, uintptr(test.c), 0, 0, 0)
			ours = Mprotect(test.a, test.b, test.c)
		case "madvise":
			_, theirs = linux(unix.SYS_MADVISE, test.a, test.b, uintptr(test.c), 0, 0, 0)
			ours = Madvise(test.a, test.b, test.c)
		}
		if ours != theirs {
			t.Errorf("%s(%#x, %#x, %#x, %#x): %q, on Linux %q", test.name, test.a, test.b,
				test.c, test.flags, unix.Errno(ours), unix.Errno(theirs))
		}
	}
	compareWindow(t, "all calls")
}

// TestRandomCallsAgainstLinux does random calls to the window on both sides,
// and compares what they return and all that can be seen in the window.
func TestRandomCallsAgainstLinux(t *testing.T) {
	clearWindow(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	for step := range 3000 {
		page := random.UintN(windowPages)
		addr := window + uintptr(page)*PageSize
		length := uintptr(1+random.UintN(min(windowPages-page, 12))) * PageSize
		prot := []int32{0, unix.PROT_READ, rw, rw, unix.PROT_WRITE, unix.PROT_EXEC}[random.IntN(6)]
		var theirs, ours uintptr
		name := ""
		switch random.IntN(9) {
		case 0, 1:
			name = "mmap fixed"
			_, theirs = linuxMmap(addr, length, prot, anon|unix.MAP_FIXED)
			_, ours = Mmap(addr, length, prot, anon|unix.MAP_FIXED)
		case 2:
			name = "mmap noreplace"
			_, theirs = linuxMmap(addr, length, prot, anon|unix.MAP_FIXED_NOREPLACE)
			_, ours = Mmap(addr, length, prot, anon|unix.MAP_FIXED_NOREPLACE)
		case 3:
			name = "mmap shared"
			shared := int32(unix.MAP_ANON | unix.MAP_SHARED | unix.MAP_FIXED)
			_, theirs = linuxMmap(addr, length, prot, shared)
			_, ours = Mmap(addr, length, prot, shared)
		case 4:
			name = "munmap"
			_, theirs = linux(unix.SYS_MUNMAP, addr, length, 0, 0, 0, 0)
			ours = Munmap(addr, length)
		case 5, 6:
			name = "mprotect"
			_, theirs = linux(unix.SYS_MPROTECT, addr, length, uintptr(prot), 0, 0, 0)
			ours = Mprotect(addr, length, prot)
		case 7:
			name = "madvise dontneed"
			_, theirs = linux(unix.SYS_MADVISE, addr, length, unix.MADV_DONTNEED, 0, 0, 0)
			ours = Madvise(addr, length, unix.MADV_DONTNEED)
		case 8:
			name = "mmap hint"
			theirs, ours = compareHint(t, addr, length, prot)
		}
		if ours != theirs {
			t.Fatalf("step %d: %s pages %d+%d prot %d: %q, on Linux %q", step, name,
				page, length/PageSize, prot, unix.Errno(ours), unix.Errno(theirs))
		}
		value := byte(1 + step%255)
		linuxPoke(addr+mark, value)
		poke(t, addr+mark, value)
		compareWindow(t, name)
		checkAreas(t)
	}
}

// compareHint maps with a hint, which may be crooked and is then rounded down.
// Where it is not free, the two sides choose different addresses, and the
// mapping is taken away again.
func compareHint(t *testing.T, addr, length uintptr, prot int32) (theirs, ours uintptr) {
	t.Helper()
	hint := addr + rand.N(uintptr(2))
	a, theirs := linuxMmap(hint, length, prot, anon)
	b, ours := Mmap(hint, length, prot, anon)
	if (a == addr) != (b == addr) {
		t.Fatalf("hint %#x+%#x: %#x, on Linux %#x", hint, length, b, a)
	}
	if a != addr && theirs == 0 && ours == 0 {
		linux(unix.SYS_MUNMAP, a, length, 0, 0, 0, 0)
		if errno := Munmap(b, length); errno != 0 {
			t.Fatalf("munmap of %#x: %v", b, unix.Errno(errno))
		}
	}
	return theirs, ours
}

// checkAreas checks what must hold of the table of areas at all times.
func checkAreas(t *testing.T) {
	t.Helper()
	var pages [4]uint64
	for i := range space.n {
		a := *at(i)
		if a.start >= a.end || (a.start|a.end)&pageMask != 0 || a.start < UserStart || a.end > UserEnd {
			t.Fatalf("area %d is %#x-%#x", i, a.start, a.end)
		}
		if i > 0 {
			b := *at(i - 1)
			if b.end > a.start || b.end == a.start && alike(&b, &a) {
				t.Fatalf("areas %+v and %+v overlap or should be one", b, a)
			}
		}
		if uint64(space.n)*uint64(areaSize) > space.pages*PageSize {
			t.Fatalf("%d areas in %d pages", space.n, space.pages)
		}
		pages[a.kind] += uint64(a.end-a.start) / PageSize
	}
	if pages != space.mapped {
		t.Fatalf("%v pages by kind, counted %v", pages, space.mapped)
	}
}

func TestMincoreAgainstLinux(t *testing.T) {
	clearWindow(t)
	const length = 16 * PageSize
	linuxMmap(window, length, rw, anon|unix.MAP_FIXED)
	Mmap(window, length, rw, anon|unix.MAP_FIXED)
	linux(unix.SYS_MADVISE, window, length, unix.MADV_NOHUGEPAGE, 0, 0, 0)
	for _, page := range []uintptr{1, 2, 5, 15} {
		linuxPoke(window+page*PageSize, 1)
		poke(t, window+page*PageSize, 1)
	}
	vec, errno := Mmap(0, PageSize, rw, anon)
	if errno != 0 {
		t.Fatal(unix.Errno(errno))
	}
	for _, test := range []struct{ addr, length uintptr }{
		{window, length}, {window, length + PageSize}, {window - PageSize, length}, {window + 1, length},
		{window, 0}, {window, 1}, {window, ^uintptr(0)}, {UserEnd, PageSize}, {UserEnd - PageSize, 1},
		{window + length, 0},
	} {
		result := make([]byte, 64)
		_, theirs := linux(unix.SYS_MINCORE, test.addr, test.length, uintptr(unsafe.Pointer(&result[0])), 0, 0, 0)
		ours := Mincore(test.addr, test.length, vec)
		if ours != theirs {
			t.Errorf("mincore(%#x, %#x): %q, on Linux %q", test.addr, test.length, unix.Errno(ours), unix.Errno(theirs))
		}
		if theirs != 0 {
			continue
		}
		for i := range (test.length + PageSize - 1) / PageSize {
			if b, _ := peek(t, vec+i); b != result[i]&1 {
				t.Errorf("mincore(%#x, %#x): page %d is %d, on Linux %d", test.addr, test.length, i, b, result[i])
			}
		}
	}
	if errno := Mincore(window, length, 8); errno != EFAULT {
		t.Errorf("mincore to a bad vector: %q", unix.Errno(errno))
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFault(t *testing.T) {
	newMachine(t, 200)
	const p = PageSize
	base := uintptr(0x40_0000)
	for i, prot := range []int32{0, ProtRead, ProtRead | ProtWrite, ProtRead | ProtExec, ProtWrite, ProtExec} {
		if _, errno := Mmap(base+uintptr(i)*p, p, prot, anon|unix.MAP_FIXED); errno != 0 {
			t.Fatal(unix.Errno(errno))
		}
	}
	tests := []struct {
		name              string
		page              uintptr
		read, write, exec int
	}{
		{"none", 0, FaultDenied, FaultDenied, FaultDenied},
		{"read", 1, Resolved, FaultDenied, FaultDenied},
		{"read and write", 2, Resolved, Resolved, FaultDenied},
		{"read and exec", 3, Resolved, FaultDenied, Resolved},
		{"write", 4, Resolved, Resolved, FaultDenied},
		{"exec", 5, Resolved, FaultDenied, Resolved},
		{"hole", 6, FaultUnmapped, FaultUnmapped, FaultUnmapped},
	}
	for _, test := range tests {
		va := base + test.page*p + 123
		if _, answer := access(t, va, false, false); answer != test.read {
			t.Errorf("%s: read: %d, want %d", test.name, answer, test.read)
		}
		if _, answer := access(t, va, true, false); answer != test.write {
			t.Errorf("%s: write: %d, want %d", test.name, answer, test.write)
		}
		if _, answer := access(t, va, false, true); answer != test.exec {
			t.Errorf("%s: exec: %d, want %d", test.name, answer, test.exec)
		}
	}
	for _, va := range []uintptr{0, 8, UserStart - 1, UserEnd, 1 << 47, ^uintptr(0)} {
		if answer := Fault(va, true, false); answer != FaultUnmapped {
			t.Errorf("%#x: %d", va, answer)
		}
	}
}

func TestProtNoneKeepsContents(t *testing.T) {
	newMachine(t, 200)
	addr, _ := Mmap(0, PageSize, rw, anon)
	poke(t, addr+5, 42)
	Mprotect(addr, PageSize, 0)
	if _, answer := peek(t, addr+5); answer != FaultDenied {
		t.Errorf("read of PROT_NONE: %d", answer)
	}
	Mprotect(addr, PageSize, ProtRead)
	if b, answer := peek(t, addr+5); b != 42 || answer != Resolved {
		t.Errorf("read %d (%d) after PROT_NONE and back", b, answer)
	}
	if answer := poke(t, addr+5, 1); answer != FaultDenied {
		t.Errorf("write to PROT_READ: %d", answer)
	}
	Mprotect(addr, PageSize, 0)
	Munmap(addr, PageSize)
	if Resident() != 0 {
		t.Errorf("%d frames left", Resident())
	}
}

func TestFreedMemoryReadsAsZero(t *testing.T) {
	for _, advice := range []int32{unix.MADV_DONTNEED, unix.MADV_FREE} {
		newMachine(t, 200)
		addr, _ := Mmap(0, 8*PageSize, rw, anon)
		for i := range uintptr(8) {
			poke(t, addr+i*PageSize+mark, 0xA5)
		}
		if errno := Madvise(addr+PageSize, 3*PageSize, advice); errno != 0 || Resident() != 5 {
			t.Fatalf("madvise: %q, %d frames resident, want 5", unix.Errno(errno), Resident())
		}
		for i := range uintptr(8) {
			want := byte(0xA5)
			if i >= 1 && i < 4 {
				want = 0
			}
			if b, _ := peek(t, addr+i*PageSize+mark); b != want {
				t.Errorf("page %d reads %#x, want %#x", i, b, want)
			}
		}
	}
}

func TestOutOfMemory(t *testing.T) {
	newMachine(t, 100)
	addr, errno := Mmap(0, 1<<40, rw, anon|unix.MAP_NORESERVE)
	if errno != 0 {
		t.Fatal(unix.Errno(errno))
	}
	n := 0
	for ; Fault(addr+uintptr(n)*PageSize, true, false) == Resolved; n++ {
	}
	if n < 50 || Fault(addr+uintptr(n)*PageSize, true, false) != FaultNoMemory {
		t.Errorf("%d pages filled", n)
	}
	if Prepare(addr, uintptr(n+1)*PageSize, true) {
		t.Error("Prepare finds memory")
	}
	if errno := Madvise(addr, uintptr(n+1)*PageSize, unix.MADV_POPULATE_WRITE); errno != ENOMEM {
		t.Errorf("populate: %q", unix.Errno(errno))
	}
	if !Map(0xFFFF_9000_0000_0000, 0x1000, Writable) {
		t.Error("the reserve has no page table for the kernel")
	}
	if errno := Munmap(addr, 1<<40); errno != 0 || Resident() != 0 {
		t.Errorf("munmap: %q, %d frames resident", unix.Errno(errno), Resident())
	}
}

func TestPopulate(t *testing.T) {
	newMachine(t, 200)
	addr, errno := Mmap(0, 10*PageSize, rw, anon|unix.MAP_POPULATE)
	if errno != 0 || Resident() != 10 {
		t.Fatalf("%q, %d frames", unix.Errno(errno), Resident())
	}
	if low, errno := Mmap(0, PageSize, rw, anon|unix.MAP_32BIT); errno != 0 || low >= low2GEnd {
		t.Errorf("MAP_32BIT: %#x %q", low, unix.Errno(errno))
	}
	if _, errno := Mmap(addr, PageSize, rw, anon|unix.MAP_HUGETLB); errno != ENOMEM {
		t.Errorf("MAP_HUGETLB: %q", unix.Errno(errno))
	}
}

func TestReservedIsNeverTakenAway(t *testing.T) {
	newMachine(t, 200)
	const image, pages = uintptr(0x40_0000), 16
	if !MapKernel(image, arenaStart+100*PageSize, pages*PageSize, Small|NoExec) {
		t.Fatal("not mapped")
	}
	Unmap(image + 3*PageSize) // a guard page
	if errno := Reserve(image, image+pages*PageSize, ProtRead); errno != 0 {
		t.Fatal(unix.Errno(errno))
	}
	for name, errno := range map[string]uintptr{
		"reserve again": Reserve(image, image+PageSize, ProtRead) - EEXIST + EPERM,
		"munmap":        Munmap(image-PageSize, 3*PageSize),
		"mprotect":      Mprotect(image, PageSize, rw),
		"dontneed":      Madvise(image, PageSize, unix.MADV_DONTNEED),
		"mmap fixed":    second(Mmap(image+15*PageSize, 2*PageSize, rw, anon|unix.MAP_FIXED)),
		"mremap":        second(Mremap(image, PageSize, 2*PageSize, 1, 0)),
		"mremap onto":   mremapOnto(t, image),
	} {
		if errno != EPERM {
			t.Errorf("%s: %q", name, unix.Errno(errno))
		}
	}
	if answer := Fault(image+3*PageSize, false, false); answer != FaultUnmapped {
		t.Errorf("guard page: %d", answer)
	}
	if answer := Fault(image, false, false); answer != Resolved {
		t.Errorf("stale translation: %d", answer)
	}
	if answer := Fault(image, true, false); answer != FaultDenied {
		t.Errorf("write: %d", answer)
	}
	if addr, errno := Mmap(image, PageSize, rw, anon); errno != 0 || addr == image {
		t.Errorf("hint at the image: %#x %q", addr, unix.Errno(errno))
	}
	for _, r := range [][2]uintptr{{0, PageSize}, {image, image}, {image + 1, image + PageSize}, {UserEnd, UserEnd + PageSize}, {PageSize, 0}} {
		if errno := Reserve(r[0], r[1], ProtRead); errno != EINVAL {
			t.Errorf("Reserve(%#x, %#x): %q", r[0], r[1], unix.Errno(errno))
		}
	}
}

func second(_, errno uintptr) uintptr { return errno }

func mremapOnto(t *testing.T, image uintptr) uintptr {
	t.Helper()
	addr, _ := Mmap(0, PageSize, rw, anon)
	_, errno := Mremap(addr, PageSize, PageSize, 3, image)
	return errno
}

// TestManyAreas fills the table to its limit, which is where Linux's errno is ENOMEM.
func TestManyAreas(t *testing.T) {
	newMachine(t, 4096)
	base := uintptr(0x1000_0000)
	for i := range uintptr(MaxAreas) {
		if _, errno := Mmap(base+2*i*PageSize, PageSize, rw, anon|unix.MAP_FIXED); errno != 0 {
			t.Fatalf("area %d: %q", i, unix.Errno(errno))
		}
	}
	if _, errno := Mmap(base-2*PageSize, PageSize, rw, anon|unix.MAP_FIXED); errno != ENOMEM {
		t.Errorf("one area too many: %q", unix.Errno(errno))
	}
	checkAreas(t)
	if errno := Munmap(base, PageSize); errno != ENOMEM && errno != 0 {
		t.Errorf("munmap at the limit: %q", unix.Errno(errno))
	}
}

// TestHoles cuts one area into many, over several sizes of the table.
func TestHoles(t *testing.T) {
	newMachine(t, 200)
	const holes = 1000
	addr, _ := Mmap(0, 2*holes*PageSize, rw, anon)
	for i := range uintptr(holes) {
		if errno := Munmap(addr+(2*i+1)*PageSize, PageSize); errno != 0 {
			t.Fatal(unix.Errno(errno))
		}
		checkAreas(t)
	}
	if space.n != holes {
		t.Errorf("%d areas", space.n)
	}
	for i := range uintptr(holes - 1) {
		Mmap(addr+(2*i+1)*PageSize, PageSize, rw, anon|unix.MAP_FIXED)
	}
	if checkAreas(t); space.n != 1 {
		t.Errorf("%d areas after the holes are filled", space.n)
	}
}

// modelPage is a page in the simple model of TestRandomCallsAgainstModel.
type modelPage struct {
	mapped, shared bool
	prot           int32
	value          byte
	resident       bool
}

// TestRandomCallsAgainstModel covers what Linux as a model cannot: frames are
// counted, memory runs out, tables are crossed, pages are far apart.
func TestRandomCallsAgainstModel(t *testing.T) {
	for _, base := range []uintptr{UserStart, 0x7F_FFFF_F000 - 40*PageSize, 0x4000_0000 - 90*PageSize, UserEnd - 256*PageSize} {
		newMachine(t, 400)
		seed := rand.Uint64()
		t.Logf("base %#x seed %d", base, seed)
		runModel(t, base, rand.New(rand.NewPCG(seed, 0)))
	}
}

func runModel(t *testing.T, base uintptr, random *rand.Rand) {
	var model [256]modelPage
	free := Free()
	for step := range 4000 {
		first := random.IntN(len(model))
		last := min(first+1+random.IntN(40), len(model))
		addr, length := base+uintptr(first)*PageSize, uintptr(last-first)*PageSize
		pages := model[first:last]
		prot := []int32{0, ProtRead, rw, rw}[random.IntN(4)]
		switch random.IntN(6) {
		case 0:
			shared := random.IntN(4) == 0
			flags := int32(anon | unix.MAP_FIXED)
			if shared {
				flags = unix.MAP_SHARED | unix.MAP_ANON | unix.MAP_FIXED
			}
			if _, errno := Mmap(addr, length, prot, flags); errno != 0 {
				t.Fatalf("step %d: mmap: %q", step, unix.Errno(errno))
			}
			for i := range pages {
				pages[i] = modelPage{mapped: true, shared: shared, prot: prot}
			}
		case 1:
			if errno := Munmap(addr, length); errno != 0 {
				t.Fatalf("step %d: munmap: %q", step, unix.Errno(errno))
			}
			clearPages(pages)
		case 2:
			errno := Mprotect(addr, length, prot)
			want := uintptr(0)
			for i := range pages {
				if !pages[i].mapped {
					want = ENOMEM
					break
				}
				pages[i].prot = prot
			}
			if errno != want {
				t.Fatalf("step %d: mprotect: %q, want %q", step, unix.Errno(errno), unix.Errno(want))
			}
		case 3:
			Madvise(addr, length, unix.MADV_DONTNEED)
			for i := range pages {
				if !pages[i].shared {
					pages[i].value, pages[i].resident = 0, false
				}
			}
		default:
			touchModel(t, addr, &model[first], byte(step), random.IntN(2) == 0)
		}
		checkModel(t, step, base, &model, free)
	}
	Munmap(base, uintptr(len(model))*PageSize)
	clearPages(model[:])
	checkModel(t, -1, base, &model, free)
}

func clearPages(pages []modelPage) {
	for i := range pages {
		pages[i] = modelPage{}
	}
}

// touchModel reads or writes a page and says so to the model.
func touchModel(t *testing.T, addr uintptr, p *modelPage, value byte, write bool) {
	t.Helper()
	want := Resolved
	switch {
	case !p.mapped:
		want = FaultUnmapped
	case p.prot == 0 || write && p.prot&ProtWrite == 0:
		want = FaultDenied
	}
	answer, got := 0, byte(0)
	if write {
		answer = poke(t, addr+mark, value)
	} else {
		got, answer = peek(t, addr+mark)
	}
	if answer != want || answer == Resolved && !write && got != p.value {
		t.Fatalf("%#x: write %v: %d, want %d; value %d, want %d", addr, write, answer, want, got, p.value)
	}
	if answer == Resolved {
		p.resident = true
		if write {
			p.value = value
		}
	}
}

// checkModel counts the frames, and compares residency and values.
func checkModel(t *testing.T, step int, base uintptr, model *[256]modelPage, free uint64) {
	t.Helper()
	resident := uint64(0)
	for i := range model {
		va := base + uintptr(i)*PageSize
		entry, shift := findEntry(va)
		if has := entry != 0 && shift == shiftSmall && load(entry) != 0; has != model[i].resident {
			t.Fatalf("step %d: page %d has a frame: %v, want %v", step, i, has, model[i].resident)
		}
		if model[i].resident {
			resident++
		}
		if pa, _, _, ok := translate(va); ok && byte(load(Phys(pa+uint64(mark)))) != model[i].value {
			t.Fatalf("step %d: page %d holds %d, want %d", step, i, byte(load(Phys(pa+uint64(mark)))), model[i].value)
		}
	}
	if Resident() != resident || Free()+resident+paging.tables-1+space.pages != free {
		t.Fatalf("step %d: %d frames resident, want %d; %d free, %d tables, %d for areas, %d at first",
			step, Resident(), resident, Free(), paging.tables-1, space.pages, free)
	}
	checkAreas(t)
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTree(t *testing.T) {
	newMachine(t, 4096)
	base := Free()
	var tr tree
	model := make(map[uint64]uint64)
	random := rand.New(rand.NewPCG(1, 2))
	number := func() uint64 {
		return random.Uint64N(1 << random.UintN(treeLevels*treeBits+1))
	}
	for range 20000 {
		i := number()
		if random.IntN(3) > 0 && model[i] == 0 && len(model) < 300 {
			frame := AllocFrame()
			if !tr.put(i, frame) {
				t.Fatalf("put of %#x with %d free", i, Free())
			}
			model[i] = frame
			continue
		}
		for k := range model { // or one that is there
			if random.IntN(2) == 0 {
				i = k
			}
			break
		}
		if got := tr.get(i); got != model[i] {
			t.Fatalf("get(%#x) = %#x, want %#x", i, got, model[i])
		}
		want := ^uint64(0)
		for k := range model {
			if k >= i {
				want = min(want, k)
			}
		}
		if k, frame := tr.next(i); want == ^uint64(0) && frame != 0 || want != ^uint64(0) && (k != want || frame != model[want]) {
			t.Fatalf("next(%#x) = %#x, %#x, want %#x", i, k, frame, want)
		}
		if got := tr.take(i); got != model[i] {
			t.Fatalf("take(%#x) = %#x, want %#x", i, got, model[i])
		} else if got != 0 {
			FreeFrame(got)
			delete(model, i)
		}
	}
	for i, frame := range model {
		if tr.take(i) != frame {
			t.Fatalf("%#x is lost", i)
		}
		FreeFrame(frame)
	}
	if Free() != base || tr != (tree{}) {
		t.Errorf("%d frames are free, were %d; the empty tree is %+v", Free(), base, tr)
	}
	if tr.put(treeMax, arenaStart) || tr.get(treeMax) != 0 || tr.take(^uint64(0)) != 0 {
		t.Error("numbers out of range are in the tree")
	}
}

func TestTreeWithoutMemory(t *testing.T) {
	newMachine(t, 100)
	var tr tree
	i := uint64(0)
	for tr.put(i<<20, arenaStart+50*PageSize) {
		i++
	}
	if i == 0 || Free() < PageReserve {
		t.Errorf("%d entries, %d frames are free", i, Free())
	}
	for j := range i {
		if tr.take(j<<20) == 0 {
			t.Errorf("entry %d is lost", j)
		}
	}
}

// fileModel is what a file and its mappings ought to be: bytes by page, one per page.
type fileModel struct {
	pages  map[uint64]byte
	size   uint64
	number uint32
	mapped int
	owned  bool
}

type viewModel struct {
	file          *fileModel
	addr          uintptr
	offset, pages uint64
	private       bool
	copies        map[uint64]byte // by index in the file
	write         bool
}

// filePoke writes one byte into a page of a file, as runtime/linux does.
func filePoke(number uint32, index uint64, v byte) bool {
	pa := FilePage(number, index, true)
	if pa != 0 {
		storeByte(Phys(pa)+mark, v)
	}
	return pa != 0
}

// TestFilesAgainstModel does random things to files and mappings of them, compares all
// that can be seen with a model, and counts frames at the end.
func TestFilesAgainstModel(t *testing.T) {
	const (
		filePages = 24
		space     = window
		slots     = 12
	)
	newMachine(t, 4096)
	LimitFiles(2000)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	before := Free()
	var fs []*fileModel
	views := make(map[int]*viewModel)
	drop := func(slot int) {
		v := views[slot]
		delete(views, slot)
		if v != nil {
			v.file.mapped--
		}
	}
	for step := range 6000 {
		if len(fs) < 4 {
			f := &fileModel{pages: make(map[uint64]byte), number: NewFile(), owned: true}
			if f.number == 0 {
				t.Fatal("no file")
			}
			fs = append(fs, f)
		}
		k := random.IntN(len(fs))
		f := fs[k]
		index := random.Uint64N(filePages)
		slot := random.IntN(slots)
		addr := space + uintptr(slot*filePages)*PageSize
		value := byte(1 + step%255)
		switch what := random.IntN(12); what {
		case 0, 1: // write
			if f.owned && index < f.size {
				filePoke(f.number, index, value)
				f.pages[index] = value
			}
		case 2: // resize
			if !f.owned {
				break
			}
			size := random.Uint64N(filePages + 1)
			for ResizeFile(f.number, size) {
			}
			f.size = size
			for i := range f.pages {
				if i >= size {
					delete(f.pages, i)
				}
			}
			for _, v := range views {
				for i := range v.copies {
					if v.file == f && i >= size {
						delete(v.copies, i)
					}
				}
			}
		case 3: // punch
			end := index + random.Uint64N(4)
			for f.owned && PunchFile(f.number, index, end) {
			}
			for i := index; f.owned && i < end; i++ {
				delete(f.pages, i)
			}
		case 4, 5: // map
			if !f.owned {
				break
			}
			v := &viewModel{file: f, addr: addr, offset: index, pages: 1 + random.Uint64N(filePages-1), private: random.IntN(2) == 0, write: random.IntN(3) > 0, copies: make(map[uint64]byte)}
			m := Mapping{Addr: addr, Length: uintptr(v.pages) * PageSize, Prot: ProtRead, Flags: MapShared | MapFixed, Offset: index, File: f.number}
			if v.private {
				m.Flags = MapPrivate | MapFixed
			}
			if v.write {
				m.Prot |= ProtWrite
			}
			if errno := Munmap(addr, filePages*PageSize); errno != 0 {
				t.Fatal(unix.Errno(errno))
			}
			drop(slot)
			if _, errno := MapFile(&m); errno != 0 {
				t.Fatal(unix.Errno(errno))
			}
			views[slot] = v
			f.mapped++
		case 6: // unmap
			Munmap(addr, filePages*PageSize)
			drop(slot)
		case 7, 8: // write through a mapping
			v := views[slot]
			if v == nil {
				break
			}
			i := random.Uint64N(v.pages)
			want := Resolved
			switch {
			case !v.write:
				want = FaultDenied
			case v.offset+i >= v.file.size:
				want = FaultBus
			case v.private:
				v.copies[v.offset+i] = value
			default:
				v.file.pages[v.offset+i] = value
			}
			if got := poke(t, v.addr+uintptr(i)*PageSize+mark, value); got != want {
				t.Fatalf("step %d: write to page %d of %+v: %d, want %d", step, i, *v, got, want)
			}
		case 9: // madvise
			v := views[slot]
			if v == nil {
				break
			}
			if errno := Madvise(v.addr, uintptr(v.pages)*PageSize, adviceDontNeed); errno != 0 {
				t.Fatal(unix.Errno(errno))
			}
			v.copies = make(map[uint64]byte)
		case 10: // mprotect
			v := views[slot]
			if v == nil {
				break
			}
			v.write = !v.write
			prot := int32(ProtRead)
			if v.write {
				prot |= ProtWrite
			}
			Mprotect(v.addr, uintptr(v.pages)*PageSize, 0)
			Mprotect(v.addr, uintptr(v.pages)*PageSize, prot)
		case 11: // drop
			if random.IntN(4) == 0 && f.owned {
				f.owned = false
				for DropFile(f.number) {
				}
				fs = append(fs[:k], fs[k+1:]...)
			}
		}
		for _, v := range views {
			i := random.Uint64N(v.pages)
			want, answer := v.file.pages[v.offset+i], Resolved
			if v.offset+i >= v.file.size {
				want, answer = 0, FaultBus
			} else if b, ok := v.copies[v.offset+i]; ok {
				want = b
			}
			addr := v.addr + uintptr(i)*PageSize
			if got, a := peek(t, addr+mark); got != want || a != answer {
				t.Fatalf("step %d: page %d of %+v: %d (%d), want %d (%d)", step, i, *v, got, a, want, answer)
			}
			if Valid(addr, PageSize, false) != (answer == Resolved) {
				t.Fatalf("step %d: Valid is wrong for page %d of %+v", step, i, *v)
			}
		}
		for _, f := range fs {
			if i := random.Uint64N(filePages); i < f.size {
				got := byte(0)
				if pa := FilePage(f.number, i, false); pa != 0 {
					got = byte(load(Phys(pa)+mark&^7) >> (mark % 8 * 8))
				}
				if got != f.pages[i] {
					t.Fatalf("step %d: the file has %d at page %d, want %d", step, got, i, f.pages[i])
				}
			}
		}
		checkAreas(t)
	}
	Munmap(space, slots*filePages*PageSize)
	for _, f := range fs {
		for DropFile(f.number) {
		}
	}
	if FilePages() != 0 || Resident() != 0 || Lost() != 0 {
		t.Errorf("%d pages of files, %d of the program are left, %d lost", FilePages(), Resident(), Lost())
	}
	// What is left are page tables, the table of areas, and one frame of files.
	if left := before - Free(); left > 20 {
		t.Errorf("%d frames are gone", left)
	}
}

func TestFileLimits(t *testing.T) {
	newMachine(t, 4096)
	LimitFiles(100)
	f := NewFile()
	ResizeFile(f, 1000)
	for i := range uint64(100) {
		if !filePoke(f, i, 1) {
			t.Fatalf("no room for page %d", i)
		}
	}
	if filePoke(f, 100, 1) {
		t.Error("a page above the limit")
	}
	addr, errno := MapFile(&Mapping{Length: 1000 * PageSize, Prot: ProtRead, Flags: MapShared, File: f})
	if errno != 0 {
		t.Fatal(unix.Errno(errno))
	}
	if _, answer := peek(t, addr+100*PageSize); answer != FaultBus {
		t.Errorf("fault above the limit: %d", answer)
	}
	PunchFile(f, 10, 20)
	if _, answer := peek(t, addr+100*PageSize); answer != Resolved {
		t.Errorf("fault after a hole was made: %d", answer)
	}
	// Without a limit, files leave a part of memory alone.
	LimitFiles(1 << 40)
	i := uint64(0)
	for ; filePoke(f, i, 1); i++ {
	}
	if Free() < Total()/32-8 || Free() > Total()/32+8 {
		t.Errorf("%d of %d frames are free", Free(), Total())
	}
	if errno := Munmap(addr, 1000*PageSize); errno != 0 {
		t.Fatal(unix.Errno(errno))
	}
	for DropFile(f) {
	}
	if DropFile(f) || FilePages() != 0 || NewFile() != f {
		t.Error("a dropped file is still there")
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"debug/elf"
	"debug/pe"
	"errors"
	"strings"
	"testing"

	wire "github.com/hvgo/hvgo/internal/wire/pe"
)

// kernelMemory is what a loader makes of a kernel: memory from its page tables on,
// and the entry.
func kernelMemory(t *testing.T, file []byte) (mem []byte, entry uint64) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		end := p.Paddr + p.Memsz - tablesStart
		mem = append(mem, make([]byte, max(0, int(end)-len(mem)))...)
		if _, err := p.ReadAt(mem[p.Paddr-tablesStart:][:p.Filesz], 0); err != nil {
			t.Fatal(err)
		}
	}
	return mem, f.Entry
}

// TestELFFromPE makes the kernel from the program and from the EFI application that
// was made of it: they are the same in memory.
func TestELFFromPE(t *testing.T) {
	linked := directFixture(t)
	kernel, err := ELF(linked)
	if err != nil {
		t.Fatal(err)
	}
	application, err := PE(linked)
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(application)
	again, err := ELFFromPE(application)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(application, before) {
		t.Error("the application was changed")
	}
	want, wantEntry := kernelMemory(t, kernel)
	got, entry := kernelMemory(t, again)
	if entry != wantEntry {
		t.Errorf("entry %#x, want %#x", entry, wantEntry)
	}
	// Relocations are for EFI's loader: a kernel has none, but what came from the
	// application may keep zeros in their place.
	if at := firstDifference(got, want); at >= 0 || len(got) != len(want) {
		t.Errorf("memory of %#x bytes, want %#x; the first difference is at %#x", len(got), len(want), at)
	}
	for n := 0; n < len(application); n += len(application)/50 + 1 {
		if _, err := ELFFromPE(application[:n]); !errors.Is(err, ErrProgram) {
			t.Errorf("the first %d of %d bytes: %v", n, len(application), err)
		}
	}
	old := bytes.Clone(application)
	at := bytes.Index(old, le.AppendUint64(le.AppendUint64(nil, infoMagic), le.Uint64(application[64+24+24:])))
	clear(old[at+8*infoWordLinuxEntry : at+8*infoWords])
	if _, err := ELFFromPE(old); !errors.Is(err, ErrProgram) {
		t.Errorf("an application without entries: %v", err)
	}
	if _, err := ELFFromPE(overlapping(t, application)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), "overlap") {
		t.Errorf("relocations that overlap: %v", err)
	}
}

// overlapping gives an application whose first block of relocations has its second
// one in the middle of the first.
func overlapping(t *testing.T, application []byte) []byte {
	t.Helper()
	b := bytes.Clone(application)
	f, err := pe.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	entries := b[f.Section(".reloc").Offset+wire.RelocBlockSize:]
	le.PutUint16(entries[2:], le.Uint16(entries)+4)
	return b
}

// FuzzELFFromPE changes the headers, relocations and description of an application.
func FuzzELFFromPE(f *testing.F) {
	linked, err := fixture()
	if err != nil {
		f.Fatal(err)
	}
	application, err := PE(linked)
	if err != nil {
		f.Fatal(err)
	}
	p, err := readProgram(linked)
	if err != nil {
		f.Fatal(err)
	}
	info := bytes.Index(application, le.AppendUint64(le.AppendUint64(nil, infoMagic), p.base))
	places := []int{0, 64, 64 + 24, 64 + 24 + 240, info, bytes.Index(application, []byte(".reloc"))}
	// The fixture has no entries for direct boot: give it some.
	le.PutUint64(application[info+8*infoWordLinuxEntry:], uint64(p.entry))
	le.PutUint64(application[info+8*infoWordPVHEntry:], uint64(p.entry))
	f.Add([]byte{})
	f.Add([]byte{3, 8, 0, 0xff, 0xff, 0xff, 0xff, 0, 0x10, 0, 0})
	f.Add([]byte{4, 24, 0, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, patches []byte) {
		b := bytes.Clone(application)
		for ; len(patches) >= 11; patches = patches[11:] {
			at := places[int(patches[0])%len(places)] + int(le.Uint16(patches[1:]))
			copy(b[min(at, len(b)):], patches[3:11])
		}
		if kernel, err := ELFFromPE(b); err != nil {
			if !errors.Is(err, ErrProgram) {
				t.Error(err)
			}
		} else if _, err := elf.NewFile(bytes.NewReader(kernel)); err != nil {
			t.Error(err)
		}
	})
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// directFixture is the fixture with the entries of a kernel.
func directFixture(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	if _, err := linkFixture(dir, "-w -E github.com/hvgo/hvgo/boot.entry"); err != nil {
		t.Fatal(err)
	}
	code := "TEXT ·entry(SB), 4, $0-0\n\tJMP _rt0_amd64_linux(SB)\n\tJMP ·entryLinux(SB)\n\tJMP ·entryPVH(SB)\n" +
		"TEXT ·entryLinux(SB), 4, $0-0\n\tRET\nTEXT ·entryPVH(SB), 4, $0-0\n\tRET\n"
	if err := os.WriteFile(filepath.Join(dir, "boot/entry_amd64.s"), []byte(code), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", "out", "-ldflags", "-w -E github.com/hvgo/hvgo/boot.entry", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOWORK=off", "GOFLAGS=-buildmode=pie")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	b, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestELF loads the kernel by its program headers and compares memory with what a
// dynamic linker makes of the linker's output at the same address.
func TestELF(t *testing.T) {
	linked := directFixture(t)
	kernel, err := ELF(linked)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(kernel))
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != elf.ET_EXEC || f.Machine != elf.EM_X86_64 || f.Class != elf.ELFCLASS64 || len(f.Sections) != 0 {
		t.Errorf("%+v, %d sections", f.FileHeader, len(f.Sections))
	}
	want, _ := loadELF(t, linked, loadAddress)
	got := make([]byte, len(want))
	end, claim := uint64(0), uint64(0)
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		if p.Paddr != p.Vaddr || p.Paddr%pageSize != 0 || p.Off%pageSize != 0 || p.Paddr < 1<<20 || p.Paddr < end ||
			p.Filesz > p.Memsz || p.Flags&(elf.PF_W|elf.PF_X) == elf.PF_W|elf.PF_X {
			t.Errorf("segment %+v", p.ProgHeader)
		}
		end = p.Paddr + p.Memsz
		if p.Paddr < loadAddress {
			continue // the page tables and the head page
		}
		b := got[p.Paddr-loadAddress:]
		if _, err := p.ReadAt(b[:p.Filesz], 0); err != nil {
			t.Fatal(err)
		}
		claim = end - loadAddress
	}
	program, err := readProgram(linked)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []segment{program.text, program.rodata, program.relro, program.data} {
		from, to := max(s.start, pageSize), min(s.start+s.size, uint32(claim))
		a, b := bytes.Clone(want[from:to]), bytes.Clone(got[from:to])
		if at := int(program.info) - int(from); at >= 0 && at+8*infoWords <= len(a) {
			clear(a[at : at+8*infoWords])
			clear(b[at : at+8*infoWords])
		}
		if i := firstDifference(a, b); i >= 0 {
			t.Errorf("memory differs at %#x", uint32(i)+from)
		}
	}
	info := got[program.info:]
	for word, value := range map[int]uint64{0: infoMagic, 1: loadAddress, 7: claim, 10: tablesStart} {
		if v := le.Uint64(info[8*word:]); v != value {
			t.Errorf("imageInfo[%d] is %#x, want %#x", word, v, value)
		}
	}
	if f.Entry != loadAddress+uint64(program.linuxEntry) || program.linuxEntry == program.pvhEntry {
		t.Errorf("entry %#x", f.Entry)
	}
	if again, err := ELF(linked); err != nil || !bytes.Equal(again, kernel) {
		t.Error("a second time it is another file")
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// TestELFTables walks the page tables: 4 GiB, each address itself.
func TestELFTables(t *testing.T) {
	const at = tablesStart
	b := identityTables(at)
	table := func(pa uint64) []byte { return b[pa-at : pa-at+pageSize] }
	const address = 1<<52 - pageSize
	for va := uint64(0); va < 4<<30; va += largePage {
		pml4 := le.Uint64(table(at)[va>>48*8:])
		if pml4 != at+pageSize|3 {
			t.Fatalf("%#x: %#x", va, pml4)
		}
		pdpt := le.Uint64(table(at + pageSize)[va>>39*8:])
		pd := le.Uint64(table(pdpt & address)[va>>30*8:])
		entry := le.Uint64(table(pd & address)[va>>21&511*8:])
		if pdpt&3 != 3 || pd&3 != 3 || entry != va|0x83 {
			t.Fatalf("%#x: %#x %#x %#x", va, pdpt, pd, entry)
		}
	}
}

// TestPVHCode disassembles the code and compares it with the comments in its source.
func TestPVHCode(t *testing.T) {
	source, err := os.ReadFile("direct.go")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(source), "func pvhCode(")
	text, _, _ = strings.Cut(text, "\n}\n")
	var want []string
	for _, m := range regexp.MustCompile(`// ([a-z].*)`).FindAllStringSubmatch(text, -1) {
		comment, _, _ := strings.Cut(m[1], ":")
		if strings.HasPrefix(m[1], "jmp") {
			comment = strings.TrimSuffix(m[1], ", 64-bit code")
		}
		want = append(want, strings.NewReplacer("tables", "0x1fa000", "[gdt]", "ptr [0x200060]", "jmp far 8:entry", "jmp far 0x8, 0x605f80").Replace(comment))
	}
	var got []string
	code := pvhCode(0x1FA000, 0x200060, 0x605F80)
	for b := code; len(b) > 0; {
		if b[0] == 0xEA && len(b) == 7 { // jmp far ptr16:32, which x86asm has no name for everywhere
			got = append(got, "jmp far 0x8, 0x605f80")
			if le.Uint32(b[1:]) != 0x605F80 || le.Uint16(b[5:]) != codeSelector {
				t.Errorf("% x", b)
			}
			break
		}
		in, err := x86asm.Decode(b, 32)
		if err != nil {
			t.Fatalf("% x: %v", b, err)
		}
		got = append(got, strings.ToLower(x86asm.IntelSyntax(in, 0, nil)))
		b = b[in.Len:]
	}
	if !slices.Equal(got, want) {
		t.Errorf("it is\n%s\nits comments say\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(code) > pageSize-pvhCodeAt {
		t.Errorf("%d bytes", len(code))
	}
}

// TestELFHead looks at what the code loads, and at the note.
func TestELFHead(t *testing.T) {
	p := &program{base: loadAddress, tables: tablesStart, pvhEntry: 0x5000}
	b := p.headPage()
	if limit, base := le.Uint16(b[gdtPtrAt:]), le.Uint32(b[gdtPtrAt+2:]); limit != 23 || base != loadAddress+gdtAt {
		t.Errorf("descriptor table at %#x, limit %d", base, limit)
	}
	const long, present, code = 1 << 53, 1 << 47, 1 << 43
	if d := le.Uint64(b[gdtAt+codeSelector:]); d&(long|present|code) != long|present|code || le.Uint64(b[gdtAt:]) != 0 {
		t.Errorf("code descriptor %#x", d)
	}
	note := b[noteAt : noteAt+noteSize]
	if le.Uint32(note) != 4 || le.Uint32(note[4:]) != 8 || le.Uint32(note[8:]) != 18 || string(note[12:16]) != "Xen\x00" ||
		le.Uint64(note[16:]) != loadAddress+pvhCodeAt {
		t.Errorf("note % x", note)
	}
}

// TestReadELF asks binutils, where there are some, whether they see what we mean.
func TestReadELF(t *testing.T) {
	readelf, err := exec.LookPath("readelf")
	if err != nil {
		t.Skip("no readelf: apt-get install binutils")
	}
	kernel, err := ELF(directFixture(t))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "kernel")
	if err := os.WriteFile(name, kernel, 0o666); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(readelf, "-lnhW", name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"EXEC (Executable file)", "X86-64", "Xen", "0x00000012", "80 00 20 00 00 00 00 00"} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("no %q", want)
		}
	}
	for _, bad := range []string{"rror", "arning"} {
		if bytes.Contains(out, []byte(bad)) {
			t.Errorf("it complains: %s", out)
		}
	}
}

func TestELFRefuses(t *testing.T) {
	if _, err := ELF(needFixture(t)); !errors.Is(err, ErrProgram) || !strings.Contains(err.Error(), "entryLinux") {
		t.Errorf("no entries: %v", err)
	}
	if _, err := ELF([]byte("x")); !errors.Is(err, ErrProgram) {
		t.Error(err)
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

var le = binary.LittleEndian

// ErrProgram is wrapped by the errors about a program that cannot become an
// image.
var ErrProgram = errors.New("not a program that hvgo can boot")

func unfit(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrProgram, fmt.Sprintf(format, a...))
}

const (
	pageSize = 4096

	// maxProgram bounds a program's address range in bytes, and so what is
	// allocated because of numbers in the ELF file.
	maxProgram = 1 << 30

	// infoSymbol names the words by which a guest learns its own layout; boot
	// defines it and says what the words mean.
	infoSymbol = "github.com/hvgo/hvgo/boot.imageInfo"
	infoMagic  = 0x4F464E494F475648 // "HVGOINFO"
	infoWords  = 16

	// runtimeEntry is where a kernel would start a Go program.
	runtimeEntry = "_rt0_amd64_linux"

	// largeSymbol is the size in bytes from which a variable at the end of the
	// program's memory is left for the guest to map on demand.
	largeSymbol = 128 << 10
)

// program is a checked ELF file, its addresses relative to base.
type program struct {
	base    uint64 // linked address of the first page
	entry   uint32
	runtime uint32 // of runtimeEntry
	info    uint32 // of infoSymbol
	text    segment
	rodata  segment // up to where .rela begins
	relro   segment // constant after relocation
	data    segment
	claim   uint32   // end of what firmware is to load, page aligned
	end     uint32   // end of memory as linked, page aligned
	relocs  []uint32 // places of 8-byte words that hold a linked address

	linuxEntry, pvhEntry uint32 // 0 where there is none
	tables               uint64 // address of the page tables before base, 0: none
}

// segment is a part of memory; the contents may be shorter than size.
type segment struct {
	start, size uint32 // start is page aligned
	contents    []byte
}

func (s segment) end() uint32 { return s.start + s.size }

func pageUp(n uint32) uint32 { return (n + pageSize - 1) &^ (pageSize - 1) }

// readProgram reads and checks the linker's output.
func readProgram(file []byte) (p *program, err error) {
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		return nil, unfit("%v", err)
	}
	defer f.Close()
	if f.Machine != elf.EM_X86_64 || f.Class != elf.ELFCLASS64 || f.Data != elf.ELFDATA2LSB {
		return nil, unfit("it is for %v, not for amd64", f.Machine)
	}
	if f.Type != elf.ET_DYN {
		return nil, unfit("it is not position-independent (link with -buildmode=pie)")
	}
	if libs, _ := f.DynString(elf.DT_NEEDED); len(libs) > 0 {
		return nil, unfit("it needs the shared library %s (build with CGO_ENABLED=0)", libs[0])
	}
	p = &program{}
	if err := p.readSegments(f, len(file)); err != nil {
		return nil, err
	}
	if err := p.readSymbols(f); err != nil {
		return nil, err
	}
	return p, p.readRelocs(f)
}

// rel makes a linked address, known to lie in the program, relative.
func (p *program) rel(addr uint64) uint32 { return uint32(addr - p.base) }

// readSegments takes the four loadable segments of Go's linker: text, read-only
// data, data that is constant after relocation, and data.
func (p *program) readSegments(f *elf.File, fileSize int) error {
	var loads []*elf.Prog
	for _, ph := range f.Progs {
		if ph.Type == elf.PT_LOAD {
			loads = append(loads, ph)
		}
	}
	flags := []elf.ProgFlag{elf.PF_R | elf.PF_X, elf.PF_R, elf.PF_R | elf.PF_W, elf.PF_R | elf.PF_W}
	if len(loads) != len(flags) {
		return unfit("it has %d loadable segments, not Go's %d", len(loads), len(flags))
	}
	p.base = loads[0].Vaddr
	if p.base%(64<<10) != 0 || p.base > 1<<46 { // PE: the image base is a multiple of 64 KiB
		return unfit("it is linked at %#x, not a multiple of 64 KiB", p.base)
	}
	into := []*segment{&p.text, &p.rodata, &p.relro, &p.data}
	end := p.base
	for i, ph := range loads {
		switch {
		case ph.Flags != flags[i]:
			return unfit("its segment %d has rights %v, want %v", i, ph.Flags, flags[i])
		case ph.Vaddr%pageSize != 0 || ph.Vaddr < end || ph.Vaddr-p.base > maxProgram ||
			ph.Memsz == 0 || ph.Memsz > maxProgram || ph.Filesz > ph.Memsz || ph.Filesz > uint64(fileSize):
			return unfit("its segment %d is at %#x, size %#x, in the file %#x", i, ph.Vaddr, ph.Memsz, ph.Filesz)
		}
		contents := make([]byte, ph.Filesz)
		if n, err := ph.ReadAt(contents, 0); n < len(contents) {
			return unfit("its segment %d is truncated: %v", i, err)
		}
		*into[i] = segment{p.rel(ph.Vaddr), uint32(ph.Memsz), contents}
		end = ph.Vaddr + ph.Memsz
	}
	p.end = pageUp(p.data.end())
	if f.Entry < p.base+pageSize || f.Entry >= p.base+uint64(p.text.end()) {
		return unfit("its entry point %#x is not in its text", f.Entry)
	}
	p.entry = p.rel(f.Entry)
	return p.dropELF(f)
}

// dropELF cuts off what only a Linux kernel or dynamic linker reads: the
// headers before the text, whose place PE's headers take, and the tables from
// .rela on.
func (p *program) dropELF(f *elf.File) error {
	text, rela := f.Section(".text"), f.Section(".rela")
	if text == nil || text.Addr < p.base+pageSize || text.Addr >= p.base+uint64(p.text.end()) {
		return unfit("its text does not begin in the second page")
	}
	clear(p.text.contents[:min(pageSize, len(p.text.contents))])
	rodata := p.base + uint64(p.rodata.start)
	if rela == nil || rela.Type != elf.SHT_RELA || rela.Addr < rodata || rela.Addr-rodata > uint64(len(p.rodata.contents)) {
		return unfit("it has no .rela section in its read-only data")
	}
	linkers := []string{".rela", ".rela.plt", ".gnu.version_r", ".gnu.version", ".dynstr", ".dynsym", ".hash"}
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && s.Size > 0 && s.Addr >= rela.Addr && s.Addr < p.base+uint64(p.relro.start) &&
			!slices.Contains(linkers, s.Name) {
			return unfit("its section %s lies behind .rela, where only the dynamic linker's are expected", s.Name)
		}
	}
	p.rodata.size = uint32(rela.Addr - rodata)
	p.rodata.contents = p.rodata.contents[:p.rodata.size]
	return nil
}

// readSymbols finds the runtime's entry, the guest's description, and the
// variables at the end of memory that firmware need not load.
func (p *program) readSymbols(f *elf.File) error {
	symbols, err := f.Symbols()
	if err != nil {
		return unfit("its symbol table cannot be read (link without -s): %v", err)
	}
	for _, s := range symbols {
		switch name := strings.TrimSuffix(s.Name, ".abi0"); name {
		case linuxEntry, pvhEntry:
			if s.Value < p.base+pageSize || s.Value >= p.base+uint64(p.text.end()) {
				return unfit("%s is not in its text", name)
			}
			if name == pvhEntry {
				p.pvhEntry = p.rel(s.Value)
			} else {
				p.linuxEntry = p.rel(s.Value)
			}
		case runtimeEntry:
			if s.Value < p.base || s.Value >= p.base+uint64(p.text.end()) {
				return unfit("%s is not in its text", runtimeEntry)
			}
			p.runtime = p.rel(s.Value)
		case infoSymbol:
			if s.Size < 8*infoWords || !p.data.holds(s.Value-p.base, 8*infoWords) {
				return unfit("%s is not %d words of initialised data", infoSymbol, infoWords)
			}
			p.info = p.rel(s.Value)
		}
	}
	if p.runtime == 0 {
		return unfit("it has no %s: it is not a Go program for Linux", runtimeEntry)
	}
	if p.info == 0 {
		return unfit("it has no %s: hvgo's runtime is not linked in", infoSymbol)
	}
	if m := le.Uint64(p.data.contents[p.info-p.data.start:]); m != infoMagic {
		return unfit("%s begins with %#x, want %#x", infoSymbol, m, uint64(infoMagic))
	}
	p.claim = pageUp(p.claimEnd(f, symbols))
	return nil
}

// holds reports whether n bytes at a relative address have contents.
func (s segment) holds(addr, n uint64) bool {
	return addr >= uint64(s.start) && addr-uint64(s.start) <= uint64(len(s.contents)) &&
		n <= uint64(len(s.contents))-(addr-uint64(s.start))
}

// claimEnd is where firmware's part of memory ends. The linker sorts the
// variables of .noptrbss by size, so the large ones come last: the FIPS random
// generator keeps 32 MiB there that most programs never touch.
func (p *program) claimEnd(f *elf.File, symbols []elf.Symbol) uint32 {
	end := p.data.end()
	bss := f.Section(".noptrbss")
	if bss == nil || bss.Addr < p.base+uint64(p.data.start)+uint64(len(p.data.contents)) || bss.Addr+bss.Size != p.base+uint64(end) {
		return end
	}
	var vars []elf.Symbol
	for _, s := range symbols {
		if s.Size > 0 && s.Value >= bss.Addr && s.Value < bss.Addr+bss.Size {
			vars = append(vars, s)
		}
	}
	slices.SortFunc(vars, func(a, b elf.Symbol) int { return cmp.Compare(b.Value, a.Value) })
	for _, s := range vars {
		if s.Size < largeSymbol {
			break
		}
		end = p.rel(s.Value)
	}
	return end
}

// readRelocs reads the relocations and puts their addends in place: PE adds to
// what is there.
func (p *program) readRelocs(f *elf.File) error {
	for _, s := range f.Sections {
		if s.Type == elf.SHT_REL && s.Size > 0 || s.Type == elf.SHT_RELA && s.Size > 0 && s.Flags&elf.SHF_ALLOC != 0 && s.Name != ".rela" {
			return unfit("it has relocations in %s; only .rela is expected", s.Name)
		}
	}
	b, err := f.Section(".rela").Data()
	if err != nil {
		return unfit(".rela is truncated: %v", err)
	}
	const size = 24 // Elf64_Rela: offset, info, addend
	for ; len(b) >= size; b = b[size:] {
		where, kind, addend := le.Uint64(b), elf.R_X86_64(le.Uint32(b[8:])), le.Uint64(b[16:])
		if kind == elf.R_X86_64_NONE {
			continue
		}
		if kind != elf.R_X86_64_RELATIVE {
			return unfit("it has a relocation of type %v at %#x; only R_X86_64_RELATIVE can be done", kind, where)
		}
		word := p.word(where - p.base)
		if word == nil {
			return unfit("it has a relocation at %#x, outside of its data", where)
		}
		le.PutUint64(word, addend)
		p.relocs = append(p.relocs, p.rel(where))
	}
	slices.Sort(p.relocs)
	for i := 1; i < len(p.relocs); i++ {
		if p.relocs[i] < p.relocs[i-1]+8 {
			return unfit("two relocations overlap at %#x", p.base+uint64(p.relocs[i]))
		}
	}
	return nil
}

// word gives the 8 writable bytes at a relative address, or nil.
func (p *program) word(addr uint64) []byte {
	for _, s := range []segment{p.relro, p.data} {
		if s.holds(addr, 8) {
			at := uint32(addr) - s.start
			return s.contents[at : at+8]
		}
	}
	return nil
}

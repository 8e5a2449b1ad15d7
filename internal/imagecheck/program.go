// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package imagecheck

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
)

// function is a symbol with code.
type function struct {
	name       string
	start, end uint64
}

// object is a symbol with data.
type object struct {
	name       string
	start, end uint64
}

// section is a loaded part of the program.
type section struct {
	start, end uint64
	data       []byte // nil: zero at the start (.bss)
	readOnly   bool
}

// program is a linked Go program.
type program struct {
	functions []function // sorted by address, disjoint
	objects   []object   // sorted by address
	sections  []section
	relocated map[uint64]uint64 // words that the loader fills: address to value
}

// Limits for what a file may hold; a Go program is far below.
const (
	maxSymbols = 4 << 20
	maxBytes   = 1 << 30
)

var errNoSymbols = errors.New("no symbol table (linked with -s?); link without -s and strip afterwards")

func open(path string) (*program, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Class != elf.ELFCLASS64 || f.Machine != elf.EM_X86_64 {
		return nil, fmt.Errorf("not an x86-64 program but %v %v", f.Class, f.Machine)
	}
	p := &program{relocated: map[uint64]uint64{}}
	if err := p.readSections(f); err != nil {
		return nil, err
	}
	if err := p.readSymbols(f); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *program) readSections(f *elf.File) error {
	total := uint64(0)
	for _, s := range f.Sections {
		if s.Type == elf.SHT_RELA && s.Flags&elf.SHF_ALLOC != 0 {
			if err := p.readRelocations(s); err != nil {
				return err
			}
		}
		if s.Flags&elf.SHF_ALLOC == 0 || s.Flags&elf.SHF_TLS != 0 || s.Size == 0 {
			continue
		}
		part := section{start: s.Addr, end: s.Addr + s.Size, readOnly: s.Flags&elf.SHF_WRITE == 0 ||
			strings.HasPrefix(s.Name, ".data.rel.ro")}
		if part.end < part.start {
			return fmt.Errorf("section %s wraps around", s.Name)
		}
		if s.Type != elf.SHT_NOBITS {
			if total += s.Size; s.Size > maxBytes || total > maxBytes {
				return fmt.Errorf("section %s: more than %d bytes in all", s.Name, maxBytes)
			}
			data, err := s.Data()
			if err != nil {
				return fmt.Errorf("section %s: %w", s.Name, err)
			}
			part.data = data
		}
		p.sections = append(p.sections, part)
	}
	return nil
}

// readRelocations notes the R_X86_64_RELATIVE words of a position-independent program.
func (p *program) readRelocations(s *elf.Section) error {
	r := s.Open()
	var entry [24]byte
	for {
		if _, err := io.ReadFull(r, entry[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("section %s: %w", s.Name, err)
		}
		if elf.R_X86_64(binary.LittleEndian.Uint32(entry[8:])) == elf.R_X86_64_RELATIVE {
			p.relocated[binary.LittleEndian.Uint64(entry[0:])] = binary.LittleEndian.Uint64(entry[16:])
		}
	}
}

func (p *program) readSymbols(f *elf.File) error {
	symbols, err := f.Symbols()
	if errors.Is(err, elf.ErrNoSymbols) || err == nil && len(symbols) == 0 {
		return errNoSymbols
	}
	if err != nil {
		return fmt.Errorf("symbol table: %w", err)
	}
	if len(symbols) > maxSymbols {
		return fmt.Errorf("%d symbols", len(symbols))
	}
	for _, s := range symbols {
		end := s.Value + s.Size
		if s.Size == 0 || end < s.Value || s.Section == elf.SHN_UNDEF {
			continue
		}
		name := strings.TrimSuffix(s.Name, ".abi0")
		switch elf.ST_TYPE(s.Info) {
		case elf.STT_FUNC:
			if p.code(s.Value, end) == nil {
				return fmt.Errorf("the code of %s is not in the file", s.Name)
			}
			p.functions = append(p.functions, function{name, s.Value, end})
		case elf.STT_OBJECT:
			p.objects = append(p.objects, object{name, s.Value, end})
		}
	}
	if len(p.functions) == 0 {
		return errNoSymbols
	}
	sort.Slice(p.functions, func(i, j int) bool { return p.functions[i].start < p.functions[j].start })
	sort.Slice(p.objects, func(i, j int) bool { return p.objects[i].start < p.objects[j].start })
	for i := 1; i < len(p.functions); i++ {
		if p.functions[i].start < p.functions[i-1].end {
			return fmt.Errorf("functions %s and %s overlap", p.functions[i-1].name, p.functions[i].name)
		}
	}
	return nil
}

// code returns the bytes of [start, end), nil when they are not all in one section.
func (p *program) code(start, end uint64) []byte {
	for i := range p.sections {
		s := &p.sections[i]
		if start >= s.start && end <= s.end && s.data != nil && start <= end {
			return s.data[start-s.start : end-s.start]
		}
	}
	return nil
}

// functionAt returns the index of the function that holds addr, or -1.
func (p *program) functionAt(addr uint64) int {
	i := sort.Search(len(p.functions), func(i int) bool { return p.functions[i].end > addr })
	if i < len(p.functions) && p.functions[i].start <= addr {
		return i
	}
	return -1
}

// functionStart returns the index of the function that begins at addr, or -1.
func (p *program) functionStart(addr uint64) int {
	if i := p.functionAt(addr); i >= 0 && p.functions[i].start == addr {
		return i
	}
	return -1
}

// objectAt returns the data symbol that holds addr, or nil.
func (p *program) objectAt(addr uint64) *object {
	i := sort.Search(len(p.objects), func(i int) bool { return p.objects[i].end > addr })
	if i < len(p.objects) && p.objects[i].start <= addr {
		return &p.objects[i]
	}
	return nil
}

// word returns the pointer at addr as it is when the program starts.
func (p *program) word(addr uint64) (value uint64, ok bool) {
	if value, ok = p.relocated[addr]; ok {
		return value, true
	}
	if b := p.code(addr, addr+8); len(b) == 8 {
		return binary.LittleEndian.Uint64(b), true
	}
	return 0, false
}

// address is word for a word that may be an address. In a position-independent program each
// address is relocated, and what looks like one elsewhere is a number.
func (p *program) address(addr uint64) (value uint64, ok bool) {
	if len(p.relocated) > 0 {
		value, ok = p.relocated[addr]
		return value, ok
	}
	return p.word(addr)
}

// isReadOnly reports whether addr cannot change while the program runs.
func (p *program) isReadOnly(addr uint64) bool {
	for i := range p.sections {
		if s := &p.sections[i]; addr >= s.start && addr < s.end {
			return s.readOnly
		}
	}
	return false
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"debug/elf"

	"github.com/hvgo/hvgo/internal/wire/direct"
)

// Where a kernel lies in physical memory: the program at 2 MiB, and right before it
// the page tables that both entries use. All is above 1 MiB, where loaders keep what
// they hand over, and as low as can be, since small machines end at 16 MiB.
const (
	loadAddress  = 2 << 20
	tablePages   = 7 // one PML5, one PML4, one PDPT, four page directories of 1 GiB each
	pml4At       = pageSize
	tablesStart  = loadAddress - tablePages*pageSize
	gigabyte     = 1 << 30
	largePage    = 2 << 20
	tableEntry   = 1<<0 | 1<<1        // present, writable
	largeEntry   = 1<<7 | 1<<1 | 1<<0 // a page of 2 MiB
	codeSegment  = 0x00AF9B000000FFFF // 64-bit code
	dataSegment  = 0x00CF93000000FFFF
	codeSelector = 8
)

// The first page of the program, where PE has its headers, holds what PVH needs.
const (
	noteAt    = 0x00
	gdtAt     = 0x40
	gdtPtrAt  = 0x60
	pvhCodeAt = 0x80
)

// entries of package boot that a kernel has.
const (
	linuxEntry = "github.com/hvgo/hvgo/boot.entryLinux"
	pvhEntry   = "github.com/hvgo/hvgo/boot.entryPVH"
)

// ELF makes the linker's output, a static position-independent ELF file, into one
// that direct-booting virtual machine monitors start: ET_EXEC, its segments where
// they are in physical memory, relocated for that place. It has two entries:
//
//	e_entry            Linux's 64-bit boot protocol
//	a note of "Xen"    PVH: 32-bit code that turns long mode on
//
// Both come to package boot. There are no section headers and symbols: what runs is
// byte for byte what the EFI application holds, and Go's own tables name functions
// in stack traces.
// The error wraps ErrProgram.
func ELF(elfFile []byte) ([]byte, error) {
	p, err := readProgram(elfFile)
	if err != nil {
		return nil, err
	}
	return p.kernel()
}

// kernel makes the program into a file for direct boot.
func (p *program) kernel() ([]byte, error) {
	if p.linuxEntry == 0 || p.pvhEntry == 0 {
		return nil, unfit("it has no %s and %s: hvgo's runtime is not linked in", linuxEntry, pvhEntry)
	}
	if p.claim < p.data.start+uint32(len(p.data.contents)) {
		return nil, unfit("its data overlaps its .noptrbss")
	}
	p.move(loadAddress)
	p.tables = tablesStart
	p.describe()
	return p.encodeELF(), nil
}

// move relocates the program.
func (p *program) move(base uint64) {
	for _, at := range p.relocs {
		w := p.word(uint64(at))
		le.PutUint64(w, le.Uint64(w)-p.base+base)
	}
	p.base = base
}

// headPage is the program's first page: the note that names PVH's entry, the
// descriptors that entry loads, and its code.
func (p *program) headPage() []byte {
	b := make([]byte, pageSize)
	note := le.AppendUint32(b[noteAt:noteAt], uint32(len(direct.NoteName)+1))
	note = le.AppendUint32(note, 8)
	note = le.AppendUint32(note, direct.NoteType)
	note = append(note, direct.NoteName+"\x00"...)
	le.AppendUint64(note, p.base+pvhCodeAt)

	le.PutUint64(b[gdtAt+codeSelector:], codeSegment)
	le.PutUint64(b[gdtAt+2*codeSelector:], dataSegment)
	le.PutUint16(b[gdtPtrAt:], 3*8-1)
	le.PutUint32(b[gdtPtrAt+2:], uint32(p.base)+gdtAt)

	copy(b[pvhCodeAt:], pvhCode(uint32(p.tables)+pml4At, uint32(p.base)+gdtPtrAt, uint32(p.base)+p.pvhEntry))
	return b
}

const noteSize = 12 + len(direct.NoteName) + 1 + 8

// pvhCode is PVH's entry, in 32-bit code since the processor is in protected mode
// without paging. EBX, the address of the start info, is kept. A test disassembles
// it and compares it with the comments.
func pvhCode(tables, gdt, entry uint32) []byte {
	b := []byte{
		0xFA, // cli
		0xFC, // cld
		0xB8, // mov eax, tables
	}
	b = le.AppendUint32(b, tables)
	b = append(b,
		0x0F, 0x22, 0xD8, // mov cr3, eax
		0x0F, 0x20, 0xE0, // mov eax, cr4
		0x83, 0xC8, 0x20, // or eax, 0x20: PAE
		0x0F, 0x22, 0xE0, // mov cr4, eax
		0xB9, 0x80, 0x00, 0x00, 0xC0, // mov ecx, 0xc0000080: EFER
		0x0F, 0x32, // rdmsr
		0x0D, 0x00, 0x01, 0x00, 0x00, // or eax, 0x100: LME
		0x0F, 0x30, // wrmsr
		0x0F, 0x20, 0xC0, // mov eax, cr0
		0x0D, 0x01, 0x00, 0x00, 0x80, // or eax, 0x80000001: PG, PE
		0x0F, 0x22, 0xC0, // mov cr0, eax
		0x0F, 0x01, 0x15, // lgdt [gdt]
	)
	b = le.AppendUint32(b, gdt)
	b = append(b, 0xEA) // jmp far 8:entry, 64-bit code
	b = le.AppendUint32(b, entry)
	return le.AppendUint16(b, codeSelector)
}

// identityTables map the first 4 GiB where they are. The first is for a processor that
// is left with five levels of them, the second for one with four.
func identityTables(at uint64) []byte {
	const pml4, pdpt, pd = pml4At, 2 * pageSize, 3 * pageSize
	b := make([]byte, tablePages*pageSize)
	le.PutUint64(b, at+pml4|tableEntry)
	le.PutUint64(b[pml4:], at+pdpt|tableEntry)
	for g := range uint64(4) {
		le.PutUint64(b[pdpt+8*g:], at+pd+g*pageSize|tableEntry)
		for i := range uint64(512) {
			le.PutUint64(b[pd+g*pageSize+8*i:], g*gigabyte+i*largePage|largeEntry)
		}
	}
	return b
}

// encodeELF writes the file: headers, then the contents of the segments, each on a
// page of its own as in memory.
func (p *program) encodeELF() []byte {
	type part struct {
		address, size uint64
		contents      []byte
		rights        elf.ProgFlag
	}
	at := func(rel uint32) uint64 { return p.base + uint64(rel) }
	head := append(identityTables(p.tables), p.headPage()...)
	text := p.text.contents[min(pageSize, len(p.text.contents)):]
	parts := []part{
		{p.tables, uint64(len(head)), head, elf.PF_R | elf.PF_X},
		{at(pageSize), uint64(len(text)), text, elf.PF_R | elf.PF_X},
		{at(p.rodata.start), uint64(len(p.rodata.contents)), p.rodata.contents, elf.PF_R},
		{at(p.relro.start), uint64(p.relro.size), p.relro.contents, elf.PF_R},
		{at(p.data.start), uint64(p.claim - p.data.start), p.data.contents, elf.PF_R | elf.PF_W},
	}
	const headerSize, progSize = 64, 56
	h := []byte{
		0x7F, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT), byte(elf.ELFOSABI_NONE),
		0, 0, 0, 0, 0, 0, 0, 0,
	}
	h = le.AppendUint16(h, uint16(elf.ET_EXEC))
	h = le.AppendUint16(h, uint16(elf.EM_X86_64))
	h = le.AppendUint32(h, uint32(elf.EV_CURRENT))
	h = le.AppendUint64(h, at(p.linuxEntry))
	h = le.AppendUint64(h, headerSize) // program headers
	h = le.AppendUint64(h, 0)          // no section headers
	h = le.AppendUint32(h, 0)          // flags
	for _, v := range []int{headerSize, progSize, len(parts) + 1, 0, 0, 0} {
		h = le.AppendUint16(h, uint16(v))
	}
	prog := func(kind elf.ProgType, rights elf.ProgFlag, offset, address, fileSize, size, align uint64) {
		h = le.AppendUint32(le.AppendUint32(h, uint32(kind)), uint32(rights))
		for _, v := range []uint64{offset, address, address, fileSize, size, align} {
			h = le.AppendUint64(h, v)
		}
	}
	offset := uint64(pageSize)
	prog(elf.PT_NOTE, elf.PF_R, offset+p.base+noteAt-p.tables, p.base+noteAt, uint64(noteSize), uint64(noteSize), 4)
	for _, s := range parts {
		prog(elf.PT_LOAD, s.rights, offset, s.address, uint64(len(s.contents)), s.size, pageSize)
		offset += uint64(pageUp(uint32(len(s.contents))))
	}
	file := append(make([]byte, 0, offset), h...)
	for _, s := range parts {
		file = append(file, make([]byte, int(pageUp(uint32(len(file))))-len(file))...)
		file = append(file, s.contents...)
	}
	return file
}

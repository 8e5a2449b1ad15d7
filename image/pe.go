// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	wire "github.com/hvgo/hvgo/internal/wire/pe"
)

// fileAlignment is that of sections in the PE file, in bytes.
const fileAlignment = 512

// PE makes the linker's output, a static position-independent ELF file, into a
// PE32+ EFI application (subsystem 10). A relative virtual address in it is the
// ELF address less the address of the first ELF page, which is the image base.
//
//	headers  .text  .rodata  .reloc          .relro                 .data
//	R        RX     R        R, in the       R once the loader has  RW, with .bss
//	                         place of .rela  relocated it
//
// The guest's own description (boot.imageInfo) is filled in.
// The error wraps ErrProgram.
func PE(elfFile []byte) ([]byte, error) {
	p, err := readProgram(elfFile)
	if err != nil {
		return nil, err
	}
	p.describe()
	return p.encode()
}

// describe tells the guest its layout; boot's imageInfo is the other half.
func (p *program) describe() {
	words := []uint64{
		infoMagic,
		p.base,
		pageSize, // text: the page before it holds headers
		uint64(pageUp(p.text.end())),
		uint64(p.rodata.start),
		uint64(pageUp(p.relro.end())),
		uint64(p.data.start),
		uint64(p.claim),
		uint64(p.end),
		uint64(p.runtime),
		p.tables,
		uint64(p.linuxEntry), // of use to ELFFromPE only
		uint64(p.pvhEntry),
	}
	at := p.info - p.data.start
	for i, w := range words {
		le.PutUint64(p.data.contents[at+8*uint32(i):], w)
	}
}

// section is a section to be written.
type section struct {
	wire.SectionHeader
	contents []byte
}

// newSection makes a section that reaches up to the address end.
func newSection(name string, start, end uint32, contents []byte, rights uint32) section {
	s := section{contents: contents}
	copy(s.Name[:], name)
	s.RVA, s.VirtualSize, s.Characteristics = start, end-start, rights
	s.FileSize = (uint32(len(contents)) + fileAlignment - 1) &^ (fileAlignment - 1)
	return s
}

// encode writes the PE file. Sections follow each other without a gap.
func (p *program) encode() ([]byte, error) {
	const (
		r = wire.SectionInitialized | wire.SectionRead
		w = r | wire.SectionWrite
		x = wire.SectionCode | wire.SectionRead | wire.SectionExecute
	)
	relocs := encodeRelocs(p.relocs)
	relocStart := pageUp(p.rodata.end())
	if uint64(relocStart)+uint64(len(relocs)) > uint64(p.relro.start) {
		return nil, unfit("its relocations take %d bytes in PE, more than in ELF", len(relocs))
	}
	data := p.data.contents
	if p.claim < p.data.start+uint32(len(data)) {
		return nil, unfit("its data overlaps its .noptrbss")
	}
	sections := []section{
		newSection(".text", pageSize, p.rodata.start, p.text.contents[min(pageSize, len(p.text.contents)):], x),
		newSection(".rodata", p.rodata.start, relocStart, p.rodata.contents, r),
		newSection(".reloc", relocStart, p.relro.start, relocs, r),
		newSection(".relro", p.relro.start, p.data.start, p.relro.contents, r),
		newSection(".data", p.data.start, p.claim, data, w),
	}
	headers := uint32(wire.DOSHeaderSize + wire.SignatureSize + wire.FileHeaderSize + wire.OptionalHeaderSize +
		len(sections)*wire.SectionHeaderSize)
	headers = (headers + fileAlignment - 1) &^ (fileAlignment - 1)
	at := headers
	for i := range sections {
		s := &sections[i]
		if s.FileSize > 0 {
			s.FileOffset = at
		}
		at += s.FileSize
	}
	b := p.appendHeaders(make([]byte, 0, at), headers, sections, uint32(len(relocs)))
	for _, s := range sections {
		b = append(b, s.contents...)
		b = append(b, make([]byte, s.FileSize-uint32(len(s.contents)))...)
	}
	return b, nil
}

func (p *program) appendHeaders(b []byte, headers uint32, sections []section, relocs uint32) []byte {
	b = wire.DOSHeader{PEOffset: wire.DOSHeaderSize}.AppendTo(b)
	b = wire.FileHeader{
		Machine: wire.MachineAMD64, Sections: uint16(len(sections)), OptionalSize: wire.OptionalHeaderSize,
		Characteristics: wire.FileExecutable | wire.FileLargeAddressAware | wire.FileDebugStripped,
	}.AppendTo(b)
	o := wire.OptionalHeader{
		EntryPoint: p.entry, BaseOfCode: sections[0].RVA, ImageBase: p.base,
		SectionAlignment: pageSize, FileAlignment: fileAlignment,
		SizeOfImage: p.claim, SizeOfHeaders: headers,
		Subsystem:          wire.SubsystemEFIApplication,
		DLLCharacteristics: wire.DLLDynamicBase | wire.DLLHighEntropyVA | wire.DLLNXCompat,
	}
	for _, s := range sections {
		if s.Characteristics&wire.SectionCode != 0 {
			o.SizeOfCode += s.FileSize
		} else {
			o.SizeOfData += s.FileSize
		}
		if string(s.Name[:6]) == ".reloc" {
			o.Directories[wire.DirectoryRelocations] = wire.DataDirectory{RVA: s.RVA, Size: relocs}
		}
	}
	b = o.AppendTo(b)
	for _, s := range sections {
		b = s.AppendTo(b)
	}
	return append(b, make([]byte, int(headers)-len(b))...)
}

// encodeRelocs makes the contents of .reloc: for each page with relocations a
// block, whose size is a multiple of 4. The places are in order. Without any
// there is one empty block: some loaders take no table for "not relocatable".
func encodeRelocs(places []uint32) []byte {
	var b []byte
	for i := 0; i < len(places); {
		page := places[i] &^ (pageSize - 1)
		n := i
		for n < len(places) && places[n]&^(pageSize-1) == page {
			n++
		}
		size := wire.RelocBlockSize + 2*(n-i)
		b = wire.RelocBlock{PageRVA: page, Size: uint32((size + 3) &^ 3)}.AppendTo(b)
		for ; i < n; i++ {
			b = le.AppendUint16(b, wire.RelocDir64<<12|uint16(places[i]-page))
		}
		if size%4 != 0 {
			b = le.AppendUint16(b, wire.RelocAbsolute<<12)
		}
	}
	if b == nil {
		b = wire.RelocBlock{PageRVA: 0, Size: wire.RelocBlockSize}.AppendTo(b)
	}
	return b
}

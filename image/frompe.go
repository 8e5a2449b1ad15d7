// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"strings"

	wire "github.com/hvgo/hvgo/internal/wire/pe"
)

// Words of infoSymbol that FromPE needs; describe says what they are.
const (
	infoWordTextEnd    = 3
	infoWordROEnd      = 5
	infoWordEnd        = 8
	infoWordRuntime    = 9
	infoWordLinuxEntry = 11
	infoWordPVHEntry   = 12
)

// ELFFromPE makes what PE made, the EFI application of an image, into what ELF makes
// of the same program: for direct boot where there is no firmware to boot an image.
// The error wraps ErrProgram.
func ELFFromPE(file []byte) ([]byte, error) {
	p, err := readPE(file)
	if err != nil {
		return nil, err
	}
	return p.kernel()
}

// readPE is the reverse of encode.
func readPE(file []byte) (*program, error) {
	sections, base, err := peSections(file)
	if err != nil {
		return nil, err
	}
	names := []string{".text", ".rodata", ".reloc", ".relro", ".data"}
	if len(sections) != len(names) {
		return nil, unfit("it has %d sections, and hvgo makes %d", len(sections), len(names))
	}
	var s [5]segment
	end := uint32(pageSize)
	for i, h := range sections {
		name := strings.TrimRight(string(h.Name[:]), "\x00")
		n := min(h.FileSize, h.VirtualSize)
		switch {
		case name != names[i] || h.RVA != end || h.VirtualSize == 0 || h.VirtualSize%pageSize != 0 || h.VirtualSize > maxProgram-end:
			return nil, unfit("its section %d is %q at %#x, size %#x: hvgo did not make it", i, name, h.RVA, h.VirtualSize)
		case uint64(h.FileOffset)+uint64(n) > uint64(len(file)):
			return nil, unfit("its section %s is truncated", name)
		}
		contents := append([]byte(nil), file[h.FileOffset:h.FileOffset+n]...)
		s[i] = segment{h.RVA, h.VirtualSize, contents}
		end += h.VirtualSize
	}
	p := &program{base: base, rodata: s[1], relro: s[3], data: s[4], claim: end}
	p.text = segment{0, s[0].end(), append(make([]byte, pageSize), s[0].contents...)}
	if err := p.readPERelocs(s[2].contents); err != nil {
		return nil, err
	}
	return p, p.readInfo()
}

// peSections reads the headers.
func peSections(file []byte) (sections []wire.SectionHeader, base uint64, err error) {
	dos, err := wire.DecodeDOSHeader(file)
	if err != nil {
		return nil, 0, unfit("%v", err)
	}
	if uint64(dos.PEOffset) > uint64(len(file)) {
		return nil, 0, unfit("its headers are truncated")
	}
	b := file[dos.PEOffset:]
	h, err := wire.DecodeFileHeader(b)
	if err != nil {
		return nil, 0, unfit("%v", err)
	}
	b = b[wire.SignatureSize+wire.FileHeaderSize:]
	o, err := wire.DecodeOptionalHeader(b)
	if err != nil {
		return nil, 0, unfit("%v", err)
	}
	if h.Machine != wire.MachineAMD64 || int(h.OptionalSize) > len(b) || o.ImageBase%(64<<10) != 0 || o.ImageBase > 1<<46 {
		return nil, 0, unfit("its headers are not those that hvgo writes")
	}
	b = b[h.OptionalSize:]
	for range h.Sections {
		s, err := wire.DecodeSectionHeader(b)
		if err != nil {
			return nil, 0, unfit("%v", err)
		}
		sections, b = append(sections, s), b[wire.SectionHeaderSize:]
	}
	return sections, o.ImageBase, nil
}

// readPERelocs is the reverse of encodeRelocs.
func (p *program) readPERelocs(b []byte) error {
	for len(b) >= wire.RelocBlockSize {
		h, err := wire.DecodeRelocBlock(b)
		if err != nil {
			return unfit("%v", err)
		}
		if h.Size == 0 { // the section's last page is filled up with zeros
			break
		}
		if h.Size < wire.RelocBlockSize || h.Size%2 != 0 || uint64(h.Size) > uint64(len(b)) {
			return unfit("its relocations at %#x have a size of %d", h.PageRVA, h.Size)
		}
		for e := b[wire.RelocBlockSize:h.Size]; len(e) > 0; e = e[2:] {
			kind, at := le.Uint16(e)>>12, uint64(h.PageRVA)+uint64(le.Uint16(e)&0xFFF)
			switch {
			case kind == wire.RelocAbsolute:
			case kind != wire.RelocDir64 || p.word(at) == nil:
				return unfit("it has a relocation of type %d at %#x", kind, at)
			case len(p.relocs) > 0 && uint64(p.relocs[len(p.relocs)-1])+8 > at:
				return unfit("its relocations overlap at %#x", at)
			default:
				p.relocs = append(p.relocs, uint32(at))
			}
		}
		b = b[h.Size:]
	}
	return nil
}

// readInfo finds the program's description of itself, and takes from it what PE's
// headers do not say.
func (p *program) readInfo() error {
	for at := 0; at+8*infoWords <= len(p.data.contents); at += 8 {
		b := p.data.contents[at:]
		word := func(i int) uint64 { return le.Uint64(b[8*i:]) }
		if word(0) != infoMagic || word(1) != p.base || word(infoWordROEnd) > uint64(p.data.start) {
			continue
		}
		p.info = p.data.start + uint32(at)
		textEnd, roEnd, end := word(infoWordTextEnd), word(infoWordROEnd), word(infoWordEnd)
		inText := func(v uint64) bool { return v >= pageSize && v < textEnd }
		switch {
		case textEnd <= pageSize || textEnd > uint64(p.rodata.start) || roEnd < uint64(p.relro.start)+uint64(len(p.relro.contents)) ||
			end < uint64(p.claim) || end > maxProgram || !inText(word(infoWordRuntime)):
			return unfit("its description of itself is damaged")
		case !inText(word(infoWordLinuxEntry)) || !inText(word(infoWordPVHEntry)):
			return unfit("it was built by an older hvgo, without an entry for direct boot")
		}
		p.text.size, p.relro.size, p.end = uint32(textEnd), uint32(roEnd)-p.relro.start, uint32(end)
		p.runtime = uint32(word(infoWordRuntime))
		p.linuxEntry, p.pvhEntry = uint32(word(infoWordLinuxEntry)), uint32(word(infoWordPVHEntry))
		return nil
	}
	return fmt.Errorf("%w: it does not describe itself: hvgo did not make it", ErrProgram)
}

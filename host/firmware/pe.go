// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package firmware

import (
	"errors"
	"fmt"
)

// ErrNotPE is wrapped by errors about an image that is not a loadable PE32+
// UEFI application for x86-64.
var ErrNotPE = errors.New("not a PE32+ UEFI application for x86-64")

// Offsets and numbers of Microsoft's "PE Format", in the order of the file.
const (
	dosPEOffset  = 0x3C
	coffSize     = 20
	optionalMin  = 112 // PE32+ optional header before the data directories
	sectionSize  = 40
	maxSections  = 96
	maxImageSize = 1 << 30

	machineAMD64       = 0x8664
	magicPE32Plus      = 0x20B
	subsystemEFIApp    = 10
	directoryBaseReloc = 5

	relocAbsolute, relocDIR64 = 0, 10

	relocsStripped = 1 << 0 // in the COFF header's characteristics
)

// image is a PE file whose headers have been checked.
type image struct {
	file              []byte
	size              uint64 // SizeOfImage, rounded up to pages
	headers           uint64 // SizeOfHeaders
	entry             uint64 // RVA
	preferred         uint64 // ImageBase
	alignment         uint64 // SectionAlignment
	sections          []section
	relocRVA, relocSz uint64
	stripped          bool // it runs at its preferred address only
}

type section struct {
	name                string
	rva, size, off, raw uint64
}

// parseImage checks the headers of a PE file.
func parseImage(file []byte) (*image, error) {
	bad := func(format string, a ...any) (*image, error) {
		return nil, fmt.Errorf("%w: %s", ErrNotPE, fmt.Sprintf(format, a...))
	}
	if len(file) < 64 || file[0] != 'M' || file[1] != 'Z' {
		return bad("no MZ header")
	}
	pe := uint64(le.Uint32(file[dosPEOffset:]))
	if pe > uint64(len(file)) || uint64(len(file))-pe < 4+coffSize+optionalMin {
		return bad("the PE header is beyond the end of the file")
	}
	h := file[pe:]
	if string(h[:4]) != "PE\x00\x00" {
		return bad("no PE signature")
	}
	coff, opt := h[4:], h[4+coffSize:]
	if m := le.Uint16(coff); m != machineAMD64 {
		return bad("machine %#x", m)
	}
	if m := le.Uint16(opt); m != magicPE32Plus {
		return bad("optional header magic %#x", m)
	}
	if s := le.Uint16(opt[68:]); s != subsystemEFIApp {
		return bad("subsystem %d", s)
	}
	im := &image{
		file: file, entry: uint64(le.Uint32(opt[16:])), preferred: le.Uint64(opt[24:]), alignment: uint64(le.Uint32(opt[32:])),
		size: uint64(le.Uint32(opt[56:])), headers: uint64(le.Uint32(opt[60:])),
	}
	if im.alignment < pageSize || im.alignment&(im.alignment-1) != 0 || im.alignment > maxImageSize {
		return bad("section alignment %#x", im.alignment)
	}
	if im.size == 0 || im.size > maxImageSize || im.headers > im.size || im.headers > uint64(len(file)) || im.entry >= im.size {
		return bad("image of %#x bytes, headers %#x, entry %#x", im.size, im.headers, im.entry)
	}
	im.size = roundUp(im.size)
	im.stripped = le.Uint16(coff[18:])&relocsStripped != 0
	optSize, sections := uint64(le.Uint16(coff[16:])), uint64(le.Uint16(coff[2:]))
	if optSize < optionalMin || sections == 0 || sections > maxSections || 4+coffSize+optSize+sections*sectionSize > uint64(len(h)) {
		return bad("%d sections, optional header of %d bytes", sections, optSize)
	}
	if dirs := uint64(le.Uint32(opt[108:])); dirs > directoryBaseReloc && optSize >= optionalMin+8*(directoryBaseReloc+1) {
		d := opt[optionalMin+8*directoryBaseReloc:]
		im.relocRVA, im.relocSz = uint64(le.Uint32(d)), uint64(le.Uint32(d[4:]))
	}
	return im, im.readSections(h[4+coffSize+optSize:], int(sections))
}

func (im *image) readSections(b []byte, n int) error {
	end := im.headers
	for range n {
		s := section{
			name: string(b[:8]), size: uint64(le.Uint32(b[8:])), rva: uint64(le.Uint32(b[12:])),
			raw: uint64(le.Uint32(b[16:])), off: uint64(le.Uint32(b[20:])),
		}
		b = b[sectionSize:]
		if s.size == 0 {
			s.size = s.raw
		}
		if s.rva < end || s.rva%im.alignment != 0 || s.size > im.size || s.rva > im.size-s.size {
			return fmt.Errorf("%w: section %q at %#x of %#x bytes overlaps, or is outside the image", ErrNotPE, s.name, s.rva, s.size)
		}
		s.raw = min(s.raw, s.size)
		if s.raw > uint64(len(im.file)) || s.off > uint64(len(im.file))-s.raw {
			return fmt.Errorf("%w: section %q has %#x bytes at %#x in a file of %#x", ErrNotPE, s.name, s.raw, s.off, len(im.file))
		}
		end = s.rva + s.size
		im.sections = append(im.sections, s)
	}
	return nil
}

// load copies headers and sections to mem, which will stand at address base in
// the guest, and applies the relocations. mem is im.size zeroed bytes.
func (im *image) load(mem []byte, base uint64) error {
	if uint64(len(mem)) < im.size {
		return fmt.Errorf("image of %d bytes in %d bytes of memory", im.size, len(mem))
	}
	copy(mem, im.file[:im.headers])
	for _, s := range im.sections {
		copy(mem[s.rva:s.rva+s.size], im.file[s.off:s.off+s.raw])
	}
	return im.relocate(mem, base-im.preferred)
}

// relocate adds delta to every 64-bit word the base relocation table names: blocks
// of {page RVA, block size}, then 16-bit entries {type in 4 bits, offset in 12}.
func (im *image) relocate(mem []byte, delta uint64) error {
	if delta == 0 {
		return nil
	}
	if im.stripped {
		return fmt.Errorf("%w: its relocations are stripped, and it cannot lie at %#x", ErrNotPE, im.preferred)
	}
	if im.relocSz == 0 {
		return nil // position independent, as Linux's EFI stub is
	}
	if im.relocRVA > im.size || im.relocSz > im.size-im.relocRVA {
		return fmt.Errorf("%w: relocations outside the image", ErrNotPE)
	}
	table := append([]byte(nil), mem[im.relocRVA:im.relocRVA+im.relocSz]...)
	for len(table) >= 8 {
		page, size := uint64(le.Uint32(table)), uint64(le.Uint32(table[4:]))
		if size < 8 || size%2 != 0 || size > uint64(len(table)) {
			return fmt.Errorf("%w: relocation block of %d bytes", ErrNotPE, size)
		}
		for e := table[8:size]; len(e) > 0; e = e[2:] {
			kind, at := le.Uint16(e)>>12, page+uint64(le.Uint16(e)&0xFFF)
			switch {
			case kind == relocAbsolute:
			case kind != relocDIR64:
				return fmt.Errorf("%w: relocation type %d", ErrNotPE, kind)
			case at > im.size-8:
				return fmt.Errorf("%w: relocation at %#x is outside the image", ErrNotPE, at)
			default:
				le.PutUint64(mem[at:], le.Uint64(mem[at:])+delta)
			}
		}
		table = table[size:]
	}
	return nil
}

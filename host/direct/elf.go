// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package direct

import (
	"bytes"
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"slices"

	wire "github.com/hvgo/hvgo/internal/wire/direct"
)

// ErrKernel is wrapped by the errors about a file that cannot be started.
var ErrKernel = errors.New("not a kernel that can be started directly")

func unfit(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrKernel, fmt.Sprintf(format, a...))
}

// Bounds for what a file says of itself.
const (
	maxSegments = 64
	maxSize     = 1 << 30 // bytes of memory of all segments
	maxNote     = 64 << 10
	lowest      = 1 << 20 // address of a segment
	highest     = 1 << 32 // end of the memory that both protocols map or can address
)

// kernel is a checked ELF file.
type kernel struct {
	entry    uint64
	pvhEntry uint64 // 0: none
	segments []segment
}

// segment is a part of memory; what contents lack is zero.
type segment struct {
	address, size uint64
	contents      []byte
	executable    bool
}

// IsELF reports whether a file begins as ELF files do.
func IsELF(file []byte) bool { return bytes.HasPrefix(file, []byte(elf.ELFMAG)) }

// Check looks at a kernel, and returns where the memory that it is loaded to ends, as
// an address. The error wraps ErrKernel.
func Check(file []byte) (end uint64, err error) {
	k, err := readKernel(file)
	if err != nil {
		return 0, err
	}
	last := k.segments[len(k.segments)-1]
	return last.address + last.size, nil
}

func readKernel(file []byte) (*kernel, error) {
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		return nil, unfit("%v", err)
	}
	defer f.Close()
	if f.Class != elf.ELFCLASS64 || f.Machine != elf.EM_X86_64 || f.Type != elf.ET_EXEC {
		return nil, unfit("it is %v %v %v; a 64-bit executable for x86-64 at a fixed address is needed", f.Class, f.Machine, f.Type)
	}
	k := &kernel{entry: f.Entry}
	total := uint64(0)
	for _, p := range f.Progs {
		switch p.Type {
		case elf.PT_INTERP, elf.PT_DYNAMIC:
			return nil, unfit("it needs a dynamic linker: it is a program for Linux")
		case elf.PT_NOTE:
			if err := k.readNotes(file, p); err != nil {
				return nil, err
			}
		case elf.PT_LOAD:
			if p.Memsz == 0 {
				continue
			}
			if p.Memsz > maxSize || total+p.Memsz > maxSize || len(k.segments) == maxSegments {
				return nil, unfit("its segments take more than %d MiB, or are more than %d", maxSize>>20, maxSegments)
			}
			total += p.Memsz
			s, err := readSegment(file, p)
			if err != nil {
				return nil, err
			}
			k.segments = append(k.segments, s)
		}
	}
	return k, k.check()
}

func readSegment(file []byte, p *elf.Prog) (s segment, err error) {
	if p.Filesz > p.Memsz || p.Off > uint64(len(file)) || p.Filesz > uint64(len(file))-p.Off {
		return s, unfit("its segment at %#x has %d bytes in the file, which are not there", p.Paddr, p.Filesz)
	}
	if p.Paddr < lowest || p.Paddr >= highest || p.Memsz > highest-p.Paddr {
		return s, unfit("its segment at %#x, %d bytes, is not between 1 MiB and 4 GiB", p.Paddr, p.Memsz)
	}
	return segment{p.Paddr, p.Memsz, file[p.Off : p.Off+p.Filesz], p.Flags&elf.PF_X != 0}, nil
}

// check looks at the segments together.
func (k *kernel) check() error {
	if len(k.segments) == 0 {
		return unfit("it has nothing to load")
	}
	slices.SortFunc(k.segments, func(a, b segment) int { return cmp.Compare(a.address, b.address) })
	for i := 1; i < len(k.segments); i++ {
		if s := k.segments[i-1]; s.address+s.size > k.segments[i].address {
			return unfit("its segments at %#x and %#x overlap", s.address, k.segments[i].address)
		}
	}
	if !k.executable(k.entry) {
		return unfit("its entry %#x is in no executable segment", k.entry)
	}
	if k.pvhEntry != 0 && !k.executable(k.pvhEntry) {
		return unfit("its PVH entry %#x is in no executable segment", k.pvhEntry)
	}
	return nil
}

func (k *kernel) executable(addr uint64) bool {
	return slices.ContainsFunc(k.segments, func(s segment) bool {
		return s.executable && addr >= s.address && addr-s.address < s.size
	})
}

// readNotes looks for the note that names PVH's entry. Each has a name and a
// description, both padded to 4 bytes (System V gABI, "Note Section").
func (k *kernel) readNotes(file []byte, p *elf.Prog) error {
	if p.Filesz > maxNote || p.Off > uint64(len(file)) || p.Filesz > uint64(len(file))-p.Off {
		return unfit("its notes are not in the file")
	}
	const head = 12
	for b := file[p.Off : p.Off+p.Filesz]; len(b) >= head; {
		nameSize, descSize, kind := uint64(le.Uint32(b)), uint64(le.Uint32(b[4:])), le.Uint32(b[8:])
		descAt := head + (nameSize+3)&^3
		end := descAt + (descSize+3)&^3
		if descAt+descSize > uint64(len(b)) {
			return unfit("a note of it is truncated")
		}
		if kind == wire.NoteType && string(b[head:head+nameSize]) == wire.NoteName+"\x00" {
			switch desc := b[descAt : descAt+descSize]; descSize {
			case 4:
				k.pvhEntry = uint64(le.Uint32(desc))
			case 8:
				k.pvhEntry = le.Uint64(desc)
			default:
				return unfit("its note of PVH's entry has %d bytes", descSize)
			}
		}
		b = b[min(end, uint64(len(b))):]
	}
	return nil
}

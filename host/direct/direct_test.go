// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package direct

import (
	"bytes"
	"debug/elf"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/host/firmware"
	"github.com/hvgo/hvgo/host/vmm"
	wire "github.com/hvgo/hvgo/internal/wire/direct"
)

const mib = 1 << 20

// prog is a program header, with its contents.
type prog struct {
	kind     elf.ProgType
	flags    elf.ProgFlag
	address  uint64
	contents []byte
	size     uint64
}

// file makes an ELF file.
func file(entry uint64, progs ...prog) []byte {
	const headerSize, progSize = 64, 56
	b := append([]byte(elf.ELFMAG), byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint16(le.AppendUint16(b, uint16(elf.ET_EXEC)), uint16(elf.EM_X86_64))
	b = le.AppendUint64(le.AppendUint32(b, 1), entry)
	b = le.AppendUint64(le.AppendUint64(b, headerSize), 0)
	b = le.AppendUint32(b, 0)
	for _, v := range []int{headerSize, progSize, len(progs), 0, 0, 0} {
		b = le.AppendUint16(b, uint16(v))
	}
	offset := uint64(headerSize + progSize*len(progs))
	for _, p := range progs {
		b = le.AppendUint32(le.AppendUint32(b, uint32(p.kind)), uint32(p.flags))
		for _, v := range []uint64{offset, p.address, p.address, uint64(len(p.contents)), p.size, 1} {
			b = le.AppendUint64(b, v)
		}
		offset += uint64(len(p.contents))
	}
	for _, p := range progs {
		b = append(b, p.contents...)
	}
	return b
}

func note(name string, kind uint32, desc []byte) []byte {
	b := le.AppendUint32(nil, uint32(len(name)+1))
	b = le.AppendUint32(le.AppendUint32(b, uint32(len(desc))), kind)
	b = append(append(b, name...), 0)
	b = append(b, make([]byte, -len(b)&3)...)
	return append(append(b, desc...), make([]byte, -len(desc)&3)...)
}

var (
	text = prog{elf.PT_LOAD, elf.PF_R | elf.PF_X, 2 * mib, []byte("text"), 4096}
	data = prog{elf.PT_LOAD, elf.PF_R | elf.PF_W, 3 * mib, []byte("data"), mib}
)

func notes(b []byte) prog { return prog{elf.PT_NOTE, elf.PF_R, 0, b, uint64(len(b))} }

func TestReadKernel(t *testing.T) {
	other := note("GNU", 3, []byte("12345"))
	for _, n := range [][]byte{
		append(other, note("Xen", 18, le.AppendUint64(nil, 2*mib+16))...),
		append(note("Xen", 17, le.AppendUint64(nil, 1)), note("Xen", 18, le.AppendUint32(nil, 2*mib+16))...),
	} {
		b := file(2*mib+4, data, notes(n), text)
		k, err := readKernel(b)
		if err != nil {
			t.Fatal(err)
		}
		if k.entry != 2*mib+4 || k.pvhEntry != 2*mib+16 || len(k.segments) != 2 || string(k.segments[0].contents) != "text" ||
			k.segments[1].address != 3*mib || k.segments[1].size != mib {
			t.Errorf("%+v", k)
		}
		if end, err := Check(b); err != nil || end != 4*mib || !IsELF(b) {
			t.Errorf("end %#x, %v", end, err)
		}
	}
	k, err := readKernel(file(2*mib, text, notes(note("xen", 18, make([]byte, 8)))))
	if err != nil || k.pvhEntry != 0 {
		t.Errorf("another's note: %+v, %v", k, err)
	}
}

func TestReadKernelRefuses(t *testing.T) {
	good := file(2*mib, text, data)
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	with := func(p prog, f func(p *prog)) prog { f(&p); return p }
	const firstProg, fileSize = 64, 32
	for name, test := range map[string]struct {
		b    []byte
		want string
	}{
		"nothing":        {nil, ""},
		"short":          {good[:70], ""},
		"32 bits":        {change(4, 1), ""},
		"arm64":          {change(18, 183), "EM_AARCH64"},
		"relocatable":    {change(16, 3), "fixed address"},
		"no segments":    {file(2 * mib), "nothing to load"},
		"below 1 MiB":    {file(2*mib, with(text, func(p *prog) { p.address = mib - 1 }), data), "not between 1 MiB and 4 GiB"},
		"above 4 GiB":    {file(2*mib, text, with(data, func(p *prog) { p.address = 4<<30 - 4096 })), "not between 1 MiB and 4 GiB"},
		"wraps":          {file(2*mib, text, with(data, func(p *prog) { p.address = ^uint64(0) - 10 })), "not between"},
		"large":          {file(2*mib, text, with(data, func(p *prog) { p.size = 1 << 40 })), "more than 1024 MiB"},
		"file size":      {change(firstProg+fileSize+2, 1), "which are not there"},
		"overlap":        {file(2*mib, text, with(data, func(p *prog) { p.address = 2*mib + 4095 })), "overlap"},
		"entry in data":  {file(3*mib, text, data), "no executable segment"},
		"entry behind":   {file(2*mib+4096, text, data), "no executable segment"},
		"PVH elsewhere":  {file(2*mib, text, notes(note("Xen", 18, le.AppendUint64(nil, 9*mib)))), "PVH entry 0x900000"},
		"note of 3":      {file(2*mib, text, notes(note("Xen", 18, []byte("abc")))), "has 3 bytes"},
		"note truncated": {file(2*mib, text, notes(note("Xen", 18, make([]byte, 8))[:20])), "truncated"},
		"note wraps":     {file(2*mib, text, notes([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\x12\x00\x00\x00Xen\x00"))), "truncated"},
		"interpreter":    {file(2*mib, prog{kind: elf.PT_INTERP, contents: []byte("/x\x00")}, text), "dynamic linker"},
		"many":           {file(2*mib, slices.Repeat([]prog{text}, 65)...), "more than 64"},
	} {
		if _, err := readKernel(test.b); !errors.Is(err, ErrKernel) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func FuzzReadKernel(f *testing.F) {
	f.Add(file(2*mib, text, data, notes(note("Xen", 18, le.AppendUint64(nil, 2*mib)))))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := readKernel(b)
		if err != nil {
			return
		}
		for _, s := range k.segments {
			if s.address < lowest || s.address+s.size > highest || uint64(len(s.contents)) > s.size {
				t.Fatalf("%#x, %d bytes, of them %d in the file", s.address, s.size, len(s.contents))
			}
		}
	})
}

func TestLoad(t *testing.T) {
	ram, err := vmm.NewMemory(vmm.MinMemory, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer ram.Close()
	k, err := readKernel(file(2*mib, text, data))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := ram.Bytes(3*mib, mib)
	b[100] = 1 // what the file has no bytes for becomes zero
	l := loader{ram: ram, kernel: k}
	if err := l.load(); err != nil || string(b[:4]) != "data" || b[100] != 0 {
		t.Errorf("%v, %q", err, b[:4])
	}
	k.segments[1].address = 16*mib - 4096
	if err := l.load(); !errors.Is(err, firmware.ErrMemory) {
		t.Errorf("too large: %v", err)
	}
}

// TestMemoryMap: the ranges do not overlap, and cover all RAM but the hole of a PC.
func TestMemoryMap(t *testing.T) {
	ram, err := vmm.NewMemory(64*mib, 32*mib)
	if err != nil {
		t.Fatal(err)
	}
	defer ram.Close()
	last, sum := uint64(0), uint64(0)
	for _, r := range memoryMap(ram) {
		if r.Start < last || r.Size == 0 {
			t.Errorf("%+v", r)
		}
		last = r.Start + r.Size
		if r.Type == wire.RAM || r.Type == wire.ACPI {
			sum += r.Size
		}
	}
	if sum != 64*mib-(romEnd-videoAt) || last != 4<<30+32*mib {
		t.Errorf("%d KiB, up to %#x", sum>>10, last)
	}
}

func TestPageTables(t *testing.T) {
	b := pageTables(tablesAt)
	if len(b) != setupDataAt-tablesAt {
		t.Errorf("%d bytes", len(b))
	}
	const address = 1<<52 - pageSize
	for va := uint64(0); va < 4<<30; va += 2 * mib {
		pdpt := le.Uint64(b)
		pd := le.Uint64(b[pdpt&address-tablesAt+va>>30*8:])
		if e := le.Uint64(b[pd&address-tablesAt+va>>21&511*8:]); e != va|0x83 {
			t.Fatalf("%#x: %#x", va, e)
		}
	}
}

func TestCommandLine(t *testing.T) {
	for _, line := range []string{strings.Repeat("x", MaxCommandLine+1), "a\x00b"} {
		if err := Boot(nil, Config{Kernel: file(2*mib, text), CommandLine: line}); err == nil || errors.Is(err, ErrKernel) {
			t.Errorf("%d bytes: %v", len(line), err)
		}
	}
	if err := Boot(nil, Config{Kernel: file(2*mib, text), Protocol: PVH}); !errors.Is(err, ErrKernel) {
		t.Errorf("no PVH entry: %v", err)
	}
}

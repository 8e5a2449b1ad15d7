// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vdso

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"
	"unsafe"
)

// TestAsELF reads the image with debug/elf and then, as there are no sections,
// by its dynamic table: what a dynamic linker does.
func TestAsELF(t *testing.T) {
	page := make([]byte, pageSize)
	const clock = -0x123456
	Fill((*Image)(unsafe.Pointer(unsafe.SliceData(page))), ^uintptr(0)-0x123456+1)
	f, err := elf.NewFile(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != elf.ET_DYN || f.Machine != elf.EM_X86_64 || len(f.Progs) != 2 ||
		f.Progs[0].Type != elf.PT_LOAD || f.Progs[1].Type != elf.PT_DYNAMIC {
		t.Fatalf("header %+v, segments %v", f.FileHeader, f.Progs)
	}
	at := map[elf.DynTag]uint64{}
	for d := page[f.Progs[1].Off:][:f.Progs[1].Filesz]; len(d) >= 16; d = d[16:] {
		at[elf.DynTag(binary.LittleEndian.Uint64(d))] = binary.LittleEndian.Uint64(d[8:])
	}
	name := func(off uint64) string {
		s := page[at[elf.DT_STRTAB]+off:]
		return string(s[:bytes.IndexByte(s, 0)])
	}
	hash := page[at[elf.DT_HASH]:]
	if n := binary.LittleEndian.Uint32(hash[4:]); n != 2 || binary.LittleEndian.Uint32(hash[8:]) != 1 {
		t.Fatalf("hash table % x", hash[:20])
	}
	var sym elf.Sym64
	if err := binary.Read(bytes.NewReader(page[at[elf.DT_SYMTAB]+elf.Sym64Size:]), binary.LittleEndian, &sym); err != nil {
		t.Fatal(err)
	}
	if name(uint64(sym.Name)) != "__vdso_clock_gettime" || elf.ST_TYPE(sym.Info) != elf.STT_FUNC ||
		elf.ST_BIND(sym.Info) != elf.STB_GLOBAL || sym.Shndx == 0 || int64(sym.Value) != clock {
		t.Errorf("symbol %q %+v", name(uint64(sym.Name)), sym)
	}
	def := page[at[elf.DT_VERDEF]:]
	aux := binary.LittleEndian.Uint32(def[12:])
	if ndx := binary.LittleEndian.Uint16(def[4:]); ndx != binary.LittleEndian.Uint16(page[at[elf.DT_VERSYM]+2:]) {
		t.Errorf("version index %d", ndx)
	}
	if v := name(uint64(binary.LittleEndian.Uint32(def[aux:]))); v != "LINUX_2.6" || binary.LittleEndian.Uint32(def[8:]) != elfHash(v) {
		t.Errorf("version %q, hash %#x", v, binary.LittleEndian.Uint32(def[8:]))
	}
}

// elfHash is the System V ABI's hash of names.
func elfHash(s string) (h uint32) {
	for _, c := range []byte(s) {
		h = h<<4 + uint32(c)
		h ^= h >> 28 << 4 & 0xf0
		h &= 0x0fffffff
	}
	return h
}

func TestFitsPage(t *testing.T) {
	if n := unsafe.Sizeof(Image{}); n > pageSize {
		t.Errorf("%d bytes", n)
	}
	if len(names) > len(Image{}.strings) {
		t.Errorf("%d bytes of names", len(names))
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package vdso makes the shared object that Linux maps into each process, as
// far as the Go runtime looks at it: it lets the runtime read the clock by a
// call instead of a system call. boot maps it before the program starts.
package vdso

import "unsafe"

const pageSize = 4096

// Image is an ELF shared object of one page whose only function lies
// elsewhere: its symbol's value reaches from the page to the function. It holds
// what Go's runtime/vdso_linux.go reads.
type Image struct {
	ident                      [16]byte
	typ, machine               uint16
	version                    uint32
	entry, phoff, shoff        uint64
	flags                      uint32
	ehsize, phentsize, phnum   uint16
	shentsize, shnum, shstrndx uint16
	load, dynamic              segment
	dyn                        [6][2]uint64
	hash                       [5]uint32 // nbucket, nchain, bucket, chain[2]
	versym                     [2]uint16
	sym                        [2]symbol
	verdef                     verdef
	strings                    [40]byte
}

type segment struct {
	typ, flags                                 uint32
	offset, vaddr, paddr, filesz, memsz, align uint64
}

type symbol struct {
	name        uint32
	info, other uint8
	shndx       uint16
	value, size uint64
}

type verdef struct {
	version, flags, ndx, cnt uint16
	hash, aux, next          uint32
	auxName, auxNext         uint32
}

const names = "\x00__vdso_clock_gettime\x00LINUX_2.6\x00"

// Fill makes the page. clock is the distance from the page to the function
// __vdso_clock_gettime, in either direction.
func Fill(v *Image, clock uintptr) {
	const ptLoad, ptDynamic = 1, 2
	v.typ, v.machine, v.version = 3, 62, 1
	v.ident[0], v.ident[1], v.ident[2], v.ident[3] = 0x7f, 'E', 'L', 'F'
	v.ident[4], v.ident[5], v.ident[6] = 2, 1, 1
	v.phoff, v.phentsize, v.phnum = uint64(unsafe.Offsetof(v.load)), uint16(unsafe.Sizeof(v.load)), 2
	v.ehsize = 64
	v.load = segment{typ: ptLoad, flags: 5, filesz: pageSize, memsz: pageSize, align: pageSize}
	v.dynamic = segment{typ: ptDynamic, flags: 4, offset: uint64(unsafe.Offsetof(v.dyn)), vaddr: uint64(unsafe.Offsetof(v.dyn)),
		filesz: uint64(unsafe.Sizeof(v.dyn)), memsz: uint64(unsafe.Sizeof(v.dyn)), align: 8}
	const dtHash, dtStrtab, dtSymtab, dtVersym, dtVerdef = 4, 5, 6, 0x6ffffff0, 0x6ffffffc
	v.dyn[0] = [2]uint64{dtHash, uint64(unsafe.Offsetof(v.hash))}
	v.dyn[1] = [2]uint64{dtStrtab, uint64(unsafe.Offsetof(v.strings))}
	v.dyn[2] = [2]uint64{dtSymtab, uint64(unsafe.Offsetof(v.sym))}
	v.dyn[3] = [2]uint64{dtVersym, uint64(unsafe.Offsetof(v.versym))}
	v.dyn[4] = [2]uint64{dtVerdef, uint64(unsafe.Offsetof(v.verdef))}
	v.hash = [5]uint32{1, 2, 1, 0, 0}
	v.versym[1] = 2
	v.sym[1] = symbol{name: 1, info: 1<<4 | 2, shndx: 1, value: uint64(clock), size: 16}
	v.verdef = verdef{version: 1, ndx: 2, cnt: 1, hash: 0x3ae75f6, aux: uint32(unsafe.Offsetof(v.verdef.auxName)), auxName: 22}
	for i := range names {
		v.strings[i] = names[i]
	}
}

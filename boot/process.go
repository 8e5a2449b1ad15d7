// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"unsafe"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// The program starts as a static Linux process does (System V ABI for x86-64,
// 3.4.1): on its stack argc, argv, envp and the auxiliary vector.

// firstStack is the size of the first thread's stack; the Go runtime takes
// 64 KiB of it for m0's g0.
const firstStack = 256 << 10

// Keys of the auxiliary vector.
const (
	atPageSize = 6
	atSecure   = 23
	atRandom   = 25
	atExecFn   = 31
	atVDSO     = 33
)

// arguments and environment, each ended by a zero byte.
const (
	argument    = "/init\x00"
	environment = "HOME=/\x00PATH=/\x00TMPDIR=/tmp\x00"
)

// pusher builds a stack downwards.
type pusher struct{ sp uintptr }

func (p *pusher) bytes(s string) uintptr {
	p.sp -= uintptr(len(s))
	ring0.CopyUser(p.sp, uintptr(unsafe.Pointer(unsafe.StringData(s))), uintptr(len(s)))
	return p.sp
}

func (p *pusher) word(v uintptr) {
	p.sp -= 8
	ring0.CopyUser(p.sp, uintptr(unsafe.Pointer(&v)), 8)
}

// processStack makes the first thread's stack and gives its stack pointer, 0
// when there is no memory.
func processStack(vdso uintptr, random *[16]byte) uintptr {
	base, errno := mem.Mmap(0, firstStack, mem.ProtRead|mem.ProtWrite, mem.MapPrivate|mem.MapAnonymous)
	if errno != 0 || !mem.Prepare(base+firstStack-mem.PageSize, mem.PageSize, true) {
		return 0
	}
	p := pusher{base + firstStack}
	p.word(0)
	arg := p.bytes(argument)
	env := p.bytes(environment)
	p.sp &^= 15
	p.sp -= 16
	seed := p.sp
	ring0.CopyUser(seed, uintptr(unsafe.Pointer(random)), 16)

	aux := [...][2]uintptr{{atPageSize, mem.PageSize}, {atSecure, 0}, {atRandom, seed}, {atExecFn, arg}, {atVDSO, vdso}, {0, 0}}
	for i := len(aux) - 1; i >= 0; i-- {
		p.word(aux[i&7][1])
		p.word(aux[i&7][0])
	}
	p.word(0)
	for at := uintptr(len(environment)); at > 0; { // the last variable first
		at--
		start := at
		for start > 0 && environment[start-1] != 0 {
			start--
		}
		p.word(env + start)
		at = start
	}
	p.word(0)
	p.word(arg)
	p.word(1) // argc
	return p.sp
}

// vdsoImage is an ELF shared object of one page whose only function lies
// elsewhere: its symbol's value reaches from the page to the function. It holds
// what Go's runtime/vdso_linux.go reads.
type vdsoImage struct {
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

const vdsoNames = "\x00__vdso_clock_gettime\x00LINUX_2.6\x00"

// makeVDSO maps the page and gives its address, 0 when there is no memory.
func makeVDSO() uintptr {
	page, errno := mem.Mmap(0, mem.PageSize, mem.ProtRead|mem.ProtWrite, mem.MapPrivate|mem.MapAnonymous)
	if errno != 0 || !mem.Prepare(page, mem.PageSize, true) {
		return 0
	}
	v := (*vdsoImage)(ring0.Pointer(page))
	const ptLoad, ptDynamic = 1, 2
	v.typ, v.machine, v.version = 3, 62, 1
	v.ident[0], v.ident[1], v.ident[2], v.ident[3] = 0x7f, 'E', 'L', 'F'
	v.ident[4], v.ident[5], v.ident[6] = 2, 1, 1
	v.phoff, v.phentsize, v.phnum = uint64(unsafe.Offsetof(v.load)), uint16(unsafe.Sizeof(v.load)), 2
	v.ehsize = 64
	v.load = segment{typ: ptLoad, flags: 5, filesz: mem.PageSize, memsz: mem.PageSize, align: mem.PageSize}
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
	v.sym[1] = symbol{name: 1, info: 1<<4 | 2, shndx: 1, value: uint64(hv.ClockGettime() - page), size: 16}
	v.verdef = verdef{version: 1, ndx: 2, cnt: 1, hash: 0x3ae75f6, aux: uint32(unsafe.Offsetof(v.verdef.auxName)), auxName: 22}
	for i := range vdsoNames {
		v.strings[i] = vdsoNames[i]
	}
	if mem.Mprotect(page, mem.PageSize, mem.ProtRead) != 0 {
		return 0
	}
	return page
}

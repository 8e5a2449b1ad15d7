// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"unsafe"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/vdso"
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

// The program's name and what the environment holds behind the variables of the
// command line, each ended by a zero byte.
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

// pointers pushes the addresses of texts that end with a zero byte each and lie one
// behind another at at, the last one first. It gives their number.
func (p *pusher) pointers(texts string, at uintptr) (n uintptr) {
	for end := len(texts); end > 0; n++ {
		end--
		start := end
		for start > 0 && texts[start-1] != 0 {
			start--
		}
		p.word(at + uintptr(start))
		end = start
	}
	return n
}

// processStack makes the first thread's stack and gives its stack pointer, 0
// when there is no memory.
func processStack(vdso uintptr, random *[16]byte) uintptr {
	base, errno := mem.Mmap(0, firstStack, mem.ProtRead|mem.ProtWrite, mem.MapPrivate|mem.MapAnonymous)
	if errno != 0 || !mem.Prepare(base+firstStack-stackTop, stackTop, true) {
		return 0
	}
	arguments := text(handed.Line.Args.Text[:handed.Line.Args.Len])
	variables := text(handed.Line.Env.Text[:handed.Line.Env.Len])
	p := pusher{base + firstStack}
	p.word(0)
	env2 := p.bytes(environment)
	env1 := p.bytes(variables)
	args := p.bytes(arguments)
	name := p.bytes(argument)
	p.sp &^= 15
	p.sp -= 16
	seed := p.sp
	ring0.CopyUser(seed, uintptr(unsafe.Pointer(random)), 16)

	aux := [...][2]uintptr{{atPageSize, mem.PageSize}, {atSecure, 0}, {atRandom, seed}, {atExecFn, name}, {atVDSO, vdso}, {0, 0}}
	for i := len(aux) - 1; i >= 0; i-- {
		p.word(aux[i][1])
		p.word(aux[i][0])
	}
	p.word(0)
	p.pointers(environment, env2)
	p.pointers(variables, env1)
	p.word(0)
	argc := p.pointers(arguments, args)
	argc += p.pointers(argument, name)
	p.word(argc)
	return p.sp
}

// stackTop is the part of the first stack that processStack fills: a command line of
// 4 KiB, and in the worst case a pointer for each two bytes of it.
const stackTop = 32 << 10

func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// makeVDSO maps the vDSO's page and gives its address, 0 when there is no memory.
func makeVDSO() uintptr {
	page, errno := mem.Mmap(0, mem.PageSize, mem.ProtRead|mem.ProtWrite, mem.MapPrivate|mem.MapAnonymous)
	if errno != 0 || !mem.Prepare(page, mem.PageSize, true) {
		return 0
	}
	vdso.Fill((*vdso.Image)(ring0.Pointer(page)), hv.ClockGettime()-page)
	if mem.Mprotect(page, mem.PageSize, mem.ProtRead) != 0 {
		return 0
	}
	return page
}

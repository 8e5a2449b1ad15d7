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
		p.word(aux[i][1])
		p.word(aux[i][0])
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

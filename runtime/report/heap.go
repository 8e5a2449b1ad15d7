// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"unsafe"

	"github.com/hvgo/hvgo/runtime/ring0"
)

// mallocgc is what all of Go's allocations come to.
//
//go:linkname mallocgc runtime.mallocgc
func mallocgc(size uintptr, typ unsafe.Pointer, needzero bool) unsafe.Pointer

// heapEntry is its first instruction. Only init refers to the function, so that the
// code of traps does not reach it.
var heapEntry uintptr

func init() {
	f := mallocgc
	heapEntry = **(**uintptr)(unsafe.Pointer(&f))
}

// arena is the memory that is left for allocations, from its lower end.
var arena struct{ at, end uintptr }

// allocate stands in for mallocgc. Where there is no more it gives nil, at which the
// caller faults; what was printed stands.
//
//go:nosplit
func allocate(size uintptr, _ unsafe.Pointer, _ bool) unsafe.Pointer {
	size = (size + 15) &^ 15
	if size > arena.end-arena.at {
		return nil
	}
	p := ring0.Pointer(arena.at)
	arena.at += size
	return p
}

// replaceHeap makes mallocgc jump to allocate. The program does not run any more, and
// its heap may be what is broken, or locked. The memory from at is zero.
func replaceHeap(at, bytes uintptr) bool {
	if heapEntry == 0 {
		return false // package initialisation was not there yet
	}
	arena.at, arena.end = at, at+bytes
	f := allocate
	target := **(**uintptr)(unsafe.Pointer(&f))
	code := [13]byte{0x49, 0xbb, 10: 0x41, 0xff, 0xe3} // MOV R11, target; JMP R11
	*(*uintptr)(unsafe.Pointer(&code[2])) = target
	const writeProtect = 1 << 16
	cr0 := ring0.CR0()
	ring0.SetCR0(cr0 &^ writeProtect) // text is mapped read-only
	*(*[13]byte)(ring0.Pointer(heapEntry)) = code
	ring0.SetCR0(cr0)
	return true
}

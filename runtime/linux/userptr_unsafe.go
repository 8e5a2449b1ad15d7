// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"syscall"
	"unsafe"
)

// The program passes pointers as integers. One that points into the heap, or into memory of mmap, stays
// true for the length of the call, because package syscall keeps the object alive. One that points into
// the calling goroutine's own stack becomes false as soon as that stack grows and so moves. It is kept as
// the distance from the stack's upper end, which does not change, and the data goes through a buffer in
// the heap. Whoever turns the distance into an address is nosplit, so that the stack cannot move between
// that and the copy.

// call is one system call in a form that survives a move of the stack.
type call struct {
	nr      uintptr
	arg     [6]uintptr
	stackHi uintptr // upper end of the stack when arg was taken
	onStack uint8   // bit i: arg[i] was an address on the stack
}

// Door serves the system call nr with the arguments a on the calling goroutine and returns Linux's raw
// result: a value, or a negative errno. It may allocate, block and grow the stack.
//
// Nosplit, because the arguments have to be looked at before anything can move the stack.
//
//go:nosplit
func Door(nr uintptr, a *[6]uintptr) (r1 uintptr) {
	c := newCall(nr, a)
	if BeforeCall != nil {
		BeforeCall()
	}
	return c.serve()
}

// BeforeCall is called at the begin of each call that comes by Door.
var BeforeCall func()

// Direct is Door without BeforeCall.
//
//go:nosplit
func Direct(nr uintptr, a *[6]uintptr) (r1 uintptr) {
	c := newCall(nr, a)
	return c.serve()
}

// newCall keeps addresses on the goroutine's own stack as distances, since the stack may
// move from here on.
//
//go:nosplit
func newCall(nr uintptr, a *[6]uintptr) call {
	c := call{nr: nr, arg: *a, stackHi: StackHi()}
	for i := range c.arg {
		if OnStack(c.arg[i]) {
			c.onStack |= 1 << i
		}
	}
	return c
}

// ref is an address of the program.
type ref struct {
	v       uintptr // the address, or the distance below StackHi
	onStack bool
}

// ptr is argument i as an address.
func (c *call) ptr(i int) ref {
	if c.onStack&(1<<i) != 0 {
		return ref{c.stackHi - c.arg[i], true}
	}
	return ref{c.arg[i], false}
}

func (r ref) isNil() bool { return r.v == 0 && !r.onStack }

// add is the address n bytes further. Behind the stack nothing is valid.
func (r ref) add(n uintptr) ref {
	if r.onStack {
		return ref{r.v - min(n, r.v), true}
	}
	return ref{r.v + n, false}
}

// valid says whether the program may read (or write) n bytes at r.
func (r ref) valid(n uintptr, write bool) bool {
	switch {
	case n == 0:
		return true
	case r.onStack:
		return n <= r.v
	}
	return r.v != 0 && r.v+n >= r.v && Valid(r.v, n, write)
}

// pointer is r as a pointer that is true until the stack moves. Nosplit: see above.
//
//go:nosplit
func (r ref) pointer() unsafe.Pointer {
	a := r.v
	if r.onStack {
		a = StackHi() - a
	}
	return *(*unsafe.Pointer)(unsafe.Pointer(&a))
}

// load copies from r, which was found valid, to dst. Nosplit: see above.
//
//go:nosplit
func (r ref) load(dst []byte) {
	if len(dst) != 0 {
		copy(dst, unsafe.Slice((*byte)(r.pointer()), len(dst)))
	}
}

// store copies src to r, which was found valid. Nosplit: see above.
//
//go:nosplit
func (r ref) store(src []byte) {
	if len(src) != 0 {
		copy(unsafe.Slice((*byte)(r.pointer()), len(src)), src)
	}
}

// loadPtr reads an address that is stored at r, which was found valid. Nosplit: the address is looked at
// before the stack can move; a move would also correct it where it is stored.
//
//go:nosplit
func (r ref) loadPtr() (p ref) {
	a := *(*uintptr)(r.pointer())
	if OnStack(a) {
		return ref{StackHi() - a, true}
	}
	return ref{a, false}
}

// in is n bytes at r that the call reads: the memory itself, or a copy when it is on the stack.
func (r ref) in(n int) ([]byte, syscall.Errno) {
	b, e := r.memory(n, false)
	if r.onStack {
		r.load(b)
	}
	return b, e
}

// out is n bytes at r that the call fills; done must follow.
func (r ref) out(n int) ([]byte, syscall.Errno) { return r.memory(n, true) }

// done stores b, what the call has filled of the slice from out.
func (r ref) done(b []byte) {
	if r.onStack {
		r.store(b)
	}
}

func (r ref) memory(n int, write bool) ([]byte, syscall.Errno) {
	switch {
	case n == 0:
		return nil, 0
	case n < 0 || !r.valid(uintptr(n), write):
		return nil, syscall.EFAULT
	case r.onStack:
		return make([]byte, n), 0
	}
	return unsafe.Slice((*byte)(r.pointer()), n), 0
}

// copyIn reads len(dst) bytes at r.
func (r ref) copyIn(dst []byte) syscall.Errno {
	if !r.valid(uintptr(len(dst)), false) {
		return syscall.EFAULT
	}
	r.load(dst)
	return 0
}

// copyOut writes src to r.
func (r ref) copyOut(src []byte) syscall.Errno {
	if !r.valid(uintptr(len(src)), true) {
		return syscall.EFAULT
	}
	r.store(src)
	return 0
}

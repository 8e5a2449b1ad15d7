// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"unsafe"

	"github.com/hvgo/hvgo/runtime/linux"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/serial"
)

// maxFrames bounds a backtrace: what the stack holds may be anything.
const maxFrames = 48

// Functions at which one stack ends and another one goes on.
const (
	trapCommon  = "github.com/hvgo/hvgo/runtime/ring0.trapCommon"
	trapSyscall = "github.com/hvgo/hvgo/runtime/ring0.trapSyscall"
	systemstack = "runtime.systemstack"
	mcall       = "runtime.mcall"
)

// cursor is a place in a call chain.
type cursor struct {
	pc, sp, bp uintptr
	called     bool // pc is where a call returns to, so the instruction before it counts
}

// word reads memory that may not be there.
func word(at uintptr) (v uintptr, ok bool) {
	ok = ring0.CopyUser(uintptr(unsafe.Pointer(&v)), at, unsafe.Sizeof(v))
	return v, ok
}

// Backtrace prints the calls that led to what f interrupted, innermost first: through
// the trap stack to the code that made the system call or was interrupted, and from
// the Go runtime's own stack to the goroutine that it works for. g is the address of
// the g of the thread; 0 for none.
func Backtrace(f *ring0.Frame, g uintptr) {
	if !Known() {
		serial.Print("  (the tables of this program's functions are of a version that is not known)\n")
		return
	}
	c := cursor{pc: uintptr(f.RIP), sp: uintptr(f.RSP), bp: uintptr(f.RBP)}
	for n := 0; n < maxFrames; n++ {
		if !c.step(n, &g) {
			return
		}
	}
	serial.Print("  ...\n")
}

// step prints the function at c and goes to its caller; false at the end.
func (c *cursor) step(n int, g *uintptr) bool {
	at := c.pc
	if c.called {
		at--
	}
	fn := find(at)
	if fn == nil {
		serial.Print("  ")
		serial.Hex(uint64(c.pc))
		serial.Print(" is not in the program's text\n")
		// A call of what is no function: the way back is on the stack.
		return n == 0 && c.pop(c.sp)
	}
	fn.print(at)
	name := module().names.text(uintptr(uint32(fn.name)))
	switch {
	case c.called && (name == trapCommon || name == trapSyscall):
		return c.leaveTrap(name == trapSyscall)
	case name == systemstack || name == mcall:
		return c.enterGoroutine(g)
	case fn.flag&flagTop != 0:
		return false
	}
	if delta := fn.value(fn.stackValues, at); delta >= 0 {
		// Go's functions that have a frame keep the caller's frame pointer below the
		// return address.
		if bp, ok := word(c.sp + uintptr(delta) - 8); ok && delta >= 8 {
			c.bp = bp
		}
		return c.pop(c.sp + uintptr(delta))
	}
	if bp := c.bp; bp > c.sp {
		saved, ok := word(bp)
		c.bp = saved
		return ok && c.pop(bp+8)
	}
	return false
}

// pop goes to the return address at sp.
func (c *cursor) pop(sp uintptr) bool {
	pc, ok := word(sp)
	if !ok {
		serial.Print("  (the stack cannot be read at ")
		serial.Hex(uint64(sp))
		serial.Print(")\n")
		return false
	}
	c.pc, c.sp, c.called = pc, sp+8, true
	return pc != 0
}

// leaveTrap goes on where a trap came from: its entry keeps the Frame's address on
// the stack (ring0, entry_amd64.s).
func (c *cursor) leaveTrap(bySyscall bool) bool {
	var f ring0.Frame
	at, ok := word(c.sp + 8)
	if !ok || !ring0.CopyUser(uintptr(unsafe.Pointer(&f)), at, unsafe.Sizeof(f)) {
		return false
	}
	if bySyscall {
		serial.Print("  -- system call ")
		serial.Dec(f.RAX)
		if f.RAX < linux.MaxCall {
			serial.Print(" (")
			serial.Print(linux.CallName[f.RAX])
			serial.Print(")")
		}
		serial.Print(" of --\n")
	} else {
		serial.Print("  -- vector ")
		serial.Dec(f.Vector)
		serial.Print(" interrupted --\n")
	}
	*c = cursor{pc: uintptr(f.RIP), sp: uintptr(f.RSP), bp: uintptr(f.RBP), called: bySyscall}
	return true
}

// enterGoroutine goes from the Go runtime's own stack to where it was left for it.
func (c *cursor) enterGoroutine(g *uintptr) bool {
	m, ok := word(*g + ring0.GM)
	if *g == 0 || !ok {
		return false
	}
	current, ok := word(m + ring0.MCurg)
	if !ok || current == 0 || current == *g {
		return false
	}
	pc, ok1 := word(current + ring0.GSchedPC)
	sp, ok2 := word(current + ring0.GSchedSP)
	bp, ok3 := word(current + ring0.GSchedBP)
	id, ok4 := word(current + ring0.GID)
	if !ok1 || !ok2 || !ok3 || !ok4 || pc == 0 {
		return false
	}
	serial.Print("  -- on behalf of goroutine ")
	serial.Dec(uint64(id))
	serial.Print(" --\n")
	*g = current
	*c = cursor{pc: pc, sp: sp, bp: bp}
	return true
}

// print prints the function at pc, and those that the compiler put into it.
func (f *function) print(pc uintptr) {
	for n := 0; n < maxFrames; n++ {
		in, ok := f.call(pc, n)
		if !ok {
			return
		}
		_, outer := f.call(pc, n+1)
		serial.Print("  ")
		serial.Print(in.name)
		if outer {
			serial.Print(" (inlined)")
		} else {
			serial.Print("+")
			serial.Hex(uint64(pc - f.start()))
		}
		serial.Print("\n      ")
		serial.Print(in.file)
		serial.Print(":")
		serial.Dec(uint64(uint32(in.line)))
		serial.Print("\n")
	}
}

// Place prints the function that holds pc, and how far from its start, on one line.
func Place(pc uintptr) {
	if !Known() {
		serial.Hex(uint64(pc))
		return
	}
	f := find(pc)
	if f == nil {
		serial.Hex(uint64(pc))
		return
	}
	serial.Print(module().names.text(uintptr(uint32(f.name))))
	serial.Print("+")
	serial.Hex(uint64(pc - f.start()))
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"unsafe"

	"github.com/hvgo/hvgo/runtime/ring0"
)

// moduledata is the beginning of the runtime's structure of that name
// (runtime/symtab.go of Go 1.26): where the linker put the tables. A test compares
// what is read by it with what package runtime says.
type moduledata struct {
	header     *uint32
	names      table // function names, each ended by a zero byte
	units      table // offsets of file names, by compilation unit
	files      table // file names, each ended by a zero byte
	values     table // programs that give a value for each pc
	functions  table // function descriptors
	index      table // (entry, descriptor) of each function, as offsets, in order, and one more for the end
	_          [3]uintptr
	text, etxt uintptr
	_          [16]uintptr
	funcdata   uintptr
}

// table is a slice, as the runtime has it.
type table struct{ at, n, _ uintptr }

// lastModule is where the linker put the only module's data.
//
//go:linkname lastModule runtime.lastmoduledatap
var lastModule *moduledata

func module() *moduledata { return lastModule }

// magic is the version of the tables that this file knows (internal/abi,
// Go120PCLnTabMagic; still that of Go 1.26).
const magic = 0xfffffff1

// Known tells whether this program's tables can be read.
func Known() bool { return *module().header == magic }

// function is a function's descriptor: the beginning of the runtime's _func.
type function struct {
	entry                       uint32 // offset from text
	name                        int32
	_                           int32
	_                           uint32
	stackValues, fileValues     uint32 // offsets into values
	lineValues, pcdata          uint32
	unit                        uint32
	_                           int32
	id, flag, _, funcdataTables uint8
}

// Numbers of the runtime's tables by pc and by function (internal/abi).
const (
	pcdataInlineIndex  = 2
	funcdataInlineTree = 3

	flagTop = 1 // abi.FuncFlagTopFrame: nobody called it
)

// find gives the function that holds pc, or nil.
func find(pc uintptr) *function {
	m := module()
	if pc < m.text || pc >= m.etxt || m.index.n < 2 {
		return nil
	}
	offset := uint32(pc - m.text)
	low, high := uintptr(0), m.index.n-1 // the last one is the end of the text
	for high-low > 1 {
		if mid := (low + high) / 2; m.entryOf(mid)[0] <= offset {
			low = mid
		} else {
			high = mid
		}
	}
	at := uintptr(m.entryOf(low)[1])
	if at+unsafe.Sizeof(function{}) > m.functions.n {
		return nil
	}
	return (*function)(ring0.Pointer(m.functions.at + at))
}

func (m *moduledata) entryOf(i uintptr) *[2]uint32 {
	return (*[2]uint32)(ring0.Pointer(m.index.at + 8*i))
}

func (f *function) start() uintptr { return module().text + uintptr(f.entry) }

// value runs the program at an offset of the table of values until it has that of
// pc; -1 when there is none. A program is pairs of variable-length integers: what to
// add to the value, zig-zag, and for how many bytes of code it then holds.
func (f *function) value(program uint32, pc uintptr) int32 {
	if program == 0 {
		return -1
	}
	t := module().values
	at, until, value := uintptr(program), f.start(), int32(-1)
	for first := true; ; first = false {
		delta, next := t.varint(at)
		if delta == 0 && !first || next == 0 {
			return -1
		}
		value += int32(-(delta & 1) ^ (delta >> 1))
		size, next := t.varint(next)
		if next == 0 {
			return -1
		}
		if at, until = next, until+uintptr(size); pc < until {
			return value
		}
	}
}

// varint reads an integer at an offset of the table, and gives where the next one
// is; 0 behind the table's end.
func (t table) varint(at uintptr) (v uint32, next uintptr) {
	for shift := uint(0); at < t.n && shift < 35; shift += 7 {
		b := *(*byte)(ring0.Pointer(t.at + at))
		at++
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v, at
		}
	}
	return 0, 0
}

// text gives the string at an offset of a table of names.
func (t table) text(at uintptr) string {
	n := uintptr(0)
	for at+n < t.n && *(*byte)(ring0.Pointer(t.at + at + n)) != 0 {
		n++
	}
	if n == 0 {
		return "?"
	}
	return unsafe.String((*byte)(ring0.Pointer(t.at+at)), n)
}

// line gives the source of the instruction at pc.
func (f *function) line(pc uintptr) (file string, line int32) {
	m := module()
	number := f.value(f.fileValues, pc)
	line = f.value(f.lineValues, pc)
	at := uintptr(f.unit) + uintptr(number)
	if number < 0 || line < 0 || at >= m.units.n {
		return "?", 0
	}
	return m.files.text(uintptr(*(*uint32)(ring0.Pointer(m.units.at + 4*at)))), line
}

// pcdataValue gives the value that table i of those by pc has at pc.
func (f *function) pcdataValue(i uintptr, pc uintptr) int32 {
	if i >= uintptr(f.pcdata) {
		return -1
	}
	p := (*uint32)(unsafe.Add(unsafe.Pointer(f), unsafe.Sizeof(*f)+4*i))
	return f.value(*p, pc)
}

// inlined is the runtime's inlinedCall.
type inlined struct {
	_      uint32
	name   int32
	parent int32 // an instruction of the caller's, offset from the function's start
	_      int32
}

// call is one function at one place of the source. Several may share one address,
// because the compiler put them into one another.
type call struct {
	name, file string
	line       int32
}

// call gives the n-th function at pc, the innermost first; ok is false when there
// are no more.
func (f *function) call(pc uintptr, n int) (c call, ok bool) {
	m := module()
	tree := f.inlineTree()
	for ; ; n-- {
		i := int32(-1)
		if tree != 0 {
			i = f.pcdataValue(pcdataInlineIndex, pc)
		}
		name := f.name
		var in *inlined
		if i >= 0 {
			in = (*inlined)(ring0.Pointer(tree + uintptr(i)*unsafe.Sizeof(inlined{})))
			name = in.name
		}
		if n == 0 {
			c.name = m.names.text(uintptr(uint32(name)))
			c.file, c.line = f.line(pc)
			return c, true
		}
		if in == nil {
			return call{}, false
		}
		pc = f.start() + uintptr(in.parent)
	}
}

// inlineTree gives the address of the function's table of inlined calls, or 0.
func (f *function) inlineTree() uintptr {
	if f.funcdataTables <= funcdataInlineTree {
		return 0
	}
	p := (*uint32)(unsafe.Add(unsafe.Pointer(f), unsafe.Sizeof(*f)+4*(uintptr(f.pcdata)+funcdataInlineTree)))
	if *p == ^uint32(0) {
		return 0
	}
	return module().funcdata + uintptr(*p)
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// value is one value of an argument. It may prepare what it stands for, and gives
// false where it cannot be had.
type value struct {
	name string
	get  func(s *state, slot uintptr) (uintptr, bool)
}

// arg is an argument: what is right, and what is wrong.
type arg struct {
	right value
	wrong []value
}

func plain(name string, v uintptr) value {
	return value{name, func(*state, uintptr) (uintptr, bool) { return v, true }}
}

func number(v uint64) value {
	switch {
	case int64(v) < 0 && int64(v) > -10000:
		return plain(fmt.Sprint(int64(v)), uintptr(v))
	case v > 0xffff && bits.OnesCount64(v) == 1:
		return plain(fmt.Sprintf("1<<%d", bits.TrailingZeros64(v)), uintptr(v))
	}
	return plain(fmt.Sprintf("%#x", v), uintptr(v))
}

// num is a number: the right one, and wrong ones.
func num(right int64, wrong ...int64) arg {
	a := arg{right: number(uint64(right))}
	for _, w := range wrong {
		a.wrong = append(a.wrong, number(uint64(w)))
	}
	return a
}

// lengths are wrong for all that is counted in bytes, beside the right one.
func length(right int64) arg {
	return num(right, 0, 1, right-1, right+1, -1, -4096, 1<<31, 1<<32, 1<<32+right, 1<<47, -1<<63)
}

// flags is a word of flags: each bit is turned over.
func flags(right uint32, not ...uint32) arg {
	a := arg{right: number(uint64(right))}
	for bit := uint32(1); bit != 0; bit <<= 1 {
		skip := false
		for _, n := range not {
			skip = skip || n&bit != 0
		}
		if !skip {
			a.wrong = append(a.wrong, number(uint64(right^bit)))
		}
	}
	return a
}

// Addresses that no program has. hvgo's own memory is in the upper half, where
// the program's instructions can reach it; system calls may not.
var nowhere = []value{
	plain("null", 0), plain("one", 1), plain("lowest page", 0xff8),
	plain("end of user space", userEnd), plain("last word", userEnd-8), plain("last byte", userEnd-1),
	plain("not canonical", 1<<47), plain("bits on top", 0x1234<<48|arena),
	plain("hvgo's direct map", 0xffff_8000_0010_0000), plain("hvgo's trap stacks", 0xffff_c000_0000_1000),
	plain("Linux's direct map", 0xffff_8880_0010_0000), plain("last page", 1<<64-4096), plain("-8", 1<<64-8), plain("-1", 1<<64-1),
}

// userEnd is the end of the program's addresses.
const userEnd = 0x7fff_ffff_f000

// ptr is a pointer to content, which a call reads or writes. More contents may be
// wrong, too.
func ptr(content []byte, wrong ...content) arg {
	n := uintptr(len(content))
	a := arg{right: put("ptr", content, func(slot uintptr) uintptr { return slot })}
	for _, w := range wrong {
		a.wrong = append(a.wrong, put(w.name, w.bytes, func(slot uintptr) uintptr { return slot }))
	}
	a.wrong = append(a.wrong, nowhere...)
	a.wrong = append(a.wrong,
		put("unaligned", content, func(slot uintptr) uintptr { return slot + 1 }),
		put("up to a hole", content, func(uintptr) uintptr { return hole - n }),
		put("hole", nil, func(uintptr) uintptr { return hole }),
		put("no access", nil, func(uintptr) uintptr { return noAccess }),
		value{"read-only", func(s *state, _ uintptr) (uintptr, bool) { return readOnly, s.putReadOnly(content) }},
	)
	if n > 1 {
		a.wrong = append(a.wrong, put("into a hole", content[:n-1], func(uintptr) uintptr { return hole - n + 1 }))
	}
	return a
}

// content is memory with something wrong in it.
type content struct {
	name  string
	bytes []byte
}

// null is ptr where the right pointer is none.
func null(content []byte, wrong ...content) arg {
	a := ptr(content, wrong...)
	a.right, a.wrong = plain("null", 0), append([]value{a.right}, a.wrong...)
	return a
}

// except drops values of which the names are given.
func (a arg) except(names ...string) arg {
	var kept []value
	for _, w := range a.wrong {
		drop := false
		for _, n := range names {
			drop = drop || w.name == n
		}
		if !drop {
			kept = append(kept, w)
		}
	}
	a.wrong = kept
	return a
}

func put(name string, content []byte, at func(slot uintptr) uintptr) value {
	return value{name, func(_ *state, slot uintptr) (uintptr, bool) {
		a := at(slot)
		store(a, content)
		return a, true
	}}
}

// path is a pointer to a path.
func path(right string) arg {
	long := make([]byte, 4096)
	for i := range long {
		long[i] = 'a' + byte(i/100%3)
	}
	for i := 200; i < len(long); i += 200 {
		long[i] = '/'
	}
	return ptr(append([]byte(right), 0),
		content{"empty path", []byte{0}}, content{"no such file", []byte("none\x00")}, content{"file as folder", []byte("f/x\x00")},
		content{"slash behind", []byte(right + "/\x00")}, content{"loop", []byte("loop\x00")}, content{"dot", []byte(".\x00")},
		content{"root", []byte("/\x00")}, content{"long name", append(long[1:200:200], append(long[1:58:58], 0)...)},
		content{"long path", append(long[:4095:4095], 0)}, content{"path of PATH_MAX", append(long[:4096:4096], 0)},
		content{"file", []byte("f\x00")}, content{"folder", []byte("d\x00")}, content{"link", []byte("l\x00")})
}

// fd is a descriptor of the kind that is right; all other kinds are wrong.
func fd(right string) arg {
	a := arg{right: descriptor(right)}
	for _, k := range kinds {
		if k.name != right {
			a.wrong = append(a.wrong, descriptor(k.name))
		}
	}
	a.wrong = append(a.wrong, plain("closed", 900), plain("fd -1", 1<<64-1), plain("fd 1<<31", 1<<31), plain("fd 1024", 1024), plain("fd 4096", 4096))
	high := a.right
	a.wrong = append(a.wrong, value{"more than 32 bits", func(s *state, slot uintptr) (uintptr, bool) {
		v, ok := high.get(s, slot)
		return v | 1<<32, ok
	}})
	return a
}

func descriptor(kind string) value {
	for _, k := range kinds {
		if k.name == kind {
			return value{kind, func(s *state, _ uintptr) (uintptr, bool) {
				n, ok := k.open(s)
				return uintptr(n), ok
			}}
		}
	}
	panic("hostile: no descriptors are called " + kind)
}

var le = binary.LittleEndian

// words is memory with those words of 64 bits in it.
func words(w ...uint64) (b []byte) {
	for _, v := range w {
		b = le.AppendUint64(b, v)
	}
	return b
}

// halves is memory with those words of 32 bits in it.
func halves(w ...uint32) (b []byte) {
	for _, v := range w {
		b = le.AppendUint32(b, v)
	}
	return b
}

// timespec is a pointer to a time, with wrong times.
func badTimes() []content {
	const minus1 = 1<<64 - 1
	return []content{{"1 s too many ns", words(0, 1e9)}, {"-1 ns", words(0, minus1)}, {"-1 s", words(minus1, 0)}}
}

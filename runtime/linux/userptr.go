// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bytes"
	"encoding/binary"
	"sync"
	"syscall"
)

var le = binary.LittleEndian

// Limits of Linux.
const (
	maxRW    = 0x7ffff000 // bytes one read or write transfers (MAX_RW_COUNT)
	maxIOV   = 1024       // elements of an iovec array (UIO_MAXIOV)
	pathMax  = 4096       // bytes of a path with its zero (PATH_MAX)
	nameMax  = 255        // bytes of a path component (NAME_MAX)
	iovecLen = 16         // sizeof(struct iovec)
)

// int32Arg is argument i as a C int.
func (c *call) int32Arg(i int) int { return int(int32(c.arg[i])) }

// count is argument i as a size_t, cut to what one call transfers; EINVAL-worthy sizes become negative.
func (c *call) count(i int) int {
	n := int(c.arg[i])
	if n > maxRW {
		n = maxRW
	}
	return n
}

func (r ref) loadU32() (uint32, syscall.Errno) {
	var b [4]byte
	e := r.copyIn(b[:])
	return le.Uint32(b[:]), e
}

func (r ref) loadU64() (uint64, syscall.Errno) {
	var b [8]byte
	e := r.copyIn(b[:])
	return le.Uint64(b[:]), e
}

func (r ref) storeU32(v uint32) syscall.Errno {
	var b [4]byte
	le.PutUint32(b[:], v)
	return r.copyOut(b[:])
}

func (r ref) storeU64(v uint64) syscall.Errno {
	var b [8]byte
	le.PutUint64(b[:], v)
	return r.copyOut(b[:])
}

// pathString reads a zero-terminated path: ENAMETOOLONG when there is no zero in the first PATH_MAX bytes.
func (r ref) pathString() (string, syscall.Errno) {
	var path []byte
	// Piece by piece to the end of each 64-byte block: what lies behind the zero need not be readable.
	for len(path) < pathMax {
		var piece [64]byte
		n := 64
		if !r.onStack {
			n -= int(r.v % 64)
		} else if r.v < 64 {
			n = int(r.v)
		}
		if n == 0 {
			return "", syscall.EFAULT
		}
		if e := r.copyIn(piece[:n]); e != 0 {
			return "", e
		}
		if i := bytes.IndexByte(piece[:n], 0); i >= 0 {
			if path == nil { // most are short
				return string(piece[:i]), 0
			}
			return string(append(path, piece[:i]...)), 0
		}
		path = append(path, piece[:n]...)
		r = r.add(uintptr(n))
	}
	return "", syscall.ENAMETOOLONG
}

// lentBytes is the size of the buffers that are kept for what lies on the stack, in bytes: an Ethernet
// frame's datagram has room.
const lentBytes = 2048

var buffers = sync.Pool{New: func() any { return new([lentBytes]byte) }}

// lend is in, or out for a call that writes, without an allocation, where nobody has the bytes after the
// call: giveBack is to follow then. A buffer that it does not follow for is only lost. What the call does
// not fill is as it was.
func (r ref) lend(n int, write bool) ([]byte, syscall.Errno) {
	if r.onStack && n > 0 && n <= lentBytes && r.valid(uintptr(n), write) {
		b := buffers.Get().(*[lentBytes]byte)[:n]
		r.load(b)
		return b, 0
	}
	if write {
		return r.out(n)
	}
	return r.in(n)
}

// giveBack ends the use of b. It is one of the buffers if it has their capacity: other memory for what
// lies on the stack is longer.
func (r ref) giveBack(b []byte) {
	if r.onStack && cap(b) == lentBytes {
		buffers.Put((*[lentBytes]byte)(b[:lentBytes]))
	}
}

// vector is one element of an iovec array.
type vector struct {
	base ref
	n    int
}

// vectors reads an iovec array. The total is cut to what one call transfers.
func (r ref) vectors(count int) ([]vector, syscall.Errno) { return r.vectorsTo(nil, count) }

// vectorsTo is vectors with room for a few, which may be on the caller's stack.
func (r ref) vectorsTo(few []vector, count int) ([]vector, syscall.Errno) {
	if count < 0 || count > maxIOV {
		return nil, syscall.EINVAL
	}
	if !r.valid(uintptr(count)*iovecLen, false) {
		return nil, syscall.EFAULT
	}
	vs := few[:0]
	if count > cap(few) {
		vs = make([]vector, 0, count)
	}
	total := 0
	for i := range count {
		at := r.add(uintptr(i) * iovecLen)
		base := at.loadPtr()
		n, e := at.add(8).loadU64()
		if e != 0 {
			return nil, e
		}
		if int64(n) < 0 {
			return nil, syscall.EINVAL
		}
		length := min(n, uint64(maxRW-total))
		total += int(length)
		vs = append(vs, vector{base, int(length)})
	}
	return vs, 0
}

// maxGather is more than any datagram has, in bytes.
const maxGather = 1 << 20

// gather copies all of vs into one slice, as long as a datagram may be.
func gather(vs []vector) ([]byte, syscall.Errno) {
	if vectorsLen(vs) > maxGather {
		return nil, syscall.EMSGSIZE
	}
	b := make([]byte, 0, vectorsLen(vs))
	for _, v := range vs {
		p, e := v.base.in(v.n)
		if e != 0 {
			return nil, e
		}
		b = append(b, p...)
	}
	return b, 0
}

// scatter copies b into vs.
func scatter(vs []vector, b []byte) syscall.Errno {
	for _, v := range vs {
		n := min(v.n, len(b))
		if e := v.base.copyOut(b[:n]); e != 0 {
			return e
		}
		b = b[n:]
	}
	return 0
}

// checkVectors says whether all of vs may be read (or written).
func checkVectors(vs []vector, write bool) syscall.Errno {
	for _, v := range vs {
		if !v.base.valid(uintptr(v.n), write) {
			return syscall.EFAULT
		}
	}
	return 0
}

func vectorsLen(vs []vector) (n int) {
	for _, v := range vs {
		n += v.n
	}
	return n
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"fmt"
	"io"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Buffer is a run of guest memory over pages that need not be adjacent. It is the
// memory itself: the guest can change it at any time.
type Buffer struct {
	parts [][]byte // in order, none empty
	size  int
}

// Len returns the length in bytes.
func (b Buffer) Len() int { return b.size }

// Parts returns the memory piece by piece, for I/O without a copy.
func (b Buffer) Parts() [][]byte { return b.parts }

// ReadAt copies from guest memory at off into p. It returns io.ErrUnexpectedEOF if
// the buffer ends before p does.
func (b Buffer) ReadAt(p []byte, off int) (int, error) {
	return b.each(len(p), off, func(part []byte, done int) { copy(p[done:], part) })
}

// WriteAt copies p into guest memory at off. It returns io.ErrUnexpectedEOF if the
// buffer ends before p does.
func (b Buffer) WriteAt(p []byte, off int) (int, error) {
	return b.each(len(p), off, func(part []byte, done int) { copy(part, p[done:]) })
}

// Slice returns the n bytes from off on; io.ErrUnexpectedEOF if there are fewer.
func (b Buffer) Slice(off, n int) (Buffer, error) {
	var s Buffer
	done, err := b.each(n, off, func(part []byte, _ int) { s.parts = append(s.parts, part) })
	s.size = done
	return s, err
}

// each calls f for the pieces of [off, off+n), with the number of bytes before each.
func (b Buffer) each(n, off int, f func(part []byte, done int)) (done int, err error) {
	if n < 0 || off < 0 {
		return 0, fmt.Errorf("vmbus: negative range %d, %d", off, n)
	}
	for _, part := range b.parts {
		if off >= len(part) {
			off -= len(part)
			continue
		}
		if n == done {
			break
		}
		part = part[off:]
		off = 0
		part = part[:min(len(part), n-done)]
		f(part, done)
		done += len(part)
	}
	if done < n {
		return done, io.ErrUnexpectedEOF
	}
	return done, nil
}

// maxPFN keeps gpa computations within 64 bits.
const maxPFN = 1 << 52

// page returns the guest page with the given number.
func page(m Memory, pfn uint64) ([]byte, error) {
	if pfn >= maxPFN {
		return nil, fmt.Errorf("vmbus: page number %#x out of range", pfn)
	}
	b, err := m.Bytes(pfn*wire.PageSize, wire.PageSize)
	if err != nil {
		return nil, fmt.Errorf("vmbus: page %#x: %w", pfn, err)
	}
	if len(b) != wire.PageSize {
		return nil, fmt.Errorf("vmbus: page %#x has %d bytes", pfn, len(b))
	}
	return b, nil
}

// decodeRanges reads count GPA ranges, each with its page numbers, and maps them. rule
// is reported for a malformed range, memRule for a page that is not RAM. What follows
// the ranges in b is ignored: Linux sends GPA-direct packets with room for 32 page
// numbers, however few it uses.
func decodeRanges(m Memory, b []byte, count int, rule, memRule string) ([]Buffer, error) {
	var buffers []Buffer
	for i := range count {
		r, err := wire.DecodeGPARange(b)
		if err != nil {
			return nil, broken(rule, "range %d of %d: %v", i, count, err)
		}
		b = b[wire.GPARangeSize:]
		pages := (uint64(r.ByteOffset) + uint64(r.ByteCount) + wire.PageSize - 1) / wire.PageSize
		if r.ByteOffset >= wire.PageSize || pages*wire.PFNSize > uint64(len(b)) {
			return nil, broken(rule, "range %d of %d: %d bytes at offset %d, %d bytes of page numbers", i, count, r.ByteCount, r.ByteOffset, len(b))
		}
		buf, err := mapRange(m, r, b[:pages*wire.PFNSize])
		if err != nil {
			return nil, broken(memRule, "range %d of %d: %v", i, count, err)
		}
		buffers = append(buffers, buf)
		b = b[pages*wire.PFNSize:]
	}
	return buffers, nil
}

// mapRange maps one range whose page numbers are pfns.
func mapRange(m Memory, r wire.GPARange, pfns []byte) (Buffer, error) {
	buf := Buffer{size: int(r.ByteCount)}
	off, left := int(r.ByteOffset), int(r.ByteCount)
	for ; left > 0; pfns = pfns[wire.PFNSize:] {
		p, err := page(m, le64(pfns))
		if err != nil {
			return Buffer{}, err
		}
		n := min(left, wire.PageSize-off)
		buf.parts = append(buf.parts, p[off:off+n:off+n])
		left -= n
		off = 0
	}
	return buf, nil
}

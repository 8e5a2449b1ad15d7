// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package pattern makes and checks the bytes that a guest writes to a disk and the
// host reads back. Each word depends on its offset, so that a block in the wrong
// place is noticed. It is meant to be fast: emulated processors run it over a GiB.
package pattern

import "encoding/binary"

// word is the pattern's value at a word's offset (splitmix64's finaliser).
func word(at int64) uint64 {
	x := uint64(at) + 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	return x ^ x>>27
}

// Fill writes the pattern at offset at of a disk to b: whole words.
func Fill(b []byte, at int64) {
	for i := 0; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], word(at+int64(i)))
	}
}

// Differs returns the offset in b of the first word that is not the pattern's at
// offset at of a disk, or -1.
func Differs(b []byte, at int64) int {
	for i := 0; i+8 <= len(b); i += 8 {
		if binary.LittleEndian.Uint64(b[i:]) != word(at+int64(i)) {
			return i
		}
	}
	return -1
}

// Sum returns a checksum of b, which stands at offset at of a disk: that of a disk
// is the sum of its parts', in any order.
func Sum(b []byte, at int64) (sum uint64) {
	for i := 0; i+8 <= len(b); i += 8 {
		sum += binary.LittleEndian.Uint64(b[i:]) * (uint64(at+int64(i)) | 1)
	}
	return sum
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	wire "github.com/hvgo/hvgo/internal/wire/vhdx"
)

// File is what a Disk needs of the file it lies in; *os.File satisfies it. Its
// methods must be safe for concurrent use.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the CRC-32C of b with the checksum field itself taken as zero.
func checksum(b []byte) uint32 {
	c := crc32.Update(0, castagnoli, b[:wire.ChecksumOffset])
	c = crc32.Update(c, castagnoli, make([]byte, 4))
	return crc32.Update(c, castagnoli, b[wire.ChecksumOffset+4:])
}

// seal puts the checksum into an encoded structure.
func seal(b []byte) []byte {
	le.PutUint32(b[wire.ChecksumOffset:], checksum(b))
	return b
}

// readFull reads len(b) bytes at off; a file that ends before is truncated.
func readFull(r io.ReaderAt, b []byte, off int64, what string) error {
	n, err := r.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case err == io.EOF || err == nil:
		return truncated("%s needs %d bytes at offset %d, the file ends before", what, len(b), off)
	}
	return fmt.Errorf("read %s at offset %d: %w", what, off, err)
}

// isZero reports whether all of b is zero.
func isZero(b []byte) bool {
	for len(b) >= 8 {
		if le.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// zeroes is a source of zero bytes for writes.
var zeroes [64 << 10]byte

// writeZeroes writes n zero bytes at off.
func writeZeroes(w io.WriterAt, off, n int64) error {
	for n > 0 {
		m := min(n, int64(len(zeroes)))
		if _, err := w.WriteAt(zeroes[:m], off); err != nil {
			return err
		}
		off, n = off+m, n-m
	}
	return nil
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/hvgo/hvgo/test/vm/pattern"
)

// chunk is what one write or read moves: more than a storvsp takes at once.
const chunk = 1 << 20

// fillDisk DISK BYTES writes a pattern over a disk, from several goroutines at a
// time, flushes, reads it back and compares, and prints the pattern's sum.
func fillDisk(args []string) (string, error) {
	f, size, err := openDisk(args, os.O_RDWR)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := eachChunk(size, func(at int64, b []byte) error {
		pattern.Fill(b, at)
		_, err := f.WriteAt(b, at)
		return err
	}); err != nil {
		return "", fmt.Errorf("write: %w", err)
	}
	if err := f.Sync(); err != nil {
		return "", err
	}
	sum, err := readBack(f, size)
	return fmt.Sprintf("sum %016x", sum), err
}

// sumDisk DISK BYTES reads a disk that holds the pattern.
func sumDisk(args []string) (string, error) {
	f, size, err := openDisk(args, os.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum, err := readBack(f, size)
	return fmt.Sprintf("sum %016x", sum), err
}

func openDisk(args []string, mode int) (*os.File, int64, error) {
	if len(args) != 2 {
		return nil, 0, errors.New("want DISK BYTES")
	}
	size, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil || size <= 0 || size%512 != 0 {
		return nil, 0, fmt.Errorf("%q are no whole blocks", args[1])
	}
	f, err := os.OpenFile(args[0], mode, 0)
	return f, size, err
}

// eachChunk calls f with each chunk of a disk, from four goroutines.
func eachChunk(size int64, f func(at int64, b []byte) error) error {
	var next atomic.Int64
	return parallel(4, func(int) error {
		b := make([]byte, chunk)
		for {
			at := next.Add(chunk) - chunk
			if at >= size {
				return nil
			}
			if err := f(at, b[:min(chunk, size-at)]); err != nil {
				return fmt.Errorf("at %d: %w", at, err)
			}
		}
	})
}

func readBack(f *os.File, size int64) (sum uint64, err error) {
	var total atomic.Uint64
	err = eachChunk(size, func(at int64, b []byte) error {
		for i := range b {
			b[i] = 0xEE // a read that does nothing must not find what was written
		}
		if _, err := f.ReadAt(b, at); err != nil {
			return err
		}
		if bad := pattern.Differs(b, at); bad >= 0 {
			return fmt.Errorf("byte %d differs", at+int64(bad))
		}
		total.Add(pattern.Sum(b, at))
		return nil
	})
	return total.Load(), err
}

// diskErrors DISK BYTES does what a disk refuses, around its end.
func diskErrors(args []string) (string, error) {
	f, size, err := openDisk(args, os.O_RDWR)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := make([]byte, 4096)
	if n, err := f.ReadAt(b, size-512); n != 512 || !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read over the end: %d, %v", n, err)
	}
	if n, err := f.ReadAt(b, size+512); n != 0 || !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read behind the end: %d, %v", n, err)
	}
	if n, err := f.WriteAt(b, size); n != 0 || !errors.Is(err, syscall.ENOSPC) {
		return "", fmt.Errorf("write behind the end: %d, %v", n, err)
	}
	if end, err := f.Seek(0, io.SeekEnd); err != nil || end != size {
		return "", fmt.Errorf("the end is at %d, not %d: %w", end, size, err)
	}
	// Parts of blocks: the rest must stay.
	if _, err := f.WriteAt([]byte("odd"), 1021); err != nil {
		return "", err
	}
	if _, err := f.ReadAt(b, 0); err != nil || string(b[1021:1024]) != "odd" || b[1020] != 0 || b[1024] != 0 {
		return "", fmt.Errorf("a write of parts of blocks: % x: %w", b[1016:1030], err)
	}
	return "refused", nil
}

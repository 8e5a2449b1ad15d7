// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"io"
	"io/fs"
	"sync"
	"time"
)

// memFile is a File in memory that can remember every change, for tests that
// cut the power.
type memFile struct {
	mu     sync.Mutex
	b      []byte
	record bool
	ops    []memOp
}

// memOp is one change: a write, a new length, or a sync.
type memOp struct {
	off  int64
	data []byte // nil: not a write
	size int64  // with data nil: the new length, or -1 for a sync
}

type memInfo int64

func (memInfo) Name() string       { return "mem" }
func (n memInfo) Size() int64      { return int64(n) }
func (memInfo) Mode() fs.FileMode  { return 0o600 }
func (memInfo) ModTime() time.Time { return time.Time{} }
func (memInfo) IsDir() bool        { return false }
func (memInfo) Sys() any           { return nil }

func (m *memFile) Stat() (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return memInfo(len(m.b)), nil
}

func (m *memFile) Close() error { return nil }

func (m *memFile) ReadAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if off >= int64(len(m.b)) {
		return 0, io.EOF
	}
	n := copy(p, m.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memFile) WriteAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.apply(memOp{off: off, data: append([]byte{}, p...)})
	return len(p), nil
}

func (m *memFile) Sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.apply(memOp{size: -1})
	return nil
}

func (m *memFile) Truncate(size int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.apply(memOp{size: size})
	return nil
}

func (m *memFile) apply(o memOp) {
	if m.record {
		m.ops = append(m.ops, o)
	}
	switch {
	case o.data != nil:
		if end := o.off + int64(len(o.data)); end > int64(len(m.b)) {
			m.resize(end)
		}
		copy(m.b[o.off:], o.data)
	case o.size >= 0:
		m.resize(o.size)
	}
}

func (m *memFile) resize(n int64) {
	if n <= int64(len(m.b)) {
		clear(m.b[n:])
		m.b = m.b[:n]
		return
	}
	m.b = append(m.b, make([]byte, n-int64(len(m.b)))...)
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import "sync"

// memoryDisk is a disk of 512-byte blocks in memory.
type memoryDisk struct {
	mu sync.RWMutex
	b  []byte
}

func newMemoryDisk(size int64) *memoryDisk { return &memoryDisk{b: make([]byte, size)} }

// ReadAt implements storvsp.Backend.
func (d *memoryDisk) ReadAt(p []byte, off int64) (int, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return copy(p, d.b[off:]), nil
}

// WriteAt implements storvsp.Backend.
func (d *memoryDisk) WriteAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return copy(d.b[off:], p), nil
}

// Flush implements storvsp.Backend.
func (d *memoryDisk) Flush() error { return nil }

// Size implements storvsp.Backend.
func (d *memoryDisk) Size() int64 { return int64(len(d.b)) }

// BlockSize implements storvsp.Backend.
func (d *memoryDisk) BlockSize() int { return 512 }

// ReadOnly implements storvsp.Backend.
func (d *memoryDisk) ReadOnly() bool { return false }

// Close implements guest.Block.
func (d *memoryDisk) Close() error { return nil }

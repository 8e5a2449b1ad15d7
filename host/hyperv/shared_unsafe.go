// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv

import (
	"sync/atomic"
	"unsafe"
)

// Atomic access to 32-bit words of pages shared with the guest. The pages are
// page aligned, off is a multiple of 4, and indexing b checks the bounds of its
// first byte; b always ends on a multiple of 4.

func word(b []byte, off int) *uint32 {
	_ = b[off+3]
	return (*uint32)(unsafe.Pointer(&b[off]))
}

func load32(b []byte, off int) uint32 { return atomic.LoadUint32(word(b, off)) }

func store32(b []byte, off int, v uint32) { atomic.StoreUint32(word(b, off), v) }

// or32 sets bits and returns the old value.
func or32(b []byte, off int, bits uint32) uint32 { return atomic.OrUint32(word(b, off), bits) }

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"sync/atomic"
	"unsafe"
)

// word returns the 32-bit word at off in a guest page, for atomic access. The guest
// accesses it at the same time. Preconditions: off is a multiple of 4 and off+4 is at
// most len(page); page lies on a multiple of 4 bytes (aligned says so).
func word(page []byte, off int) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&page[off : off+4][0]))
}

// aligned says whether a page begins at a multiple of 8 bytes in our memory.
func aligned(page []byte) bool {
	return len(page) > 0 && uintptr(unsafe.Pointer(&page[0]))%8 == 0
}

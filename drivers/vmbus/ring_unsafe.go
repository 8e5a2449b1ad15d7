// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"sync/atomic"
	"unsafe"
)

// word gives the 32-bit word at off in b for atomic access: the host reads and
// writes the control page while we do. off must be a multiple of 4 with the
// word inside b; b is page aligned.
func word(b []byte, off int) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&b[off : off+4][0]))
}

// word64 is word for the 64-bit words of the shared interrupt page.
func word64(b []byte, off int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&b[off : off+8][0]))
}

// aligned reports whether b begins on a multiple of n.
func aligned(b []byte, n uintptr) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))%n == 0
}

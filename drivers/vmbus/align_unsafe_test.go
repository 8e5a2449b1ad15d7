// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import "unsafe"

// alignedMem gives n bytes that begin on a page.
func alignedMem(n int) []byte {
	mem := make([]byte, n+PageSize)
	skip := int(-uintptr(unsafe.Pointer(&mem[0])) % PageSize)
	return mem[skip : skip+n]
}

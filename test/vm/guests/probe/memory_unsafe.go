// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "unsafe"

// address is where b lies.
func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// memory is n bytes at an address that Go knows nothing of.
func memory(at uintptr, n int) []byte {
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&at))), n)
}

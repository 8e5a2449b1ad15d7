// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import "unsafe"

// load and store read and write the aligned word at addr. They are the only way
// this package touches memory outside its variables. unsafe.Add from nil, not a
// conversion, because addr is no Go pointer: it is an address of the direct map.

//go:nosplit
func load(addr uintptr) uint64 {
	return *(*uint64)(unsafe.Add(unsafe.Pointer(nil), addr))
}

//go:nosplit
func store(addr uintptr, v uint64) {
	*(*uint64)(unsafe.Add(unsafe.Pointer(nil), addr)) = v
}

//go:nosplit
func storeByte(addr uintptr, v byte) {
	*(*byte)(unsafe.Add(unsafe.Pointer(nil), addr)) = v
}

// clearPage fills the PageSize bytes at addr with zero. It is defined in
// clear_amd64.s. Precondition: addr is page-aligned and mapped writable.
//
//go:noescape
func clearPage(addr uintptr)

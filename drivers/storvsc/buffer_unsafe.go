// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsc

import "unsafe"

// address gives where b lies, for its alignment and its place in a page.
func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

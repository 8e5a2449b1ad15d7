// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package loopback

import (
	"unsafe"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// pageOffset returns where in a page b begins.
func pageOffset(b []byte) int { return int(uintptr(unsafe.Pointer(&b[0])) % wire.PageSize) }

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package other is outside trap context.
package other

var Count int

//go:noinline
//go:nosplit
func Harmless() { Count++ }

// Halt has an instruction that it may not have.
func Halt()

// Tables has the bytes of HLT in a table that is never run.
func Tables()

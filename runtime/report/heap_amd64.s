// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package runtime has the body of mallocgc; a file of assembly lets the compiler
// accept that heap.go has none.

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package mmap holds tests of memory and of mappings of files that must pass alike
// on Linux and in a guest:
//
//	go test ./test/mmap                Linux; the files lie in a tmpfs if there is one
//	hvgo test ./test/mmap              a guest
package mmap

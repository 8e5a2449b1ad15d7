// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package hostile makes system calls with arguments that are wrong: each call
// that hvgo serves, with one argument after the other, or two, out of the lists
// in values.go. The same program runs as an ordinary process on Linux and as a
// guest, and both have to be told the same:
//
//	table.go ...  calls and what is right for them
//	values.go     what is wrong: pointers, descriptors, flags, numbers
//	run.go        makes one call after the other, and undoes what it did
//	compare.go    Linux's answers against hvgo's
//	differences.go  where they differ, and why
//	random.go     random calls: nothing is compared, but nothing may break
//	race.go       several threads that take away what the others use
//
// Command hostile in guest/ runs it, on Linux and as a guest, and compares.
package hostile

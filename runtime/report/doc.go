// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package report says on the console where the runtime failed: a backtrace of Go
// functions through trap stacks into the code that was interrupted, and the
// instruction at fault.
//
//	Frame --Registers--> rip, rsp --walk (pcsp table)--> return addresses --symbols (pclntab)--> function+offset, file:line
//	                     [rip] --golang.org/x/arch/x86/x86asm--> instruction
//
// Nothing of the Go runtime runs here, since it may be what failed: the tables that
// the linker made for it are read by this package itself, with every index checked,
// and memory that may not be there is read by ring0.CopyUser.
//
// It is ordinary Go on a stack of its own with a stand-in for g (runtime/trap
// sees to both). It does not block and does not allocate, but for [Instruction], which
// comes last. On the way of a byte this package does not stand.
package report

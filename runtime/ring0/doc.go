// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package ring0 is the processor: one Go function per privileged instruction,
// the descriptor tables, and the assembly that every trap (system call,
// exception, interrupt) enters the runtime through.
//
// Nothing here decides anything. An entry saves the interrupted registers in
// a [Frame] on the thread's trap stack, and calls
// runtime/trap; on the way of a byte this is the step between the host's
// interrupt (or the program's SYSCALL) and ordinary code.
//
// Everything in this package is nosplit and runs before, beneath and beside
// the Go runtime. See docs/HACKING.md for what such code may do.
package ring0

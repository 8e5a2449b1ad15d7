// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package trap is where the program meets the runtime: every system call,
// exception and interrupt comes here from runtime/ring0.
//
// What the Go scheduler itself asks for (futex, clone, mmap, signals, time,
// epoll) is served here at once, by nosplit code on the thread's trap stack
// that never allocates. Files and sockets go through the door instead
// (door.go): they run as ordinary Go on the calling goroutine, in
// runtime/linux. Interrupts only mark a descriptor ready and wake the thread
// that polls it.
package trap

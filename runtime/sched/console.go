// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package sched

// waitTyped is what a thread that reads the console waits for.
const waitTyped = WaitSignal + 1

// WaitTyped waits until WakeTyped is called, and gives why it ended.
//
//go:nosplit
func WaitTyped() uint32 { return Block(waitTyped, 0, 0) }

// WakeTyped wakes the threads that wait for the console.
//
//go:nosplit
func WakeTyped() { wakeWaiters(waitTyped, 0, MaxThreads) }

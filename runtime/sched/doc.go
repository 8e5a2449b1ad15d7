// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package sched runs the threads that the Go runtime asks for (its Ms), and
// everything they wait on: futexes, sleeps, eventfds and epoll. An interrupt
// becomes a running goroutine here: it marks a descriptor ready (Notify), and
// the thread that waits in epoll is put on the run queue.
//
// All of it is nosplit and runs in trap context, with interrupts masked and the
// kernel lock (Lock) held. Threads are known by the address of their [Thread], which
// lies outside Go's heap.
package sched

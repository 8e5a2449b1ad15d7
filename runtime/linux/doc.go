// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package linux serves the part of the Linux x86-64 system-call interface that Go programs use.
//
// A system call of the program enters on one of two leaves (table.go says which):
//
//   - the trap leaf: nosplit code on its own stack that never allocates and never blocks on a Go lock
//     (futex, clone, mmap, signals, clocks, epoll; package runtime/trap);
//   - the door leaf: Door runs as ordinary Go on the calling goroutine. It may allocate, block and
//     grow the stack. Files, devices, pipes and sockets live here.
//
// A socket of any family is an endpoint (endpoint.go): inet.go is the network stack's, unixsock.go and
// netlink.go are complete in here.
//
// On the way of a byte this package stands between the stock packages net, os and syscall above and
// the network stack, block devices and text files below, which plug in through iface.go. It imports
// none of them. The door side also runs on plain Linux, where its tests put the same question to the
// real kernel and compare the answers.
package linux

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package abi are tests of what the two halves of the Linux ABI do together (epoll over sockets and pipes,
// duplicates, credentials of threads, limits of descriptors), which the tests of runtime/linux and
// runtime/sched see one half of only. They hold on Linux and in a guest:
//
//	go test ./test/abi                 Linux
//	hvgo test ./test/abi               a guest
//
// This package has nothing but its tests.
package abi

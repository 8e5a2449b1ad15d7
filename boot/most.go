// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !hvgo_one_processor

package boot

import "github.com/hvgo/hvgo/runtime/ring0"

// mostProcessors is how many are started. With the build tag hvgo_one_processor it is
// one: for programs that do with the others what they like (test/witness/synic).
var mostProcessors uint32 = ring0.MaxCPUs

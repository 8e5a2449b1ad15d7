// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build hvgo_one_processor

package boot

var mostProcessors uint32 = 1

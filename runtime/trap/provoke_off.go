// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !hvgo_probe

package trap

// provoke is for the guests of tests only.
//
//go:nosplit
func provoke(uintptr) int { return eNoSys }

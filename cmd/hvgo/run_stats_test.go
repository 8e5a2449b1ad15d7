// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import "testing"

func TestStatsText(t *testing.T) {
	got := statsText(map[string]uint64{"io_exits": 7, "exits": 900, "halt_exits": 7, "mmio_exits": 0, "halt_wait_ns": 1 << 40, "blocking": 1})
	if want := "KVM counted exits 900, halt_exits 7, io_exits 7"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestLeaked(t *testing.T) {
	for _, tt := range []struct {
		name    string
		values  []int64
		allowed int64
		want    int64
	}{
		{"the same", []int64{5, 5, 5}, 0, 0},
		{"less", []int64{5, 1, 4}, 0, 0},
		{"within what is allowed", []int64{5, 6, 7}, 2, 0},
		{"one more", []int64{5, 6}, 0, 1},
		{"each time more", []int64{5, 6, 7, 8, 9, 10}, 1, 5},
		{"levels off", []int64{5, 8, 9, 9, 9, 9}, 1, 0},
		{"at the end only", []int64{5, 5, 5, 5, 5, 9}, 1, 4},
		{"back again", []int64{5, 5, 9, 9, 7, 9}, 1, 0},
	} {
		if got := leaked(tt.values, tt.allowed); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

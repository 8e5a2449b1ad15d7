// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"maps"
	"testing"
)

func TestParameters(t *testing.T) {
	got := parameters("console=ttyS0 hvgo.tasks=a,b quiet hvgo.x=1=2 hvgo.flag hvgo\n")
	want := map[string]string{"tasks": "a,b", "x": "1=2", "flag": ""}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestOwned(t *testing.T) {
	iomem := "00000000-00000fff : Reserved\n" + "f8000000-febfffff : x\n" + "  fc000000-fc001fff : 5aa3\n"
	for owner, want := range map[string]string{"5aa3": "fc000000-fc001fff", "x": "f8000000-febfffff", "5aa": "", "": ""} {
		if got := owned(iomem, owner); got != want {
			t.Errorf("%q owns %q, want %q", owner, got, want)
		}
	}
}

func TestAboutHyperV(t *testing.T) {
	for text, want := range map[string]bool{"hv_vmbus: x": true, "Booting on Hyper-V": true, "Run /init": false} {
		if aboutHyperV(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

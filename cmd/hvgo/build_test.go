// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestGoFlags(t *testing.T) {
	for _, c := range [][2]string{
		{"build -tags a,b -ldflags=-s -o x ./svc", "build --tags a,b --ldflags=-s -o x ./svc"},
		{"build --tags a -- -tags", "build --tags a -- -tags"},
		{"run -tags x", "run -tags x"},
		{"", ""},
	} {
		if got := goFlags(strings.Fields(c[0])); !slices.Equal(got, strings.Fields(c[1])) {
			t.Errorf("%q: %q", c[0], got)
		}
	}
}

// Bad use of hvgo build ends with status 1 and writes nothing.
func TestBuildRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range []string{"build", "build a b", "build --raw --fixed x", "build --nonsense x", "build --format iso x", "build --raw --format elf x", "build ./none", "build -o /none/x.vhdx ."} {
		if status := execute(strings.Fields(args)); status != 1 {
			t.Errorf("%s: status %d", args, status)
		}
	}
	if left, _ := os.ReadDir("."); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFlagErrors(t *testing.T) {
	for args, want := range map[string]string{
		"build --raw --efi .":              "--efi and --raw contradict each other",
		"build --format elf --raw --efi .": "--efi, --format and --raw contradict each other",
		"record show --channel x f":        `invalid argument "x" for "--channel" flag: see hvgo record show --help`,
	} {
		root := newRoot()
		root.SetArgs(strings.Fields(args))
		if err := root.Execute(); err == nil || plain(err.Error()) != want {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestUnknownCommand(t *testing.T) {
	root := newRoot()
	for name, want := range map[string]string{
		"nonsense": `unknown command "nonsense" for "hvgo": see hvgo --help`,
		"biuld":    `unknown command "biuld" for "hvgo": did you mean build?: see hvgo --help`,
	} {
		root.SetArgs([]string{name})
		if err := root.Execute(); err == nil || plain(err.Error()) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := plain("another error"); got != "another error" {
		t.Errorf("got %q", got)
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

func TestPassSignals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		up     bool
		passed int // signals that reach the guest before one ends all
	}{
		{"while the machine starts", false, 0},
		{"when the machine is up", true, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			from, to, up := make(chan os.Signal), make(chan os.Signal, 3), make(chan struct{})
			if tt.up {
				close(up)
			}
			go passSignals(ctx, cancel, from, to, up)
			for range tt.passed + 1 {
				from <- syscall.SIGINT
			}
			<-ctx.Done()
			if err := interrupted(ctx, errors.New("x")); !errors.Is(err, errInterrupted) {
				t.Errorf("error %v", err)
			}
			if len(to) != tt.passed {
				t.Errorf("%d signals passed on, want %d", len(to), tt.passed)
			}
		})
	}
}

// TestPassSIGQUIT passes on as many as there are: they end nothing.
func TestPassSIGQUIT(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	from, to, up := make(chan os.Signal), make(chan os.Signal), make(chan struct{})
	close(up)
	go passSignals(ctx, cancel, from, to, up)
	for range 5 {
		from <- syscall.SIGQUIT
		if s := <-to; s != syscall.SIGQUIT {
			t.Errorf("passed on %v", s)
		}
	}
	if err := ctx.Err(); err != nil {
		t.Error(err)
	}
}

func TestDefaultShares(t *testing.T) {
	root := t.TempDir()
	inner := filepath.Join(root, "a", "b")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(inner)
	if got := defaultShares(); !slices.Contains(got, inner) {
		t.Errorf("outside a module: %v lacks the working directory", got)
	}
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := defaultShares(); !slices.Contains(got, root) || slices.Contains(got, inner) {
		t.Errorf("in a module: %v, want %s", got, root)
	}
}

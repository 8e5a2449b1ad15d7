// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/host/hosttest"
	"github.com/hvgo/hvgo/host/hyperv"
	"github.com/hvgo/hvgo/host/vmm"
)

// A machine is strict unless told not to be, and whoever runs it learns of it.
func TestStrict(t *testing.T) {
	hosttest.NeedKVM(t)
	var heard []string
	hear := func(rule, _ string) { heard = append(heard, rule) }
	for _, tt := range []struct {
		name  string
		what  hosttest.Break
		cfg   Config
		err   bool
		heard []string
	}{
		{"by default", hosttest.SINTTwice, Config{}, true, nil},
		{"told", hosttest.SINTTwice, Config{Strict: hear}, false, []string{hyperv.RuleSINTTwice}},
		{"lenient", hosttest.SINTTwice, Config{Lenient: true}, false, nil},
		{"lenient, told", hosttest.SINTTwice, Config{Lenient: true, Strict: hear}, false, nil},
		{"masked first", hosttest.MaskedFirst, Config{}, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			heard = nil
			tt.cfg.Image, tt.cfg.Memory = tt.what.Image(), 32<<20
			m, err := New(tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			e, err := m.Run(ctx)
			if errors.Is(err, ErrRules) != tt.err || err != nil && !tt.err {
				t.Errorf("%v, %v", e, err)
			}
			if tt.err && err != nil && !strings.Contains(err.Error(), hyperv.RuleSINTTwice) {
				t.Errorf("the error does not name the rule: %v", err)
			}
			if !slices.Equal(heard, tt.heard) {
				t.Errorf("told %q, want %q", heard, tt.heard)
			}
			if e != (Exit{Kind: vmm.Shutdown}) {
				t.Errorf("ended with %v", e)
			}
		})
	}
}

func TestBrokenIsBounded(t *testing.T) {
	var b broken
	if err := b.err(); err != nil {
		t.Error(err)
	}
	for range maxRules + 5 {
		b.add("a-rule", "detail")
	}
	err := b.err()
	if !errors.Is(err, ErrRules) || strings.Count(err.Error(), "a-rule") != maxRules || !strings.HasSuffix(err.Error(), "and 5 more") {
		t.Errorf("%v", err)
	}
}

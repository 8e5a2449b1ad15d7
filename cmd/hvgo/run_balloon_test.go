// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"slices"
	"strings"
	"testing"
)

func TestPlanBalloon(t *testing.T) {
	const memory = 256 * mib
	for _, c := range []struct {
		size string
		want []string
		err  string
	}{
		{size: ""},
		{size: "0", want: []string{"--balloon", "0"}},
		{size: "64", want: []string{"--balloon", "64"}},
		{size: "65536K", want: []string{"--balloon", "64"}},
		{size: "255M", want: []string{"--balloon", "255"}},
		{size: "256", err: "--balloon: a guest with 256 MiB cannot give 256 MiB: take less"},
		{size: "1G", err: "--balloon: a guest with 256 MiB cannot give 1024 MiB: take less"},
		{size: "1K", err: "--balloon: 1024 bytes are not whole MiB"},
		{size: "-1", err: `--balloon: "-1" is no size`},
		{size: "much", err: `--balloon: "much" is no size`},
	} {
		p, err := (&balloonOptions{c.size}).plan(memory)
		if c.err != "" {
			if err == nil || !strings.HasPrefix(err.Error(), c.err) {
				t.Errorf("%q: %v, want %q", c.size, err, c.err)
			}
			continue
		}
		if err != nil || !slices.Equal(p.args(), c.want) {
			t.Errorf("%q: %q, %v; want %q", c.size, p.args(), err, c.want)
		}
		if p != nil {
			again, err := (&balloonOptions{p.args()[1]}).plan(memory)
			if err != nil || again.size != p.size {
				t.Errorf("%q: as a flag again: %+v, %v", c.size, again, err)
			}
		}
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package rtc

import (
	"testing"
	"time"
)

func TestUnixNano(t *testing.T) {
	for _, test := range []struct {
		name    string
		c       clock
		century bool
		want    string // "" for none
	}{
		{"BCD", clock{0x56, 0x34, 0x12, 0x23, 0x11, 0x26, 0x20, hours24}, true, "2026-11-23T12:34:56Z"},
		{"binary", clock{56, 34, 12, 23, 11, 26, 20, hours24 | binary}, true, "2026-11-23T12:34:56Z"},
		{"no century", clock{0x56, 0x34, 0x12, 0x23, 0x11, 0x26, 0, hours24}, false, "2026-11-23T12:34:56Z"},
		{"a century that is none", clock{0x56, 0x34, 0x12, 0x23, 0x11, 0x26, 0x55, hours24}, true, "2026-11-23T12:34:56Z"},
		{"last century", clock{0, 0, 0, 0x31, 0x12, 0x99, 0, hours24}, false, "1999-12-31T00:00:00Z"},
		{"afternoon", clock{0, 0x30, 0x11 | afternoon, 1, 1, 0x26, 0x20, 0}, true, "2026-01-01T23:30:00Z"},
		{"noon", clock{0, 0, 0x12 | afternoon, 1, 1, 0x26, 0x20, 0}, true, "2026-01-01T12:00:00Z"},
		{"midnight", clock{0, 0, 0x12, 1, 1, 0x26, 0x20, 0}, true, "2026-01-01T00:00:00Z"},
		{"no clock", clock{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, true, ""},
		{"all zero", clock{}, true, ""},
		{"no BCD", clock{0x5A, 0, 0, 1, 1, 0x26, 0x20, hours24}, true, ""},
		{"hour 13 of 12", clock{0, 0, 0x13, 1, 1, 0x26, 0x20, 0}, true, ""},
		{"hour 24", clock{0, 0, 0x24, 1, 1, 0x26, 0x20, hours24}, true, ""},
		{"year 200", clock{0, 0, 0, 1, 1, 200, 20, hours24 | binary}, true, ""},
		{"month 13", clock{0, 0, 0, 1, 0x13, 0x26, 0x20, hours24}, true, ""},
	} {
		got := test.c.unixNano(test.century)
		if test.want == "" {
			if got != 0 {
				t.Errorf("%s: %v", test.name, time.Unix(0, got).UTC())
			}
			continue
		}
		want, err := time.Parse(time.RFC3339, test.want)
		if err != nil || got != want.UnixNano() {
			t.Errorf("%s: %v, want %v", test.name, time.Unix(0, got).UTC(), want)
		}
	}
}

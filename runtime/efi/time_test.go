// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package efi

import (
	"testing"
	"time"
	"unsafe"
)

func TestUnixNano(t *testing.T) {
	for day := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2201; day = day.AddDate(0, 0, 1) {
		at := Time{Year: uint16(day.Year()), Month: uint8(day.Month()), Day: uint8(day.Day()), Hour: 23, Minute: 59, Second: 58, Nanosecond: 7, Zone: ZoneUnspecified}
		want := day.Unix()*1e9 + (24*3600-2)*1e9 + 7
		if got := at.UnixNano(); got != want {
			t.Fatalf("%v: %d, want %d", day, got, want)
		}
	}
	// Pacific Standard Time is 480: UTC is local time plus eight hours.
	at := Time{Year: 2026, Month: 11, Day: 22, Hour: 20, Zone: 480}
	if got, want := at.UnixNano(), time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC).UnixNano(); got != want {
		t.Errorf("zone: %d, want %d", got, want)
	}
	for _, bad := range []Time{{}, {Year: 2026}, {Year: 2026, Month: 13, Day: 1}, {Year: 2026, Month: 1, Day: 1, Hour: 24},
		{Year: 2026, Month: 1, Day: 1, Nanosecond: 1e9}, {Year: 65535, Month: 1, Day: 1}} {
		if got := bad.UnixNano(); got != 0 {
			t.Errorf("%+v: %d", bad, got)
		}
	}
	if n := unsafe.Sizeof(Time{}); n != 16 {
		t.Errorf("EFI_TIME has 16 bytes, ours %d", n)
	}
}

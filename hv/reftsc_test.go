// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hv

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tellTime makes p the page that tells the time, for a test.
func tellTime(t testing.TB, p *refTSC, realtime int64) {
	t.Helper()
	tscPage, realtimeBase = uintptr(unsafe.Pointer(p)), realtime
	t.Cleanup(func() { tscPage, realtimeBase = 0, 0 })
}

// TestClockGettime compares the vDSO's function with Now, which is written in Go: for
// clocks at all sorts of times, also right before and after a full second.
func TestClockGettime(t *testing.T) {
	const second = 1_000_000_000
	page := &refTSC{sequence: 1, scale: 1 << 62 / 1000}
	for _, base := range []int64{0, 1, 17e9, 1<<62 - 1} {
		tellTime(t, page, base)
		for i := range int64(2000) {
			page.offset = i * 4_999_999 // in units of 100 ns: half a second
			if i > 1900 {
				page.offset = 1<<63/100 - base/100 - second*i // as late as there are times
			}
			for _, clock := range []int32{unix.CLOCK_MONOTONIC, unix.CLOCK_REALTIME, unix.CLOCK_BOOTTIME, unix.CLOCK_TAI} {
				before, _ := Clock(uint64(clock))
				var ts [2]int64
				if errno := callClockGettime(clock, &ts); errno != 0 {
					t.Fatal(errno)
				}
				after, _ := Clock(uint64(clock))
				ns := ts[0]*second + ts[1]
				if ns < before || ns > after || ts[1] < 0 || ts[1] >= second {
					t.Fatalf("clock %d, offset %d: %d, of %d to %d", clock, page.offset, ts, before, after)
				}
			}
		}
	}
	for _, clock := range []int32{unix.CLOCK_PROCESS_CPUTIME_ID, unix.CLOCK_THREAD_CPUTIME_ID, 12, -1} {
		if errno := callClockGettime(clock, new([2]int64)); errno != -22 {
			t.Errorf("clock %d: %d", clock, errno)
		}
	}
}

// TestCounterAndPage has the page cease to be valid at any part of a unit: what the
// counter says then is not before.
func TestCounterAndPage(t *testing.T) {
	page := &refTSC{sequence: 1, scale: 1 << 50}
	tellTime(t, page, 0)
	for range 10_000 {
		byPage := Now()
		if units := uint64(byPage / unit); counterNow(units) < byPage || counterNow(units) >= int64(units+1)*unit {
			t.Fatalf("%d ns after %d ns", counterNow(units), byPage)
		}
	}
}

func BenchmarkClockGettime(b *testing.B) {
	tellTime(b, &refTSC{sequence: 1, scale: 1 << 62 / 1000}, 17e17)
	var ts [2]int64
	for b.Loop() {
		callClockGettime(unix.CLOCK_REALTIME, &ts)
	}
}

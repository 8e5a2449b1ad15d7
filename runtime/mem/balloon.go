// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

const (
	// BalloonPages is the most that TakeBalloon takes at a time, 2 MiB: interrupts
	// are off meanwhile.
	BalloonPages = 512

	// contigReserve is how many frames that may be adjacent the balloon leaves
	// while there are single ones, for the drivers' buffers.
	contigReserve = 4 << 20 / PageSize
)

// ballooned counts the frames that the host has. Guarded by the kernel lock.
var ballooned uint64

// Ballooned returns the number of frames from TakeBalloon. Total counts them, Free
// does not.
//
//go:nosplit
func Ballooned() uint64 { return ballooned }

// TakeBalloon takes up to want adjacent frames for the host, while at least keep
// others remain free; it returns their physical address and number, 0 when there
// are none. It prefers long ranges.
//
//go:nosplit
func TakeBalloon(want, keep uint64) (pa, pages uint64) {
	if keep < PageReserve {
		keep = PageReserve
	}
	if ram.free <= keep {
		return 0, 0
	}
	want = min(want, ram.free-keep, BalloonPages)
	if want == 0 {
		return 0, 0
	}
	if ram.free-ram.freedCount >= want+contigReserve || ram.freedCount == 0 {
		for n := want; n > 0; n /= 2 {
			if pa = AllocContig(n); pa != 0 {
				ballooned += n
				return pa, n
			}
		}
	}
	if pa = AllocFrame(); pa == 0 {
		return 0, 0
	}
	ballooned++
	return pa, 1
}

// GiveBalloon takes back frames from TakeBalloon, BalloonPages at most. It returns
// false, and does nothing, when they cannot all be such.
//
//go:nosplit
func GiveBalloon(pa, pages uint64) bool {
	if pages == 0 || pages > BalloonPages || pages > ballooned || !isFrame(pa) || !isFrame(pa+(pages-1)<<PageShift) {
		return false
	}
	ballooned -= pages
	FreeFrames(pa, pages)
	return true
}

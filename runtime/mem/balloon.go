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

// ballooned counts the frames that the host has. Guarded by lock.
var ballooned uint64

// Ballooned returns the number of frames from TakeBalloon. Total counts them, Free
// does not.
//
//go:nosplit
func Ballooned() uint64 { return ballooned }

// takeBalloon is TakeBalloon, with the lock held.
//
//go:nosplit
func takeBalloon(want, keep uint64) (pa, pages uint64) {
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
			if pa = allocContig(n); pa != 0 {
				ballooned += n
				return pa, n
			}
		}
	}
	if pa = allocFrame(); pa == 0 {
		return 0, 0
	}
	ballooned++
	return pa, 1
}

// giveBalloon is GiveBalloon, with the lock held.
//
//go:nosplit
func giveBalloon(pa, pages uint64) bool {
	if pages == 0 || pages > BalloonPages || pages > ballooned || !isFrame(pa) || !isFrame(pa+(pages-1)<<PageShift) {
		return false
	}
	ballooned -= pages
	freeFrames(pa, pages)
	return true
}

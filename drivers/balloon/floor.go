// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package balloon

// mib is a mebibyte in pages.
const mib = 1 << 20 / 4096

// floorPoints say how many free pages a machine of a given size keeps for itself,
// with straight lines between them. Hosts know these numbers: Linux guests use
// the same, and administrators choose minima after them. They suit a Go program
// for a reason of its own. Its heap can double before the collector has to have
// run (GOGC=100), so a small machine needs about half its memory within reach;
// a large one gets a memory limit when the balloon grows (see package boot) and
// needs room for what comes at once: buffers, stacks and goroutines of a burst.
var floorPoints = [...]struct{ total, floor uint64 }{
	{0, 0},
	{16 * mib, 16 * mib},
	{32 * mib, 24 * mib},
	{128 * mib, 72 * mib},
	{512 * mib, 168 * mib},
	{2048 * mib, 360 * mib},
	{8192 * mib, 744 * mib},
	{32768 * mib, 1512 * mib},
}

// floor gives the number of free pages that a machine of total pages keeps.
func floor(total uint64) uint64 {
	last := len(floorPoints) - 1
	i := 1
	for i < last && total > floorPoints[i].total {
		i++
	}
	from, to := floorPoints[i-1], floorPoints[i]
	total = min(total, 1<<40) // keeps the product within 64 bits
	return from.floor + (total-from.total)*(to.floor-from.floor)/(to.total-from.total)
}

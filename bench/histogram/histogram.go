// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package histogram counts durations, so that a percentile of a million needs no
// million values: 32 buckets for each power of two, which is exact to 1/32.
package histogram

import (
	"math/bits"
	"time"
)

// Buckets below 2*sub hold one nanosecond each; above them each power of two has sub.
const (
	subBits = 5
	sub     = 1 << subBits
	buckets = (64 - subBits) * sub
)

// Histogram counts durations. The zero value is empty. It is not for use by several
// goroutines at once: each has its own, and Add joins them.
type Histogram struct {
	count [buckets]uint64
	n     uint64
	worst time.Duration
}

// Record counts one duration; one below zero, of a clock that was set back, is zero.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.count[index(uint64(d))]++
	h.n++
	h.worst = max(h.worst, d)
}

// Add joins another's counts to h.
func (h *Histogram) Add(other *Histogram) {
	for i, n := range other.count {
		h.count[i] += n
	}
	h.n += other.n
	h.worst = max(h.worst, other.worst)
}

// Count is how many there are.
func (h *Histogram) Count() uint64 { return h.n }

// Worst is the longest, exactly.
func (h *Histogram) Worst() time.Duration { return h.worst }

// Quantile returns a duration that the share q (0 to 1) of all do not exceed; at most
// 1/32 too long. It is 0 when there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	wanted := uint64(q * float64(h.n))
	if float64(wanted) < q*float64(h.n) {
		wanted++
	}
	wanted = min(max(wanted, 1), h.n)
	var sum uint64
	for i, n := range h.count {
		if sum += n; sum >= wanted {
			return min(time.Duration(upper(i)), h.worst)
		}
	}
	return h.worst
}

// index is the bucket of a value.
func index(v uint64) int {
	if v < 2*sub {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - subBits
	return shift*sub + int(v>>shift)
}

// upper is the largest value of a bucket.
func upper(i int) uint64 {
	if i < 2*sub {
		return uint64(i)
	}
	shift := i/sub - 1
	return (uint64(i%sub+sub)+1)<<shift - 1
}

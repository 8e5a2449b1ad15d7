// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package histogram

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Each value lies in its bucket, and buckets follow each other without a gap.
func TestBuckets(t *testing.T) {
	for i := range buckets - 1 {
		if got := index(upper(i)); got != i {
			t.Fatalf("the last value of bucket %d, %d, is in %d", i, upper(i), got)
		}
		if got := index(upper(i) + 1); got != i+1 {
			t.Fatalf("the value behind bucket %d is in %d", i, got)
		}
	}
	if got := index(math.MaxInt64); got >= buckets {
		t.Fatalf("the longest duration is in bucket %d of %d", got, buckets)
	}
}

// Quantiles beside those of all values, sorted.
func TestQuantile(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 3, 10, 999, 1000, 1001, 20000} {
		var a, b Histogram
		all := make([]time.Duration, n)
		for i := range all {
			all[i] = time.Duration(math.Exp(r.Float64() * 20))
			if i%2 == 0 {
				a.Record(all[i])
			} else {
				b.Record(all[i])
			}
		}
		a.Add(&b)
		slices.Sort(all)
		for _, q := range []float64{0, 0.001, 0.5, 0.9, 0.99, 0.999, 1} {
			want := all[max(int(math.Ceil(q*float64(n)))-1, 0)]
			got := a.Quantile(q)
			if got < want || float64(got) > float64(want)*(1+1.0/sub) {
				t.Errorf("%d values, quantile %v: %v, want %v", n, q, got, want)
			}
		}
		if a.Worst() != all[n-1] || a.Count() != uint64(n) {
			t.Errorf("%d values: worst %v, count %d", n, a.Worst(), a.Count())
		}
	}
}

func TestEdges(t *testing.T) {
	var h Histogram
	if h.Quantile(0.99) != 0 {
		t.Error("the quantile of nothing is not 0")
	}
	h.Record(-1)
	h.Record(math.MaxInt64)
	if h.Quantile(0.5) != 0 || h.Quantile(1) != math.MaxInt64 {
		t.Errorf("%v, %v", h.Quantile(0.5), h.Quantile(1))
	}
}

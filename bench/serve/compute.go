// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/hvgo/hvgo/bench"
)

// compute hashes memory: it asks nothing of the system.
type compute struct{ b []byte }

func newCompute(n int) *compute { return &compute{make([]byte, n)} }

func (c *compute) do(int) error {
	sum := sha256.Sum256(c.b)
	c.b[0] = sum[0]
	return nil
}

func (*compute) close() {}

// tree is what the collector walks.
type tree struct {
	left, right *tree
	_           [48]byte // to make it 64 bytes
}

func grow(depth int) *tree {
	if depth == 0 {
		return new(tree)
	}
	return &tree{left: grow(depth - 1), right: grow(depth - 1)}
}

// treeDepth makes trees of 2047 nodes of 64 bytes, 128 KiB.
const treeDepth = 10

// collect holds j.Bytes of trees and replaces j.Count of them, with j.Depth workers. The
// percentiles are those of the pauses meanwhile.
func collect(ctx context.Context, j bench.Job) (bench.Result, error) {
	const treeBytes = 64 << (treeDepth + 1)
	share := j.Bytes / treeBytes / j.Depth
	if share < 1 {
		return bench.Result{}, errors.New("the heap has less than a tree for each worker")
	}
	before, err := pauses()
	if err != nil {
		return bench.Result{}, err
	}
	r, err := work(ctx, j, func(int) (worker, error) { return newForest(share), nil })
	if err != nil {
		return r, err
	}
	after, err := pauses()
	if err != nil {
		return r, err
	}
	r.P50, r.P99, r.P999, r.Worst = between(before, after, 0.5), between(before, after, 0.99), between(before, after, 0.999), between(before, after, 1)
	debug.FreeOSMemory()
	return r, nil
}

type forest struct{ trees []*tree }

func newForest(n int) *forest {
	f := &forest{make([]*tree, n)}
	for i := range f.trees {
		f.trees[i] = grow(treeDepth)
	}
	return f
}

func (f *forest) do(i int) error { f.trees[i%len(f.trees)] = grow(treeDepth); return nil }
func (f *forest) close()         { runtime.KeepAlive(f.trees) }

// pauses reads the runtime's own histogram of stops for the collector.
func pauses() (*metrics.Float64Histogram, error) {
	s := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindFloat64Histogram {
		return nil, errors.New("this Go runtime has no " + s[0].Name)
	}
	h := s[0].Value.Float64Histogram()
	return &metrics.Float64Histogram{Counts: append([]uint64(nil), h.Counts...), Buckets: h.Buckets}, nil
}

// between is a quantile of what was added to a histogram.
func between(before, after *metrics.Float64Histogram, q float64) time.Duration {
	var all, sum uint64
	for i := range after.Counts {
		all += after.Counts[i] - before.Counts[i]
	}
	wanted := uint64(math.Ceil(q * float64(all)))
	for i := range after.Counts {
		if sum += after.Counts[i] - before.Counts[i]; sum >= wanted && all > 0 {
			if end := after.Buckets[i+1]; !math.IsInf(end, 1) {
				return time.Duration(end * 1e9)
			}
			return time.Duration(after.Buckets[i] * 1e9)
		}
	}
	return 0
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hvgo/hvgo/bench"
	"github.com/hvgo/hvgo/bench/histogram"
)

// worker does one operation at a time; i numbers them over all workers.
type worker interface {
	do(i int) error
	close()
}

// do does a job. What is wrong with it is in the result.
func do(ctx context.Context, j bench.Job, disk string) bench.Result {
	r, err := begin(ctx, j, disk)
	if err != nil {
		return bench.Result{Error: err.Error()}
	}
	return r
}

func begin(ctx context.Context, j bench.Job, disk string) (bench.Result, error) {
	if j.Count < 1 || j.Count > bench.MaxCount || j.Bytes < 1 || j.Bytes > bench.MaxBytes || j.Depth < 1 || j.Depth > bench.MaxDepth {
		return bench.Result{}, fmt.Errorf("job %+v: a number is out of its range", j)
	}
	switch j.Kind {
	case bench.RandomRead, bench.RandomWrite, bench.SequentialRead, bench.SequentialWrite, bench.SyncWrite:
		return diskJob(ctx, j, disk)
	case bench.Compute:
		return work(ctx, j, func(int) (worker, error) { return newCompute(j.Bytes), nil })
	case bench.Collect:
		return collect(ctx, j)
	case bench.Datagrams:
		return datagrams(ctx, j)
	}
	return bench.Result{}, fmt.Errorf("no kind of job %q", j.Kind)
}

// work shares j.Count operations among j.Depth workers, and takes the time of each.
// The first error ends it.
func work(ctx context.Context, j bench.Job, make func(n int) (worker, error)) (r bench.Result, err error) {
	workers := []worker{}
	defer func() {
		for _, w := range workers {
			w.close()
		}
	}()
	for n := range j.Depth {
		w, err := make(n)
		if err != nil {
			return r, err
		}
		workers = append(workers, w)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		next  atomic.Int64
		wg    sync.WaitGroup
		times = newHistograms(j.Depth)
	)
	begin := time.Now()
	for n, w := range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < j.Count && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				t := time.Now()
				if err := w.do(i); err != nil {
					cancel(err)
					return
				}
				times[n].Record(time.Since(t))
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	return summary(time.Since(begin), times), nil
}

func newHistograms(n int) []*histogram.Histogram {
	h := make([]*histogram.Histogram, n)
	for i := range h {
		h[i] = new(histogram.Histogram)
	}
	return h
}

func summary(elapsed time.Duration, times []*histogram.Histogram) bench.Result {
	all := new(histogram.Histogram)
	for _, h := range times {
		all.Add(h)
	}
	return bench.Result{
		Ops: int(all.Count()), Elapsed: elapsed, Worst: all.Worst(),
		P50: all.Quantile(0.5), P99: all.Quantile(0.99), P999: all.Quantile(0.999),
	}
}

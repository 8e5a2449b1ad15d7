// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// histogram counts how late sleeps ended, by powers of two of 100 µs.
type histogram [16]atomic.Int64

var lateness histogram

func (h *histogram) add(d time.Duration) {
	i := 0
	for limit := 100 * time.Microsecond; d > limit && i < len(h)-1; limit *= 2 {
		i++
	}
	h[i].Add(1)
}

func (h *histogram) report() {
	var b strings.Builder
	limit := 100 * time.Microsecond
	for i := range h {
		if n := h[i].Load(); n > 0 {
			fmt.Fprintf(&b, " %d<=%v", n, limit)
		}
		limit *= 2
	}
	say("late sleeps%s", b.String())
}

// timers has hundreds of timers, which are stopped and set anew, tickers, and sleeps.
func timers(ctx context.Context, r *random) error {
	var g group
	for range 100 {
		r := r.child()
		g.start(func() error { return oneTimer(r) })
	}
	for range 30 {
		d := time.Duration(r.IntN(30_000)) * time.Microsecond
		g.start(func() error {
			start := time.Now()
			time.Sleep(d)
			took := time.Since(start)
			if took < d {
				return fmt.Errorf("a sleep of %v took %v", d, took)
			}
			lateness.add(took - d)
			return nil
		})
	}
	for range 10 {
		g.start(ticker)
	}
	return g.wait()
}

// oneTimer sets a function's timer, sets it anew or stops it, and counts the calls.
func oneTimer(r *random) error {
	var calls atomic.Int64
	called := make(chan time.Time, 2)
	start := time.Now()
	d := time.Duration(500+r.IntN(20_000)) * time.Microsecond
	t := time.AfterFunc(d, func() {
		calls.Add(1)
		called <- time.Now()
	})
	switch r.IntN(3) {
	case 0: // stopped before it is due, or after
		time.Sleep(time.Duration(r.IntN(20_000)) * time.Microsecond)
		if t.Stop() {
			time.Sleep(time.Millisecond)
			if n := calls.Load(); n != 0 {
				return fmt.Errorf("a timer that was stopped fired %d times", n)
			}
			return nil
		}
	case 1:
		more := time.Duration(500+r.IntN(20_000)) * time.Microsecond
		at := time.Now()
		if t.Reset(more) {
			start, d = at, more
		}
	}
	due := start.Add(d)
	if fired := <-called; fired.Before(due) {
		return fmt.Errorf("a timer fired %v early", due.Sub(fired))
	}
	t.Stop()
	return nil
}

// ticker takes ten ticks, each of which may come late but not early.
func ticker() error {
	const every = 2 * time.Millisecond
	start := time.Now()
	t := time.NewTicker(every)
	defer t.Stop()
	for i := range 10 {
		<-t.C
		if took := time.Since(start); took < time.Duration(i+1)*every {
			return fmt.Errorf("tick %d of a ticker of %v came after %v", i+1, every, took)
		}
	}
	return nil
}

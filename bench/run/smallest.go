// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hvgo/hvgo/bench"
	"github.com/hvgo/hvgo/bench/load"
)

const (
	leastMemory = 8 // MiB: nothing comes up in less
	memoryStep  = 2 // MiB: how exactly the smallest VM is found
	smallProbe  = "smallest VM"
)

// smallest looks for the smallest VM of each side that could be built.
func (o *options) smallest(ctx context.Context, failed map[string]string) (turns []turn) {
	for _, side := range sides {
		if failed[side] != "" {
			continue // each round says so
		}
		t := turn{Round: 1, Side: side}
		begin := time.Now()
		n, err := bisect(leastMemory, o.memory, memoryStep, func(mib int) error {
			err := o.serves(ctx, side, mib)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			say("%s with %d MiB: %v", side, mib, err)
			return err
		})
		t.Seconds = time.Since(begin).Seconds()
		if err != nil {
			t.fail(smallProbe, err)
		} else {
			t.add(smallProbe, figure{fmt.Sprintf("smallest VM, %d requests", o.enough), float64(n), mebibytes})
		}
		turns = append(turns, t)
		if ctx.Err() != nil {
			break
		}
	}
	return turns
}

// serves starts a guest with that much memory, and has it serve.
func (o *options) serves(ctx context.Context, side string, mib int) error {
	v, err := o.boot(ctx, side, mib)
	if err != nil {
		return err
	}
	l := load.HTTP{Address: v.address(bench.HTTPPort), Path: bench.SmallPath, Connections: 16, Requests: o.enough}
	_, err = l.Run(ctx)
	return errors.Join(err, v.close())
}

// bisect returns the least n of least, least+step ... that works, most at most. If most
// itself does not work, that is the error: then it is not the memory.
func bisect(least, most, step int, works func(n int) error) (int, error) {
	if err := works(most); err != nil {
		return 0, fmt.Errorf("not even with %d: %w", most, err)
	}
	low, high := 0, (most-least+step-1)/step // low is not known to work, high works
	at := func(i int) int { return min(least+i*step, most) }
	for low < high {
		middle := (low + high) / 2
		if works(at(middle)) == nil {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return at(high), nil
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// channels is webs of goroutines that wake one another.
func channels(ctx context.Context, r *random) error {
	var g group
	for _, f := range []func(*random) error{ring, fan, guarded, queue, tree} {
		r := r.child()
		g.start(func() error { return f(r) })
	}
	return g.wait()
}

// ring sends tokens around 64 goroutines.
func ring(r *random) error {
	const members, laps, tokens = 64, 5, 4
	in := make(chan int)
	last := in
	for range members {
		next := make(chan int, r.IntN(2))
		go func(from <-chan int, to chan<- int) {
			defer close(to)
			for v := range from {
				to <- v + 1
			}
		}(last, next)
		last = next
	}
	done := make(chan error, 1)
	back := make(chan int, tokens)
	go func() {
		defer close(in)
		for range tokens {
			in <- 0
		}
		for range tokens * (laps - 1) {
			in <- <-back
		}
	}()
	go func() {
		for i := range tokens * laps {
			v := <-last
			if v%members != 0 || v > members*laps {
				done <- fmt.Errorf("a token came back as %d", v)
				return
			}
			if i < tokens*(laps-1) {
				back <- v
			}
		}
		if _, more := <-last; more {
			done <- fmt.Errorf("a ring has more tokens than were sent")
			return
		}
		done <- nil
	}()
	return <-done
}

// fan has 16 goroutines send to four channels, of which select takes.
func fan(r *random) error {
	const senders, each = 16, 40
	var lanes [4]chan int
	for i := range lanes {
		lanes[i] = make(chan int, r.IntN(4))
	}
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				select {
				case lanes[s%4] <- s*each + i:
				case lanes[(s+1)%4] <- s*each + i:
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	seen, n := make([]byte, senders*each), 0
	take := func(v int) { seen[v]++; n++ }
	for n < len(seen) {
		select {
		case v := <-lanes[0]:
			take(v)
		case v := <-lanes[1]:
			take(v)
		case v := <-lanes[2]:
			take(v)
		case v := <-lanes[3]:
			take(v)
		}
	}
	<-ended
	spoil("chans", seen)
	for v, times := range seen {
		if times != 1 {
			return fmt.Errorf("%d was received %d times", v, times)
		}
	}
	return nil
}

// guarded has readers of a map look for a change that is half done.
func guarded(r *random) error {
	var mu sync.RWMutex
	var plain sync.Mutex
	var sum, turns int
	m := map[int]int{}
	var g group
	for i := range 4 {
		r := r.child()
		g.start(func() error {
			for range 40 {
				mu.Lock()
				k := r.IntN(64)
				m[k] += i
				sum += i
				mu.Unlock()
			}
			return nil
		})
	}
	for range 12 {
		g.start(func() error {
			for range 20 {
				mu.RLock()
				total := 0
				for _, v := range m {
					total += v
				}
				want := sum
				mu.RUnlock()
				if total != want {
					return fmt.Errorf("a reader saw %d instead of %d inside an RWMutex", total, want)
				}
				plain.Lock()
				turns++
				plain.Unlock()
			}
			return nil
		})
	}
	if err := g.wait(); err != nil {
		return err
	}
	if turns != 12*20 || sum != (0+1+2+3)*40 {
		return fmt.Errorf("%d turns inside a Mutex, a sum of %d", turns, sum)
	}
	return nil
}

// queue is a bounded queue of two conditions.
func queue(*random) error {
	const most, producers, each = 5, 8, 40
	var mu sync.Mutex
	room, item := sync.NewCond(&mu), sync.NewCond(&mu)
	var held []int
	var got atomic.Int64
	var wg sync.WaitGroup
	for range producers {
		wg.Go(func() {
			for i := range each {
				mu.Lock()
				for len(held) == most {
					room.Wait()
				}
				held = append(held, i)
				mu.Unlock()
				item.Signal()
			}
		})
		wg.Go(func() {
			for range each {
				mu.Lock()
				for len(held) == 0 {
					item.Wait()
				}
				got.Add(int64(held[0]))
				held = held[1:]
				mu.Unlock()
				room.Broadcast()
			}
		})
	}
	wg.Wait()
	if want := int64(producers * each * (each - 1) / 2); got.Load() != want || len(held) != 0 {
		return fmt.Errorf("a queue gave %d instead of %d, and %d are left", got.Load(), want, len(held))
	}
	return nil
}

// tree cancels the root of 100 contexts: all goroutines that wait must hear of it.
func tree(r *random) error {
	root, cancel := context.WithCancel(context.Background())
	var all []context.Context
	var cancels []context.CancelFunc
	for range 100 {
		parent := root
		if len(all) > 0 && r.IntN(3) > 0 {
			parent = all[r.IntN(len(all))]
		}
		c, f := context.WithCancel(parent)
		all, cancels = append(all, c), append(cancels, f)
	}
	var wg sync.WaitGroup
	for _, c := range all {
		wg.Go(func() { <-c.Done() })
	}
	cancels[r.IntN(len(cancels))]()
	cancel()
	wg.Wait()
	for _, f := range cancels {
		f()
	}
	return nil
}

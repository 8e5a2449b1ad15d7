// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// preempt lets loops without a call run on one processor, and more of them than there
// are on several: only a signal can take it away from them.
func preempt([]string) (string, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	found := ""
	for _, procs := range []int{1, 2, 4} {
		runtime.GOMAXPROCS(procs)
		turns, err := spinAll(2 * procs)
		if err != nil {
			return "", fmt.Errorf("with GOMAXPROCS %d: %w", procs, err)
		}
		found += fmt.Sprint(turns, " turns ")
	}
	return found, nil
}

// spinAll runs n loops until all have had their turn.
func spinAll(n int) ([]uint64, error) {
	var stop atomic.Bool
	turns, begun := make([]uint64, n), make([]atomic.Bool, n)
	var wg sync.WaitGroup
	for i := range turns {
		wg.Go(func() {
			begun[i].Store(true)
			for !stop.Load() {
				turns[i]++
			}
		})
	}
	late := time.After(time.Minute)
	all := func() bool {
		for i := range begun {
			if !begun[i].Load() {
				return false
			}
		}
		return true
	}
	var err error
	for !all() && err == nil {
		select {
		case <-late:
			err = errors.New("a loop did not begin in a minute")
		case <-time.After(5 * time.Millisecond):
		}
	}
	runtime.GC() // stops the world, which takes all loops to a stop
	stop.Store(true)
	wg.Wait()
	return turns, err
}

// timers checks that nothing fires early or in the wrong order, and that all fires.
func timers([]string) (string, error) {
	const sleepers = 100
	err := parallel(sleepers, func(i int) error {
		d := time.Duration(i*i%97) * 500 * time.Microsecond
		start := time.Now()
		time.Sleep(d)
		if took := time.Since(start); took < d {
			return fmt.Errorf("slept %v of %v", took, d)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	start := time.Now()
	for range 20 {
		<-tick.C
	}
	if took := time.Since(start); took < 30*time.Millisecond {
		return "", fmt.Errorf("20 ticks of 2 ms took %v", took)
	}
	var fired atomic.Int32
	never := time.AfterFunc(time.Hour, func() { fired.Add(100) })
	soon := make(chan struct{})
	time.AfterFunc(time.Millisecond, func() { fired.Add(1); close(soon) })
	<-soon
	if !never.Stop() || fired.Load() != 1 {
		return "", fmt.Errorf("fired %d", fired.Load())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	return fmt.Sprintf("%d sleepers", sleepers), nil
}

// clock checks that time goes forward, and that both clocks go together.
func clock([]string) (string, error) {
	last, start := time.Now(), time.Now()
	n := 0
	for ; time.Since(start) < 100*time.Millisecond; n++ {
		now := time.Now()
		if now.Before(last) || now.UnixNano() < last.UnixNano() {
			return "", fmt.Errorf("%v comes after %v", now, last)
		}
		last = now
	}
	// A reading is of two clocks, one after the other: what comes between them
	// shows as a difference, so that the best of many readings counts.
	best := time.Duration(math.MaxInt64)
	for range 1000 {
		now := time.Now()
		best = min(best, (now.Round(0).Sub(start.Round(0)) - now.Sub(start)).Abs())
	}
	if best > time.Millisecond {
		return "", fmt.Errorf("the wall clock and the monotonic one are %v apart", best)
	}
	if y := last.UTC().Year(); y < 2024 {
		return "", fmt.Errorf("the year is %d", y)
	}
	return fmt.Sprintf("%d readings in 100 ms", n), nil
}

// recoverFaults recovers from what the processor refuses.
func recoverFaults([]string) (string, error) {
	var p *struct{ a, b int }
	var zero int
	var big *[1 << 20]byte
	for i := range 50 {
		for want, f := range map[string]func(){
			"nil pointer dereference":   func() { p.b = i },
			"integer divide by zero":    func() { zero = i / zero },
			"invalid memory address or": func() { zero = int(big[1<<19+i]) },
		} {
			if err := recovers(want, f); err != nil {
				return "", err
			}
		}
		if err := parallel(4, func(int) error {
			return recovers("nil pointer dereference", func() { zero = p.a })
		}); err != nil {
			return "", err
		}
	}
	return "350 faults", nil
}

func recovers(want string, f func()) (err error) {
	defer func() {
		r, _ := recover().(runtime.Error)
		if r == nil || !strings.Contains(r.Error(), want) {
			err = fmt.Errorf("recovered %v, want %q", r, want)
		}
	}()
	f()
	return
}

// channels passes tokens round a ring of goroutines, with locks and threads between.
func channels([]string) (string, error) {
	const goroutines, rounds = 200, 20
	var mu sync.Mutex
	sum := 0
	first := make(chan int)
	in := first
	for i := range goroutines {
		from, out := in, make(chan int)
		go func() {
			if i%50 == 0 {
				runtime.LockOSThread() // a thread of its own, so that futexes are at work
				defer runtime.UnlockOSThread()
			}
			defer close(out)
			for v := range from {
				mu.Lock()
				sum += v
				mu.Unlock()
				out <- v
			}
		}()
		in = out
	}
	go func() {
		defer close(first)
		for i := range rounds {
			first <- i + 1
		}
	}()
	got := 0
	for v := range in {
		got += v
	}
	if want := rounds * (rounds + 1) / 2; got != want || sum != want*goroutines {
		return "", fmt.Errorf("got %d and %d, want %d and %d", got, sum, want, want*goroutines)
	}
	return fmt.Sprintf("%d goroutines", goroutines), nil
}

// signals sends the program signals that it handles, ignores and resets.
func signals([]string) (string, error) {
	c := make(chan os.Signal, 10)
	signal.Notify(c, syscall.SIGTERM, syscall.SIGUSR1)
	signal.Ignore(syscall.SIGUSR2)
	defer signal.Reset()
	for range 20 {
		for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGUSR2, syscall.SIGUSR1} {
			if err := syscall.Kill(os.Getpid(), s); err != nil {
				return "", err
			}
			if s == syscall.SIGUSR2 {
				continue
			}
			if got := <-c; got != s {
				return "", fmt.Errorf("got %v instead of %v", got, s)
			}
		}
	}
	if err := syscall.Kill(os.Getpid(), 0); err != nil {
		return "", err
	}
	if err := syscall.Kill(4711, syscall.SIGTERM); !errors.Is(err, syscall.ESRCH) {
		return "", fmt.Errorf("a signal to nobody: %v", err)
	}
	return "40 signals", nil
}

// vectorRegisters computes with floating point in many goroutines that are
// preempted: their registers must survive.
func vectorRegisters([]string) (string, error) {
	want := series(1)
	err := parallel(6, func(int) error {
		for range 10 {
			if got := series(1); got != want {
				return fmt.Errorf("%v is not %v", got, want)
			}
		}
		return nil
	})
	return fmt.Sprint(want), err
}

func series(x float64) (sum float64) {
	for i := 1; i < 20000; i++ {
		sum += math.Sqrt(x*float64(i)) / float64(i*i)
	}
	return sum
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	tick = 10 * time.Millisecond
	// told is how long a gap has to be to be reported at once.
	told = 200 * time.Millisecond
	// idle is a load's time when it does not run.
	idle = math.MaxInt64
)

// now is the monotonic clock in ns.
func now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err)
	}
	return t.Nano()
}

// watch looks whether anything runs at all, and whether each load gets on.
type watch struct {
	working  atomic.Bool
	watchers []*watcher
	ended    chan struct{}
	all      sync.WaitGroup
}

// watcher asks to wake every tick.
type watcher struct {
	name  string
	sleep func()
	worst atomic.Int64 // ns
	ticks atomic.Int64
	late  [4]atomic.Int64 // gaps of more than 20, 50, 100, 500 ms
	gaps  chan [2]int64   // to be told: a watcher that wrote would not wake meanwhile
	lost  atomic.Int64    // gaps for which there was no room
}

var lateSteps = [4]time.Duration{20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond}

func startWatch(loads []*load, hang time.Duration) *watch {
	w := &watch{ended: make(chan struct{}), watchers: []*watcher{
		{name: "goroutine", sleep: func() { time.Sleep(tick) }},
		// The thread sleeps in the system: the Go runtime only has to let it go on.
		{name: "thread", sleep: func() {
			t := unix.NsecToTimespec(int64(tick))
			_ = unix.Nanosleep(&t, nil) // a signal ends it early: an early tick does no harm
		}},
	}}
	for _, x := range w.watchers {
		x.gaps = make(chan [2]int64, 1000)
		w.all.Go(func() {
			runtime.LockOSThread() // it ends with the goroutine
			if x.name == "goroutine" {
				runtime.UnlockOSThread()
			}
			x.run(w.ended)
		})
	}
	w.all.Go(func() { w.hangs(loads, hang) })
	return w
}

func (w *watch) stop() {
	close(w.ended)
	w.all.Wait()
}

func (x *watcher) run(ended <-chan struct{}) {
	for last := now(); ; {
		select {
		case <-ended:
			return
		default:
		}
		x.sleep()
		t := now()
		x.note(last, t)
		last = t
	}
}

func (x *watcher) note(from, to int64) {
	gap := to - from
	x.ticks.Add(1)
	for i := range x.late {
		if gap > int64(lateSteps[i]) {
			x.late[i].Add(1)
		}
	}
	if gap > x.worst.Load() {
		x.worst.Store(gap)
	}
	switch {
	case gap < 0:
		fail("clock", fmt.Errorf("it went back by %d ns", -gap))
	case gap > int64(told):
		select {
		case x.gaps <- [2]int64{from, to}:
		default:
			x.lost.Add(1)
		}
	}
}

// tell writes the gaps that there were.
func (x *watcher) tell() {
	for {
		select {
		case g := <-x.gaps:
			say("gap %s %d %d", x.name, g[0], g[1])
		default:
			return
		}
	}
}

func (w *watch) report() {
	for _, x := range w.watchers {
		x.tell()
		if n := x.lost.Load(); n > 0 {
			fail("watcher", fmt.Errorf("%s: %d gaps were not told", x.name, n))
		}
		say("watcher %s: worst gap %v of %d; %d above 20 ms, %d above 50, %d above 100, %d above 500", x.name,
			time.Duration(x.worst.Load()).Round(time.Millisecond), x.ticks.Load(), x.late[0].Load(), x.late[1].Load(), x.late[2].Load(), x.late[3].Load())
	}
}

// hangs tells the time each second, and ends the program when a load hangs: a wake-up
// that got lost looks like that.
func (w *watch) hangs(loads []*load, hang time.Duration) {
	for beat := time.NewTicker(time.Second); ; {
		select {
		case <-w.ended:
			beat.Stop()
			return
		case <-beat.C:
		}
		t := now()
		say("clock %d", t)
		for _, x := range w.watchers {
			x.tell()
		}
		for _, l := range loads {
			if since := t - l.last.Load(); since > int64(hang) {
				fail("hang", fmt.Errorf("%s has not finished a round for %v", l.name, time.Duration(since).Round(time.Millisecond)))
				_ = pprof.Lookup("goroutine").WriteTo(os.Stdout, 2)
				os.Exit(1)
			}
		}
	}
}

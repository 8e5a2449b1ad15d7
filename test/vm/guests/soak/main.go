// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Command soak puts a system under nine mixed loads for a long time, and tells whether
// data went wrong, whether anything stood still, and what was not given back. It is a
// plain Go program, and runs on Linux too, to compare.
//
//	alloc    trees and blocks of all sizes, checked before they are dropped; memory returned
//	chans    rings of goroutines, select, RWMutex, Cond, WaitGroup, contexts
//	timers   hundreds at a time: Reset, Stop, tickers, sleeps; how late they are
//	tcp      connections over the loopback interface, closed in every way
//	http     a server that the host's side (test/vm/soak) fetches from and posts to
//	files    in memory: written, renamed, truncated, mapped shared, removed
//	disk     a raw disk: written, read back, flushed
//	threads  goroutines that take their thread along, signals, loops without calls, profiles
//	pipes    pipes, UNIX sockets, eventfds and epolls
//
// A round of work is followed by a rest that is -rest times as long as the round
// took, so that the processors are not merely saturated: then nothing could be said of
// what stands still. The run is cut into phases; after each, all loads end, garbage is
// collected, memory returned, and what is in use is counted (counts.go). The first
// phase warms up: what the program keeps for ever is there after it.
//
// watch.go notes when a thread and a goroutine that ask to wake every 10 ms did not. The
// host's side subtracts the time in which it did not run itself, and judges.
//
// The report consists of lines on the standard output:
//
//	soak: ready                    the HTTP server listens
//	soak: clock NS                 once a second: the monotonic clock
//	soak: gap WATCHER FROM TO      nobody ran between these times in ns
//	soak: phase N                  it begins
//	soak: rest N                   it ends: clients close their connections
//	soak: count NAME VALUE...      at the end, after each phase
//	soak: rounds NAME N, TIME each
//	soak: FAIL WHAT: WHY
//	soak: done
//
// The exit status is 1 if there was a FAIL. -fault makes one on purpose (fault.go).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// options are the flags.
type options struct {
	duration, warmup time.Duration
	phases           int
	rest             float64
	hang             time.Duration
	disk, listen     string
	loads, fault     string
	seed             uint64
}

func main() {
	var o options
	flag.DurationVar(&o.duration, "duration", 30*time.Minute, "how long the loads run, all phases but the first together")
	flag.DurationVar(&o.warmup, "warmup", time.Minute, "how long the first phase takes")
	flag.IntVar(&o.phases, "phases", 5, "in how many phases -duration is cut")
	flag.Float64Var(&o.rest, "rest", 12, "how many times as long as a round the rest behind it takes")
	flag.DurationVar(&o.hang, "hang", 2*time.Minute, "a load without a finished round for this long hangs")
	flag.StringVar(&o.disk, "disk", "", "raw disk, or file of 64 MiB, to `overwrite`; empty for none")
	flag.StringVar(&o.listen, "listen", "", "`address` of the HTTP server; empty for none")
	flag.StringVar(&o.loads, "loads", "", "names of loads, separated by commas; empty for all")
	flag.StringVar(&o.fault, "fault", "", "what to do wrong, names separated by commas: "+strings.Join(faultNames(), ", "))
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the random numbers")
	flag.Parse()
	if err := o.check(); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(2)
	}
	say("%s, %d processors, seed %d", runtime.Version(), runtime.GOMAXPROCS(0), o.seed)
	if err := o.run(); err != nil {
		fail("soak", err)
	}
	say("done")
	if failures.Load() > 0 {
		os.Exit(1)
	}
}

func (o *options) check() error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("it takes flags only, not %q", flag.Arg(0))
	case o.duration <= 0 || o.warmup <= 0 || o.phases < 1 || o.rest < 0 || o.hang <= 0:
		return fmt.Errorf("durations and -phases are more than nothing, -rest not less")
	}
	return setFaults(o.fault)
}

var (
	out      sync.Mutex
	failures atomic.Int64
)

// say writes a line of the report.
func say(format string, args ...any) {
	out.Lock()
	defer out.Unlock()
	fmt.Printf("soak: "+format+"\n", args...)
}

// fail reports what went wrong, the first times that it does.
func fail(what string, err error) {
	const told = 50
	if failures.Add(1) <= told {
		say("FAIL %s: %v", what, err)
	}
}

// load is one kind of work. A round does some of it, checks it, and gives all back.
type load struct {
	name  string
	round func(ctx context.Context, r *random) error
	seed  uint64

	rounds atomic.Int64
	took   atomic.Int64 // all rounds, in ns
	last   atomic.Int64 // when the last round ended, or the phase began, of now()
}

// run does all phases.
func (o *options) run() error {
	loads, end, err := o.prepare()
	if err != nil {
		return err
	}
	defer end()
	w := startWatch(loads, o.hang)
	say("ready")
	var all []counts
	for n := range o.phases + 1 {
		d := o.duration / time.Duration(o.phases)
		if n == 0 {
			d = o.warmup
		}
		say("phase %d", n)
		o.phase(loads, w, d)
		say("rest %d", n)
		all = append(all, settle())
	}
	w.stop()
	for _, l := range loads {
		say("rounds %s %d, %v each", l.name, l.rounds.Load(), (time.Duration(l.took.Load()) / time.Duration(max(1, l.rounds.Load()))).Round(time.Millisecond))
		if l.rounds.Load() == 0 {
			fail(l.name, fmt.Errorf("not a single round"))
		}
	}
	w.report()
	lateness.report()
	judge(all)
	return nil
}

// prepare makes the loads.
func (o *options) prepare() (loads []*load, end func(), err error) {
	end = func() {}
	all := []*load{
		{name: "alloc", round: allocate}, {name: "chans", round: channels}, {name: "timers", round: timers},
		{name: "tcp", round: loopback}, {name: "files", round: files}, {name: "threads", round: threads},
		{name: "pipes", round: pipes},
	}
	if o.disk != "" {
		d, err := openDisk(o.disk)
		if err != nil {
			return nil, end, err
		}
		all = append(all, &load{name: "disk", round: d.round})
	}
	if o.listen != "" {
		s, err := serve(o.listen)
		if err != nil {
			return nil, end, err
		}
		end = s.close
		all = append(all, &load{name: "http", round: s.round})
	}
	for i, l := range all {
		l.seed = o.seed + uint64(i)
		if o.loads == "" || strings.Contains(","+o.loads+",", ","+l.name+",") {
			loads = append(loads, l)
		}
	}
	if len(loads) == 0 {
		return nil, end, fmt.Errorf("-loads %s: there is none of these", o.loads)
	}
	return loads, end, nil
}

// phase runs all loads for that long, and waits for their ends.
func (o *options) phase(loads []*load, w *watch, d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	w.working.Store(true)
	var wg sync.WaitGroup
	for i, l := range loads {
		l.last.Store(now())
		// One after the other: all at once would be the only time of its kind.
		first := min(d/20, 3*time.Second) * time.Duration(i)
		wg.Go(func() { l.run(ctx, first, o.rest) })
	}
	wg.Wait()
	w.working.Store(false)
}

// run does rounds until the context ends, the first of them after a while.
func (l *load) run(ctx context.Context, first time.Duration, rest float64) {
	const least, most = 10 * time.Millisecond, 30 * time.Second
	defer l.last.Store(idle)
	for sleep(ctx, first); ctx.Err() == nil; {
		l.seed++
		start := time.Now()
		if err := l.round(ctx, newRandom(l.seed)); err != nil {
			fail(l.name, fmt.Errorf("round %d: %w", l.rounds.Load(), err))
		}
		provoke(l)
		took := time.Since(start)
		l.took.Add(int64(took))
		l.rounds.Add(1)
		l.last.Store(now())
		sleep(ctx, min(max(time.Duration(float64(took)*rest), least), most))
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

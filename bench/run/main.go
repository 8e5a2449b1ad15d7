// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command run is the bench: it builds bench/serve for both sides where it is started,
// runs itself again where KVM has Hyper-V (hvgo vm-exec), lets both guests take turns
// there, and writes a report. Package bench says how its parts fit together.
//
// The exit status is not 0 when a row failed or, with -check, when a count is
// above what bench/budget.json allows.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hvgo/hvgo/internal/twice"
)

// options are the flags.
type options struct {
	dir, hvgo, rows, sides, budget, host            string
	rounds, cpus, memory, requests, enough, diskMiB int
	check, bisect, inside                           bool
}

func main() {
	var o options
	flag.StringVar(&o.dir, "o", "bench/out", "`folder` for the report, the figures, and what is built")
	flag.StringVar(&o.hvgo, "hvgo", "bin/hvgo", "the hvgo `command`")
	flag.StringVar(&o.rows, "rows", "", "`expression` that the names of the rows match; empty for all")
	flag.StringVar(&o.sides, "sides", "", "`expression` that the names of the sides match; empty for both")
	flag.StringVar(&o.budget, "budget", "bench/budget.json", "`file` of what -check allows")
	flag.StringVar(&o.host, "host", "", "what is said of the host; found out unless given")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each side has its turn")
	flag.IntVar(&o.cpus, "cpus", 1, "processors of a guest")
	flag.IntVar(&o.memory, "memory", 512, "memory of a guest in MiB")
	flag.IntVar(&o.requests, "requests", 1000, "HTTP requests of a row; other rows follow from it")
	flag.IntVar(&o.enough, "enough", 10000, "requests that the smallest VM must serve")
	flag.IntVar(&o.diskMiB, "disk", 64, "data disk in MiB")
	flag.BoolVar(&o.bisect, "bisect", false, "look for the smallest VM too: some ten starts of each side")
	flag.BoolVar(&o.check, "check", false, "only the counts, and against the budget")
	flag.BoolVar(&o.inside, "inside", false, "all is built: measure here")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) (err error) {
	switch {
	case flag.NArg() > 0:
		return errors.New("it takes flags only: run -help lists them")
	case o.rounds < 1 || o.cpus < 1 || o.cpus > 64 || o.memory < 16 || o.requests < 10 || o.enough < 1 || o.diskMiB < 8:
		return errors.New("-rounds and -enough are 1 or more, -cpus 1 to 64, -memory 16 or more, -requests 10 or more, -disk 8 or more")
	}
	for _, p := range []*string{&o.dir, &o.budget} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	if o.inside {
		return o.measure(ctx)
	}
	if o.check {
		if _, err := readBudget(o.budget); err != nil {
			return err // before the work
		}
	}
	if o.host == "" {
		o.host = hostText()
	}
	if err := o.build(ctx); err != nil {
		return err
	}
	return o.again(ctx)
}

// file is one in the folder.
func (o *options) file(name string) string { return filepath.Join(o.dir, name) }

// again runs this program where the guests can run.
func (o *options) again(ctx context.Context) error {
	args := []string{"-o=" + o.dir, "-budget=" + o.budget, "-host=" + o.host}
	flag.Visit(func(f *flag.Flag) {
		if f.Name != "o" && f.Name != "budget" && f.Name != "host" {
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	c, err := twice.Again(ctx, o.hvgo, o.memory, []string{o.dir, filepath.Dir(o.budget)}, args...)
	if err != nil {
		return err
	}
	begin := time.Now()
	err = c.Run()
	o.checkClock(time.Since(begin))
	return err
}

// checkClock warns where the clock inside ran faster than ours: an emulated machine that
// came up while others had the processors may have taken its clock's measure wrong.
// Counts are as they are, and ratios too; seconds are not.
func (o *options) checkClock(here time.Duration) {
	var r results
	if err := readJSON(o.file(o.rawFile()), &r); err != nil {
		return // the error of the run says why
	}
	inside := 0.0
	for _, t := range r.Turns {
		inside += t.Seconds
	}
	if most := 1.05 * here.Seconds(); inside > most {
		say("the clock inside ran at least %.1f times too fast (%.0f s in %.0f): times and rates of this run are wrong by that, counts and ratios are not",
			inside/here.Seconds(), inside, here.Seconds())
	}
}

// rawFile is the name of the raw figures.
func (o *options) rawFile() string {
	if o.check {
		return "check.json"
	}
	return "rounds.json"
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "run: "+format+"\n", args...) }

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command run is the long soak (package soak): 30 minutes on four processors, unless the
// flags say otherwise. It does the building where it is started, and runs itself by hvgo
// vm-exec where KVM has Hyper-V. With -linux the program runs as a process there, so that
// its gaps can be compared. The exit status is 1 if anything was found.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/hvgo/hvgo/internal/twice"
	"github.com/hvgo/hvgo/test/vm/soak"
)

// options are the flags.
type options struct {
	duration, warmup, silence        time.Duration
	phases, cpus, memory             int
	rest                             float64
	dir, hvgo, loads, fault, console string
	linux, inside                    bool
}

func main() {
	var o options
	flag.DurationVar(&o.duration, "duration", 30*time.Minute, "how long the loads run after the warm-up")
	flag.DurationVar(&o.warmup, "warmup", time.Minute, "how long they warm up")
	flag.IntVar(&o.phases, "phases", 5, "how often -duration is cut to count what is in use")
	flag.Float64Var(&o.rest, "rest", 12, "rest behind each round of a load, in rounds: less is more load")
	flag.IntVar(&o.cpus, "cpus", 4, "processors of the guest")
	flag.IntVar(&o.memory, "memory", 512, "memory of the guest in MiB")
	flag.StringVar(&o.dir, "o", "bin/soak", "`folder` for what is built")
	flag.StringVar(&o.hvgo, "hvgo", "bin/hvgo", "the hvgo `command`")
	flag.StringVar(&o.loads, "loads", "", "names of loads, separated by commas; empty for all")
	flag.StringVar(&o.fault, "fault", "", "what the guest is to do wrong, to see it found")
	flag.StringVar(&o.console, "console", "", "`file` for all that the guest writes; empty for console.txt in the folder")
	flag.DurationVar(&o.silence, "silence", 2*time.Minute, "a guest that says nothing for this long dumps its processors and ends; it tells the time each second")
	flag.BoolVar(&o.linux, "linux", false, "run the program as a process of Linux instead")
	flag.BoolVar(&o.inside, "inside", false, "all is built: run it here")
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
	case o.duration <= 0 || o.warmup <= 0 || o.phases < 1 || o.cpus < 1 || o.memory < 128 || o.rest < 0:
		return errors.New("durations, -phases and -cpus are more than nothing, -memory 128 or more")
	}
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return err
	}
	if o.console == "" {
		o.console = filepath.Join(o.dir, "console.txt")
	}
	if o.console, err = filepath.Abs(o.console); err != nil {
		return err
	}
	if o.inside {
		return o.soak(ctx)
	}
	if err := twice.Build(ctx, o.hvgo, source, o.program(), o.image()); err != nil {
		return err
	}
	return o.again(ctx)
}

const source = "github.com/hvgo/hvgo/test/vm/guests/soak"

func (o *options) image() string   { return filepath.Join(o.dir, "soak.elf") }
func (o *options) program() string { return filepath.Join(o.dir, "soak") }

// again runs this program where the guest can run.
func (o *options) again(ctx context.Context) error {
	args := []string{"-o=" + o.dir, "-console=" + o.console}
	flag.Visit(func(f *flag.Flag) {
		if f.Name != "o" && f.Name != "console" {
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	c, err := twice.Again(ctx, o.hvgo, o.memory, []string{o.dir, filepath.Dir(o.console)}, args...)
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	waited := watchWaits(c.Process.Pid)
	err = c.Wait()
	fmt.Println(waited())
	return err
}

// soak does the run and prints what it found.
func (o *options) soak(ctx context.Context) error {
	console, err := os.Create(o.console)
	if err != nil {
		return err
	}
	defer console.Close()
	c := soak.Config{
		Image: o.image(), CPUs: o.cpus, Memory: uint64(o.memory) << 20, Disk: 64 << 20, Console: console, Silence: o.silence,
		Args: []string{"-duration", o.duration.String(), "-warmup", o.warmup.String(), "-phases", strconv.Itoa(o.phases),
			"-rest", fmt.Sprint(o.rest)},
	}
	for name, value := range map[string]string{"-loads": o.loads, "-fault": o.fault} {
		if value != "" {
			c.Args = append(c.Args, name, value)
		}
	}
	name := "hvgo guest"
	if o.linux {
		name, c.Program = "Linux process", o.program()
	}
	start := time.Now()
	r, err := soak.Run(ctx, c)
	fmt.Printf("%s, %d processors, %v of load after %v to warm up, %v in all:\n", name, o.cpus, o.duration, o.warmup, time.Since(start).Round(time.Second))
	r.Print(os.Stdout)
	if err == nil && len(r.Failures) > 0 {
		err = fmt.Errorf("%d failures", len(r.Failures))
	}
	return err
}

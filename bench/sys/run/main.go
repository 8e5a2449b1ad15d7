// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command run builds package bench/sys, runs it on three systems by turns, and prints
// a table of what each operation took:
//
//	hvgo           a guest of the test host, made by hvgo build
//	Linux guest    Debian's kernel as a guest of the same host, the program is its PID 1
//	Linux process  the program on the Linux that the test host runs on
//
// The first two are in the same place: what differs is the guest. The third is
// there to compare with, one virtual machine less. It does the building where it is
// started, and runs itself by hvgo vm-exec where KVM has Hyper-V.
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

	"github.com/hvgo/hvgo/host/debian"
	"github.com/hvgo/hvgo/internal/twice"
)

// options are the flags.
type options struct {
	dir, hvgo, rows, json      string
	systems                    string
	rounds, cpus, memory, heap int
	inside                     bool
}

func main() {
	var o options
	flag.StringVar(&o.dir, "o", "bin/bench", "`folder` for what is built")
	flag.StringVar(&o.hvgo, "hvgo", "bin/hvgo", "the hvgo `command`")
	flag.StringVar(&o.rows, "rows", "", "`expression` that the names of the rows match; empty for all")
	flag.StringVar(&o.systems, "systems", "", "`expression` that the names of the systems match; empty for all")
	flag.StringVar(&o.json, "json", "", "`file` for the raw figures; empty for sys-CPUS.json in the folder")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each system has its turn")
	flag.IntVar(&o.cpus, "cpus", 1, "processors of the guests")
	flag.IntVar(&o.memory, "memory", 512, "memory of the guests in MiB")
	flag.IntVar(&o.heap, "heap", 64, "heap that the collector walks, in MiB")
	flag.BoolVar(&o.inside, "inside", false, "all is built: measure here")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) error {
	switch {
	case flag.NArg() > 0:
		return errors.New("it takes flags only: run -help lists them")
	case o.rounds < 1 || o.cpus < 1 || o.memory < 64 || o.heap < 1:
		return errors.New("-rounds, -cpus and -heap are 1 or more, -memory 64 or more")
	}
	var err error
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return err
	}
	if o.json == "" {
		o.json = filepath.Join(o.dir, fmt.Sprintf("sys-%d.json", o.cpus))
	}
	if o.json, err = filepath.Abs(o.json); err != nil {
		return err
	}
	if o.inside {
		return o.measure(ctx)
	}
	if err := o.build(ctx); err != nil {
		return err
	}
	return o.again(ctx)
}

// Names in the folder.
const (
	programFile = "sys"
	imageFile   = "sys.elf"
	kernelFile  = "vmlinuz"
	// series is Debian's kernel for the Linux guest.
	series = "6.12"
	source = "github.com/hvgo/hvgo/bench/sys"
)

func (o *options) file(name string) string { return filepath.Join(o.dir, name) }

// build makes the program twice, and gets the kernel.
func (o *options) build(ctx context.Context) error {
	if err := twice.Build(ctx, o.hvgo, source, o.file(programFile), o.file(imageFile)); err != nil {
		return err
	}
	k, err := debian.Get(ctx, series, func(s string) { fmt.Fprintln(os.Stderr, "run:", s) })
	if err != nil {
		return err
	}
	image, err := os.ReadFile(k.Image)
	if err != nil {
		return err
	}
	return os.WriteFile(o.file(kernelFile), image, 0o644)
}

// again runs this program where the guests can run.
func (o *options) again(ctx context.Context) error {
	c, err := twice.Again(ctx, o.hvgo, o.memory, []string{o.dir, filepath.Dir(o.json)},
		"-o", o.dir, "-rows", o.rows, "-systems", o.systems, "-json", o.json, "-rounds", strconv.Itoa(o.rounds),
		"-cpus", strconv.Itoa(o.cpus), "-memory", strconv.Itoa(o.memory), "-heap", strconv.Itoa(o.heap))
	if err != nil {
		return err
	}
	return c.Run()
}

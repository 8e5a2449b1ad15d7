// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/testjob"
)

// newTestGuest is the part of hvgo test that runs where KVM has Hyper-V: it boots
// one test program, and its exit status is that of the tests.
func newTestGuest() *cobra.Command {
	var g testGuest
	cmd := &cobra.Command{
		Use:    "test-guest [flags] KERNEL JOB-DISK",
		Short:  "Boot one test program (part of hvgo test)",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			g.kernel, g.job = args[0], args[1]
			return g.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&g.results, "results", "", "`file` for what the tests bring back")
	f.StringVar(&g.begin, "begin", "", "the `line` that the tests' output comes after")
	f.StringVar(&g.settings, "settings", "", "`variables` for the Go runtime")
	f.Uint64Var(&g.memory, "memory", 512, "memory of the guest in MiB")
	f.IntVar(&g.cpus, "cpus", 1, "processors of the guest")
	f.DurationVar(&g.timeout, "timeout", 0, "when to switch the guest off; 0 is never")
	return cmd
}

type testGuest struct {
	kernel, job, results, begin, settings string
	memory                                uint64
	cpus                                  int
	timeout                               time.Duration
}

func (t *testGuest) run(ctx context.Context) error {
	if ctx == nil {
		ctx = context.Background()
	}
	kernel, err := os.ReadFile(t.kernel)
	if err != nil {
		return err
	}
	console := &testOutput{w: os.Stdout, begin: t.begin}
	line := t.settings + " " + testjob.DiskEnv + "=/dev/sda"
	if t.results != "" {
		line += " " + testjob.ResultsEnv + "=/dev/sdb"
	}
	cfg := guest.Config{Machine: machine.Config{
		Memory: t.memory * mib, VCPUs: t.cpus, Image: kernel, LoadOptions: strings.TrimSpace(line), Console: console, HugePages: true,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}}
	job, err := os.Open(t.job)
	if err != nil {
		return err
	}
	defer job.Close()
	b, err := guest.Raw(job)
	if err != nil {
		return err
	}
	cfg.Disks = append(cfg.Disks, readOnlyDisk{b})
	if t.results != "" {
		f, err := os.OpenFile(t.results, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		if b, err = guest.Raw(f); err != nil {
			return err
		}
		cfg.Disks = append(cfg.Disks, b)
	}
	g, err := guest.New(cfg)
	if err != nil {
		return fmt.Errorf("%w%s", err, advice(err))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go obeySignals(ctx, g)
	if t.timeout > 0 {
		late := time.AfterFunc(t.timeout, func() {
			say(fmt.Sprintf("the tests do not end by their own -timeout: switching the guest off after %v", t.timeout))
			g.Stop()
		})
		defer late.Stop()
	}
	exit, err := g.Run(ctx)
	closeErr := g.Close()
	console.end()
	if err != nil {
		return err
	}
	if closeErr != nil {
		return closeErr
	}
	return testExit(exit)
}

// testExit is the tests' exit status: what they have to say stands in their output.
func testExit(e machine.Exit) error {
	if e.Kind == vmm.Crash && e.Params[0] == crashSignature && e.Params[1] > 0 && e.Params[1] < 256 {
		return exitStatus(e.Params[1])
	}
	return exitError(e, false)
}

// readOnlyDisk is a disk that the guest may not write.
type readOnlyDisk struct{ guest.Block }

func (readOnlyDisk) ReadOnly() bool { return true }

// testOutput is a guest's console without what comes before the line that begins
// the tests, and without carriage returns at the ends of lines.
type testOutput struct {
	w     io.Writer
	begin string

	mu   sync.Mutex
	held []byte // before the tests: all; then: a carriage return at the end
	on   bool
}

// maxHeld bounds what a guest says before its tests begin, in bytes.
const maxHeld = 1 << 20

func (o *testOutput) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held = append(o.held, b...)
	if !o.on {
		_, after, found := bytes.Cut(bytes.ReplaceAll(o.held, []byte("\r\n"), []byte("\n")), []byte(o.begin+"\n"))
		if !found && len(o.held) < maxHeld {
			return len(b), nil
		}
		if o.on = true; found {
			o.held = bytes.Clone(after)
		}
	}
	text := bytes.ReplaceAll(o.held, []byte("\r\n"), []byte("\n"))
	o.held = nil
	if n := len(text); n > 0 && text[n-1] == '\r' {
		text, o.held = text[:n-1], []byte{'\r'}
	}
	if _, err := o.w.Write(text); err != nil {
		return 0, err
	}
	return len(b), nil
}

// end writes what was held back, if the tests never began.
func (o *testOutput) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = o.w.Write(o.held) // nobody is left to tell
	o.held = nil
}

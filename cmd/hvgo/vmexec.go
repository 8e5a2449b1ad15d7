// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/host/nested"
)

func newVMExec() *cobra.Command {
	var opts vmExecOptions
	cmd := &cobra.Command{
		Use:   "vm-exec [flags] -- BINARY [ARGUMENT]...",
		Short: "Run a static Linux program where /dev/kvm has Hyper-V",
		Long: `Run a static Linux program where /dev/kvm has Hyper-V: here if it does, else
in an emulated machine, with the same paths, streams, signals and exit status.

Inside the emulated machine there are only the shared folders: by default the
module of the working directory, the temporary folder and the program's own.`,
		Example: `  CGO_ENABLED=0 go test -exec "hvgo vm-exec --" ./host/...`,
		Hidden:  true, // for work on hvgo itself
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return opts.run(cmd.Context(), args)
		},
	}
	// What follows BINARY is the program's, even without "--": that is how
	// go test -exec calls.
	cmd.Flags().SetInterspersed(false)
	opts.addFlags(cmd)
	return cmd
}

// vmExecOptions are the flags of vm-exec and vm-test.
type vmExecOptions struct {
	shares, readOnly []string
	cpus, memoryMiB  int
	nested           bool
	qemu             bool
}

func (o *vmExecOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.shares, "share", nil, "`folder` that the program may read and write (repeatable)")
	f.StringArrayVar(&o.readOnly, "share-ro", nil, "`folder` that the program may read (repeatable)")
	f.IntVar(&o.cpus, "cpus", 1, "processors of the emulated machine")
	f.IntVar(&o.memoryMiB, "memory", 3072, "memory of the emulated machine in MiB")
	f.BoolVar(&o.nested, "nested", false, "use the emulated machine even where KVM has Hyper-V")
	f.BoolVar(&o.qemu, "qemu", false, "let the program start QEMU: "+qemuEnv+" says how")
}

func (o *vmExecOptions) run(ctx context.Context, args []string) error {
	path, err := findProgram(args[0])
	if err != nil {
		return err
	}
	if o.native() {
		if err := o.announceQEMU(ctx, nil); err != nil {
			return err
		}
		return runHere(path, args[1:])
	}
	if err := nested.CheckStatic(path); err != nil {
		return err
	}
	m, err := o.start(ctx, path)
	if err != nil {
		return err
	}
	defer m.Close()
	status, err := runInside(ctx, m, nested.Command{Path: path, Args: args[1:]})
	if err != nil {
		return err
	}
	return statusError(status)
}

// native decides where programs run; when not here, it says so.
func (o *vmExecOptions) native() bool {
	why := errors.New("--nested")
	if !o.nested {
		if why = kvm.Usable(); why == nil {
			return true
		}
	}
	fmt.Fprintf(os.Stderr, "hvgo: %v: running in an emulated machine (slower)\n", why)
	return false
}

// start starts the emulated machine with the folders that the programs need.
func (o *vmExecOptions) start(ctx context.Context, programs ...string) (*nested.Machine, error) {
	cfg := nested.Config{CPUs: o.cpus, MemoryMiB: o.memoryMiB, Progress: say}
	for _, dir := range append(defaultShares(), o.shares...) {
		cfg.Shares = append(cfg.Shares, nested.Share{Path: dir, Writable: true})
	}
	for _, dir := range o.readOnly {
		cfg.Shares = append(cfg.Shares, nested.Share{Path: dir})
	}
	for _, p := range programs {
		cfg.Shares = append(cfg.Shares, nested.Share{Path: filepath.Dir(p)})
	}
	if err := o.announceQEMU(ctx, &cfg); err != nil {
		return nil, err
	}
	start := time.Now()
	m, err := nested.Start(ctx, cfg)
	if err == nil {
		say(fmt.Sprintf("emulated machine with Linux %s is up after %.1f s", m.Kernel(), time.Since(start).Seconds()))
	}
	return m, err
}

// say is the progress line of things that take over a second.
func say(line string) { fmt.Fprintln(os.Stderr, "hvgo:", line) }

// defaultShares are the module around the working directory (or the working
// directory, where there is none) and the temporary folder.
func defaultShares() []string {
	shares := []string{os.TempDir()}
	wd, err := os.Getwd()
	if err != nil {
		return shares
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return append(shares, dir)
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	if wd == "/" {
		return shares
	}
	return append(shares, wd)
}

// findProgram returns the absolute path of a program named as in a shell.
func findProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// forwarded are the signals that belong to the program.
var forwarded = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2}

// runHere replaces this process by the program.
func runHere(path string, args []string) error {
	err := syscall.Exec(path, append([]string{path}, args...), os.Environ())
	return fmt.Errorf("run %s: %w", path, err)
}

// runInside runs one program in the machine, with our environment, our streams
// and the signals that we get; by default in our working directory.
func runInside(ctx context.Context, m *nested.Machine, c nested.Command) (int, error) {
	if c.Dir == "" {
		wd, err := os.Getwd()
		if err != nil {
			return 0, err
		}
		c.Dir = wd
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)
	c.Env, c.Signals = os.Environ(), signals
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	return m.Run(ctx, c)
}

// statusError passes a program's exit status on as ours.
func statusError(status int) error {
	if status == 0 {
		return nil
	}
	return exitStatus(status)
}

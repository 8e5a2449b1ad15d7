// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hvgo/hvgo/host/nested"
)

func newVMTest() *cobra.Command {
	var opts vmTestOptions
	cmd := &cobra.Command{
		Use:   "vm-test [flags] PACKAGE... [-- TEST-FLAG...]",
		Short: "Run the tests of packages where /dev/kvm has Hyper-V, all in one start",
		Long: `Run the tests of packages where /dev/kvm has Hyper-V: here if it does, else one
package after another in one emulated machine. What follows "--" goes to each
test program, such as -test.v or -test.run=Name.

The environment has HVGO_REQUIRE_KVM=1: tests that need KVM must not skip.`,
		Example: `  hvgo vm-test ./host/... -- -test.v`,
		Hidden:  true, // for work on hvgo itself
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if n := cmd.ArgsLenAtDash(); n >= 0 {
				args, opts.testFlags = args[:n], args[n:]
			}
			return opts.run(cmd.Context(), args)
		},
	}
	opts.addFlags(cmd)
	cmd.Flags().DurationVar(&opts.timeout, "timeout", 15*time.Minute, "limit for each package")
	return cmd
}

type vmTestOptions struct {
	vmExecOptions
	timeout   time.Duration
	testFlags []string
}

// testPackage is what go list says of a package.
type testPackage struct {
	ImportPath, Dir           string
	TestGoFiles, XTestGoFiles []string

	binary string // what we built
}

func (o *vmTestOptions) run(ctx context.Context, patterns []string) error {
	pkgs, err := listTests(ctx, patterns)
	if err != nil {
		return err
	}
	if len(pkgs) == 0 {
		return fmt.Errorf("no tests in %s", strings.Join(patterns, " "))
	}
	dir, err := os.MkdirTemp("", "hvgo-vm-test-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for i := range pkgs {
		say("building the tests of " + pkgs[i].ImportPath)
		if err := pkgs[i].build(ctx, filepath.Join(dir, fmt.Sprintf("%d.test", i))); err != nil {
			return err
		}
	}
	if err := os.Setenv("HVGO_REQUIRE_KVM", "1"); err != nil {
		return err
	}
	run, stop, err := o.runner(ctx)
	if err != nil {
		return err
	}
	defer stop()
	failed := 0
	for _, p := range pkgs {
		ok, err := o.runTests(ctx, p, run)
		if err != nil {
			return err
		}
		if !ok {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("the tests of %d of %d packages failed", failed, len(pkgs))
	}
	return nil
}

// listTests returns the packages that have tests.
func listTests(ctx context.Context, patterns []string) ([]testPackage, error) {
	const fields = "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles"
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", fields, "--"}, patterns...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var pkgs []testPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p testPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 {
			pkgs = append(pkgs, p)
		}
	}
}

// build builds the package's test program, static.
func (p *testPackage) build(ctx context.Context, file string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", file, p.ImportPath)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the tests of %s: %w", p.ImportPath, err)
	}
	p.binary = file
	return nil
}

// runFunc runs a program in a folder and returns its exit status.
type runFunc func(ctx context.Context, path, dir string, args []string) (int, error)

// runner returns the way to run programs, and what to call after the last one.
func (o *vmTestOptions) runner(ctx context.Context) (runFunc, func(), error) {
	if o.native() {
		return runChild, func() {}, o.announceQEMU(ctx, nil)
	}
	m, err := o.start(ctx)
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, path, dir string, args []string) (int, error) {
		return runInside(ctx, m, nested.Command{Path: path, Args: args, Dir: dir})
	}, m.Close, nil
}

// runTests runs one package's tests and reports like go test.
func (o *vmTestOptions) runTests(ctx context.Context, p testPackage, run runFunc) (ok bool, err error) {
	args := append([]string{"-test.timeout=" + o.timeout.String()}, o.testFlags...)
	// The test program's own timeout shows where it hangs; ours is for one
	// that does not obey it.
	ctx, cancel := context.WithTimeout(ctx, o.timeout+time.Minute)
	defer cancel()
	start := time.Now()
	status, err := run(ctx, p.binary, p.Dir, args)
	if err != nil {
		return false, fmt.Errorf("%s: %w", p.ImportPath, err)
	}
	word := "ok  "
	if status != 0 {
		word = "FAIL"
	}
	fmt.Printf("%s\t%s\t%.1fs\n", word, p.ImportPath, time.Since(start).Seconds())
	return status == 0, nil
}

// runChild runs a program here.
func runChild(ctx context.Context, path, dir string, args []string) (int, error) {
	return runChildTo(ctx, os.Stdout, path, dir, args)
}

// runChildTo runs a program here, with its own standard output.
func runChildTo(ctx context.Context, out io.Writer, path, dir string, args []string) (int, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case errors.As(err, &exit):
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

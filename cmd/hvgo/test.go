// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/host/nested"
	"github.com/hvgo/hvgo/image/build"
	"github.com/hvgo/hvgo/internal/stdtest"
	"github.com/hvgo/hvgo/internal/testjob"
)

func newTest() *cobra.Command {
	return &cobra.Command{
		Use:   "test [flags] [packages] [-args ARGUMENT...]",
		Short: "Run the tests of packages inside virtual machines",
		Long: `Build the test program of each package with hvgo's runtime, boot it in a virtual
machine on this computer, and report as go test does.

The flags are go test's, with one dash or two: -run, -skip, -v, -count, -short,
-timeout, -failfast, -list, -parallel, -cpu, -bench, -benchtime, -benchmem,
-shuffle, -json, -cover, -tags, -gcflags, -ldflags; and those that write files
here: -coverprofile, -cpuprofile, -memprofile, -blockprofile, -mutexprofile,
-trace, -outputdir. -c writes the test program to the file of -o, a kernel for
hosts that boot without firmware, and runs nothing. Of its own it has
  -memory SIZE   memory of a virtual machine in MiB, or with K, M, G (512)
  -cpus N        processors of a virtual machine (1)
  -noskip        do not leave out the tests of the standard library below
  -nested        use the emulated machine even where KVM has Hyper-V
  -native        never use it
The packages are tested one after another, without go vet.

A test finds the files of its package's folder where they are outside: testdata,
and sub-folders without Go files. There is no network but the loopback.

Packages of the standard library are tested like any other, but for tests that
need processes, a toolchain or the Internet: hvgo has a list of them, with the
reasons, which -v shows.`,
		Example: `  hvgo test ./...
  hvgo test -run TestX -v ./pkg
  hvgo test -bench . -cpuprofile cpu.out ./pkg
  hvgo test -short sync os net/http`,
		DisableFlagParsing: true, // the go command's way: flags and packages in any order
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := parseTest(args)
			if err != nil {
				return err
			}
			if p.help {
				return cmd.Help()
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			err = p.run(ctx)
			if ctx.Err() != nil && err != nil {
				return errInterrupted
			}
			return err
		},
	}
}

// testRun is a run of hvgo test.
type testRun struct {
	*testPlan
	tests  *build.Tests
	tmp    string
	m      *nested.Machine // nil: here
	stream bool            // show the output as it comes, of tests that pass too
	covers int             // coverage profiles written
}

// run tests all packages. The error for tests that fail is a status only.
func (p *testPlan) run(ctx context.Context) error {
	build.Check = checkImage
	t := &testRun{testPlan: p, tests: &build.Tests{Options: build.Options{Tags: p.tags, GCFlags: p.gcflags, LDFlags: p.ldflags, Log: os.Stderr}, Flags: p.build}}
	patterns := p.packages
	if len(patterns) == 0 {
		patterns = []string{"."}
	}
	pkgs, err := t.tests.List(ctx, patterns)
	if err != nil {
		return err
	}
	for name := range p.profiles {
		if len(pkgs) > 1 && name != "coverprofile" {
			return fmt.Errorf("cannot use -%s with %d packages: give one", name, len(pkgs))
		}
	}
	if err := t.checkStandard(pkgs); err != nil {
		return err
	}
	if p.compile {
		return t.compileOnly(ctx, pkgs)
	}
	t.stream = len(pkgs) == 1 || p.verbose || p.bench || p.list
	if t.tmp, err = os.MkdirTemp("", "hvgo-test-"); err != nil {
		return err
	}
	defer os.RemoveAll(t.tmp)
	defer func() {
		if t.m != nil {
			t.m.Close()
		}
	}()
	failed, err := t.all(ctx, pkgs)
	if err != nil || !failed {
		return err
	}
	if !p.json && len(pkgs) > 1 {
		fmt.Println("FAIL")
	}
	return exitStatus(1)
}

// compileOnly writes the test program of a package, and runs nothing.
func (t *testRun) compileOnly(ctx context.Context, pkgs []build.TestPackage) error {
	if len(pkgs) != 1 || !pkgs[0].HasTests {
		return errors.New("-c takes one package that has tests")
	}
	output := t.output
	if output == "" {
		output = filepath.Base(pkgs[0].Dir) + ".test.elf"
	}
	if st, err := os.Stat(output); err == nil && (!st.Mode().IsRegular() || st.Size() > 0 && readELF(output) == nil) {
		return fmt.Errorf("cannot write %s: it exists and is no ELF file: remove it, or give another name with -o", output)
	}
	return t.tests.Build(ctx, pkgs[0], output)
}

// builtTest is a package with its test program.
type builtTest struct {
	build.TestPackage
	kernel string // file; "" when there are no tests
	err    error  // why it did not build
}

// all tests the packages. While one's tests run, the next one is built.
func (t *testRun) all(ctx context.Context, pkgs []build.TestPackage) (failed bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	next := make(chan builtTest)
	var builder sync.WaitGroup
	defer builder.Wait()
	defer cancel()
	builder.Go(func() {
		for i, pkg := range pkgs {
			b := builtTest{TestPackage: pkg}
			if pkg.HasTests {
				b.kernel = t.file(fmt.Sprintf("test%d.elf", i))
				if pkg.Standard && stdtest.Program(pkg.ImportPath) {
					b.Program = t.file(fmt.Sprintf("test%d", i))
				}
				b.err = t.tests.Build(ctx, b.TestPackage, b.kernel)
				t.tests.Log = io.Discard // from now on tests are to be seen
			}
			select {
			case next <- b:
			case <-ctx.Done():
				return
			}
		}
	})
	for range pkgs {
		select {
		case b := <-next:
			ok, err := t.one(ctx, b)
			if err != nil {
				return failed, err
			}
			if failed = failed || !ok; failed && t.failFast {
				return failed, nil
			}
		case <-ctx.Done():
			return failed, ctx.Err()
		}
	}
	return failed, nil
}

// one tests a package. The error ends the run.
func (t *testRun) one(ctx context.Context, pkg builtTest) (ok bool, err error) {
	out, done := t.writer(ctx, pkg.TestPackage)
	defer func() { err = errors.Join(err, done()) }()
	if !pkg.HasTests {
		fmt.Fprintf(out, "?   \t%s\t[no test files]\n", pkg.ImportPath)
		return true, nil
	}
	defer os.Remove(pkg.kernel)
	defer os.Remove(pkg.Program)
	if pkg.err != nil {
		if ctx.Err() != nil || !build.IsUserError(pkg.err) {
			return false, pkg.err
		}
		_, words, _ := strings.Cut(pkg.err.Error(), ":\n")
		fmt.Fprintln(os.Stderr, words)
		fmt.Fprintf(out, "FAIL\t%s [build failed]\n", pkg.ImportPath)
		return false, nil
	}
	args, err := t.prepare(pkg, out)
	if err != nil {
		return false, err
	}
	if err := t.start(ctx); err != nil {
		return false, err
	}
	var kept bytes.Buffer
	to := &counted{w: out}
	if !t.stream {
		to.w = &kept
	}
	start := time.Now()
	status, err := t.boot(ctx, args, to)
	if err != nil && (ctx.Err() != nil || to.err != nil || t.m == nil) {
		return false, err
	} else if err != nil { // the next package gets another machine
		say(err.Error())
		t.m.Close()
		t.m, status = nil, 1
	}
	took := time.Since(start).Seconds()
	if err := t.collect(); err != nil {
		say(err.Error())
		status = max(status, 1)
	}
	if status != 0 {
		_, _ = kept.WriteTo(out) // what cannot be written, nobody reads
		if to.n == 0 {
			fmt.Fprintf(out, "exit status %d\n", status)
		}
		if status == outOfMemory {
			say(fmt.Sprintf("the guest had %d MiB of memory: -memory gives it more", t.memory/mib))
		}
		if t.json {
			fmt.Fprint(out, test2jsonMark)
		}
		fmt.Fprintf(out, "FAIL\t%s\t%.3fs\n", pkg.ImportPath, took)
		return false, nil
	}
	fmt.Fprintf(out, "ok  \t%s\t%.3fs%s\n", pkg.ImportPath, took, summary(kept.String()))
	return true, nil
}

// test2jsonMark begins a line that test2json takes for go test's own, also behind
// output of tests that ended in the middle.
const test2jsonMark = "\x16"

// outOfMemory is the exit status of a guest that had too little: as if by SIGKILL.
const outOfMemory = 137

// counted counts what is written.
type counted struct {
	w   io.Writer
	n   int
	err error
}

func (c *counted) Write(b []byte) (n int, err error) {
	c.n += len(b)
	n, c.err = c.w.Write(b)
	return n, c.err
}

// summary is what go test says behind a package's time.
func summary(output string) string {
	s := ""
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "coverage: ") {
			s += "\t" + line
		}
		if strings.Contains(line, "no tests to run") {
			s += "\t[no tests to run]"
		}
	}
	return s
}

// writer is where a package's output goes, and what to call behind it.
func (t *testRun) writer(ctx context.Context, pkg build.TestPackage) (io.Writer, func() error) {
	if !t.json {
		return os.Stdout, func() error { return nil }
	}
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := t.tests.Tool(ctx, r, os.Stdout, "test2json", "-p", pkg.ImportPath, "-t")
		r.CloseWithError(errors.New("test2json has ended"))
		ended <- err
	}()
	return w, func() error {
		w.Close()
		return <-ended
	}
}

// runtimeSettings are variables that the Go runtime reads when it starts, before
// the job has been read.
var runtimeSettings = []string{"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOTRACEBACK"}

// placesOutside are variables that name what is not in the guest.
var placesOutside = []string{"HOME", "PATH", "PWD", "OLDPWD", "TMPDIR", "SHELL", "GOROOT", "GOPATH", "GOCACHE", "GOMODCACHE", "GOTMPDIR", "GOWORK", "GOFLAGS"}

// prepare writes the disks, and gives the arguments of hvgo test-guest.
func (t *testRun) prepare(pkg builtTest, out io.Writer) ([]string, error) {
	job := testjob.Job{Dir: pkg.Dir, Args: t.argsWithout(""), Begin: "hvgo: the tests begin " + rand.Text(), Program: pkg.Program}
	var more []string
	if pkg.Standard {
		var err error
		if more, err = t.standard(&job, pkg.TestPackage, out); err != nil {
			return nil, err
		}
	}
	var settings []string
	for _, e := range os.Environ() {
		name, value, _ := strings.Cut(e, "=")
		switch {
		case slices.Contains(runtimeSettings, name) && !strings.ContainsAny(value, "\" \t\n"):
			settings = append(settings, e)
		case !slices.Contains(placesOutside, name):
			job.Env = append(job.Env, e)
		}
	}
	args := []string{"test-guest", "--memory", strconv.FormatUint(t.memory/mib, 10), "--cpus", strconv.Itoa(t.cpus), "--begin", job.Begin, "--settings", strings.Join(settings, " ")}
	if t.timeout > 0 {
		args = append(args, "--timeout", (t.timeout + time.Minute).String())
	}
	if len(t.profiles) > 0 {
		if err := os.WriteFile(t.file("results"), nil, 0o666); err != nil {
			return nil, err
		}
		if err := os.Truncate(t.file("results"), testjob.MaxTotal); err != nil {
			return nil, err
		}
		args = append(args, "--results", t.file("results"))
	}
	f, err := os.Create(t.file("job"))
	if err != nil {
		return nil, err
	}
	if _, err = testjob.Write(f, job, more...); err != nil {
		err = fmt.Errorf("the files of %s: %w", pkg.ImportPath, err)
	}
	return append(args, pkg.kernel, t.file("job")), errors.Join(err, f.Close())
}

func (t *testRun) file(name string) string { return filepath.Join(t.tmp, name) }

// start starts the emulated machine, where one is needed, before the first guest.
func (t *testRun) start(ctx context.Context) error {
	why := errors.New("-nested")
	switch {
	case t.m != nil:
		return nil
	case !t.nested:
		why = kvm.Usable()
	}
	if why == nil || t.native {
		return why
	}
	say(fmt.Sprintf("%v: running in an emulated machine (slower)", why))
	m, err := nested.Start(ctx, nested.Config{
		MemoryMiB: int(t.memory/mib) + nestedOverhead, Shares: []nested.Share{{Path: t.tmp, Writable: true}}, Progress: say,
	})
	t.m = m
	return err
}

// boot runs hvgo test-guest, and gives its exit status.
func (t *testRun) boot(ctx context.Context, args []string, out io.Writer) (int, error) {
	if t.m != nil {
		return t.m.Run(ctx, nested.Command{Path: nested.InitPath, Args: args, Dir: t.tmp, Env: os.Environ(), Stdout: out, Stderr: os.Stderr})
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	return runChildTo(ctx, out, self, t.tmp, args)
}

// collect saves the profiles that the tests wrote. Coverage of several packages
// makes one file.
func (t *testRun) collect() error {
	if len(t.profiles) == 0 {
		return nil
	}
	f, err := os.Open(t.file("results"))
	if err != nil {
		return err
	}
	defer f.Close()
	names := map[string]bool{}
	for n := range t.profiles {
		names[n] = true
	}
	err = testjob.ReadResults(f, names, func(name string, r io.Reader) error {
		b, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
		if name == "coverprofile" {
			if t.covers++; t.covers > 1 {
				_, b, _ = bytes.Cut(b, []byte("\n")) // the line of the mode
				flags = os.O_WRONLY | os.O_APPEND
			}
		}
		to, err := os.OpenFile(t.profiles[name], flags, 0o666)
		if err != nil {
			return err
		}
		_, err = to.Write(b)
		return errors.Join(err, to.Close())
	})
	if err != nil {
		return fmt.Errorf("what the tests brought back: %w", err)
	}
	return nil
}

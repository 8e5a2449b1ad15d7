// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/hvgo/hvgo/image/build"
	"github.com/hvgo/hvgo/internal/stdtest"
	"github.com/hvgo/hvgo/internal/testjob"
)

// checkStandard gives packages of the standard library the build tags they need, and
// finds lines of the skip list that match no test of theirs: a list that keeps what is
// gone hides what comes by the same name.
func (t *testRun) checkStandard(pkgs []build.TestPackage) error {
	for i, p := range pkgs {
		if !p.Standard {
			continue
		}
		pkgs[i].Tags = stdtest.Tags(p.ImportPath)
		skips, err := stdtest.Skips(p.ImportPath)
		if err != nil {
			return err
		}
		if len(skips) == 0 || t.noSkip {
			continue
		}
		names, err := stdtest.Names(p.Dir, p.TestFiles)
		if err != nil {
			return err
		}
		for _, s := range skips {
			if _, there := s.Matches(names); !there {
				return fmt.Errorf("skip.txt:%d: %s has no test %s in this Go release: take the line out, or run all tests with -noskip", s.Line, s.Package, s.Test)
			}
		}
	}
	return nil
}

// standard makes the job of a package of the standard library: with its files
// elsewhere in GOROOT, which it gives, and without the tests of the skip list, which
// it reports as skipped where each test is reported.
func (t *testRun) standard(job *testjob.Job, pkg build.TestPackage, out io.Writer) (more []string, err error) {
	job.Root = t.tests.GOROOT()
	if more, err = stdtest.Files(job.Root, pkg.ImportPath); err != nil || t.noSkip {
		return more, err
	}
	skips, err := stdtest.Skips(pkg.ImportPath)
	if err != nil || len(skips) == 0 {
		return more, err
	}
	job.Args = t.argsWithout(stdtest.Pattern(skips))
	if !t.verbose || t.list {
		return more, nil
	}
	names, err := stdtest.Names(pkg.Dir, pkg.TestFiles)
	if err != nil {
		return nil, err
	}
	return more, sayLeftOut(out, skips, t.selected(names))
}

// argsWithout are the arguments of a test program that leaves out what the pattern
// says, and what the command line says.
func (p *testPlan) argsWithout(pattern string) []string {
	both := strings.Trim(p.skip+"|"+pattern, "|")
	if both == "" {
		return p.args
	}
	args := []string{"-test.skip=" + both}
	if pattern != "" && !slices.ContainsFunc(p.args, isRun) {
		args = append(args, "-test.run=.") // so that TestMain (of os/exec) knows that this is not all
	}
	return slices.Insert(slices.Clone(p.args), 1, args...)
}

func isRun(arg string) bool { return strings.HasPrefix(arg, "-test.run=") }

// selected are the tests that -run asks for, as far as a test's own name decides.
// A pattern that is no regular expression is the test program's to complain of.
func (t *testRun) selected(names []string) []string {
	i := slices.IndexFunc(t.args, isRun)
	if i < 0 {
		return names
	}
	run, _, _ := strings.Cut(strings.TrimPrefix(t.args[i], "-test.run="), "/")
	re, err := regexp.Compile(run)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !re.MatchString(n) })
}

// sayLeftOut reports tests as skipped, as the test program would.
func sayLeftOut(out io.Writer, skips []stdtest.Skip, names []string) error {
	said := map[string]bool{}
	for _, s := range skips {
		whole, _ := s.Matches(names)
		for _, n := range whole {
			if said[n] || strings.HasPrefix(n, "Benchmark") {
				continue
			}
			said[n] = true
			if _, err := fmt.Fprintf(out, "=== RUN   %s\n    skip.txt:%d: %s\n--- SKIP: %s (0.00s)\n", n, s.Line, s.Reason, n); err != nil {
				return err
			}
		}
	}
	return nil
}

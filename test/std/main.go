// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Command std makes a table of what hvgo test -json, or go test -json, says of
// packages: on standard output a row as each package ends, then the tests that
// failed; with -o the same as a document. Its exit status is 1 when a test failed.
//
//	hvgo test -json sync os | go run ./test/std
//	go run ./test/std -o docs/STDTEST.md bin/whole.json bin/net.json
//
// The events come on standard input or in files, one for each run of hvgo test: a
// run of the whole library takes hours, and what failed for a reason since mended is
// run again alone. A package that is in several files counts as the last of them has
// it, so that a run that broke off is mended by a run of the rest. Lines like
//
//	{"Action":"about","Output":"hvgo test -short -timeout=30m, go1.26.8, 2 processors"}
//
// anywhere in a file say with which flags, and on what, its events came to be;
// scripts/stdtest writes one. -note says it of files that have none. When it was, the
// events say themselves.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	output := flag.String("o", "", "`file` for the document")
	note := flag.String("note", "no record of the flags", "`words` on where and how the tests ran, for events that do not say it")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: std [-o FILE] [-note WORDS] [EVENTS...]\n\nEVENTS are files of hvgo test -json, one for each run: a later one's packages replace\nthose of the earlier ones. Without them the events come on standard input.")
		flag.PrintDefaults()
	}
	flag.Parse()
	t := newTable(os.Stdout)
	err := t.readAll(flag.Args(), *note)
	if err == nil {
		t.summary()
		if *output != "" {
			err = os.WriteFile(*output, []byte(t.document()), 0o666)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "std:", err)
		os.Exit(1)
	}
	if t.total().Failed > 0 {
		os.Exit(1)
	}
}

// event is a line of go test -json.
type event struct {
	Time                          time.Time
	Action, Package, Test, Output string
	Elapsed                       float64 // seconds
}

// run is a run of hvgo test: a file of events.
type run struct {
	about       string // flags, and on what
	first, last time.Time
	cut         bool // in the middle of an event
	packages    int  // that the table has of it
}

// row counts a package's tests, sub-tests not.
type row struct {
	Package                 string
	Passed, Failed, Skipped int
	Seconds                 float64

	of       *run
	running  map[string]bool
	failures []string
	over     bool
}

func (r *row) run() int { return r.Passed + r.Failed + r.Skipped }

type table struct {
	rows  map[string]*row
	order []*row
	runs  []*run
	out   io.Writer
}

func newTable(out io.Writer) *table { return &table{rows: map[string]*row{}, out: out} }

// readAll reads files, or without one the standard input.
func (t *table) readAll(files []string, note string) error {
	if len(files) == 0 {
		if err := t.read(os.Stdin, note); err != nil {
			return err
		}
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		err = t.read(f, note)
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return t.end()
}

// read takes the events of a run.
func (t *table) read(from io.Reader, note string) error {
	of := &run{about: note}
	t.runs = append(t.runs, of)
	for d := json.NewDecoder(from); ; {
		var e event
		err := d.Decode(&e)
		if of.cut = errors.Is(err, io.ErrUnexpectedEOF); of.cut || errors.Is(err, io.EOF) {
			return nil // end finds what broke off and was not run again
		} else if err != nil {
			return fmt.Errorf("not the output of go test -json: %w", err)
		}
		t.take(e, of)
	}
}

func (t *table) take(e event, of *run) {
	if e.Package == "" {
		if e.Action == "about" {
			of.about = e.Output
		}
		return // or of a build
	}
	if !e.Time.IsZero() {
		if of.last = e.Time; of.first.IsZero() {
			of.first = e.Time
		}
	}
	r := t.rows[e.Package]
	if r == nil {
		if len(t.order) == 0 {
			fmt.Fprintf(t.out, head, "package", "run", "passed", "failed", "skipped", "seconds")
		}
		r = &row{}
		t.rows[e.Package] = r
		t.order = append(t.order, r)
	}
	if r.of != of || r.over {
		*r = row{Package: e.Package, of: of, running: map[string]bool{}}
	}
	switch {
	case e.Test == "":
		r.ended(e)
		if r.over {
			fmt.Fprintf(t.out, line, r.Package, r.run(), r.Passed, r.Failed, r.Skipped, r.Seconds)
		}
	case strings.Contains(e.Test, "/"):
	case e.Action == "run":
		r.running[e.Test] = true
	case e.Action == "pass" || e.Action == "fail" || e.Action == "skip" || e.Action == "bench":
		delete(r.running, e.Test)
		switch e.Action {
		case "fail":
			r.Failed++
			r.failures = append(r.failures, e.Test)
		case "skip":
			r.Skipped++
		default:
			r.Passed++
		}
	}
}

// ended takes an event of a whole package. A package that fails without a test
// that does, since it did not build or the machine died, counts as one.
func (r *row) ended(e event) {
	if e.Action != "pass" && e.Action != "fail" && e.Action != "skip" {
		return
	}
	r.over, r.Seconds = true, e.Elapsed
	for name := range r.running {
		r.Failed++
		r.failures = append(r.failures, name+" (did not end)")
	}
	clear(r.running)
	if e.Action == "fail" && r.Failed == 0 {
		r.Failed++
		r.failures = append(r.failures, "(the package as a whole)")
	}
}

// end finds packages whose end nobody told.
func (t *table) end() error {
	for _, r := range t.order {
		if !r.over {
			return fmt.Errorf("the events of %s break off", r.Package)
		}
		r.of.packages++
	}
	if t.runs[len(t.runs)-1].cut {
		return errors.New("the events break off in the middle of a line")
	}
	if len(t.order) == 0 {
		return errors.New("no package was tested")
	}
	t.runs = slices.DeleteFunc(t.runs, func(of *run) bool { return of.packages == 0 })
	slices.SortStableFunc(t.order, func(a, b *row) int { return strings.Compare(a.Package, b.Package) })
	return nil
}

func (t *table) total() row {
	var all row
	for _, r := range t.order {
		all.Passed += r.Passed
		all.Failed += r.Failed
		all.Skipped += r.Skipped
		all.Seconds += r.Seconds
	}
	return all
}

const (
	head = "%-40s %6s %6s %6s %7s %8s\n"
	line = "%-40s %6d %6d %6d %7d %8.1f\n"
)

func (t *table) summary() {
	all := t.total()
	fmt.Fprintf(t.out, line, fmt.Sprintf("%d packages", len(t.order)), all.run(), all.Passed, all.Failed, all.Skipped, all.Seconds)
	for _, r := range t.order {
		for _, f := range r.failures {
			fmt.Fprintf(t.out, "FAIL\t%s\t%s\n", r.Package, f)
		}
	}
}

// String says how the run was made, and when.
func (of *run) String() string {
	s := of.about
	if !of.first.IsZero() {
		s += ", " + of.first.UTC().Format("2006-01-02 15:04") + " to " + of.last.UTC().Format("2006-01-02 15:04") + " UTC"
	}
	return fmt.Sprintf("%s: packages %d", s, of.packages)
}

// short tells whether the long tests were left out.
func (of *run) short() bool {
	return slices.Contains(strings.Fields(strings.ReplaceAll(of.about, ",", " ")), "-short")
}

// document is the table in Markdown.
func (t *table) document() string {
	var b strings.Builder
	b.WriteString("# Go's standard library inside a guest")
	short := 0
	for _, of := range t.runs {
		if of.short() {
			short++
		}
	}
	switch short {
	case 0:
	case len(t.runs):
		b.WriteString(": -short")
	default:
		b.WriteString(": partly -short")
	}
	b.WriteString("\n\n")
	for i, of := range t.runs {
		fmt.Fprintf(&b, "%d. %v\n", i+1, of)
	}
	b.WriteString(`
Written by ` + "`test/std`, which `make stdtest` runs (`make stdtest SHORT=1`: with -short)" + `: tests of the standard library, run by ` + "`hvgo test`" + `, each package in a
machine of its own. A test that skips itself counts as skipped, as do those that
` + "[internal/stdtest/skip.txt](../internal/stdtest/skip.txt)" + ` names, each with its reason. Sub-tests are not counted.

| package | run | passed | failed | skipped | seconds |
|---|---:|---:|---:|---:|---:|
`)
	for _, r := range t.order {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %.1f |\n", r.Package, r.run(), r.Passed, r.Failed, r.Skipped, r.Seconds)
	}
	all := t.total()
	fmt.Fprintf(&b, "| **%d packages** | **%d** | **%d** | **%d** | **%d** | **%.1f** |\n", len(t.order), all.run(), all.Passed, all.Failed, all.Skipped, all.Seconds)
	if all.Failed > 0 {
		b.WriteString("\nFailed:\n\n")
		for _, r := range t.order {
			for _, f := range r.failures {
				fmt.Fprintf(&b, "- %s %s\n", r.Package, f)
			}
		}
	}
	return b.String()
}

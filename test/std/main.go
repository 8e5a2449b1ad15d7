// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Command std makes a table of what hvgo test -json, or go test -json, says of
// packages: on standard output a row as each package ends, then the tests that
// failed; with -o the same as a document. Its exit status is 1 when a test failed.
//
//	hvgo test -json sync os | go run ./test/std -o docs/STDTEST.md
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	output := flag.String("o", "", "`file` for the document")
	note := flag.String("note", "", "`words` on where and how the tests ran")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "std: the events of go test -json come on standard input; there are no arguments")
		os.Exit(2)
	}
	t := table{rows: map[string]*row{}, out: os.Stdout}
	err := t.read(os.Stdin)
	if err == nil && len(t.order) == 0 {
		err = errors.New("no package was tested")
	}
	if err == nil {
		t.summary()
		if *output != "" {
			err = os.WriteFile(*output, []byte(t.document(*note)), 0o666)
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
	Action, Package, Test, Output string
	Elapsed                       float64 // seconds
}

// row counts a package's tests, sub-tests not.
type row struct {
	Package                 string
	Passed, Failed, Skipped int
	Seconds                 float64

	running  map[string]bool
	failures []string
	over     bool
}

func (r *row) run() int { return r.Passed + r.Failed + r.Skipped }

type table struct {
	rows  map[string]*row
	order []*row
	out   io.Writer
}

func (t *table) read(from io.Reader) error {
	for d := json.NewDecoder(from); ; {
		var e event
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return t.end()
		} else if err != nil {
			return fmt.Errorf("not the output of go test -json: %w", err)
		}
		t.take(e)
	}
}

func (t *table) take(e event) {
	if e.Package == "" {
		return // of a build
	}
	r := t.rows[e.Package]
	if r == nil {
		if len(t.order) == 0 {
			fmt.Fprintf(t.out, head, "package", "run", "passed", "failed", "skipped", "seconds")
		}
		r = &row{Package: e.Package, running: map[string]bool{}}
		t.rows[e.Package] = r
		t.order = append(t.order, r)
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
	}
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

// document is the table in Markdown.
func (t *table) document(note string) string {
	var b strings.Builder
	b.WriteString(`# Go's standard library inside a guest

`)
	if note != "" {
		fmt.Fprintf(&b, "%s\n\n", note)
	}
	b.WriteString(`Written by ` + "`make stdtest`" + `: tests of the standard library, run by ` + "`hvgo test`" + `, each package in a machine of its own. A test that skips
itself counts as skipped, as do those that ` + "[internal/stdtest/skip.txt](../internal/stdtest/skip.txt)" + ` names, each with its reason. Sub-tests are not counted.

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

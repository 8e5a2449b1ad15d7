// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const events = `{"Action":"start","Package":"a"}
{"Action":"run","Package":"a","Test":"TestOne"}
{"Action":"run","Package":"a","Test":"TestOne/sub"}
{"Action":"fail","Package":"a","Test":"TestOne/sub"}
{"Action":"fail","Package":"a","Test":"TestOne"}
{"Action":"run","Package":"a","Test":"TestTwo"}
{"Action":"skip","Package":"a","Test":"TestTwo"}
{"Action":"run","Package":"a","Test":"ExampleThree"}
{"Action":"pass","Package":"a","Test":"ExampleThree"}
{"Action":"run","Package":"a","Test":"TestFour"}
{"Action":"fail","Package":"a","Elapsed":1.5}
{"Action":"output","Package":"b","Output":"FAIL b [build failed]\n"}
{"Action":"fail","Package":"b","Elapsed":0.1}
{"Action":"skip","Package":"c"}
`

func TestTable(t *testing.T) {
	var out bytes.Buffer
	tt := newTable(&out)
	if err := errors.Join(tt.read(strings.NewReader(events), "note"), tt.end()); err != nil {
		t.Fatal(err)
	}
	tt.summary()
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"package run passed failed skipped seconds", "a 4 1 2 1 1.5", "b 1 0 1 0 0.1", "c 0 0 0 0 0.0", "3 packages 5 1 3 1 1.6",
		"FAIL a TestOne", "FAIL a TestFour (did not end)", "FAIL b (the package as a whole)",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", out.String())
	}
	if doc := tt.document(); !strings.Contains(doc, "# Go's standard library inside a guest\n\n1. note: packages 3\n") || !strings.Contains(doc, "| a | 4 | 1 | 2 | 1 | 1.5 |") || !strings.Contains(doc, "- a TestOne\n") {
		t.Errorf("document:\n%s", doc)
	}
}

// A later run's packages replace those of the earlier ones, one that broke off too.
func TestSeveralRuns(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return name
	}
	whole := file("whole", events+`{"Time":"2026-11-23T10:57:01Z","Action":"start","Package":"d"}
{"Action":"run","Package":"d","Test":"TestD"}
{"Action":"about","Output":"hvgo test -short, go1"}
{"Time":"2026-11-24T00:`)
	rest := file("rest", `{"Time":"2026-11-25T01:02:03+01:00","Action":"start","Package":"d"}
{"Action":"pass","Package":"d","Test":"TestD"}
{"Time":"2026-11-25T01:03:03+01:00","Action":"pass","Package":"d","Elapsed":2}
{"Action":"pass","Package":"a","Test":"TestOne"}
{"Action":"pass","Package":"a","Elapsed":3}
`)
	if err := newTable(&bytes.Buffer{}).readAll([]string{whole}, "note"); err == nil || !strings.Contains(err.Error(), "d break off") {
		t.Errorf("a run that broke off: %v", err)
	}
	tt := newTable(&bytes.Buffer{})
	if err := tt.readAll([]string{whole, rest}, "by hand"); err != nil {
		t.Fatal(err)
	}
	doc := tt.document()
	for _, want := range []string{
		"inside a guest: partly -short\n", "\n1. hvgo test -short, go1, 2026-11-23 10:57 to 2026-11-23 10:57 UTC: packages 2\n",
		"\n2. by hand, 2026-11-25 00:02 to 2026-11-25 00:03 UTC: packages 2\n",
		"| a | 1 | 1 | 0 | 0 | 3.0 |\n| b | 1 | 0 | 1 | 0 | 0.1 |\n| c | 0 | 0 | 0 | 0 | 0.0 |\n| d | 1 | 1 | 0 | 0 | 2.0 |\n| **4 packages** | **3** |",
	} {
		if !strings.Contains(doc, want) {
			t.Errorf("no %q in\n%s", want, doc)
		}
	}
	tt = newTable(&bytes.Buffer{})
	if err := tt.readAll([]string{rest, file("events", events), file("again", strings.Replace(events, "a", "b", 1)), rest}, "x -short"); err != nil || len(tt.runs) != 2 {
		t.Errorf("%v, %d runs", err, len(tt.runs))
	}
	if doc := tt.document(); !strings.Contains(doc, "guest: -short\n") {
		t.Errorf("not short:\n%s", doc)
	}
	if err := newTable(&bytes.Buffer{}).readAll([]string{filepath.Join(dir, "none")}, ""); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestBrokenEvents(t *testing.T) {
	for _, text := range []string{"{\"Action\":\"start\",\"Package\":\"a\"}\n", "no events\n", events[:len(events)-10]} {
		tt := newTable(&bytes.Buffer{})
		if err := errors.Join(tt.read(strings.NewReader(text), ""), tt.end()); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
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
	tt := table{rows: map[string]*row{}, out: &out}
	if err := tt.read(strings.NewReader(events)); err != nil {
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
	if doc := tt.document("note"); !strings.Contains(doc, "| a | 4 | 1 | 2 | 1 | 1.5 |") || !strings.Contains(doc, "- a TestOne\n") {
		t.Errorf("document:\n%s", doc)
	}
}

func TestBrokenEvents(t *testing.T) {
	for _, text := range []string{"{\"Action\":\"start\",\"Package\":\"a\"}\n", "no events\n", events[:len(events)-10]} {
		tt := table{rows: map[string]*row{}, out: &bytes.Buffer{}}
		if err := tt.read(strings.NewReader(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

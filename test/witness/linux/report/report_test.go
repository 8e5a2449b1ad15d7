// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"reflect"
	"testing"
)

func TestLine(t *testing.T) {
	want := Line{Task: Disk, Event: "x", Error: "two\nlines \x00", Seconds: 1.5, Fields: map[string]string{"a": "b"}}
	got, ok, err := Parse(want.String() + "\r\n")
	if err != nil || !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, %v; want %+v", got, ok, err, want)
	}
	for text, ours := range map[string]bool{
		"[    0.1] Linux": false, "": false, " " + want.String(): false, "HVGO ": true, "HVGO {}": true, `HVGO {"task":1}`: true, "HVGO [": true,
	} {
		if _, ok, err := Parse(text); ok != ours || (err != nil) != ours {
			t.Errorf("%q: ours %v, %v", text, ok, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("HVGO " + `{"task":"disk","fields":{"a":"b"}}`)
	f.Add("[    0.1] Linux")
	f.Fuzz(func(t *testing.T, text string) {
		l, ok, err := Parse(text)
		if !ok || err != nil {
			return
		}
		if again, ok, err := Parse(l.String()); !ok || err != nil || again.Task != l.Task {
			t.Errorf("%q: %+v, then %+v, %v, %v", text, l, again, ok, err)
		}
	})
}

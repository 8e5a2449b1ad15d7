// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package golden

import (
	"fmt"
	"testing"

	"github.com/hvgo/hvgo/host/record/decode"
)

func TestGlob(t *testing.T) {
	for _, test := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "x", false},
		{"*", "", true},
		{"*", "anything", true},
		{"ab", "ab", true},
		{"ab", "abc", false},
		{"a*", "abc", true},
		{"*c", "abc", true},
		{"a*c", "abc", true},
		{"a*b*d", "a-b-c-d", true},
		{"a*b*d", "a-c-d", false},
		{"a*b", "a", false},
		{"*b*", "abc", true},
		{"*x*", "abc", false},
	} {
		if got := glob(test.pattern, test.text); got != test.want {
			t.Errorf("glob(%q, %q) = %t", test.pattern, test.text, got)
		}
	}
}

// The comparison sees a changed field, a missing one, a missing message, one too many,
// and two in another order.
func TestCompare(t *testing.T) {
	items := func(s ...string) (list []item) {
		for _, x := range s {
			list = append(list, item{x[:1], []decode.Field{{Name: "f", Value: x[1:]}}})
		}
		return list
	}
	for _, test := range []struct {
		linux, ours []item
		want        []difference
	}{
		{items("A1", "B2"), items("A1", "B2"), nil},
		{items("A1", "B2"), items("A1", "B3"), []difference{{"s", "B", "f", "2", "3"}}},
		{items("A1", "B2"), items("A1"), []difference{{"s", "B", onlyLinux, "f 2", ""}}},
		{items("A1"), items("A1", "B2"), []difference{{"s", "B", onlyOurs, "", "f 2"}}},
		{items("A1", "B2", "C3"), items("B2", "C3", "A1"), []difference{{"s", "A", elsewhere, "", ""}}},
		{items("A1", "B2", "C3"), items("B2", "C3", "A9"), []difference{{"s", "A", elsewhere, "", ""}, {"s", "A", "f", "1", "9"}}},
		{[]item{{"A", nil}}, items("A1"), []difference{{"s", "A", "f", "", "1"}}},
		{items("A1"), []item{{"A", nil}}, []difference{{"s", "A", "f", "1", ""}}},
	} {
		got := compare(streams{"s": test.linux}, streams{"s": test.ours})
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%v with %v:\ngot  %v\nwant %v", test.linux, test.ours, got, test.want)
		}
	}
}

// Recorded twice, our own drivers differ in what is a matter of chance only.
func TestOursTwice(t *testing.T) {
	for _, d := range compare(split(recordOurs(t)), split(recordOurs(t))) {
		switch {
		case d.field == "ring pages" || d.field == "pages": // memory of the test
		case d.stream == "network completions" || d.field == "ring position": // when a batch of the host's ends
		case d.field == "IC host's time":
		default:
			t.Errorf("%v", d)
		}
	}
}

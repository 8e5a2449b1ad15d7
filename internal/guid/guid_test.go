// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package guid

import (
	"encoding/hex"
	"errors"
	"testing"
)

// GPT's partition type of an EFI system partition is printed both ways in the
// UEFI specification, so it is an independent witness of the byte order.
func TestWireOrder(t *testing.T) {
	const text = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
	const wire = "28732ac11ff8d211ba4b00a0c93ec93b"
	g := MustParse(text)
	if got := hex.EncodeToString(g[:]); got != wire {
		t.Errorf("wire form %s, want %s", got, wire)
	}
	if g.String() != text {
		t.Errorf("text form %s, want %s", g, text)
	}
	if u := MustParse("{C12A7328-F81F-11D2-BA4B-00A0C93EC93B}"); u != g {
		t.Errorf("upper case in braces gives %s", u)
	}
	if got := string(g.AppendTo([]byte("foo"))); got != "foo"+string(g[:]) {
		t.Errorf("AppendTo gives %q", got)
	}
}

func TestParseRejects(t *testing.T) {
	good := "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
	bad := []string{"{" + good, good + "}", "g" + good[1:], "c12a7328_f81f-11d2-ba4b-00a0c93ec93b", good + "0"}
	for i := range good {
		bad = append(bad, good[:i])
	}
	for _, s := range bad {
		if _, err := Parse(s); !errors.Is(err, ErrSyntax) {
			t.Errorf("Parse(%q): %v", s, err)
		}
	}
	if _, err := Decode(make([]byte, 15)); err == nil {
		t.Error("Decode of 15 bytes succeeds")
	}
}

func TestNew(t *testing.T) {
	a, b := New(), New()
	if a == b || a.IsZero() {
		t.Errorf("New gives %s and %s", a, b)
	}
	if s := a.String(); s[14] != '4' {
		t.Errorf("version of %s is not 4", s)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
	f.Fuzz(func(t *testing.T, s string) {
		g, err := Parse(s)
		if err != nil {
			return
		}
		if again, err := Parse(g.String()); err != nil || again != g {
			t.Errorf("%q -> %s -> %s, %v", s, g, again, err)
		}
	})
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package synic

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const sample = "hvgo: ready\r\nsynic: ok SVERSION reads 1 vp0\r\nsynic: FAIL EOM, again: reads 3: odd\r\n" +
	"synic: not run direct: none\r\nsynic: done: 3 checks: 1 ok, 1 failed, 1 not run\r\n"

func TestParse(t *testing.T) {
	r, err := Parse(sample)
	want := []Check{{"SVERSION reads 1 vp0", OK, ""}, {"EOM, again", Failed, "reads 3: odd"}, {"direct", NotRun, "none"}}
	if err != nil || !reflect.DeepEqual(r.Checks, want) {
		t.Fatalf("%v, %v", r, err)
	}
	for name, bad := range map[string]string{
		"no end":       "synic: ok a\n",
		"a lost line":  strings.Replace(sample, "synic: ok", "synik: ok", 1),
		"a wrong sum":  strings.Replace(sample, "1 ok, 1 failed", "2 ok, 0 failed", 1),
		"a name twice": "synic: ok a\n" + "synic: ok a\nsynic: done: 2 checks: 2 ok, 0 failed, 0 not run\n",
	} {
		if r, err := Parse(bad); err == nil {
			t.Errorf("%s: %v", name, r)
		}
	}
}

func TestDiffer(t *testing.T) {
	a := &Results{[]Check{{"one", OK, ""}, {"two", OK, "x"}, {"three", OK, ""}}}
	b := &Results{[]Check{{"one", OK, ""}, {"two", NotRun, "x"}, {"four", OK, ""}}}
	if d := Differ("A", a, "B", a); len(d) != 0 {
		t.Errorf("equal results differ: %q", d)
	}
	want := []string{"A: ok two: x; B: not run two: x", "A: ok three; B does not know it", "B: ok four; A does not know it"}
	if d := Differ("A", a, "B", b); !slices.Equal(d, want) {
		t.Errorf("%q, want %q", d, want)
	}
	b.Checks[0].Detail, b.Checks[1].Detail = "3", "4"
	if d, want := DifferInDetail("A", a, "B", b), []string{"one: A: , B: 3"}; !slices.Equal(d, want) {
		t.Errorf("%q, want %q", d, want)
	}
}

// TestCode assembles the guest's operations again, where the tools and the source are.
func TestCode(t *testing.T) {
	folder, err := filepath.Abs("guest/testdata")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(folder, "cpu.bin"))
	if err != nil {
		t.Skip(err)
	}
	tmp := t.TempDir()
	for _, command := range [][]string{
		{"as", "-o", "cpu.o", filepath.Join(folder, "cpu.S")},
		{"ld", "-N", "-e", "_start", "-Ttext=0", "-o", "cpu.elf", "cpu.o"},
		{"objcopy", "-O", "binary", "-j", ".text", "cpu.elf", "cpu.bin"},
	} {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Dir = tmp
		out, err := cmd.CombinedOutput()
		switch {
		case errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist):
			t.Skip(err) // in the emulated machine a program may be there without its libraries
		case err != nil:
			t.Fatalf("%q: %v\n%s", command, err, out)
		}
	}
	got, err := os.ReadFile(filepath.Join(tmp, "cpu.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("cpu.bin is not made of cpu.S; see README.md beside it")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample)
	f.Add("synic: done: 99999999999999999999 checks: 0 ok, 0 failed, 0 not run")
	f.Fuzz(func(t *testing.T, console string) {
		r, err := Parse(console)
		if err != nil {
			return
		}
		if ok, failed, notRun := r.Counts(); ok+failed+notRun != len(r.Checks) {
			t.Errorf("%v", r)
		}
	})
}

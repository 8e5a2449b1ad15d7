// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/stdtest"
)

func TestParseTest(t *testing.T) {
	const always = "-test.paniconexit0 -test.timeout=10m0s"
	for _, tt := range []struct{ line, packages, args, build string }{
		{"", "", always, ""},
		{"./... -v", "./...", always + " -test.v=true", ""},
		{"--run Test.*X -short ./a ./b -count=2", "./a ./b", always + " -test.run=Test.*X -test.short=true -test.count=2", ""},
		{"-timeout 30s -test.failfast", "", "-test.paniconexit0 -test.timeout=30s -test.failfast=true", ""},
		{"-json -v -run X", "", always + " -test.v=test2json -test.run=X", ""},
		{"-v=false ./a", "./a", always + " -test.v=false", ""},
		{"-coverprofile c.out -covermode=atomic", "", always + " -test.coverprofile=/tmp/hvgo-results/coverprofile", "-covermode=atomic -cover"},
		{"-cpuprofile=/tmp/cpu", "", always + " -test.cpuprofile=/tmp/hvgo-results/cpuprofile", ""},
		{"-update ./a -args -v x", "./a", always + " -update -v x", ""},
		{"-tags x -p 4 -vet=off -memory 1G", "", always, ""},
	} {
		p, err := parseTest(strings.Fields(tt.line))
		if err != nil {
			t.Errorf("%q: %v", tt.line, err)
			continue
		}
		for what, pair := range map[string][2]string{
			"packages": {strings.Join(p.packages, " "), tt.packages}, "args": {strings.Join(p.args, " "), tt.args}, "build": {strings.Join(p.build, " "), tt.build},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%q: %s %q, want %q", tt.line, what, pair[0], pair[1])
			}
		}
	}
	p, err := parseTest(strings.Fields("-cpus 4 -noskip -outputdir /tmp -memprofile m -trace /t -memory 1G -timeout 0 -bench . -tags a,b -failfast"))
	if err != nil || p.profiles["memprofile"] != "/tmp/m" || p.profiles["trace"] != "/t" || p.memory != 1<<30 || p.cpus != 4 || !p.noSkip || p.timeout != 0 || !p.bench || p.tags != "a,b" || !p.failFast {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestParseTestRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"-race ./...": "cgo", "-exec x": "-exec", "-run": "needs a value", "-timeout soon": "duration", "-timeout=-1s": "duration",
		"-v=perhaps": "neither true nor false", "-memory 1": "memory", "-cpus 0": "-cpus", "-cpus 65": "-cpus", "-nested -native": "contradict", "-cpuprofile=": "name of a file", "-fuzz F": "seeds", "-o x": "-c", "-trace /no/such/x": "no folder",
	} {
		if _, err := parseTest(strings.Fields(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
}

// A console in pieces of any size gives the tests' output only.
func TestTestOutput(t *testing.T) {
	const console = "hvgo: booted\r\nhvgo: begin 1\r\n=== RUN\r\nhalf\r\rx\r\nPASS\r\n"
	for size := 1; size <= len(console); size++ {
		var b bytes.Buffer
		o := &testOutput{w: &b, begin: "hvgo: begin 1"}
		for piece := range slices.Chunk([]byte(console), size) {
			if n, err := o.Write(piece); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
		}
		o.end()
		if got, want := b.String(), "=== RUN\nhalf\r\rx\nPASS\n"; got != want {
			t.Fatalf("pieces of %d: %q, want %q", size, got, want)
		}
	}
	var b bytes.Buffer
	o := &testOutput{w: &b, begin: "begin"}
	_, _ = o.Write([]byte("no disk\r\n"))
	if o.end(); !strings.Contains(b.String(), "no disk") {
		t.Errorf("a guest that did not begin said %q", b.String())
	}
}

// The list of tests to leave out becomes flags and lines of the test program's kind.
func TestSkips(t *testing.T) {
	p, err := parseTest([]string{"-v", "-run", "TestA|TestC/x"})
	if err != nil {
		t.Fatal(err)
	}
	r := testRun{testPlan: p}
	var b bytes.Buffer
	skips := []stdtest.Skip{{Test: "Test[AB]", Reason: "why", Line: 7}, {Test: "TestC/x", Reason: "sub"}}
	if err := sayLeftOut(&b, skips, r.selected([]string{"TestA", "TestB", "TestC"})); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "=== RUN   TestA\n    skip.txt:7: why\n--- SKIP: TestA (0.00s)\n"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
	for line, want := range map[string]string{"": "-test.paniconexit0 -test.skip=^X$ -test.run=.", "-skip Y -run Z": "-test.paniconexit0 -test.skip=Y|^X$ -test.run=Z"} {
		p, err := parseTest(append(strings.Fields(line), "-args", "-test.skip=mine"))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(p.argsWithout("^X$"), " ")
		if got = strings.Replace(got, "-test.timeout=10m0s ", "", 1); got != want+" -test.skip=mine" {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

// A guest that was switched off in the middle of a test has failed for test2json too.
func TestMark(t *testing.T) {
	c := exec.Command("go", "tool", "test2json", "-p", "p")
	c.Stdin = strings.NewReader("\x16=== RUN   TestA\nhalf a line" + test2jsonMark + "FAIL\tp\t1.000s\n")
	out, err := c.Output()
	if want := `{"Action":"fail","Package":"p"`; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v, no %s in\n%s", err, want, out)
	}
}

func TestTestExit(t *testing.T) {
	for _, tt := range []struct {
		exit machine.Exit
		want error
	}{
		{machine.Exit{Kind: vmm.Shutdown}, nil},
		{machine.Exit{Kind: vmm.Crash, Params: [5]uint64{crashSignature, 2}}, exitStatus(2)},
		{machine.Exit{Kind: vmm.Crash, Params: [5]uint64{crashSignature, 1 << 40}}, exitStatus(1)},
		{machine.Exit{Kind: vmm.Stopped}, exitStatus(130)},
	} {
		if got := testExit(tt.exit); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.exit, got, tt.want)
		}
	}
}

func TestTestSummary(t *testing.T) {
	if got := summary("coverage: 50.0% of statements\ntesting: warning: no tests to run\nPASS\n"); got != "\tcoverage: 50.0% of statements\t[no tests to run]" {
		t.Errorf("%q", got)
	}
	if defaultTestTimeout != 10*time.Minute {
		t.Error("not go test's default")
	}
}

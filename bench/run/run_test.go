// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sample has two rounds: a rate, a latency, a count, a probe that fails on one
// side, and one that fails on both.
func sample() *results {
	r := &results{Time: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), CPUs: 1, Memory: 512, Host: host{CPU: "QEMU TCG CPU", CPUs: 1, Nested: true, Around: "a|b"}}
	for round, k := range []float64{1, 2} {
		h, l := turn{Round: round + 1, Side: hvgoSide}, turn{Round: round + 1, Side: linuxSide}
		h.add("HTTP small, 1 connection", figure{"HTTP small, 1 connection", 300 * k, perSecond}, figure{"HTTP small, 1 connection: p99", 10, millis},
			figure{"HTTP small, 1 connection: exits per request", 6, exits}, figure{"HTTP small, 1 connection: share", 0.7, share})
		l.add("HTTP small, 1 connection", figure{"HTTP small, 1 connection", 100 * k, perSecond}, figure{"HTTP small, 1 connection: p99", 5, millis},
			figure{"HTTP small, 1 connection: exits per request", 12, exits}, figure{"HTTP small, 1 connection: share", 0.2, share})
		h.add("idle", figure{"idle: exits per second", 3, exits})
		l.Failures = []failure{{"idle", "no <clock>; with | a bar"}, {"TLS handshakes", "refused"}}
		h.Failures = []failure{{"TLS handshakes", "refused too"}}
		h.Detail = map[string]map[string]float64{"idle": {"exits": 3, "halt_exits": 2, "io_exits": 0.5}}
		r.Turns = append(r.Turns, h, l)
	}
	return r
}

func TestCompare(t *testing.T) {
	list := compare(sample())
	rows := map[string]comparison{}
	for _, c := range list {
		rows[c.row] = c
	}
	if len(list) != 6 || len(rows) != 6 {
		t.Fatalf("%d rows, %d names", len(list), len(rows))
	}
	for row, want := range map[string]float64{
		"HTTP small, 1 connection": 3, "HTTP small, 1 connection: p99": 0.5, "HTTP small, 1 connection: exits per request": 2,
	} {
		if got := rows[row].advantage; got.median != want || got.n != 2 {
			t.Errorf("%s: better by %+v, want %v", row, got, want)
		}
	}
	if c := rows["HTTP small, 1 connection"]; c.sides[hvgoSide] != (summary{median: 450, least: 300, most: 600, n: 2}) || c.missed() {
		t.Errorf("%+v", c)
	}
	for _, row := range []string{"HTTP small, 1 connection: p99", "idle: exits per second"} {
		if c := rows[row]; !c.missed() {
			t.Errorf("%s does not miss its goal: %+v", row, c)
		}
	}
	if c := rows["idle: exits per second"]; c.sides[linuxSide].failed == "" || c.advantage.n != 0 {
		t.Errorf("%+v", c)
	}
	if c := rows["TLS handshakes"]; c.sides[linuxSide].failed != "refused" || c.sides[hvgoSide].failed != "refused too" {
		t.Errorf("%+v", c)
	}
}

// A ratio that is none is left out, and does not become a figure.
func TestNoRatio(t *testing.T) {
	r := new(results)
	for i, v := range [][2]float64{{0, 5}, {5, 0}, {0, 0}, {math.NaN(), 1}} {
		for j, side := range sides {
			x := turn{Round: i, Side: side}
			x.add("p", figure{"p", v[j], perSecond})
			r.Turns = append(r.Turns, x)
		}
	}
	if v := r.advantages("p", perSecond); len(v) != 0 {
		t.Errorf("%v", v)
	}
}

func TestReport(t *testing.T) {
	text := report(sample())
	for _, want := range []string{
		"| HTTP small, 1 connection | 450 (300 .. 600) /s | 150 (100 .. 200) /s | 3 | 1.5 |",
		"| HTTP small, 1 connection: p99 | 10 (10 .. 10) ms | 5 (5 .. 5) ms | 0.5 | 1, **missed** |",
		"| idle: exits per second | 3 (3 .. 3) exits | failed: no <clock>; with / a bar | - | at most 2, **missed** |",
		"| TLS handshakes | failed: refused too | failed: refused | - |  |",
		"HTTP small, 1 connection, hvgo: the load is the bottleneck",
		"round 2, Linux, idle: no <clock>; with | a bar",
		"| idle | halt_exits 2, io_exits 0.5 |  |",
		"2 rounds", "Read the counts",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "connection, Linux: the load") {
		t.Error("the load is a bottleneck at a share of 0.2")
	}
}

// The plots are XML, and hold their rows.
func TestPlots(t *testing.T) {
	files := plots(compare(sample()))
	for name, row := range map[string]string{"rates.svg": "HTTP small, 1 connection: p99", "counts.svg": "HTTP small, 1 connection: exits per request"} {
		if !strings.Contains(files[name], row) {
			t.Errorf("%s lacks %s", name, row)
		}
		if strings.Contains(files[name], "NaN") || strings.Contains(files[name], "Inf") {
			t.Errorf("%s has a number that is none", name)
		}
		d := xml.NewDecoder(strings.NewReader(files[name]))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	if len(plots(nil)) != 0 {
		t.Error("plots of nothing")
	}
}

func TestParseBudget(t *testing.T) {
	for text, want := range map[string]string{
		`{"rows":[{"row":"a: b","most":1},{"row":"a: c","ratio":2}]}`: "",
		`{"rows":[]}`:                                          "no rows",
		`{"rows":[{"row":"a"}]}`:                               "needs",
		`{"rows":[{"row":"a","most":-1}]}`:                     "needs",
		`{"rows":[{"most":1}]}`:                                "without a name",
		`{"rows":[{"row":"a","most":1},{"row":"a","most":1}]}`: "twice",
		`{"rows":[{"row":"a","least":1}]}`:                     "least",
		`{`:                                                    "EOF",
	} {
		if _, err := parseBudget("f", []byte(text)); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The budget that the project has, its rows are those of probes.
func TestProjectBudget(t *testing.T) {
	b, err := readBudget("../budget.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range b.Rows {
		found := false
		for _, p := range probes(&options{cpus: 1, requests: 100}) {
			found = found || p.count && strings.HasPrefix(l.Row, p.name+": ")
		}
		if !found {
			t.Errorf("%s: no probe that counts has such a row", l.Row)
		}
	}
}

func TestJudge(t *testing.T) {
	list := compare(sample())
	const row = "HTTP small, 1 connection: exits per request"
	for _, c := range []struct {
		l    limit
		want string // of the error; empty: none
	}{
		{limit{Row: row, Most: 6}, ""},
		{limit{Row: row, Ratio: 0.5}, ""},
		{limit{Row: row, Most: 5.9}, "over"},
		{limit{Row: row, Most: 6, Ratio: 0.49}, "over"},
		{limit{Row: "HTTP small, 1 connection", Most: 1e9}, "over"}, // a rate
		{limit{Row: "idle: exits per second", Ratio: 2}, "over"},    // Linux failed
		{limit{Row: "TLS handshakes", Most: 2}, "over"},
		{limit{Row: "gone", Most: 2}, "over"},
	} {
		lines, err := (&budget{Rows: []limit{c.l}}).judge(list)
		if (err != nil) != (c.want != "") || len(lines) != 1 || (err != nil) != strings.HasPrefix(lines[0], "! ") {
			t.Errorf("%+v: %q, %v", c.l, lines, err)
		}
	}
}

// finish fails where a row failed, after it wrote all files; -check fails by budget.
func TestFinish(t *testing.T) {
	o := &options{dir: t.TempDir()}
	if err := o.finish(sample()); err == nil || !strings.Contains(err.Error(), "6 measurements failed") {
		t.Errorf("%v", err)
	}
	for _, name := range []string{"rounds.json", "report.md", "rates.svg", "counts.svg"} {
		if fi, err := os.Stat(o.file(name)); err != nil || fi.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	var back results
	if err := readJSON(o.file("rounds.json"), &back); err != nil || report(&back) != report(sample()) {
		t.Errorf("the report of what was written differs: %v", err)
	}
	b, err := json.Marshal(budget{[]limit{{Row: "idle: exits per second", Most: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	o.check, o.budget = true, filepath.Join(o.dir, "budget.json")
	if err := os.WriteFile(o.budget, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := o.finish(sample()); err == nil || !strings.Contains(err.Error(), "Linux, idle: failed") || strings.Contains(err.Error(), "over") {
		t.Errorf("%v", err)
	}
}

func TestBisect(t *testing.T) {
	for least := 8; least <= 40; least++ {
		for need := 0; need <= 40; need++ {
			tried := map[int]bool{}
			got, err := bisect(least, 40, 3, func(n int) error {
				if tried[n] {
					t.Errorf("%d is tried twice", n)
				}
				tried[n] = true
				if n < need {
					return errors.New("too little")
				}
				return nil
			})
			if err != nil || got < need || got < least || got > 40 || got-3 >= max(need, least) {
				t.Fatalf("from %d, need %d: %d, %v", least, need, got, err)
			}
		}
	}
	if _, err := bisect(8, 40, 4, func(int) error { return io.EOF }); !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
}

func TestWrongFlags(t *testing.T) {
	good := options{dir: t.TempDir(), rounds: 1, cpus: 1, memory: 512, requests: 100, enough: 1, diskMiB: 64}
	for name, change := range map[string]func(o *options){
		"rounds":   func(o *options) { o.rounds = 0 },
		"cpus":     func(o *options) { o.cpus = 65 },
		"memory":   func(o *options) { o.memory = 1 },
		"requests": func(o *options) { o.requests = 0 },
		"disk":     func(o *options) { o.diskMiB = 0 },
		"budget":   func(o *options) { o.check, o.budget = true, filepath.Join(o.dir, "none") },
		"rows":     func(o *options) { o.inside, o.rows = true, "(" },
		"sides":    func(o *options) { o.inside, o.sides = true, "(" },
		"built":    func(o *options) { o.inside = true },
	} {
		o := good
		change(&o)
		if err := o.run(t.Context()); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			t.Log(name+":", err)
		}
	}
}

// A side that could not be made fails in each round, as a row that says why; the run goes on.
func TestSideMissing(t *testing.T) {
	o := options{dir: t.TempDir(), rounds: 2, cpus: 1, memory: 512, requests: 100, enough: 1, diskMiB: 64, inside: true}
	b := built{Failed: map[string]string{hvgoSide: "no image", linuxSide: "no such package"}}
	if err := writeJSON(o.file(builtFile), b); err != nil {
		t.Fatal(err)
	}
	if err := o.run(t.Context()); err == nil || !strings.Contains(err.Error(), "4 measurements failed") {
		t.Errorf("%v", err)
	}
	text, err := os.ReadFile(o.file("report.md"))
	if want := "| the guest | failed: no image | failed: no such package |"; err != nil || !strings.Contains(string(text), want) {
		t.Errorf("the report lacks %q: %v\n%s", want, err, text)
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Gap is a time in which a watcher of the guest's did not run.
type Gap struct {
	Watcher string
	Length  time.Duration
	Excused time.Duration // this side did not run either
	guest   span          // of the guest's clock
	offset  int64         // of the host's clock to the guest's, in ns
}

// Remains is what is not excused.
func (g Gap) Remains() time.Duration { return g.Length - g.Excused }

// report reads what the program writes.
type report struct {
	console io.Writer

	mu       sync.Mutex
	copied   bytes.Buffer // for console: a slow one must not hold the guest up
	part     []byte
	lines    []string
	failures []string
	gaps     []Gap
	delays   []int64 // arrival less clock of the last lines
	heard    int64   // when something came last
	done     bool

	resting  atomic.Bool // clients make no requests
	requests atomic.Int64
	cut      atomic.Int64
}

func newReport(console io.Writer) *report {
	if console == nil {
		console = io.Discard
	}
	r := &report{console: console, heard: now()}
	r.resting.Store(true) // until it is ready
	return r
}

// longest is where a line without an end is cut.
const longest = 64 << 10

// Write implements io.Writer.
func (r *report) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.copied.Write(p)
	r.heard = now()
	r.part = append(r.part, p...)
	for {
		i := slices.Index(r.part, '\n')
		if i < 0 {
			if len(r.part) > longest {
				r.part = nil
			}
			return len(p), nil
		}
		if text, ok := strings.CutPrefix(strings.TrimSpace(string(r.part[:i])), "soak: "); ok {
			r.take(text)
		}
		r.part = r.part[i+1:]
	}
}

// take reads a line of the report.
func (r *report) take(text string) {
	kind, rest, _ := strings.Cut(text, " ")
	switch kind {
	case "clock":
		r.clock(rest)
		return
	case "gap":
		g := Gap{offset: r.offset()}
		if n, err := fmt.Sscan(rest, &g.Watcher, &g.guest.from, &g.guest.to); n != 3 {
			r.failures = append(r.failures, fmt.Sprintf("a line that is none: %q: %v", text, err))
			return
		}
		g.Length = g.guest.length()
		r.gaps = append(r.gaps, g)
		return
	case "FAIL":
		r.failures = append(r.failures, rest)
	case "phase":
		r.resting.Store(false)
	case "rest":
		r.resting.Store(true)
	case "done":
		r.done = true
	}
	r.lines = append(r.lines, text)
}

// clock relates the clocks.
func (r *report) clock(text string) {
	var ns int64
	if _, err := fmt.Sscan(text, &ns); err != nil {
		r.failures = append(r.failures, fmt.Sprintf("a clock that is none: %q", text))
		return
	}
	const last = 30
	r.delays = append(r.delays, r.heard-ns)
	if len(r.delays) > last {
		r.delays = r.delays[1:]
	}
}

func (r *report) offset() int64 {
	if len(r.delays) == 0 {
		return 0
	}
	return slices.Min(r.delays)
}

// hostGap writes into the copy of the console when this side did not run, by the guest's
// clock.
func (r *report) hostGap(s span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(&r.copied, "host: gap %d %d\n", s.from-r.offset(), s.to-r.offset())
}

// flush writes to the console what came since.
func (r *report) flush() error {
	r.mu.Lock()
	b := bytes.Clone(r.copied.Bytes())
	r.copied.Reset()
	r.mu.Unlock()
	_, err := r.console.Write(b)
	return err
}

func (r *report) fail(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, text)
}

func (r *report) heardNow() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = now()
}

// silent is how long nothing came.
func (r *report) silent() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(now() - r.heard)
}

func (r *report) result() *Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &Result{
		Lines: r.lines, Failures: r.failures, Gaps: r.gaps, done: r.done,
		Requests: r.requests.Load(), Cut: r.cut.Load(),
	}
}

// judge excuses gaps, and fails for those that remain too long.
func (r *Result) judge(limit time.Duration) {
	for i := range r.Gaps {
		g := &r.Gaps[i]
		g.Excused = excused(span{g.guest.from + g.offset, g.guest.to + g.offset}, r.Host)
		if g.Remains() >= limit {
			r.Failures = append(r.Failures, fmt.Sprintf("stall: the %s did not run for %v, of which the host excuses %v",
				g.Watcher, g.Length.Round(time.Millisecond), g.Excused.Round(time.Millisecond)))
		}
	}
	if !r.done {
		r.Failures = append(r.Failures, "the program did not come to its end")
	}
}

// Worst is the gap with the most that is not excused; nil if there is none.
func (r *Result) Worst() *Gap {
	if len(r.Gaps) == 0 {
		return nil
	}
	g := slices.MaxFunc(r.Gaps, func(a, b Gap) int { return int(a.Remains() - b.Remains()) })
	return &g
}

// Print writes a table.
func (r *Result) Print(w io.Writer) {
	p := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	for _, l := range r.Lines {
		if kind, _, _ := strings.Cut(l, " "); kind != "phase" && kind != "rest" && kind != "ready" && kind != "done" && kind != "FAIL" {
			p("  %s", l)
		}
	}
	p("  client: %d requests, %d broken off", r.Requests, r.Cut)
	p("  host: longest gap %v of %d above 50 ms; idle %.0f %%", r.HostGap.Round(time.Millisecond), len(r.Host), 100*r.Idle)
	if g := r.Worst(); g != nil {
		p("  guest: %d gaps above 200 ms; the worst %v of the %s, of which the host excuses %v: %v remain",
			len(r.Gaps), g.Length.Round(time.Millisecond), g.Watcher, g.Excused.Round(time.Millisecond), g.Remains().Round(time.Millisecond))
	} else {
		p("  guest: no gap above 200 ms")
	}
	for _, f := range r.Failures {
		p("  FAIL %s", f)
	}
}

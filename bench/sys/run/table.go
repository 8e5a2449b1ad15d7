// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"text/tabwriter"
	"time"
)

// figures are the lines of all rounds, by system and row.
type figures struct {
	Time    time.Time           `json:"time"`
	CPUs    int                 `json:"cpus"`
	Memory  int                 `json:"memory_mib"`
	Heap    int                 `json:"heap_mib"`
	Rounds  int                 `json:"rounds"`
	Systems map[string][][]line `json:"systems"` // by name: a list of lines for each round

	rows []string // in the order of the program
}

// measure runs all systems by turns, and prints the table. A system that fails in a
// round is told, and the others go on.
func (o *options) measure(ctx context.Context) error {
	f := figures{Time: time.Now().UTC(), CPUs: o.cpus, Memory: o.memory, Heap: o.heap, Rounds: o.rounds, Systems: map[string][][]line{}}
	wanted, err := regexp.Compile(o.systems)
	if err != nil {
		return fmt.Errorf("-systems: %w", err)
	}
	failed := 0
	for round := range o.rounds {
		for _, s := range systems {
			if !wanted.MatchString(s.name) {
				continue
			}
			start := time.Now()
			out := &reader{}
			err := s.run(o, ctx, out)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fmt.Fprintf(os.Stderr, "run: round %d, %s: %.1f s\n", round+1, s.name, time.Since(start).Seconds())
			if err != nil || !out.ended {
				failed++
				fmt.Fprintf(os.Stderr, "run: %s: not to its end: %v\n%s", s.name, err, &out.other)
			}
			f.add(s.name, out.lines)
		}
	}
	b, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.json, append(b, '\n'), 0o666); err != nil {
		return err
	}
	if err := f.print(os.Stdout); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d runs failed", failed, o.rounds*len(systems))
	}
	return nil
}

func (f *figures) add(system string, lines []line) {
	f.Systems[system] = append(f.Systems[system], lines)
	for _, l := range lines {
		if !slices.Contains(f.rows, l.Row) {
			f.rows = append(f.rows, l.Row)
		}
	}
}

// summary is what all rounds say of a row on one system.
type summary struct {
	median, least, most float64 // ns; of each round's least sample
	exits               float64 // of the guest for each operation
	counted             bool
	err                 string
}

func (f *figures) summary(system, row string) (s summary) {
	var rounds, exits []float64
	for _, lines := range f.Systems[system] {
		for _, l := range lines {
			switch {
			case l.Row != row:
			case l.Error != "":
				s.err = l.Error
			case len(l.NS) > 0:
				// The machine is not ours alone: of a round the sample that was
				// disturbed least.
				rounds = append(rounds, slices.Min(l.NS))
				if n, ok := l.Counters["exits"]; ok {
					exits = append(exits, float64(n)/float64(l.Ops))
				}
			}
		}
	}
	if len(rounds) > 0 {
		s.median, s.least, s.most = median(rounds), slices.Min(rounds), slices.Max(rounds)
	}
	if len(exits) > 0 {
		s.exits, s.counted = median(exits), true
	}
	return s
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

func (f *figures) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "row\thvgo\t(spread)\tLinux guest\t(spread)\thvgo/Linux\tLinux process\texits: hvgo\tLinux\t\n")
	for _, row := range f.rows {
		h, l, p := f.summary("hvgo", row), f.summary("Linux guest", row), f.summary("Linux process", row)
		ratio := "-"
		if h.median > 0 && l.median > 0 {
			ratio = fmt.Sprintf("%.2f", h.median/l.median)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", row, h, h.spread(), l, l.spread(), ratio, p, h.exitsText(), l.exitsText())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d processors, %d MiB, a heap of %d MiB, medians of %d rounds' least samples; exits are for each operation, also those that the kernel serves\n",
		f.CPUs, f.Memory, f.Heap, f.Rounds)
	return err
}

// String is the median in words.
func (s summary) String() string {
	if s.median == 0 {
		if s.err != "" {
			return s.err
		}
		return "-"
	}
	return duration(s.median)
}

func (s summary) spread() string {
	if s.median == 0 {
		return ""
	}
	return duration(s.least) + ".." + duration(s.most)
}

func (s summary) exitsText() string {
	if !s.counted {
		return "-"
	}
	return fmt.Sprintf("%.2f", s.exits)
}

// duration prints ns with three digits.
func duration(ns float64) string {
	unit := "ns"
	for _, u := range []string{"µs", "ms", "s"} {
		if ns < 1000 && ns > -1000 {
			break
		}
		ns /= 1000
		unit = u
	}
	return fmt.Sprintf("%.3g %s", ns, unit)
}

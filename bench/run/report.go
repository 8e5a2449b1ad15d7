// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// notYet names the rows that cannot be there yet.
const notYet = "\n## Not measured\n\n- Reads and writes through a file system: hvgo has none on disks.\n" +
	"- The start before the program's first line, by its parts: hvgo notes no times there.\n"

// report is what a person reads: all rows, what missed its goal, what failed.
func report(r *results) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# hvgo beside Linux\n\n%s, %s; %s and %d MiB for a guest; %s.\n\n%s\n\n",
		r.Time.Format("2006-01-02 15:04 UTC"), counted(r.rounds(), "round"), counted(r.CPUs, "processor"), r.Memory, r.Built.Kernel, r.Host)
	b.WriteString("![rates and times](rates.svg)\n\n![counts](counts.svg)\n\n")
	b.WriteString("Medians; in brackets the least and the most of the rounds. The ratio is by how much hvgo is better, above 1, or worse; " +
		"it is the median of each round's, as what follows each other meets the same machine.\n\n")
	b.WriteString("| row | hvgo | Linux | hvgo is better by | goal |\n|---|---|---|---|---|\n")
	list := compare(r)
	for i := range list {
		c := &list[i]
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", c.row, c.cell(hvgoSide), c.cell(linuxSide), c.ratio(), c.goalText())
	}
	r.writeBottlenecks(&b, list)
	r.writeFailures(&b)
	r.writeDetail(&b)
	b.WriteString(notYet)
	return b.String()
}

func (r *results) rounds() (n int) {
	for _, t := range r.Turns {
		n = max(n, t.Round)
	}
	return n
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// String says what the host is, and what that means for reading.
func (h host) String() string {
	if h.Nested {
		return fmt.Sprintf("The host is emulated (%s, %s, on %s), its KVM too: leaving a guest costs some 50 µs, "+
			"and guests, host and load share one processor. **Read the counts**, of hypercalls first: exits have a part that timers make, which grows with "+
			"the time that things take. Times and rates say by their ratio what an expensive exit does, and nothing of a real machine.", h.CPU, counted(h.CPUs, "processor"), h.Around)
	}
	return fmt.Sprintf("The host is this machine's own KVM (%s, %s). Guests, host and load share its processors.", h.CPU, counted(h.CPUs, "processor"))
}

func (c *comparison) cell(side string) string {
	s := c.sides[side]
	switch {
	case s.n > 1:
		return fmt.Sprintf("%s (%s .. %s) %s", digits(s.median), digits(s.least), digits(s.most), c.unit)
	case s.n == 1:
		return digits(s.median) + " " + c.unit
	case s.failed != "":
		return "failed: " + strings.ReplaceAll(cut(s.failed), "|", "/")
	}
	return "-"
}

// cut shortens a reason for a table; the whole one is below it.
func cut(why string) string {
	const most = 80
	if r := []rune(why); len(r) > most {
		return string(r[:most]) + " ..."
	}
	return why
}

func (c *comparison) ratio() string {
	if c.advantage.n == 0 || c.unit == share {
		return "-"
	}
	return digits(c.advantage.median)
}

func (c *comparison) goalText() string {
	g := c.goal
	if g == nil {
		return ""
	}
	var words []string
	if g.advantage > 0 {
		words = append(words, digits(g.advantage))
	}
	if g.most > 0 {
		words = append(words, "at most "+digits(g.most))
	}
	text := strings.Join(words, ", ")
	if c.missed() {
		text += ", **missed**"
	}
	return text
}

// digits prints three of them.
func digits(v float64) string {
	if v >= 1000 || v <= -1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// mostShare is the share of what the load can do above which it is the bottleneck.
const mostShare = 0.5

func (r *results) writeBottlenecks(b *strings.Builder, list []comparison) {
	for i := range list {
		c := &list[i]
		for _, side := range sides {
			if s := c.sides[side]; c.unit == share && s.median > mostShare {
				fmt.Fprintf(b, "\n**%s, %s: the load is the bottleneck**: the guest did %s of what the load could do against a peer that does nothing.\n",
					strings.TrimSuffix(c.row, ": share"), side, digits(s.median))
			}
		}
	}
}

func (r *results) writeFailures(b *strings.Builder) {
	begun := false
	for _, t := range r.Turns {
		for _, f := range t.Failures {
			if !begun {
				b.WriteString("\n## Failed\n\n")
				begun = true
			}
			fmt.Fprintf(b, "- round %d, %s, %s: %s\n", t.Round, t.Side, f.Probe, f.Why)
		}
	}
}

// mostDetail is how many kinds of exits are named.
const mostDetail = 6

// writeDetail says what the exits were, by the last round that counted.
func (r *results) writeDetail(b *strings.Builder) {
	last := map[string]map[string]map[string]float64{}
	var order []string
	for _, t := range r.Turns {
		for _, f := range t.Figures {
			d := t.Detail[f.Probe]
			if d == nil {
				continue
			}
			if last[f.Probe] == nil {
				last[f.Probe] = map[string]map[string]float64{}
				order = append(order, f.Probe)
			}
			last[f.Probe][t.Side] = d
		}
	}
	if len(order) == 0 {
		return
	}
	b.WriteString("\n## What the exits were\n\nFor each request, MiB, operation or second, in the last round: KVM's own counters, and what reached the host.\n\n| row | hvgo | Linux |\n|---|---|---|\n")
	for _, probe := range order {
		fmt.Fprintf(b, "| %s | %s | %s |\n", probe, detailText(last[probe][hvgoSide]), detailText(last[probe][linuxSide]))
	}
}

func detailText(d map[string]float64) string {
	names := slices.SortedFunc(maps.Keys(d), func(a, b string) int { return cmp.Or(cmp.Compare(d[b], d[a]), cmp.Compare(a, b)) })
	names = slices.DeleteFunc(names, func(n string) bool {
		return n == "exits" || strings.HasSuffix(n, "_ns") || strings.Contains(n, "_hist")
	})
	var words []string
	for _, n := range names[:min(len(names), mostDetail)] {
		words = append(words, n+" "+digits(d[n]))
	}
	return strings.Join(words, ", ")
}

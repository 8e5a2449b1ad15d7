// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"math"
	"slices"
	"strings"
)

// comparison is a row over all rounds.
type comparison struct {
	row, unit string
	sides     map[string]summary
	// advantage is by how much hvgo is better, round by round: what follows each other
	// meets the same machine. Above 1 hvgo is better, whichever way the unit goes.
	advantage summary
	goal      *goal
}

// summary is the median of some rounds, and their ends.
type summary struct {
	median, least, most float64
	n                   int
	failed              string // why there is none
}

func summarize(values []float64) summary {
	if len(values) == 0 {
		return summary{}
	}
	v := slices.Sorted(slices.Values(values))
	return summary{median: (v[(len(v)-1)/2] + v[len(v)/2]) / 2, least: v[0], most: v[len(v)-1], n: len(v)}
}

// lessIsBetter tells which way a unit goes.
func lessIsBetter(unit string) bool { return unit != perSecond && unit != megabytes }

// isCount tells whether a unit does not depend on how fast the machine is.
func isCount(unit string) bool { return unit == exits || unit == hypercalls }

// compare makes a comparison of each row, in the order of their first coming. A probe
// that gave nothing on either side is a row of its name.
func compare(r *results) []comparison {
	var list []comparison
	at := map[string]int{}
	add := func(row, unit string) *comparison {
		i, ok := at[row]
		if !ok {
			i = len(list)
			at[row] = i
			list = append(list, comparison{row: row, unit: unit, sides: map[string]summary{}, goal: goalOf(row)})
		}
		return &list[i]
	}
	probeOf := map[string]string{}
	for _, t := range r.Turns {
		for _, f := range t.Figures {
			add(f.Row, f.Unit)
			probeOf[f.Row] = f.Probe
		}
	}
	for _, t := range r.Turns {
		for _, f := range t.Failures {
			if !hasProbe(r, f.Probe) {
				probeOf[add(f.Probe, "").row] = f.Probe
			}
		}
	}
	for i := range list {
		c := &list[i]
		for _, side := range sides {
			c.sides[side] = summarize(r.values(side, c.row))
			if c.sides[side].n == 0 {
				c.sides[side] = summary{failed: r.why(side, probeOf[c.row])}
			}
		}
		c.advantage = summarize(r.advantages(c.row, c.unit))
	}
	return list
}

func hasProbe(r *results, probe string) bool {
	return slices.ContainsFunc(r.Turns, func(t turn) bool {
		return slices.ContainsFunc(t.Figures, func(f measured) bool { return f.Probe == probe })
	})
}

// values are a row's on one side, of all rounds.
func (r *results) values(side, row string) (v []float64) {
	for _, t := range r.Turns {
		for _, f := range t.Figures {
			if t.Side == side && f.Row == row {
				v = append(v, f.Value)
			}
		}
	}
	return v
}

// why says why a side has no figure of a probe; empty if it does not have it at all.
func (r *results) why(side, probe string) string {
	for _, t := range r.Turns {
		for _, f := range t.Failures {
			if t.Side == side && (f.Probe == probe || f.Probe == wholeTurn) {
				return f.Why
			}
		}
	}
	return ""
}

// advantages has a value for each round in which both sides have the row.
func (r *results) advantages(row, unit string) (v []float64) {
	values := map[int]map[string]float64{}
	for _, t := range r.Turns {
		for _, f := range t.Figures {
			if f.Row == row {
				if values[t.Round] == nil {
					values[t.Round] = map[string]float64{}
				}
				values[t.Round][t.Side] = f.Value
			}
		}
	}
	for _, both := range values {
		h, okH := both[hvgoSide]
		l, okL := both[linuxSide]
		if lessIsBetter(unit) {
			h, l = l, h
		}
		if ratio := h / l; okH && okL && ratio > 0 && !math.IsInf(ratio, 0) && !math.IsNaN(ratio) {
			v = append(v, ratio)
		}
	}
	return v
}

// goal is what the project wants of a row.
type goal struct {
	prefix, suffix string  // of the row's name
	advantage      float64 // at least; 0: none
	most           float64 // of hvgo, in the row's unit; 0: none
}

// goals: the first that fits holds.
var goals = []goal{
	{prefix: "start: ready", advantage: 10},
	{prefix: "smallest VM", advantage: 3, most: 24},
	{prefix: "image", advantage: 4},
	{prefix: "idle: exits", most: 2},
	{prefix: "HTTP", suffix: "exits per request", advantage: 1},
	{prefix: "HTTP", suffix: "p99", advantage: 1},
	{prefix: "HTTP", suffix: "1 connection", advantage: 1.5},
	{prefix: "HTTP", suffix: "connections", advantage: 1.5},
	{prefix: "TCP", suffix: "stream", advantage: 1},
	{prefix: "TCP", suffix: "streams", advantage: 1},
	{prefix: "disk, random read", suffix: "depth 1", advantage: 1.2},
	{prefix: "disk, random read", suffix: "depth 32", advantage: 1.2},
}

func goalOf(row string) *goal {
	for i := range goals {
		if g := &goals[i]; strings.HasPrefix(row, g.prefix) && strings.HasSuffix(row, g.suffix) {
			return g
		}
	}
	return nil
}

// missed tells whether a comparison that has figures misses its goal.
func (c *comparison) missed() bool {
	g := c.goal
	switch {
	case g == nil:
		return false
	case g.advantage > 0 && c.advantage.n > 0 && c.advantage.median < g.advantage:
		return true
	}
	return g.most > 0 && c.sides[hvgoSide].n > 0 && c.sides[hvgoSide].median > g.most
}

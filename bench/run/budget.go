// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// budget is what counts may be at most.
type budget struct {
	Rows []limit `json:"rows"`
}

// limit is a row's; at least one number.
type limit struct {
	Row   string  `json:"row"`
	Most  float64 `json:"most,omitempty"`  // of hvgo
	Ratio float64 `json:"ratio,omitempty"` // hvgo's in shares of Linux's
}

func readBudget(name string) (*budget, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return parseBudget(name, b)
}

func parseBudget(name string, text []byte) (*budget, error) {
	var b budget
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(b.Rows) == 0 {
		return nil, fmt.Errorf("%s has no rows: it would allow everything", name)
	}
	seen := map[string]bool{}
	for _, l := range b.Rows {
		switch {
		case l.Row == "" || seen[l.Row]:
			return nil, fmt.Errorf("%s: a row without a name, or twice: %q", name, l.Row)
		case l.Most < 0 || l.Ratio < 0 || l.Most == 0 && l.Ratio == 0:
			return nil, fmt.Errorf("%s: %s: it needs \"most\" or \"ratio\", above 0", name, l.Row)
		}
		seen[l.Row] = true
	}
	return &b, nil
}

// wants tells whether a probe gives a row that has a limit: rows begin with its name.
func (b *budget) wants(probe string) bool {
	return slices.ContainsFunc(b.Rows, func(l limit) bool { return strings.HasPrefix(l.Row, probe+":") })
}

// needsLinux tells whether a limit is a ratio.
func (b *budget) needsLinux() bool {
	return slices.ContainsFunc(b.Rows, func(l limit) bool { return l.Ratio > 0 })
}

// judge compares counts with the budget. A row that was not measured is over it.
func (b *budget) judge(list []comparison) (lines []string, err error) {
	over := 0
	for _, l := range b.Rows {
		i := slices.IndexFunc(list, func(c comparison) bool { return c.row == l.Row })
		text, ok := "not measured", false
		if i >= 0 {
			text, ok = l.judge(&list[i])
		}
		if mark := "  "; ok {
			lines = append(lines, mark+l.Row+": "+text)
			continue
		}
		over++
		lines = append(lines, "! "+l.Row+": "+text)
	}
	if over > 0 {
		err = fmt.Errorf("%d of %d rows are over the budget: find the cause, or change the budget with a reason", over, len(b.Rows))
	}
	return lines, err
}

func (l limit) judge(c *comparison) (text string, ok bool) {
	h, other := c.sides[hvgoSide], c.sides[linuxSide]
	if !isCount(c.unit) {
		return "it is no count, but " + c.unit, false
	}
	if h.n == 0 {
		return "failed: " + h.failed, false
	}
	text, ok = digits(h.median), true
	if l.Most > 0 {
		text += fmt.Sprintf(", at most %s", digits(l.Most))
		ok = h.median <= l.Most
	}
	if l.Ratio > 0 {
		if other.n == 0 {
			return text + "; Linux failed: " + other.failed, false
		}
		text += fmt.Sprintf("; Linux %s, at most %s times that", digits(other.median), digits(l.Ratio))
		ok = ok && h.median <= l.Ratio*other.median
	}
	return text, ok
}

// judge judges the results and prints how each limit is kept.
func (o *options) judge(r *results) error {
	b, err := readBudget(o.budget)
	if err != nil {
		return err
	}
	lines, err := b.judge(compare(r))
	fmt.Println(strings.Join(lines, "\n"))
	for _, t := range r.Turns {
		for _, f := range t.Failures {
			err = errors.Join(err, fmt.Errorf("%s, %s: failed: %s", t.Side, f.Probe, f.Why))
		}
	}
	return err
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// results are the raw figures.
type results struct {
	Time     time.Time `json:"time"`
	Host     host      `json:"host"`
	CPUs     int       `json:"cpus"`
	Memory   int       `json:"memory_mib"`
	Requests int       `json:"requests"`
	Built    built     `json:"built"`
	Turns    []turn    `json:"turns"`
}

// turn is what one start of one side gave.
type turn struct {
	Round   int        `json:"round"`
	Side    string     `json:"side"`
	Seconds float64    `json:"seconds"`
	Figures []measured `json:"figures"`
	// Detail is what a probe's counts consist of, for each request, MiB, read, second.
	Detail   map[string]map[string]float64 `json:"detail,omitempty"`
	Failures []failure                     `json:"failures,omitempty"`
}

// failure is a probe that gave nothing.
type failure struct {
	Probe string `json:"probe"`
	Why   string `json:"why"`
}

// wholeTurn is the failure of all probes: the guest did not come up, or did not end well.
const wholeTurn = "the guest"

// probeAge bounds one probe.
const probeAge = 5 * time.Minute

// measure lets the sides take turns, and writes what that gave.
func (o *options) measure(ctx context.Context) error {
	wanted, err := regexp.Compile(o.rows)
	if err != nil {
		return fmt.Errorf("-rows: %w", err)
	}
	list := slices.DeleteFunc(probes(o), func(p probe) bool { return !wanted.MatchString(p.name) })
	if o.check {
		b, err := readBudget(o.budget)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(p probe) bool { return !p.count || !b.wants(p.name) })
		if !b.needsLinux() {
			o.sides = "^" + hvgoSide + "$"
		}
	}
	if len(list) == 0 && !o.bisect {
		return errors.New("-rows: no row has such a name")
	}
	both, err := regexp.Compile(o.sides)
	if err != nil {
		return fmt.Errorf("-sides: %w", err)
	}
	r := results{Time: time.Now().UTC(), Host: hostHere(o.host), CPUs: o.cpus, Memory: o.memory, Requests: o.requests}
	if err := readJSON(o.file(builtFile), &r.Built); err != nil {
		return err
	}
	if !o.check {
		r.Turns = r.Built.turns()
	}
	for round := range o.rounds {
		for _, side := range sides {
			if !both.MatchString(side) {
				continue
			}
			t := turn{Round: round + 1, Side: side, Detail: map[string]map[string]float64{}}
			if why := r.Built.Failed[side]; why != "" {
				t.fail(wholeTurn, errors.New(why))
			} else {
				t.take(ctx, o, list)
			}
			r.Turns = append(r.Turns, t)
			if err := o.write(&r); err != nil { // what there is stays if the next turn is cut off
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			say("round %d, %s: %.0f s, %d figures, %d failed", t.Round, side, t.Seconds, len(t.Figures), len(t.Failures))
		}
	}
	if o.bisect {
		r.Turns = append(r.Turns, o.smallest(ctx, r.Built.Failed)...)
	}
	return o.finish(&r)
}

// take starts the side and measures all.
func (t *turn) take(ctx context.Context, o *options, list []probe) {
	begin := time.Now()
	defer func() { t.Seconds = time.Since(begin).Seconds() }()
	if len(list) == 0 {
		return
	}
	v, err := o.boot(ctx, t.Side, o.memory)
	if err != nil {
		t.fail(wholeTurn, err)
		return
	}
	for _, p := range list {
		if ctx.Err() != nil {
			break
		}
		if err := t.measure(ctx, o, v, p); err != nil {
			t.fail(p.name, err)
		}
	}
	if err := v.close(); err != nil {
		t.fail(wholeTurn, err)
	}
}

func (t *turn) measure(ctx context.Context, o *options, v *vm, p probe) error {
	ctx, cancel := context.WithTimeoutCause(ctx, probeAge, fmt.Errorf("not done after %v", probeAge))
	defer cancel()
	ctx, stop := v.while(ctx)
	defer stop(nil)
	v.detail = nil
	f, err := p.run(ctx, o, v)
	if err != nil {
		return err
	}
	for _, x := range f {
		if math.IsNaN(x.Value) || math.IsInf(x.Value, 0) || x.Value < 0 {
			return fmt.Errorf("%s is %v", x.Row, x.Value)
		}
	}
	if v.detail != nil {
		t.Detail[p.name] = v.detail
	}
	t.add(p.name, f...)
	return nil
}

func (t *turn) add(probe string, figures ...figure) {
	for _, f := range figures {
		t.Figures = append(t.Figures, measured{probe, f})
	}
}

func (t *turn) fail(probe string, err error) {
	why := strings.ReplaceAll(err.Error(), "\n", "; ")
	say("round %d, %s, %s: failed: %s", t.Round, t.Side, probe, why)
	t.Failures = append(t.Failures, failure{probe, why})
}

// finish writes all files; its error says what failed.
func (o *options) finish(r *results) error {
	if err := o.write(r); err != nil {
		return err
	}
	if o.check {
		return o.judge(r)
	}
	failed := 0
	for _, t := range r.Turns {
		failed += len(t.Failures)
	}
	if failed > 0 {
		return fmt.Errorf("%d measurements failed: the report names them", failed)
	}
	return nil
}

// write writes the figures and, but for -check, the report.
func (o *options) write(r *results) error {
	if err := writeJSON(o.file(o.rawFile()), r); err != nil || o.check {
		return err
	}
	for name, text := range plots(compare(r)) {
		if err := os.WriteFile(o.file(name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(o.file("report.md"), []byte(report(r)), 0o644)
}

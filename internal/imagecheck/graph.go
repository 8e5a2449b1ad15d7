// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package imagecheck

import (
	"fmt"
	"sort"
	"strings"
)

// graph walks the functions that trap context reaches, nearest first, so that
// each is reported with its shortest path.
type graph struct {
	p      *program
	rules  Rules
	byName map[string][]int
	from   map[int]parent // functions reached
	queue  []int
	found  []*Violation
}

// parent says how a function was reached first; from is -1 for a root.
type parent struct {
	from int
	how  string
	at   uint64
}

func newGraph(p *program, rules Rules) *graph {
	g := &graph{p: p, rules: rules, byName: map[string][]int{}, from: map[int]parent{}}
	for i := range p.functions {
		g.byName[p.functions[i].name] = append(g.byName[p.functions[i].name], i)
	}
	return g
}

func (g *graph) run(report *Report) []*Violation {
	g.addRoots(report)
	g.checkNames()
	for len(g.queue) > 0 {
		i := g.queue[0]
		g.queue = g.queue[1:]
		g.visit(i, report)
	}
	for i := range g.from {
		report.Reached = append(report.Reached, g.p.functions[i].name)
	}
	sort.Strings(report.Reached)
	return g.found
}

func (g *graph) addRoots(report *Report) {
	for _, root := range g.rules.Roots {
		any := false
		for i := range g.p.functions {
			if matches([]string{root}, g.p.functions[i].name) {
				any = true
				report.Roots = append(report.Roots, g.p.functions[i].name)
				g.reach(i, parent{from: -1})
			}
		}
		if !any {
			g.found = append(g.found, &Violation{
				What: fmt.Sprintf("the entry %s of %s is not in the program", root, g.rules.Context),
				Help: "Without it nothing is proven. Is the runtime linked in, or was the entry renamed?",
			})
		}
	}
}

// checkNames finds targets of indirect calls that are not there (any more) and
// so cannot be followed. A gate that is not there only makes the check stricter.
func (g *graph) checkNames() {
	for from, targets := range g.rules.Indirect {
		for _, name := range targets {
			if _, ok := g.byName[name]; !ok {
				g.found = append(g.found, &Violation{
					What: fmt.Sprintf("%s, a target of the indirect calls of %s, is not in the program", name, from),
					Help: "Correct its name in the rules.",
				})
			}
		}
	}
}

func (g *graph) reach(i int, by parent) {
	if _, ok := g.from[i]; !ok {
		g.from[i] = by
		g.queue = append(g.queue, i)
	}
}

// visit judges a function and goes on to those it reaches.
func (g *graph) visit(i int, report *Report) {
	name := g.p.functions[i].name
	if matches(g.rules.Gates, name) || matches(g.rules.Leaves, name) {
		return
	}
	if !inPackages(g.rules.Packages, name) {
		g.found = append(g.found, &Violation{
			What: g.rules.Context + " reaches " + name,
			Path: g.path(i),
			Help: help(name, g.callerOf(i)),
		})
		return
	}
	targets, known := g.rules.Indirect[name]
	s := g.p.scanFunction(i, known)
	report.Instructions += s.instructions
	for _, problem := range s.problems {
		g.found = append(g.found, &Violation{
			What: fmt.Sprintf("%s has %s in %s", g.rules.Context, problem.what, name),
			Path: append(g.path(i), fmt.Sprintf("%#x", problem.at)),
			Help: problem.help,
		})
	}
	for _, step := range s.steps {
		g.reach(step.to, parent{from: i, how: step.how, at: step.at})
	}
	for _, target := range targets {
		for _, to := range g.byName[target] {
			g.reach(to, parent{from: i, how: "indirect call", at: g.p.functions[i].start})
		}
	}
}

func (g *graph) callerOf(i int) string {
	if by := g.from[i]; by.from >= 0 {
		return short(g.p.functions[by.from].name)
	}
	return "it"
}

// path lists the steps from the root to function i.
func (g *graph) path(i int) []string {
	var steps []string
	for i >= 0 {
		by := g.from[i]
		name := g.p.functions[i].name
		if by.from >= 0 && g.p.functions[by.from].name == name {
			i = by.from // the wrapper between assembly's calling convention and Go's
			continue
		}
		text := short(name)
		if by.from >= 0 {
			text = fmt.Sprintf("%s (%s at %#x)", text, by.how, by.at)
		}
		steps = append([]string{text}, steps...)
		i = by.from
	}
	return steps
}

// isTypeData reports whether a data symbol describes types: its functions are
// those of all types, not those of the code that refers to it.
func isTypeData(name string) bool {
	return strings.HasPrefix(name, "type:") || strings.HasPrefix(name, "go:") || strings.HasPrefix(name, "runtime.")
}

// help says what to do about a function that the compiler or the programmer called.
func help(name, caller string) string {
	for _, h := range []struct{ prefix, text string }{
		{"runtime.morestack", "%s can grow its stack: mark it //go:nosplit, or do not call it from trap context."},
		{"runtime.gcWriteBarrier", "%s stores a Go pointer into memory: keep the address as a uintptr."},
		{"runtime.wb", "%s stores Go pointers into memory: keep the addresses as uintptr."},
		{"runtime.typedmemmove", "%s copies a value with Go pointers: keep the addresses as uintptr."},
		{"runtime.bulkBarrier", "%s copies values with Go pointers: keep the addresses as uintptr."},
		{"runtime.panicdivide", "%s divides by a variable: divide by a constant, or check for zero where the compiler sees it."},
		{"runtime.panicshift", "%s shifts by a signed variable: mask it or make it unsigned."},
		{"runtime.panic", "%s can panic (index, slice, nil): check explicitly, and index through a helper that cannot fail."},
		{"runtime.gopanic", "%s panics: return an error number."},
		{"runtime.newobject", "%s allocates: a variable escapes, or new is used."},
		{"runtime.mallocgc", "%s allocates: use memory set aside beforehand."},
		{"runtime.growslice", "%s appends to a slice: use an array of fixed size."},
		{"runtime.makeslice", "%s makes a slice: use an array of fixed size."},
		{"runtime.concatstring", "%s builds a string: write the parts one by one."},
		{"runtime.slicebytetostring", "%s converts bytes to a string, which allocates."},
		{"runtime.conv", "%s makes an interface value, which allocates."},
		{"runtime.defer", "%s uses defer: call at each return."},
		{"runtime.map", "%s uses a map: use a table."},
		{"runtime.print", "%s prints: use the console functions of trap context."},
		{"runtime.chan", "%s uses a channel."},
	} {
		if strings.HasPrefix(name, h.prefix) {
			return fmt.Sprintf(h.text, caller)
		}
	}
	return "Only the packages of trap context and a few leaves may be reached. Move what is needed there, or let the door do it."
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package imagecheck

import (
	"fmt"

	"golang.org/x/arch/x86/x86asm"
)

// step is a way from one function to another.
type step struct {
	to  int    // function
	how string // "call", "jump", "address"
	at  uint64 // of the instruction
}

// problem is something in a function that ends the proof.
type problem struct {
	what, help string
	at         uint64
}

// scan is what one function does.
type scan struct {
	steps        []step
	problems     []problem
	instructions int
}

// scanner goes through the code of one function.
type scanner struct {
	p      *program
	f      *function
	out    scan
	tables map[x86asm.Reg]uint64 // registers that a LEA gave an address
	seen   map[step]bool         // without the address of the instruction
	open   bool                  // indirect calls are known and need no report
}

// scanFunction reads a function from its first to its last byte.
func (p *program) scanFunction(index int, indirectKnown bool) scan {
	f := &p.functions[index]
	s := scanner{p: p, f: f, open: indirectKnown, tables: map[x86asm.Reg]uint64{}, seen: map[step]bool{}}
	code := p.code(f.start, f.end)
	for at := f.start; at < f.end; {
		in, ok := decode(code[at-f.start:])
		if !ok {
			s.problem(at, fmt.Sprintf("an unknown instruction (% x)", code[at-f.start:min(at-f.start+8, f.end-f.start)]),
				"Add it to the table in internal/imagecheck/decode.go.")
			return s.out
		}
		s.out.instructions++
		s.instruction(&in, at)
		at += uint64(in.Len)
	}
	return s.out
}

func (s *scanner) problem(at uint64, what, help string) {
	s.out.problems = append(s.out.problems, problem{what: what, help: help, at: at})
}

func (s *scanner) step(to int, how string, at uint64) {
	key := step{to: to, how: how}
	if !s.seen[key] {
		s.seen[key] = true
		s.out.steps = append(s.out.steps, step{to, how, at})
	}
}

func (s *scanner) instruction(in *instruction, at uint64) {
	next := at + uint64(in.Len)
	switch in.Op {
	case x86asm.SYSCALL:
		s.problem(at, "a SYSCALL instruction", "Trap context serves system calls and cannot make one.")
	case x86asm.CALL:
		s.branch(in, at, next, "call")
		return
	case x86asm.JMP:
		s.branch(in, at, next, "jump")
		return
	}
	if rel, ok := in.Args[0].(x86asm.Rel); ok {
		s.target(next+uint64(int64(rel)), "jump", at)
		return
	}
	for _, arg := range in.Args {
		if m, ok := arg.(x86asm.Mem); ok && m.Base == x86asm.RIP {
			s.reference(next+uint64(m.Disp), at)
		}
	}
	s.track(in, next)
}

// track remembers which registers hold an address from LEA, for jump tables.
func (s *scanner) track(in *instruction, next uint64) {
	r, ok := in.Args[0].(x86asm.Reg)
	if !ok {
		return
	}
	if m, ok := in.Args[1].(x86asm.Mem); ok && in.Op == x86asm.LEA && m.Base == x86asm.RIP {
		s.tables[r] = next + uint64(m.Disp)
	} else if in.Op != x86asm.CMP && in.Op != x86asm.TEST {
		delete(s.tables, r)
	}
}

// branch handles CALL and JMP.
func (s *scanner) branch(in *instruction, at, next uint64, how string) {
	switch arg := in.Args[0].(type) {
	case x86asm.Rel:
		s.target(next+uint64(int64(arg)), how, at)
		return
	case x86asm.Mem:
		if arg.Base == x86asm.RIP && s.p.isReadOnly(next+uint64(arg.Disp)) {
			if value, ok := s.p.word(next + uint64(arg.Disp)); ok {
				s.target(value, how, at)
				return
			}
		}
		if how == "jump" && s.jumpTable(arg) {
			return
		}
	}
	if !s.open {
		s.open = true // one of a kind is enough
		s.problem(at, "an indirect "+how+" ("+in.String()+")",
			"Call the function by its name (no func value, interface, closure or method value), or name the targets in Rules.Indirect.")
	}
}

// jumpTable recognises the table of a switch: a read-only array of addresses
// inside this function, which the compiler has bounded.
func (s *scanner) jumpTable(m x86asm.Mem) bool {
	table, ok := s.tables[m.Base]
	if !ok || m.Scale != 8 || m.Disp != 0 || !s.p.isReadOnly(table) {
		return false
	}
	entry, ok := s.p.word(table)
	return ok && entry > s.f.start && entry < s.f.end
}

// target handles a direct branch to addr.
func (s *scanner) target(addr uint64, how string, at uint64) {
	if addr >= s.f.start && addr < s.f.end && how == "jump" {
		return
	}
	to := s.p.functionAt(addr)
	if to < 0 {
		s.problem(at, fmt.Sprintf("a %s to %#x, where no function is", how, addr), "")
		return
	}
	s.step(to, how, at)
}

// reference handles an address that the code takes or reads: a function, a
// function value, or data with functions in it.
func (s *scanner) reference(addr, at uint64) {
	if to := s.p.functionStart(addr); to >= 0 {
		s.step(to, "address", at)
		return
	}
	if to := s.functionValue(addr); to >= 0 && s.p.isReadOnly(addr) {
		s.step(to, "address", at)
		return
	}
	o := s.p.objectAt(addr)
	if o == nil || isTypeData(o.name) {
		return
	}
	for a := (o.start + 7) &^ 7; a+8 <= o.end; a += 8 {
		value, ok := s.p.address(a)
		if !ok {
			continue
		}
		if to := s.p.functionStart(value); to >= 0 {
			s.step(to, "address in "+short(o.name), at)
		} else if to := s.functionValue(value); to >= 0 && s.p.isReadOnly(value) {
			s.step(to, "address in "+short(o.name), at)
		}
	}
}

// functionValue returns the function that the word at addr points to, or -1.
func (s *scanner) functionValue(addr uint64) int {
	if addr%8 != 0 {
		return -1
	}
	value, ok := s.p.address(addr)
	if !ok {
		return -1
	}
	return s.p.functionStart(value)
}

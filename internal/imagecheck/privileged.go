// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package imagecheck

import (
	"fmt"

	"golang.org/x/arch/x86/x86asm"
)

// findPrivileged looks at every function for instructions that only the
// packages of rules.Privileged may hold.
func findPrivileged(p *program, rules Rules, report *Report) []*Violation {
	var found []*Violation
	for i := range p.functions {
		f := &p.functions[i]
		if inPackages(rules.Privileged, f.name) {
			continue
		}
		name, at := p.privilegedIn(f, report)
		if name == "" {
			continue
		}
		found = append(found, &Violation{
			What: fmt.Sprintf("the privileged instruction %s is in %s, at %#x", name, f.name, at),
			Help: "Only runtime/ring0, runtime/efi, hv and boot may hold such instructions.",
		})
	}
	return found
}

// privilegedIn returns the first privileged instruction of a function, or "".
// Assembly with tables among its code does not decode in one sweep, and bytes of
// a table can look like such an instruction; so in a function with bytes that do
// not decode, only what branches lead to counts.
func (p *program) privilegedIn(f *function, report *Report) (name string, at uint64) {
	code := p.code(f.start, f.end)
	unknown := 0
	for addr := f.start; addr < f.end; {
		in, ok := decode(code[addr-f.start:])
		if !ok {
			unknown++
			addr++
			continue
		}
		report.Instructions++
		if in.privileged != "" && name == "" {
			name, at = in.privileged, addr
		}
		addr += uint64(in.Len)
	}
	report.Unknown += unknown
	if name != "" && unknown > 0 {
		return followPrivileged(f, code)
	}
	return name, at
}

// followPrivileged goes along the branches from the start of the function.
func followPrivileged(f *function, code []byte) (name string, at uint64) {
	visited := make([]bool, len(code))
	todo := []uint64{f.start}
	for len(todo) > 0 {
		addr := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for addr >= f.start && addr < f.end && !visited[addr-f.start] {
			visited[addr-f.start] = true
			in, ok := decode(code[addr-f.start:])
			if !ok {
				break
			}
			if in.privileged != "" {
				return in.privileged, addr
			}
			addr += uint64(in.Len)
			if rel, ok := in.Args[0].(x86asm.Rel); ok && in.Op != x86asm.CALL {
				todo = append(todo, addr+uint64(int64(rel)))
			}
			if in.Op == x86asm.JMP || in.Op == x86asm.RET || in.Op == x86asm.UD2 {
				break
			}
		}
	}
	return "", 0
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package imagecheck proves two things of a linked program before it becomes an
// image: that code which runs in trap context stays within what trap context
// may do, and that privileged instructions are only where they belong.
//
// A trap can come at any moment: with the world stopped, without a P, on a stack
// that cannot grow. So nothing that is reachable from a trap entry may allocate,
// meet a write barrier, grow a stack, panic, or enter the Go runtime in any other
// way. The source cannot show that, since the compiler inserts the calls; the
// linked image can. Check disassembles it, follows the calls from the entries
// (Rules.Roots), and reports each forbidden symbol with the way to it:
//
//	trap context reaches runtime.mallocgc
//	    ring0.trapCommon
//	    -> ring0.trap          (call at 0x4a1c20)
//	    -> sched.wake          (call at 0x4a2210)
//	    -> runtime.newobject   (call at 0x4a2b33)
//
// What counts as a step: direct calls; jumps to another function; a function
// whose address is taken (LEA), or that stands in a function value or a table
// which the code refers to. Indirect calls cannot be followed, so they are
// errors unless Rules.Indirect names their targets. Jump tables that the compiler
// made of a switch are followed.
//
// Not proven: what code does to memory, how deep the stack goes (the linker
// checks that for nosplit functions), and what is reached by a computed address.
//
// On the way of a byte this package does not stand; image/build calls it after
// the linker.
package imagecheck

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Rules say what is to be checked. Symbols are named as the linker names them,
// without the suffix .abi0.
type Rules struct {
	// Context is what the code between Roots and Gates is called in messages.
	Context string
	// Roots are the entries of trap context. A name that the program lacks is
	// an error. A name that ends in * stands for all symbols of which at least
	// one must exist.
	Roots []string
	// Packages are the import paths of trap code; with "/..." at the end, those
	// below too.
	Packages []string
	// Leaves are symbols elsewhere that trap code may reach: harmless, and not
	// followed. With * at the end, all that begin so.
	Leaves []string
	// Gates are symbols where trap context ends. They are not followed.
	Gates []string
	// Indirect names the functions that have indirect calls or jumps, with all
	// the functions these can reach. None means that they leave the program: to
	// the hypercall page, or back to the interrupted code.
	Indirect map[string][]string
	// Privileged are the packages (as in Packages) that may hold privileged
	// instructions. Empty: they are not looked for.
	Privileged []string
}

const module = "github.com/hvgo/hvgo/"

// leaves are assembly of the runtime that touches nothing but its arguments.
var leaves = []string{
	"runtime.duffzero", "runtime.duffcopy", "runtime.memmove", "runtime.memclrNoHeapPointers",
	"runtime.memequal*", "memeqbody", "internal/runtime/atomic.*", "sync/atomic.*",
}

// Trap returns the rules of trap context: the entries are the symbols of
// runtime/ring0 that begin with "trap", and the vDSO's clock in hv, which the Go
// runtime calls where nothing else may run either. Privileged instructions are
// only in the packages that are the machine.
func Trap() Rules {
	return Rules{
		Context:  "trap context",
		Roots:    []string{module + "runtime/ring0.trap*", module + "hv.clockGettime"},
		Packages: []string{module + "runtime/...", module + "hv"},
		Leaves:   leaves,
		Gates:    []string{module + "runtime/trap.doorEntry", module + "runtime/trap.goLastWords"},
		Indirect: map[string][]string{
			module + "hv.callPage":               nil, // the hypercall page
			module + "runtime/ring0.trapSyscall": nil, // back behind the SYSCALL
			module + "runtime/efi.call":          nil, // the firmware's ResetSystem
			module + "runtime/mem.settle":        {module + "hv.flushOthers"},
			module + "runtime/ring0.Relax":       {module + "hv.longSpin"},
		},
		Privileged: []string{module + "runtime/ring0", module + "runtime/efi", module + "hv", module + "boot"},
	}
}

// Crash returns the rules of the report of a crash, the machine's last words: a stack
// and a stand-in for g of its own, as in boot. It may not wait for anybody, nor use
// what belongs to the Go runtime. golang.org/x/arch allocates by the functions that
// are listed; all of them come to mallocgc, which runtime/report has replaced by then.
func Crash() Rules {
	return Rules{
		Context:  "the report of a crash",
		Roots:    []string{module + "runtime/trap.lastWords"},
		Packages: []string{module + "runtime/...", module + "hv", "golang.org/x/arch/x86/x86asm"},
		Leaves: append([]string{"runtime.morestack*", "runtime.panic*", "runtime.gcWriteBarrier*",
			"runtime.convT*", "runtime.newobject", "runtime.ifaceeq"}, leaves...),
		Gates: []string{
			"fmt.Sprintf",    // for a register or an operation that x86asm has no name for
			"runtime.print*", // before a panic of x86asm's; a system call, so it ends there
		},
		Indirect: Trap().Indirect,
	}
}

// Boot returns the rules of the time before the Go runtime starts: from the
// image's entry until its first thread runs. There is a stand-in for g whose
// stack never ends, and no collector: stacks may be checked and pointers stored.
// But there is no heap, and nothing catches a panic, so what can allocate must
// not be reached; a panic ends the machine.
func Boot() Rules {
	return Rules{
		Context:  "boot",
		Roots:    []string{module + "boot.entry", module + "boot.entryLinux", module + "boot.entryPVH", module + "boot.processor"},
		Packages: []string{module + "boot", module + "runtime/...", module + "hv", module + "internal/wire/..."},
		Leaves: append([]string{"runtime.morestack*", "runtime.panic*", "runtime.gcWriteBarrier*",
			"runtime.decoderune"}, leaves...),
		Gates: []string{"_rt0_amd64_linux", module + "runtime/trap.doorEntry", module + "runtime/trap.goLastWords"},
		Indirect: map[string][]string{
			module + "hv.callPage":               nil, // the hypercall page
			module + "runtime/ring0.trapSyscall": nil, // back behind the SYSCALL
			module + "runtime/efi.call":          nil, // the firmware
			module + "runtime/mem.settle":        {module + "hv.flushOthers"},
			module + "runtime/ring0.Relax":       {module + "hv.longSpin"},
			// These take the functions that they call in code that boot
			// reaches, so they are followed as addresses.
			module + "boot.refuse":    nil,
			module + "boot.tryRandom": nil,
		},
	}
}

// Report is what Check looked at.
type Report struct {
	Roots        []string // trap entries found
	Reached      []string // symbols in trap context, gates and leaves included
	Functions    int      // in the program
	Instructions int      // decoded
	Unknown      int      // bytes in code that are not a known instruction: tables of assembly
}

// Violation is one broken rule.
type Violation struct {
	What string   // the rule and the symbol that broke it
	Path []string // from the entry to the offender, one step each; nil without a path
	Help string   // what to do
}

// Error formats v over several lines.
func (v *Violation) Error() string {
	var b strings.Builder
	b.WriteString(v.What)
	for i, step := range v.Path {
		b.WriteString("\n    ")
		if i > 0 {
			b.WriteString("-> ")
		}
		b.WriteString(step)
	}
	if v.Help != "" {
		b.WriteString("\n    " + v.Help)
	}
	return b.String()
}

// maxViolations bounds what is printed.
const maxViolations = 20

// Check applies sets of rules to the ELF program at path, which needs its symbol
// table. The error joins a *Violation for each broken rule.
func Check(path string, sets ...Rules) (*Report, error) {
	p, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("checking %s: %w", path, err)
	}
	report := &Report{Functions: len(p.functions)}
	var found []*Violation
	for _, rules := range sets {
		found = append(found, newGraph(p, rules).run(report)...)
		if len(rules.Privileged) > 0 {
			found = append(found, findPrivileged(p, rules, report)...)
		}
	}
	if len(found) == 0 {
		return report, nil
	}
	errs := []error{fmt.Errorf("checking %s: rules of the image broken: %d", path, len(found))}
	for i, v := range found {
		if i == maxViolations {
			errs = append(errs, fmt.Errorf("and %d more", len(found)-i))
			break
		}
		errs = append(errs, v)
	}
	return report, errors.Join(errs...)
}

// matches reports whether name is in list, where * at the end of an entry stands for anything.
func matches(list []string, name string) bool {
	return slices.ContainsFunc(list, func(pattern string) bool {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			return strings.HasPrefix(name, prefix)
		}
		return name == pattern
	})
}

// inPackages reports whether a symbol's package is in list.
func inPackages(list []string, symbol string) bool {
	path := packageOf(symbol)
	return slices.ContainsFunc(list, func(pattern string) bool {
		if parent, ok := strings.CutSuffix(pattern, "/..."); ok {
			return path == parent || strings.HasPrefix(path, parent+"/")
		}
		return path == pattern
	})
}

// packageOf returns the import path of a symbol: all before the first dot behind
// the last slash, type arguments aside.
func packageOf(symbol string) string {
	name, _, _ := strings.Cut(symbol, "[")
	slash := strings.LastIndexByte(name, '/') + 1
	dot := strings.IndexByte(name[slash:], '.')
	if dot < 0 {
		return ""
	}
	return strings.ReplaceAll(name[:slash+dot], "%2e", ".")
}

// short returns a symbol without the folders of its import path.
func short(symbol string) string {
	name, rest, generic := strings.Cut(symbol, "[")
	name = name[strings.LastIndexByte(name, '/')+1:]
	if generic {
		name += "[" + rest
	}
	return name
}

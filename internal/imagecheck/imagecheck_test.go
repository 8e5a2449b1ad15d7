// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package imagecheck

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// build links testdata/prog, whose package prog/trap has one function for each
// way to break a rule.
func build(t *testing.T, arguments ...string) string {
	t.Helper()
	return buildIn(t, "prog", arguments...)
}

// buildIn links the main package in a folder of testdata.
func buildIn(t *testing.T, folder string, arguments ...string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no Go toolchain in PATH")
	}
	out := filepath.Join(t.TempDir(), "prog")
	cmd := exec.Command("go", append([]string{"build", "-o", out}, append(arguments, ".")...)...)
	cmd.Dir = filepath.Join("testdata", folder)
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOPROXY=off", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, text)
	}
	return out
}

// rulesFor are the rules of testdata/prog for one entry.
func rulesFor(root string) Rules {
	return Rules{
		Context:  "trap context",
		Roots:    []string{"prog/trap." + root},
		Packages: []string{"prog/trap"},
		Leaves:   leaves,
	}
}

func TestEachRule(t *testing.T) {
	tests := []struct {
		root string
		want []string // parts of the error, in this order; none: no error
	}{
		{"trapClean", nil},
		{"trapAlloc", []string{"reaches runtime.newobject", "trap.trapAlloc", "-> trap.allocate (call at 0x", "-> runtime.newobject (call at", "trap.allocate allocates"}},
		{"trapBarrier", []string{"reaches runtime.gcWriteBarrier", "trap.trapBarrier", "uintptr"}},
		{"trapSplit", []string{"reaches runtime.morestack", "trap.trapSplit", "-> trap.splits", "trap.splits can grow its stack: mark it //go:nosplit"}},
		{"trapIndex", []string{"reaches runtime.panic", "trap.trapIndex", "can panic"}},
		{"trapDivide", []string{"reaches runtime.panicdivide", "divide by a constant"}},
		{"trapMap", []string{"reaches runtime.map", "trap.trapMap"}},
		{"trapFunctionValue", []string{"an indirect call", "in prog/trap.trapFunctionValue", "Rules.Indirect"}},
		{"trapInterface", []string{"an indirect call", "in prog/trap.trapInterface"}},
		{"trapForeign", []string{"reaches prog/other.Harmless", "trap.trapForeign", "Only the packages of trap context"}},
		{"trapTable", []string{"reaches runtime.newobject", "trap.trapTable", "-> trap.allocateNothing (address in trap.table at"}},
		{"trapValueTaken", []string{"reaches runtime.newobject", "-> trap.allocate (address at"}},
		{"trapAddress", []string{"reaches runtime.newobject", "trap.trapAddress", "-> trap.allocate (address at"}},
		{"trapJump", []string{"reaches runtime.newobject", "trap.trapJump", "-> trap.allocate (jump at"}},
		{"trapSyscall", []string{"a SYSCALL instruction in prog/trap.trapSyscall"}},
		{"trapUnknown", []string{"an unknown instruction (0f 0a", "prog/trap.trapUnknown"}},
		{"trapComputed", []string{"an indirect jump", "prog/trap.trapComputed"}},
		{"trapMissing", []string{"the entry prog/trap.trapMissing of trap context is not in the program"}},
		{"trapMiss*", []string{"the entry prog/trap.trapMiss* of trap context is not in the program"}},
	}
	for _, mode := range []string{"exe", "pie"} {
		path := build(t, "-buildmode="+mode)
		for _, test := range tests {
			t.Run(mode+"/"+test.root, func(t *testing.T) {
				report, err := Check(path, rulesFor(test.root))
				checkError(t, err, test.want)
				if test.want == nil && len(report.Reached) < 5 {
					t.Errorf("reached only %v", report.Reached)
				}
			})
		}
	}
}

// checkError wants the parts in this order, or no error.
func checkError(t *testing.T, err error, want []string) {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Errorf("unexpected: %v", err)
		}
		return
	}
	if err == nil {
		t.Fatalf("no error, want %q", want)
	}
	if violation := (*Violation)(nil); !errors.As(err, &violation) {
		t.Errorf("no *Violation in %v", err)
	}
	rest := err.Error()
	for _, part := range want {
		i := strings.Index(rest, part)
		if i < 0 {
			t.Fatalf("%q is missing, or not in order, in:\n%v", part, err)
		}
		rest = rest[i+len(part):]
	}
}

// TestRuntimeItself proves hvgo's own trap code, in a program without anything else.
func TestRuntimeItself(t *testing.T) {
	path := buildIn(t, "guest", "-buildmode=pie", "-ldflags=-checklinkname=0 -E "+module+"boot.entry")
	report, err := Check(path, Trap(), Boot())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d entries, %d functions reached, %d instructions", len(report.Roots), len(report.Reached), report.Instructions)
	for _, name := range []string{"runtime/mem.Fault", "runtime/mem.Mmap", "runtime/ring0.trapSyscall", "runtime/trap.doorEntry",
		"boot.enterDirect", "runtime/handover.(*Info).FromStartInfo", "runtime/acpi.Off"} {
		if !slices.Contains(report.Reached, module+name) {
			t.Errorf("%s is not reached: the walk stops somewhere", name)
		}
	}
	if slices.Contains(report.Reached, module+"runtime/linux.Door") {
		t.Error("the walk goes through the door")
	}
}

func TestGatesAndIndirectTargets(t *testing.T) {
	path := build(t)
	gated := rulesFor("trapJump")
	gated.Gates = []string{"prog/trap.allocate"}
	if _, err := Check(path, gated); err != nil {
		t.Errorf("gate: %v", err)
	}
	known := rulesFor("trapFunctionValue")
	known.Indirect = map[string][]string{"prog/trap.trapFunctionValue": nil}
	if _, err := Check(path, known); err != nil {
		t.Errorf("known indirect call: %v", err)
	}
	known.Indirect = map[string][]string{"prog/trap.trapFunctionValue": {"prog/trap.allocate"}}
	_, err := Check(path, known)
	checkError(t, err, []string{"reaches runtime.newobject", "-> trap.allocate (indirect call"})
	known.Indirect = map[string][]string{"prog/trap.trapFunctionValue": {"prog/trap.gone"}}
	_, err = Check(path, known)
	checkError(t, err, []string{"prog/trap.gone, a target of the indirect calls of prog/trap.trapFunctionValue, is not in the program"})
}

func TestPrivilegedInstructions(t *testing.T) {
	path := build(t)
	rules := rulesFor("trapClean")
	rules.Privileged = []string{"prog/trap"}
	_, err := Check(path, rules)
	checkError(t, err, []string{"the privileged instruction HLT is in prog/other.Halt, at 0x"})
	if strings.Contains(err.Error(), "prog/trap") || strings.Contains(err.Error(), "tables") {
		t.Errorf("more was found: %v", err)
	}
	rules.Privileged = []string{"prog/other/..."}
	_, err = Check(path, rules)
	for _, instruction := range []string{"WRMSR", "VMMCALL", "MOV CR3"} {
		checkError(t, err, []string{"the privileged instruction " + instruction + " is in prog/trap."})
	}
	rules.Privileged = []string{"prog/..."}
	if _, err = Check(path, rules); err != nil {
		t.Errorf("all allowed: %v", err)
	}
}

func TestFilesThatCannotBeChecked(t *testing.T) {
	if _, err := Check(build(t, "-ldflags=-s -w"), rulesFor("trapClean")); !errors.Is(err, errNoSymbols) {
		t.Errorf("stripped: %v", err)
	}
	whole, err := os.ReadFile(build(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, length := range []int{0, 3, 16, 64, 4096, len(whole) / 2, len(whole) - 1} {
		path := filepath.Join(t.TempDir(), "cut")
		if err := os.WriteFile(path, whole[:length], 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Check(path, rulesFor("trapClean")); err == nil {
			t.Errorf("%d of %d bytes are accepted", length, len(whole))
		}
	}
	if _, err := Check("imagecheck.go", rulesFor("trapClean")); err == nil {
		t.Error("a text file is accepted")
	}
	if _, err := Check(filepath.Join(t.TempDir(), "none"), rulesFor("trapClean")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestPackageOf(t *testing.T) {
	for symbol, want := range map[string]string{
		"main.main":                              "main",
		"runtime.mallocgc":                       "runtime",
		"github.com/a/b.F":                       "github.com/a/b",
		"github.com/a/b.(*T).M":                  "github.com/a/b",
		"github.com/a/b.F[go.shape.int]":         "github.com/a/b",
		"a/b.F[github.com/c/d.T]":                "a/b",
		"gopkg.in/yaml%2ev3.F":                   "gopkg.in/yaml.v3",
		"a/b.init.0":                             "a/b",
		"_rt0_amd64_linux":                       "",
		"github.com/hvgo/hvgo/runtime/ring0.x.y": "github.com/hvgo/hvgo/runtime/ring0",
	} {
		if got := packageOf(symbol); got != want {
			t.Errorf("package of %s: %q, want %q", symbol, got, want)
		}
	}
}

// BenchmarkCheck checks the go command itself, 15 MB, for privileged instructions.
func BenchmarkCheck(b *testing.B) {
	path, err := exec.LookPath("go")
	if err != nil {
		b.Skip(err)
	}
	for b.Loop() {
		report, err := Check(path, Rules{Context: "all", Roots: []string{"runtime.memmove"}, Leaves: leaves, Privileged: []string{"none"}})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(report.Instructions), "instructions")
		b.ReportMetric(float64(report.Unknown), "unknown-bytes")
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/host/vmm"
)

// TestCrash makes the runtime fail in each of the ways that end it, and reads what it
// says about that: on the console, and to the host.
func TestCrash(t *testing.T) {
	const (
		trap = `github\.com/hvgo/hvgo/runtime/trap\.`
		line = `\+0x[0-9a-f]+\n      .*/%s:\d+\n`
		// Through the trap to the goroutine.
		rest = `(?s:.*)  ` + trap + `handleSyscall\+.*\n(?s:.*)  github\.com/hvgo/hvgo/runtime/ring0\.trapSyscall\+.*\n.*\n` +
			`  -- system call 4351 of --\n  internal/runtime/syscall/linux\.Syscall6\+.*\n(?s:.*)  main\.provoke\+.*\n      .*/ends\.go:\d+\n` +
			`  main\.main\+.*\n(?s:.*)  runtime\.main\+(?s:.*)  runtime\.goexit\+`
	)
	at := func(function, file string) string {
		return `  ` + trap + function + strings.ReplaceAll(line, "%s", file)
	}
	for _, tt := range []struct {
		name, command string
		says          string // at the beginning
		trace         string // from the innermost call on
		instruction   string
	}{
		{"read", "provoke 0", `page fault in the runtime: read of CR2\n  vector 0xe  error 0x0\n  rip 0x[0-9a-f]+  cr2 0xfffff00000000010\n`,
			at("readWord", `provoke\.go`) + at("provoke", `provoke\.go`) + at("kernelCall", `kernel\.go`) + rest, `MOV R?[A-Z0-9]+, \[R[A-Z0-9]+\]`},
		{"write", "provoke 1", `page fault in the runtime: write to CR2\n  vector 0xe  error 0x2\n`,
			at("writeWord", `provoke\.go`) + at("provoke", `provoke\.go`) + rest, `MOV \[R[A-Z0-9]+\], R[A-Z0-9]+`},
		{"protection", "provoke 2", `exception in the runtime\n  vector 0xd  error 0x0\n`,
			at("readWord", `provoke\.go`) + at("provoke", `provoke\.go`) + rest, `MOV R[A-Z0-9]+, \[R[A-Z0-9]+\]`},
		{"overflow", "provoke 3", `page fault in the runtime: stack overflow\n  vector 0xe  error 0x2\n`,
			at("pushForever", `provoke_amd64\.s`), `PUSH RAX`},
		{"double fault", "provoke 4", `double fault\n  vector 0x8  error 0x0\n`,
			at("readWord", `provoke\.go`) + at("provoke", `provoke\.go`) + rest, `MOV R[A-Z0-9]+, \[R[A-Z0-9]+\]`},
		{"NMI", "provoke 5", `NMI: somebody asks where the machine is\n  vector 0x2  error 0x0\n`,
			at("interruptNMI", `provoke_amd64\.s`) + at("provoke", `provoke\.go`) + rest, ``},
		{"machine check", "provoke 6", `machine check\n  vector 0x12  error 0x0\n`,
			at("interruptMachineCheck", `provoke_amd64\.s`) + at("provoke", `provoke\.go`) + rest, ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := bootProbe(t, options{noNetwork: true}, tt.command)
			e := v.wait(patience)
			if e.Kind != vmm.Crash || e.Params[0] != 0x4F475648 || e.Params[1] != 134 || e.Params[2]>>63 != 0 || e.Params[2] == 0 {
				t.Errorf("ended with %v", e)
			}
			console, _ := v.console.text()
			console = strings.ReplaceAll(console, "\r\n", "\n")
			want := `(?m)^hvgo: fatal: ` + tt.says + `(?s:.*)^  r15 .*\nprocessor 0, thread \d+:\n` + tt.trace +
				`(?s:.*)^code at 0x[0-9a-f]+:( [0-9a-f][0-9a-f])+\ninstruction: ` + tt.instruction
			for what, text := range map[string]string{"console": console, "host": e.Message} {
				if !regexp.MustCompile(want).MatchString(text) {
					t.Errorf("the %s has %q", what, text)
				}
			}
			t.Logf("%s", e.Message)
		})
	}
	t.Run("processors", func(t *testing.T) {
		o := options{noNetwork: true}
		o.Machine.VCPUs = 3
		v := bootProbe(t, o, "provoke-busy 0")
		e := v.wait(patience)
		// One is at fault, one is busy, and says where, one may be idle.
		const place = `(hypercall page|\S+)\+0x[0-9a-f]+`
		want := `(?s)^hvgo: fatal: page fault in the runtime: read of CR2\n.*\nprocessor [0-2], thread \d+:\n` + at("readWord", `provoke\.go`) +
			`.*\nprocessor [0-2]: ` + place + `\n(processor [0-2]: ` + place + `|idle processors: 1)\ncode at .*\ninstruction: MOV `
		if e.Kind != vmm.Crash || e.Params[1] != 134 || !regexp.MustCompile(want).MatchString(strings.TrimSpace(e.Message)) {
			t.Errorf("ended with %v", e)
		}
		t.Logf("%s", e.Message)
	})
	t.Run("bad report", func(t *testing.T) {
		v := bootProbe(t, options{noNetwork: true}, "provoke 7")
		e := v.wait(patience)
		want := `(?s)^hvgo: fatal: page fault in the runtime: read of CR2\n.*\nhvgo: telling of it failed, with vector 0xe at 0x`
		if e.Kind != vmm.Crash || e.Params[1] != 134 || !regexp.MustCompile(want).MatchString(strings.TrimSpace(e.Message)) {
			t.Errorf("ended with %v", e)
		}
	})
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"strings"
	"testing"

	"github.com/hvgo/hvgo/host/vmm"
)

// What a terminal makes signals of.
const (
	ctrlC         = "\x03"
	ctrlBackslash = "\x1c"
)

// typeText types on the guest's console.
func (v *vm) typeText(text string) {
	v.t.Helper()
	if _, err := v.Input().Write([]byte(text)); err != nil {
		v.t.Fatal(err)
	}
}

// TestConsoleSignals types Ctrl-C at programs that read the console, and that do not.
func TestConsoleSignals(t *testing.T) {
	v := bootProbe(t, options{noNetwork: true}, "interrupt", "typed")
	v.waitFor("probe: waiting for SIGINT")
	v.typeText(ctrlC)
	v.waitFor("probe: reading")
	v.typeText("abcd\r" + ctrlC + "efg\n")
	v.passes("interrupt", "typed")
	v.waitFor(`probe: ok interrupt: context canceled`)
	v.waitFor(`probe: ok typed: "abcd\nefg\n"`)
}

// TestSignalEnds is how programs end that do not handle a signal, and what they say.
func TestSignalEnds(t *testing.T) {
	for _, tt := range []struct {
		command, types, env string
		status              uint64
		says, saysNot       string
	}{
		{"wait", ctrlC, "", 130, "the program was ended by signal 2", "goroutine"},
		{"wait", ctrlBackslash, "", 2, "main.wait(", "ended by signal"},
		{"raise 15", "", "", 143, "the program was ended by signal 15", "goroutine"},
		{"fault", "", "", 2, "unexpected fault address 0x", "still"},
		{"traceback", "", "GOTRACEBACK=none", 2, "panic: with traceback", "goroutine"},
		{"traceback", "", "GOTRACEBACK=single", 2, "main.traceback(", "main.traceback.func1()"},
		{"traceback", "", "GOTRACEBACK=all", 2, "main.traceback.func1()", "runtime.gopark("},
		{"traceback", "", "GOTRACEBACK=crash", 134, "the program was ended by signal 6", "hvgo: fatal"},
	} {
		t.Run(strings.Join([]string{tt.command, tt.types, tt.env}, " "), func(t *testing.T) {
			o := options{noNetwork: true}
			o.Machine.LoadOptions = tt.env
			v := bootProbe(t, o, tt.command)
			if tt.types != "" {
				v.waitFor("probe: waiting")
				v.typeText(tt.types)
			}
			e := v.wait(patience)
			if e.Kind != vmm.Crash || e.Params != [5]uint64{0x4F475648, tt.status, 0, e.Params[3], e.Params[4]} {
				t.Errorf("ended with %v", e)
			}
			text, _ := v.console.text()
			text = strings.ReplaceAll(text, "\r\n", "\n")
			if !strings.Contains(text, tt.says) || strings.Contains(text, tt.saysNot) {
				t.Errorf("want %q and not %q", tt.says, tt.saysNot)
			}
		})
	}
}

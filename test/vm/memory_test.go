// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"math"
	"regexp"
	"strconv"
	"testing"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmm"
)

// TestReturnedMemory is that memory comes back, and that files do not fill the machine.
func TestReturnedMemory(t *testing.T) {
	commands := []string{"returned", "sparse", "full-files", "full-map", "full-files", "returned"}
	bootProbe(t, options{noNetwork: true}, commands...).passes(commands...)
}

// TestOutOfMemory ends programs for want of memory, with a line that says what used it.
func TestOutOfMemory(t *testing.T) {
	const account = `the program uses \d+ MiB of \d+ MiB; in KiB: files in memory \d+, drivers' buffers \d+, ` +
		`page tables \d+, threads \d+, given to the host \d+, free \d+; give the machine more`
	for _, tt := range []struct {
		command string
		status  uint64
		says    string
	}{
		{"out-of-memory", 137, `(?m)^hvgo: out of memory: ` + account},
		{"too-many-threads", 0, `(?m)^hvgo: (out of memory|no memory for another thread): ` + account},
	} {
		t.Run(tt.command, func(t *testing.T) {
			v := bootProbe(t, options{noNetwork: true, Config: guest.Config{Machine: machine.Config{Memory: 48 * mib}}}, tt.command)
			e := v.wait(patience)
			if e.Kind != vmm.Crash || e.Params[0] != 0x4F475648 || e.Params[1] == 0 || tt.status != 0 && e.Params[1] != tt.status {
				t.Errorf("ended with %v", e)
			}
			text, _ := v.console.text()
			if line := regexp.MustCompile(tt.says).FindString(text); line == "" {
				t.Errorf("no line like %s in\n%s", tt.says, text)
			} else {
				t.Log(line)
			}
		})
	}
}

// TestMemoryLimit is the collector's limit: by itself below the machine's memory, and
// as the program's environment has it.
func TestMemoryLimit(t *testing.T) {
	const memory = 64 * mib
	for _, tt := range []struct {
		line      string
		low, high int64
	}{
		{"quiet", memory / 2, memory},
		{"GOMEMLIMIT=12MiB", 12 * mib, 12 * mib},
		{"GOMEMLIMIT=off", math.MaxInt64, math.MaxInt64},
	} {
		t.Run(tt.line, func(t *testing.T) {
			text, exit := words(t, wordsKernel, machine.Config{Memory: memory, LoadOptions: tt.line})
			m := regexp.MustCompile(`(?m)^limit (\d+)$`).FindStringSubmatch(text)
			if m == nil {
				t.Fatalf("no limit, exit %v\n%s", exit, text)
			}
			if got, err := strconv.ParseInt(m[1], 10, 64); err != nil || got < tt.low || got > tt.high {
				t.Errorf("limit %s, want %d to %d", m[1], tt.low, tt.high)
			}
		})
	}
}

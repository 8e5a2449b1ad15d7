// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package report is what the Linux guest of test/witness/linux tells its host: lines
// on the serial console that begin with Prefix, each followed by a JSON object. All
// else on the console is the kernel's.
package report

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Prefix begins a line of ours.
const Prefix = "HVGO "

// Names of tasks; guest/tasks.go says what each does.
const (
	System   = "system"
	Disk     = "disk"
	Shutdown = "shutdown"
	MMIO     = "mmio"
	Balloon  = "balloon"
	Link     = "link"
	Unload   = "unload"
	Network  = "network"
	Channels = "channels"
	Clock    = "clock"
	Dmesg    = "dmesg"

	Rechannel  = "rechannel"
	Processors = "processors"

	End = "end" // no task: the last line, with "failed", the number of tasks that did
)

// Line is one line. A task writes any number of events, and in the end exactly one
// line with Event empty, which holds its results or its error.
type Line struct {
	Task    string            `json:"task"`
	Event   string            `json:"event,omitempty"`
	Error   string            `json:"error,omitempty"`
	Seconds float64           `json:"seconds,omitempty"`
	Fields  map[string]string `json:"fields,omitempty"`
}

// String returns the line without a line feed.
func (l Line) String() string {
	b, err := json.Marshal(l)
	if err != nil { // strings and one finite number
		return Prefix + `{"task":"` + End + `"}`
	}
	return Prefix + string(b)
}

// Parse reads a console's line; ok is false for one of the kernel's.
func Parse(text string) (l Line, ok bool, err error) {
	text, ok = strings.CutPrefix(strings.TrimRight(text, "\r\n"), Prefix)
	if !ok {
		return l, false, nil
	}
	if err := json.Unmarshal([]byte(text), &l); err != nil || l.Task == "" {
		return l, true, fmt.Errorf("not a line of the guest's: %q", text)
	}
	return l, true, nil
}

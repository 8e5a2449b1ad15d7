// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"bytes"
	"strings"
)

// TraceLine is an event of QEMU's trace: what its devices saw and did.
type TraceLine struct {
	Event string // "vmbus_initiate_contact"
	Text  string // "version 4.0 target vp 0 ..."
}

// ParseTrace reads Config.TraceFile. Lines that are no events, and a last one that
// is not whole, are left out.
func ParseTrace(b []byte) (trace []TraceLine) {
	for line := range bytes.Lines(b) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		event, text, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		if strings.HasPrefix(event, "vmbus_") || strings.HasPrefix(event, "hv_") || strings.HasPrefix(event, "hyperv_") {
			trace = append(trace, TraceLine{event, text})
		}
	}
	return trace
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"testing"

	"github.com/hvgo/hvgo/host/vmm"
)

// TestNMI asks guests where they are, one that halts and one that is busy: they tell by
// the dump of a crash.
func TestNMI(t *testing.T) {
	for name, commands := range map[string][]string{"halts": {"wait"}, "busy": {"busy", "wait"}} {
		t.Run(name, func(t *testing.T) {
			v := bootProbe(t, options{noNetwork: true}.with(2), commands...)
			v.waitFor("probe: waiting")
			if err := v.NMI(1); err != nil {
				t.Fatal(err)
			}
			if e := v.wait(patience); e.Kind != vmm.Crash {
				t.Errorf("ended with %v", e)
			}
			v.waitFor("NMI: somebody asks where the machine is")
		})
	}
}

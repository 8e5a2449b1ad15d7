// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"fmt"
	"testing"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
)

// TestClockOrder has threads on one and more processors read the clock: it never goes
// backwards from one to the other, with and without the page that tells the time.
func TestClockOrder(t *testing.T) {
	for _, tt := range []struct {
		vcpus int
		quirk string
	}{{1, ""}, {4, ""}, {1, "openvmm"}, {4, "openvmm"}} {
		t.Run(fmt.Sprint(tt.vcpus, tt.quirk), func(t *testing.T) {
			o := options{noNetwork: true, Config: guest.Config{Machine: machine.Config{VCPUs: tt.vcpus}}}
			if tt.quirk != "" {
				o.quirks(t, tt.quirk)
			}
			commands := []string{"vdso", "clock-order"}
			bootProbe(t, o, commands...).passes(commands...)
		})
	}
}

// TestClockWithoutExits counts how often the guest leaves for the host while it reads
// the clock: with the page that tells the time not at all, but for interrupts.
func TestClockWithoutExits(t *testing.T) {
	exits := func(command string) uint64 {
		v := bootProbe(t, options{noNetwork: true}, command)
		v.passes(command)
		c, err := v.Counters()
		if err != nil {
			t.Fatal(err)
		}
		if c["exits"] == 0 {
			t.Skip("this kernel does not count exits")
		}
		return c["exits"]
	}
	const readings = 1_000_000
	few, many := exits("read-clock 1"), exits(fmt.Sprint("read-clock ", readings))
	t.Logf("%d exits with one reading, %d with %d", few, many, readings)
	if many > few+readings/10 {
		t.Errorf("the guest leaves %d times more often for %d readings", many-few, readings)
	}
}

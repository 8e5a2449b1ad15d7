// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmbus"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/test/witness"
	"github.com/hvgo/hvgo/test/witness/linux/report"
)

// TestProcessors has Linux say how the processors belong together, and move the
// channels' interrupts from one to the next.
func TestProcessors(t *testing.T) {
	for series, count := range map[string]int{"6.12": 8, "6.1": 2} {
		t.Run(series, func(t *testing.T) { testProcessors(t, series, count) })
	}
}

func testProcessors(t *testing.T, series string, count int) {
	row := witness.Start(t, "Debian Linux", "processors: topology, interrupts of VMBus on each")
	var moved atomic.Int64
	l := boot(t, row, options{
		series: series,
		tasks:  []string{report.Processors},
		Config: guest.Config{
			Disks: []guest.Block{newDisk(t, filepath.Join(t.TempDir(), "disk.img"))},
			Machine: machine.Config{VCPUs: count, VMBus: vmbus.Options{Trace: func(toGuest bool, message []byte) {
				if !toGuest && message[0] == byte(wire.MsgModifyChannel) {
					moved.Add(1)
				}
			}}},
		},
	})
	channels, err := strconv.ParseInt(l.awaitResult(report.Processors)["channels"], 10, 32)
	if err != nil || moved.Load() < channels*int64(count-1) {
		t.Errorf("%d times MODIFY_CHANNEL, with %d channels and %d processors", moved.Load(), channels, count)
	}
	l.mu.Lock()
	events := l.events
	l.mu.Unlock()
	seen := 0
	for _, e := range events {
		if e.Task != report.Processors {
			continue
		}
		for name, want := range map[string]int{
			"processor": seen, "apicid": seen, "core id": seen, "physical id": 0, "siblings": count, "cpu cores": count,
		} {
			if got := e.Fields[name]; got != strconv.Itoa(want) {
				t.Errorf("processor %d: %s: %q, want %d", seen, name, got, want)
			}
		}
		seen++
	}
	if seen != count {
		t.Errorf("Linux has %d processors of %d", seen, count)
	}
	l.finish()
	row.SetExercised(fmt.Sprintf("%d processors as cores of one package; interrupts of %d channels moved to each, %d times MODIFY_CHANNEL", count, channels, moved.Load()))
}

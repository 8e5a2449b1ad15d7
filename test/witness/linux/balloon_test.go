// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package linux

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/hvgo/hvgo/host/balloon"
	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/wire/dynmem"
	"github.com/hvgo/hvgo/test/witness"
	"github.com/hvgo/hvgo/test/witness/linux/report"
)

// TestBalloon takes memory from Linux, and gives it back in two parts. The device
// sees to it that Linux never writes to a page that it gave away.
func TestBalloon(t *testing.T) {
	const size, pages = 32, 32 * mib / 4096
	for _, c := range []struct {
		series  string
		version dynmem.Version
	}{{"6.12", dynmem.Version2_0}, {"6.1", dynmem.Version1_0}} {
		t.Run(c.series, func(t *testing.T) {
			row := witness.Start(t, "Debian Linux", "Dynamic Memory: reports, memory taken and given back")
			device := balloon.New(balloon.Options{
				Verify: true, MaxPages: 384 * mib / 4096, Refuse: func(v dynmem.Version) bool { return v > c.version },
			})
			l := boot(t, row, options{
				series: c.series, tasks: []string{report.Balloon}, params: map[string]string{"mib": strconv.Itoa(size)},
				Config: guest.Config{Machine: machine.Config{Devices: []vmbus.Device{device}}, NoDisk: true},
			})
			l.awaitEvent(report.Balloon, "ready")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := device.WaitReports(ctx, 2); err != nil {
				t.Fatal(err)
			}
			g := device.Guest()
			if g.Version != c.version || !g.Capabilities.Balloon || g.Capabilities.MaxPage != 1<<64-1 || g.Status.Available == 0 ||
				g.Status.Committed == 0 || g.Status.Available > 384*mib/4096 || g.Status.Committed > 384*mib/4096 {
				t.Errorf("Linux says of itself: %+v", g)
			}
			if n, err := device.Inflate(ctx, pages); err != nil || n != pages {
				t.Fatalf("%d pages, %v", n, err)
			}
			l.awaitEvent(report.Balloon, "less")
			for range 2 {
				if n, err := device.Deflate(ctx, pages/2); err != nil || n != pages/2 {
					t.Fatalf("%d pages back, %v", n, err)
				}
			}
			l.awaitResult(report.Balloon)
			l.finish()
			row.SetExercised(fmt.Sprintf("Dynamic Memory %v: capabilities, status reports (%d MiB committed), %d MiB taken and given back, none touched meanwhile",
				c.version, g.Status.Committed*4096/mib, size))
		})
	}
}

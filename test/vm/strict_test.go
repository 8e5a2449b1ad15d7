// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"path/filepath"
	"testing"

	"github.com/hvgo/hvgo/host/hosttest"
	"github.com/hvgo/hvgo/host/hyperv"
	"github.com/hvgo/hvgo/image"
)

// TestStrictCommand is hvgo run --strict: it names the rule that a guest breaks, and
// its exit status tells; without it nobody minds.
func TestStrictCommand(t *testing.T) {
	need(t, hvgoCommand)
	disk := func(what hosttest.Break) string {
		name := filepath.Join(t.TempDir(), "guest.vhdx")
		if err := image.WriteDisk(t.Context(), name, what.Image(), image.DynamicVHDX); err != nil {
			t.Fatal(err)
		}
		return name
	}
	if s := hvgoRunFile(t, disk(hosttest.SINTTwice), "--no-network").status(); s != 0 {
		t.Errorf("lenient: exit status %d", s)
	}
	if s := hvgoRunFile(t, disk(hosttest.MaskedFirst), "--no-network", "--strict").status(); s != 0 {
		t.Errorf("nothing broken: exit status %d", s)
	}
	c := hvgoRunFile(t, disk(hosttest.SINTTwice), "--no-network", "--strict")
	if s := c.status(); s != 1 {
		t.Errorf("strict: exit status %d", s)
	}
	c.waitFor(c.stderr, "the guest broke rule "+hyperv.RuleSINTTwice)
}

// TestQuirkCommand is hvgo run --quirk, and hello to its end on a strict host.
func TestQuirkCommand(t *testing.T) {
	c := hvgoRun(t, helloImage, "--strict", "--quirk", "qemu,busy-host", "--quirk", "netvsp-5.0")
	c.waitFor(c.console, "hvgo: VMBus 4.0,")
	c.waitFor(c.console, "NVSP 5.0,")
	c.waitFor(c.console, helloListens)
	c.interrupt()
	if s := c.status(); s != 0 {
		t.Errorf("exit status %d", s)
	}
}

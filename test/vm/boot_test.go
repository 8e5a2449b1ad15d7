// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"fmt"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/hyperv"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmm"
)

// works boots hello under a configuration, and asks it for its disk.
func works(t *testing.T, o options, says ...string) *vm {
	t.Helper()
	disk, sum := dataDisk()
	o.disks = append(o.disks, disk)
	v := boot(t, o)
	helloWorks(v, sum)
	for _, text := range says {
		v.waitFor(text)
	}
	v.shutDown()
	return v
}

// TestNotHyperv boots where the hypervisor is another one: the guest says which.
func TestNotHyperv(t *testing.T) {
	v := boot(t, options{noNetwork: true, Config: guest.Config{Machine: machine.Config{Mask: hyperv.NoHyperv}}})
	v.wait(patience)
	v.waitFor("KVMKVMKVM")
}

// TestCrashWithoutMSRs ends a guest that cannot report its crash but by the status
// that it hands to the firmware.
func TestCrashWithoutMSRs(t *testing.T) {
	v := bootProbe(t, options{noNetwork: true, Config: guest.Config{Machine: machine.Config{Mask: hyperv.NoCrash}}}, "crash")
	const aborted = 1<<63 | 21
	if e := v.wait(patience); e.Kind != vmm.Shutdown || e.Status != aborted {
		t.Errorf("ended with %v", e)
	}
	v.waitFor("main.crash.func1()")
}

// TestMemory varies where the firmware puts the image, and how much memory there is.
func TestMemory(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			v := works(t, options{Config: guest.Config{Machine: machine.Config{Seed: seed, StaleMapKey: seed%2 == 1}}})
			t.Logf("image at %#x", v.ImageBase())
		})
	}
	t.Run("above 4 GiB", func(t *testing.T) {
		const low = 48 * mib // too little for image and heap
		v := bootProbe(t, options{noNetwork: true, Config: guest.Config{Machine: machine.Config{
			Memory: 256 * mib, LowMemory: low, Seed: 3,
		}}}, "memory", "gc", "proc")
		v.passes("memory", "gc", "proc")
	})
	t.Run("1 GiB", func(t *testing.T) {
		works(t, options{Config: guest.Config{Machine: machine.Config{Memory: 1 << 30}}})
	})
	t.Run("little", func(t *testing.T) { // a heap of some MiB, so that the collector is at work
		works(t, options{Config: guest.Config{Machine: machine.Config{Memory: 36 * mib}}})
	})
}

// TestStop pulls the plug while the guest works.
func TestStop(t *testing.T) {
	v := boot(t, options{noNetwork: true})
	v.waitFor("VMBus 6.0")
	v.Stop()
	if e := v.wait(patience); e.Kind != vmm.Stopped {
		t.Errorf("ended with %v", e)
	}
}

// TestIdle lets a guest alone: without work it stays in the processor's halt, and
// exits to nobody.
func TestIdle(t *testing.T) {
	v := boot(t, options{noNetwork: true})
	v.waitFor(helloListens)
	time.Sleep(time.Second) // what the start has left to do
	before := v.Figures().Exits
	const span = 3 * time.Second
	time.Sleep(span)
	exits := v.Figures().Exits - before
	t.Logf("%d exits in %v", exits, span)
	if exits > 300 {
		t.Errorf("an idle guest left %d times in %v", exits, span)
	}
	v.shutDown()
}

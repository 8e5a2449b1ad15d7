// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/machine"
	"github.com/hvgo/hvgo/host/vmm"
)

// with gives the guest a number of processors.
func (o options) with(cpus int) options {
	o.Machine.VCPUs = cpus
	return o
}

// long skips a test with many processors, which share one in the emulated machine,
// unless the environment asks for it.
func long(t *testing.T, cpus int) {
	if cpus > 4 && os.Getenv("HVGO_TEST_LONG") == "" {
		t.Skip("HVGO_TEST_LONG is not set: many processors take minutes where there is one")
	}
}

// TestProcessors is the runtime with each number of processors: all of them are there,
// are used, wake one another, forget translations, and halt when nothing is to do.
func TestProcessors(t *testing.T) {
	for _, n := range []int{1, 2, 4, 8, vmm.MaxVCPUs} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			long(t, n)
			commands := []string{fmt.Sprint("processors ", n)}
			if n > 1 {
				commands = append(commands, "wake", "shootdown")
			}
			v := bootProbe(t, options{noNetwork: true}.with(n), append(commands, "gc", "channels")...)
			v.passes(commands...)
		})
	}
}

// TestProcessorsHello boots hello with each number of processors: disk, network, and
// the way out. Before it ends it is left alone, and all processors halt.
func TestProcessorsHello(t *testing.T) {
	for _, n := range []int{2, 4, 8, vmm.MaxVCPUs} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			long(t, n)
			disk, sum := dataDisk()
			v := boot(t, options{disks: []guest.Block{disk}}.with(n))
			helloWorks(v, sum)
			t.Logf("works after %v", time.Since(v.start))
			v.halts()
			v.shutDown()
			t.Logf("ended after %v", time.Since(v.start))
		})
	}
}

// halts fails the test if the guest does not stay in the processors' halt.
func (v *vm) halts() {
	v.t.Helper()
	time.Sleep(time.Second) // what it has just begun
	before := v.Figures().Exits
	const span = 3 * time.Second
	time.Sleep(span)
	exits := v.Figures().Exits - before
	v.t.Logf("%d exits in %v", exits, span)
	if exits > 300 {
		v.t.Errorf("an idle guest left %d times in %v", exits, span)
	}
}

// TestProcessorsWays has processors interrupt one another, and forget translations, in
// each way that a host may leave to them.
func TestProcessorsWays(t *testing.T) {
	const cpus = 2
	commands := []string{"processors 2", "wake", "shootdown"}
	for _, tt := range []struct {
		quirks string
		long   bool
	}{
		{"no-cluster-ipi", true},                                           // by the APIC's registers, synthetic or not
		{"no-cluster-ipi,no-apic-registers", true},                         // by x2APIC
		{"no-cluster-ipi,no-apic-registers,no-x2apic,no-tlb-flush", false}, // by memory, and translations by interrupts of our own
		{"no-tlb-flush", true},                                             // these by hypercall
		{"no-direct-timers,no-tsc-page,no-extended-masks", true},
		{"start-vp", false},
		{"openvmm", true},
		{"qemu", true},
	} {
		t.Run(tt.quirks, func(t *testing.T) {
			if tt.long && os.Getenv("HVGO_TEST_LONG") == "" {
				t.Skip("HVGO_TEST_LONG is not set")
			}
			o := options{noNetwork: true}.with(cpus)
			o.quirks(t, tt.quirks)
			v := bootProbe(t, o, commands...)
			v.passes(commands...)
		})
	}
}

// TestProcessorsEnds ends the program in several ways while all processors are busy.
func TestProcessorsEnds(t *testing.T) {
	for command, want := range map[string]machine.Exit{
		"exit 0": {Kind: vmm.Shutdown},
		"exit 7": {Kind: vmm.Crash, Params: [5]uint64{0x4F475648, 7}},
		"panic":  {Kind: vmm.Crash, Params: [5]uint64{0x4F475648, 2}},
		"crash":  {Kind: vmm.Crash, Params: [5]uint64{0x4F475648, 2}},
	} {
		t.Run(command, func(t *testing.T) {
			v := bootProbe(t, options{noNetwork: true}.with(4), "busy", command)
			e := v.wait(patience)
			if e.Kind != want.Kind || e.Params[0] != want.Params[0] || e.Params[1] != want.Params[1] {
				t.Errorf("ended with %v", e)
			}
		})
	}
}

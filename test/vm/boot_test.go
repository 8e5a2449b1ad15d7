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
	"github.com/hvgo/hvgo/host/storvsp"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/wire/nvsp"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/internal/wire/vstor"
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

// openVMM is what OpenVMM does not announce on KVM, though it serves some of it.
const openVMM = hyperv.NoReferenceTSC | hyperv.NoDirectTimers | hyperv.NoCrash | hyperv.NoVersion |
	hyperv.NoPostMessages | hyperv.NoSignalEvents | hyperv.NoInvariantTSC | hyperv.NoReset

// TestMasked takes away what hosts may lack. KVM refuses the guest what CPUID does
// not announce, but for the two hypercalls that some hosts serve without saying so.
func TestMasked(t *testing.T) {
	for _, tt := range []struct {
		mask      hyperv.Mask
		noEnforce bool
		says      []string
	}{
		{mask: 0, says: []string{"clock: reference TSC page", "timer: direct"}},
		{mask: hyperv.NoReferenceTSC, says: []string{"clock: reference counter"}},
		{mask: hyperv.NoDirectTimers, says: []string{"timer: SINT messages"}},
		{mask: hyperv.NoReferenceTSC | hyperv.NoDirectTimers},
		{mask: hyperv.NoCrash},
		{mask: hyperv.NoFrequencies},
		{mask: hyperv.NoInvariantTSC},
		{mask: hyperv.NoReset},
		{mask: hyperv.NoVersion, says: []string{"Hyper-V 0.0.0"}},
		{mask: hyperv.NoPostMessages | hyperv.NoSignalEvents, noEnforce: true},
		{mask: openVMM, noEnforce: true},
	} {
		name := tt.mask.String()
		if name == "" {
			name = "nothing"
		}
		t.Run(name, func(t *testing.T) {
			works(t, options{Config: guest.Config{Machine: machine.Config{Mask: tt.mask, NoEnforce: tt.noEnforce}}}, tt.says...)
		})
	}
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

// TestVersions meets hosts of each age.
func TestVersions(t *testing.T) {
	for _, version := range []wire.Version{
		wire.Version0_13, wire.Version1_1, wire.Version2_4, wire.Version3_0, wire.Version4_0, wire.Version4_1,
		wire.Version5_0, wire.Version5_1, wire.Version5_2, wire.Version5_3, wire.Version6_0,
	} {
		t.Run(fmt.Sprint("VMBus ", version), func(t *testing.T) {
			o := options{}
			o.Machine.VMBus.MaxVersion = version
			works(t, o, fmt.Sprintf("VMBus %v,", version))
		})
	}
	for _, version := range []vstor.Version{vstor.Version2_0, vstor.Version4_2, vstor.Version5_1, vstor.Version6_0} {
		t.Run(fmt.Sprint("storvsp ", version), func(t *testing.T) {
			works(t, options{Config: guest.Config{Storage: storvsp.Options{MaxVersion: version}}})
		})
	}
	for _, version := range []nvsp.Version{nvsp.Version2, nvsp.Version4, nvsp.Version5, nvsp.Version6} {
		t.Run(fmt.Sprint("netvsp ", version), func(t *testing.T) {
			o := options{}
			o.net.MaxVersion = version
			works(t, o, fmt.Sprintf("NVSP %v,", version))
		})
	}
}

// TestHosts meets other habits of hosts.
func TestHosts(t *testing.T) {
	t.Run("QEMU", func(t *testing.T) { // connection 1 only, short answers, low connection ids
		o := options{}
		o.Machine.VMBus.MaxVersion = wire.Version4_0
		o.Machine.VMBus.NoMultiConnection = true
		o.Machine.VMBus.ShortVersionResponse = true
		o.Machine.VMBus.EventConnection = func(id wire.ChannelID) uint32 { return 16 + uint32(id) }
		works(t, o)
	})
	t.Run("far connections", func(t *testing.T) {
		o := options{}
		o.Machine.VMBus.MessageConnection = 0x00ABCDEF
		o.Machine.VMBus.EventConnection = func(id wire.ChannelID) uint32 { return 0x00F0_0000 + 7*uint32(id) }
		works(t, o)
	})
	t.Run("no RNG protocol", func(t *testing.T) { // RDRAND and RDSEED are left
		works(t, options{Config: guest.Config{Machine: machine.Config{NoRNG: true}}})
	})
	t.Run("small transfers", func(t *testing.T) {
		works(t, options{Config: guest.Config{Storage: storvsp.Options{MaxTransfer: 8192, Workers: 1}}})
	})
	t.Run("small card", func(t *testing.T) {
		o := options{}
		o.net.NoRxChecksum, o.net.NoTxChecksum, o.net.Pack, o.net.Queue = true, true, true, 8
		works(t, o)
	})
	t.Run("busy slots", func(t *testing.T) { // offers come in a burst; the guest must ask for each by EOM
		o := options{}
		for range 40 { // controllers without disks
			c, err := storvsp.New(storvsp.Options{})
			if err != nil {
				t.Fatal(err)
			}
			o.Machine.Devices = append(o.Machine.Devices, c)
		}
		works(t, o, "43 offers")
	})
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
		works(t, options{Config: guest.Config{Machine: machine.Config{Memory: 32 * mib}}})
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

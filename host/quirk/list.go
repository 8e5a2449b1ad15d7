// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package quirk

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hvgo/hvgo/host/hyperv"
	"github.com/hvgo/hvgo/host/storvsp"
	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/guid"
	"github.com/hvgo/hvgo/internal/wire/nvsp"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/internal/wire/vstor"
)

// All are the quirks there are, whole hosts last.
var All = append([]Quirk{
	mask("no-tsc-page", "no reference TSC page", hyperv.NoReferenceTSC),
	mask("no-version", "leaf 0x40000002 of CPUID is zero", hyperv.NoVersion),
	mask("no-direct-timers", "synthetic timers send messages only", hyperv.NoDirectTimers),
	mask("no-crash-registers", "no registers to report a crash", hyperv.NoCrash),
	mask("few-registers", "neither frequency, invariant TSC nor reset registers", hyperv.NoFrequencies|hyperv.NoInvariantTSC|hyperv.NoReset),
	mask("no-cluster-ipi", "no hypercall that interrupts other processors", hyperv.NoClusterIPI),
	mask("no-tlb-flush", "no hypercall that flushes translations", hyperv.NoTLBFlush),
	mask("no-extended-masks", "no variants of the two for more than 64 processors", hyperv.NoExtendedMasks),
	mask("no-apic-registers", "no synthetic registers for the local APIC", hyperv.NoAPICMSRs),
	mask("no-x2apic", "the local APIC has no x2APIC mode", hyperv.NoX2APIC),
	{Name: "start-vp", Text: "hypercalls that start a virtual processor and tell its index by its APIC id", apply: func(h Host) {
		h.Guest.Machine.Quirks.StartVP = true
	}},
	{Name: "no-privileges", Text: "EBX of leaf 0x40000003 allows neither PostMessage nor SignalEvent, and both work", apply: func(h Host) {
		h.Guest.Machine.Mask |= hyperv.NoPostMessages | hyperv.NoSignalEvents
		h.Guest.Machine.NoEnforce = true
	}},
	{Name: "no-rng", Text: "the firmware has no random numbers", apply: func(h Host) { h.Guest.Machine.NoRNG = true }},
	{Name: "overlay-pages", Text: "SIMP and SIEFP are pages of the host's, over the guest's, not zero in their unused parts", apply: func(h Host) {
		h.Guest.Machine.Quirks.OverlayPages = true
	}},
	{Name: "synic-preset", Text: "the SynIC is enabled before the guest does it", apply: func(h Host) { h.Guest.Machine.Quirks.PresetSControl = true }},
	{Name: "repoll", Text: "message slots are looked at each ms, whether EOM came or not", kind: "slots", apply: func(h Host) {
		h.Guest.Machine.Quirks.Repoll = time.Millisecond
	}},
	{Name: "busy-slots", Text: "40 more offers, so that messages wait for the guest's EOM", kind: "slots", apply: func(h Host) { moreOffers(h, 40, wire.InterfaceSCSI) }},
	{Name: "busy-host", Text: "every third message of the guest is answered INSUFFICIENT_BUFFERS", apply: func(h Host) {
		h.Guest.Machine.VMBus.Quirks.BusyEvery = 3
	}},
	{Name: "far-connections", Text: "connection ids that have nothing in common with channel ids, 1 or 4", kind: "connections", apply: func(h Host) {
		h.Guest.Machine.VMBus.MessageConnection = 0x00ABCDEF
		h.Guest.Machine.VMBus.EventConnection = func(id wire.ChannelID) uint32 { return 0x00F0_0000 + 7*uint32(id) }
	}},
	{Name: "low-connections", Text: "connection ids are 16 + channel id", kind: "connections", apply: func(h Host) {
		h.Guest.Machine.VMBus.EventConnection = func(id wire.ChannelID) uint32 { return 16 + uint32(id) }
	}},
	{Name: "no-connection-4", Text: "posting on connection 4 fails with INVALID_CONNECTION_ID", apply: func(h Host) {
		h.Guest.Machine.VMBus.NoMultiConnection = true
	}},
	{Name: "short-version-response", Text: "VERSION_RESPONSE ends after the state; goes with VMBus 4.0 and older", apply: func(h Host) {
		h.Guest.Machine.VMBus.ShortVersionResponse = true
	}},
	{Name: "odd-ids", Text: "channel ids 37 apart", apply: func(h Host) { h.Guest.Machine.VMBus.Quirks.IDStep = 37 }},
	{Name: "odd-offers", Text: "offers in reverse order, among them three that nobody knows", apply: func(h Host) {
		h.Guest.Machine.VMBus.Quirks.ReverseOffers = true
		moreOffers(h, 3, guid.GUID{})
	}},
	{Name: "slow-teardown", Text: "GPADL_TEARDOWN is answered after 300 ms", apply: func(h Host) {
		h.Guest.Machine.VMBus.Quirks.SlowTeardown = 300 * time.Millisecond
	}},
	{Name: "garbage", Text: "reserved fields and padding are not zero", apply: func(h Host) { h.Guest.Machine.VMBus.Garbage = true }},
	{Name: "small-transfers", Text: "storage takes 8 KiB at a time", apply: func(h Host) { h.Guest.Storage.MaxTransfer = 8192 }},
	{Name: "late-completions", Text: "storage answers late and in another order", apply: func(h Host) { h.Guest.Storage.Fault = lateAnswers }},
	{Name: "hyperv-slots", Text: "receive slots of 1728 bytes, several packets in one", apply: func(h Host) { h.Network.SlotSize, h.Network.Pack = 1728, true }},
	{Name: "small-card", Text: "no offloads and a queue of 8 frames", apply: func(h Host) {
		h.Network.NoRxChecksum, h.Network.NoTxChecksum, h.Network.Queue = true, true, 8
	}},
}, versions()...)

// Whole hosts.
var hosts = []Quirk{
	{Name: "qemu", Text: "QEMU's vmbus-bridge", needs: "vmbus-4.0,no-connection-4,short-version-response,low-connections,overlay-pages,synic-preset,busy-slots"},
	{
		Name: "openvmm", Text: "OpenVMM on KVM",
		needs: "no-tsc-page,no-version,no-direct-timers,no-crash-registers,no-privileges,synic-preset,repoll,storvsp-6.0",
		apply: func(h Host) { h.Guest.Machine.Mask |= hyperv.NoInvariantTSC | hyperv.NoReset },
	},
}

func mask(name, text string, m hyperv.Mask) Quirk {
	return Quirk{Name: name, Text: text, apply: func(h Host) { h.Guest.Machine.Mask |= m }}
}

// versions are the quirks of hosts of some age.
func versions() (quirks []Quirk) {
	for _, v := range []wire.Version{
		wire.Version0_13, wire.Version1_1, wire.Version2_4, wire.Version3_0, wire.Version4_0, wire.Version4_1,
		wire.Version5_0, wire.Version5_1, wire.Version5_2, wire.Version5_3,
	} {
		quirks = append(quirks, Quirk{Name: "vmbus-" + v.String(), Text: "VMBus " + v.String() + " is the newest", kind: "vmbus",
			apply: func(h Host) { h.Guest.Machine.VMBus.MaxVersion = v }})
	}
	for _, v := range []vstor.Version{vstor.Version2_0, vstor.Version4_2, vstor.Version5_1, vstor.Version6_0} {
		quirks = append(quirks, Quirk{Name: "storvsp-" + v.String(), Text: "storage answers REVISION_MISMATCH to what is newer than " + v.String(), kind: "storvsp",
			apply: func(h Host) { h.Guest.Storage.MaxVersion = v }})
	}
	for _, v := range []nvsp.Version{nvsp.Version2, nvsp.Version4, nvsp.Version5, nvsp.Version6} {
		quirks = append(quirks, Quirk{Name: "netvsp-" + v.String(), Text: "NVSP " + v.String() + " is the newest", kind: "netvsp",
			apply: func(h Host) { h.Network.MaxVersion = v }})
	}
	return append(quirks, hosts...)
}

// lateAnswers holds requests up for different times.
func lateAnswers(uint8, []byte) *storvsp.Fault {
	return &storvsp.Fault{Delay: time.Duration(rand.IntN(4000)) * time.Microsecond}
}

// moreOffers adds devices that nobody uses: controllers without disks, or of kinds
// that nobody knows.
func moreOffers(h Host, n int, kind guid.GUID) {
	for range n {
		d := unused{kind, guid.New()}
		if kind.IsZero() {
			d.kind = guid.New()
		} else if c, err := storvsp.New(storvsp.Options{}); err == nil { // it has no options to get wrong
			h.Guest.Machine.Devices = append(h.Guest.Machine.Devices, c)
			continue
		}
		h.Guest.Machine.Devices = append(h.Guest.Machine.Devices, d)
	}
}

// unused is a device that no guest has a driver for.
type unused struct{ kind, instance guid.GUID }

func (u unused) Offer() vmbus.Offer {
	return vmbus.Offer{Interface: u.kind, Instance: u.instance, Flags: wire.OfferEnumerateInterface, MMIOMegabytes: 8}
}

func (u unused) Serve(context.Context, *vmbus.Channel) error {
	return errors.New("a guest opened a device that does not exist")
}

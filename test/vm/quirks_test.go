// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"slices"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/host/quirk"
)

// hosts are sets of quirks that do not hide one another, and what the guest says of
// itself on them. Each quirk is in one at least.
var hosts = []struct {
	quirks string
	says   []string
}{
	{"", []string{"clock: reference TSC page", "timer: direct", "VMBus 6.0,", "NVSP 6.1,"}},
	{"vmbus-0.13,storvsp-2.0,netvsp-3.2,no-tsc-page", []string{"clock: reference counter"}},
	{"vmbus-1.1,storvsp-4.2,netvsp-4.0,no-direct-timers", []string{"timer: SINT messages"}},
	{"vmbus-2.4,storvsp-5.1,netvsp-5.0,no-version", []string{"Hyper-V 0.0.0,"}},
	{"vmbus-3.0,storvsp-6.0,netvsp-6.0,no-crash-registers", nil},
	{"vmbus-4.0,short-version-response,few-registers,small-transfers,no-rng", nil},
	{"vmbus-4.1,no-privileges,small-card,no-cluster-ipi,no-tlb-flush", nil},
	{"vmbus-5.0,far-connections,hyperv-slots,no-apic-registers,no-extended-masks", nil},
	{"vmbus-5.1,odd-ids,late-completions,no-apic-registers,no-x2apic", nil},
	{"vmbus-5.2,overlay-pages,busy-host,start-vp", nil},
	{"vmbus-5.3,busy-slots,slow-teardown,odd-offers", []string{"48 offers"}},
	{"no-connection-4,low-connections,synic-preset,repoll,garbage", []string{"VMBus 4.1,"}},
	{"no-tsc-page,no-direct-timers,few-registers,busy-host,busy-slots,odd-ids,overlay-pages,late-completions,far-connections", nil},
	{"qemu", []string{"VMBus 4.0,"}},
	{"openvmm", []string{"clock: reference counter", "Hyper-V 0.0.0,"}},
}

// TestQuirks boots hello on the hosts that there are: it has its disk, answers over
// the network, breaks no rule, and ends when it is asked to.
func TestQuirks(t *testing.T) {
	for _, h := range hosts {
		name := h.quirks
		if name == "" {
			name = "none"
		}
		t.Run(name, func(t *testing.T) {
			var o options
			set := o.quirks(t, h.quirks)
			works(t, o, append(h.says, agreed(set)...)...)
		})
	}
}

// quirks makes the host one of that kind.
func (o *options) quirks(t testing.TB, names string) quirk.Set {
	t.Helper()
	set, err := quirk.Parse(names)
	if err != nil {
		t.Fatal(err)
	}
	set.Apply(quirk.Host{Guest: &o.Config, Network: &o.net})
	return set
}

// agreed is what a guest must say when it has found the host's newest version.
func agreed(set quirk.Set) (says []string) {
	for _, q := range set {
		if v, ok := strings.CutPrefix(q.Name, "vmbus-"); ok {
			says = append(says, "VMBus "+v+",")
		}
		if v, ok := strings.CutPrefix(q.Name, "netvsp-"); ok {
			says = append(says, "NVSP "+v+",")
		}
	}
	return says
}

// TestAllQuirks is that nobody adds a quirk that no guest meets.
func TestAllQuirks(t *testing.T) {
	var met []string
	for _, h := range hosts {
		met = append(met, strings.Split(h.quirks, ",")...)
	}
	for _, name := range quirk.Names() {
		if !slices.Contains(met, name) {
			t.Errorf("no host has %s", name)
		}
	}
}

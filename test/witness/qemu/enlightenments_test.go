// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package qemu

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/host/qemu"
	"github.com/hvgo/hvgo/test/witness"
)

// checks are the probe's commands that rest on the hypervisor: clock, timers,
// preemption, memory, what the processor refuses.
var checks = []string{"clock", "timers", "preempt", "channels", "gc", "stacks", "nil", "signals", "cpu", "files"}

// passed are the lines by which the probe says that commands are done.
func passed(commands []string) (lines []string) {
	for _, c := range commands {
		lines = append(lines, "probe: ok "+c+":")
	}
	return lines
}

// TestEnlightenments uses all that KVM has, and KVM refuses what CPUID does not
// announce.
func TestEnlightenments(t *testing.T) {
	r := witness.Start(t, "KVM's Hyper-V in QEMU", "boot with all hv-* flags and hv-enforce-cpuid")
	v := boot(t, qemu.Config{}, checks...)
	r.SetVersion(v.program.Version)
	v.ends(append(passed(checks), "clock: reference TSC page", "timer: direct")...)
	r.SetExercised(fmt.Sprintf("%d hv-* flags and hv-enforce-cpuid: hypercalls, SynIC, TSC page, direct timer; %d checks of the probe",
		strings.Count(qemu.AllFlags, "hv-")-1, len(checks)))
}

// TestPassthrough takes the processor as this KVM makes it.
func TestPassthrough(t *testing.T) {
	r := witness.Start(t, "KVM's Hyper-V in QEMU", "boot with hv-passthrough")
	few := []string{"clock", "timers", "preempt"}
	v := boot(t, qemu.Config{Flags: qemu.Passthrough}, few...)
	r.SetVersion(v.program.Version)
	v.ends(append(passed(few), "clock: reference TSC page", "timer: direct")...)
}

// TestFewFlags takes away what a host may lack, up to what the guest cannot do
// without.
func TestFewFlags(t *testing.T) {
	r := witness.Start(t, "KVM's Hyper-V in QEMU", "boot without some of the hv-* flags, with hv-enforce-cpuid")
	few := []string{"clock", "timers", "preempt"}
	cases := []struct {
		without string
		says    string
	}{
		{"hv-stimer-direct", "timer: SINT messages"},
		{"hv-vapic", "timer: direct"},
		{"hv-avic", "timer: direct"},
		{"hv-frequencies", "timer: direct"},
		{"all but " + qemu.FewestFlags, "timer: SINT messages"},
	}
	for _, tt := range cases {
		t.Run(tt.without, func(t *testing.T) {
			flags := qemu.FewestFlags
			if !strings.HasPrefix(tt.without, "all") {
				flags = strings.Replace(qemu.AllFlags, tt.without+",", "", 1)
			}
			v := boot(t, qemu.Config{Flags: flags}, few...)
			r.SetVersion(v.program.Version)
			v.ends(append(passed(few), tt.says, "VMBus 4.0")...)
		})
	}
	r.SetExercised(fmt.Sprintf("%d sets of hv-* flags with hv-enforce-cpuid: timers by SINT message, EOI by APIC and by MSR", len(cases)))
}

// TestTooFew boots where something is missing that the guest needs: it says what,
// and powers off.
func TestTooFew(t *testing.T) {
	r := witness.Start(t, "KVM's Hyper-V in QEMU", "boot where synthetic timers are missing: refused with the reason")
	v := boot(t, qemu.Config{Flags: "hv-vpindex,hv-time,hv-synic,hv-enforce-cpuid"})
	r.SetVersion(v.program.Version)
	v.waitFor("no synthetic timers")
	if exit, err := v.Wait(); err != nil || exit.Reason != "guest-shutdown" {
		t.Errorf("ended by %q: %v", exit.Reason, err)
	}
}

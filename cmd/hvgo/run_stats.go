// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// statsOptions are the flags of run that concern what a run cost.
type statsOptions struct {
	on bool
}

func (o *statsOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.on, "stats", false, "say at the end how often the guest left to the hypervisor, and what for, as the kernel's KVM counts it")
}

// args are the flags for a hvgo in the emulated machine.
func (o statsOptions) args() []string {
	if o.on {
		return []string{"--stats"}
	}
	return nil
}

// say says what the kernel counted, after the guest has ended.
func (o statsOptions) say(counters func() (map[string]uint64, error)) {
	if !o.on {
		return
	}
	c, err := counters()
	switch {
	case err != nil:
		say(fmt.Sprintf("--stats: %v", err))
	case len(c) == 0:
		say("--stats: this kernel does not count (Linux 5.14 does)")
	default:
		say(statsText(c))
	}
}

// statsText lists the counters that are not zero, the greatest first. Times and states
// are left out. Most of what is in "exits" and in no other are accesses to
// model-specific registers: timers, ends of interrupts.
func statsText(counters map[string]uint64) string {
	names := slices.DeleteFunc(slices.Collect(maps.Keys(counters)), func(name string) bool {
		return counters[name] == 0 || strings.HasSuffix(name, "_ns") || name == "blocking" || name == "guest_mode"
	})
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(counters[b], counters[a]), strings.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, counters[name])
	}
	return "KVM counted " + strings.Join(names, ", ")
}

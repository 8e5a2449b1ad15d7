// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"sync/atomic"

	"github.com/spf13/pflag"

	"github.com/hvgo/hvgo/host/guest"
	"github.com/hvgo/hvgo/host/netvsp"
	"github.com/hvgo/hvgo/host/quirk"
)

// hostOptions say what kind of host the guest meets.
type hostOptions struct {
	strict bool
	quirks []string
}

func (o *hostOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.strict, "strict", false, "say each rule of the interface that the guest breaks, also those that hosts forgive; the exit status is then not 0")
	f.StringArrayVar(&o.quirks, "quirk", nil, "behave as other hosts do, for tests: `names` separated by commas (repeatable), of "+quirk.Set(quirk.All).String())
}

func (o *hostOptions) plan() (*hostPlan, error) {
	p := &hostPlan{strict: o.strict}
	names := ""
	for _, q := range o.quirks {
		names += q + ","
	}
	var err error
	if p.quirks, err = quirk.Parse(names); err != nil {
		return nil, fmt.Errorf("--quirk: %w", err)
	}
	return p, nil
}

// hostPlan is what the flags mean; nil is a host of our own.
type hostPlan struct {
	strict bool
	quirks quirk.Set
	broken atomic.Int64 // rules
}

// args are the flags for a hvgo in the emulated machine.
func (p *hostPlan) args() (args []string) {
	if p == nil {
		return nil
	}
	if p.strict {
		args = append(args, "--strict")
	}
	if len(p.quirks) > 0 {
		args = append(args, "--quirk", p.quirks.String())
	}
	return args
}

// maxBroken bounds what is said of one guest.
const maxBroken = 100

// apply makes the machine that kind of host.
func (p *hostPlan) apply(cfg *guest.Config) {
	p.quirks.Apply(quirk.Host{Guest: cfg, Network: new(netvsp.Options)})
	cfg.Machine.Lenient = !p.strict
	cfg.Machine.Strict = func(rule, detail string) {
		switch n := p.broken.Add(1); {
		case n <= maxBroken:
			say(fmt.Sprintf("the guest broke rule %s: %s", rule, detail))
		case n == maxBroken+1:
			say("the guest broke more rules, which are not told")
		}
	}
}

// card makes the network card one of that host.
func (p *hostPlan) card(opt *netvsp.Options) {
	if p == nil {
		return
	}
	p.quirks.Apply(quirk.Host{Guest: new(guest.Config), Network: opt})
}

// verdict is the error of a guest that broke rules.
func (p *hostPlan) verdict() error {
	if n := p.broken.Load(); n > 0 {
		return fmt.Errorf("the guest broke rules %d times; docs/RULES.md tells what each one means", n)
	}
	return nil
}

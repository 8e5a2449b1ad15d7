// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"sync/atomic"

	"github.com/spf13/pflag"

	"github.com/hvgo/hvgo/host/machine"
)

// hostOptions say what kind of host the guest meets.
type hostOptions struct {
	strict bool
}

func (o *hostOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.strict, "strict", false, "say each rule of the interface that the guest breaks, also those that hosts forgive; the exit status is then not 0")
}

func (o *hostOptions) plan() (*hostPlan, error) { return &hostPlan{strict: o.strict}, nil }

// hostPlan is what the flags mean.
type hostPlan struct {
	strict bool
	broken atomic.Int64 // rules
}

// args are the flags for a hvgo in the emulated machine.
func (p *hostPlan) args() (args []string) {
	if p != nil && p.strict {
		args = append(args, "--strict")
	}
	return args
}

// maxBroken bounds what is said of one guest.
const maxBroken = 100

// apply makes the machine that kind of host.
func (p *hostPlan) apply(cfg *machine.Config) {
	cfg.Lenient = !p.strict
	cfg.Strict = func(rule, detail string) {
		switch n := p.broken.Add(1); {
		case n <= maxBroken:
			say(fmt.Sprintf("the guest broke rule %s: %s", rule, detail))
		case n == maxBroken+1:
			say("the guest broke more rules, which are not told")
		}
	}
}

// verdict is the error of a guest that broke rules.
func (p *hostPlan) verdict() error {
	if n := p.broken.Load(); n > 0 {
		return fmt.Errorf("the guest broke rules %d times; docs/RULES.md tells what each one means", n)
	}
	return nil
}

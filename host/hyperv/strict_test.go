// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/firmware"
	"github.com/hvgo/hvgo/host/hosttest"
	"github.com/hvgo/hvgo/host/hyperv"
	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

// ruleLog keeps the names of broken rules, each once.
type ruleLog struct {
	mu    sync.Mutex
	t     *testing.T
	rules []string
}

func (l *ruleLog) add(rule, detail string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t.Logf("%s: %s", rule, detail)
	if !slices.Contains(l.rules, rule) {
		l.rules = append(l.rules, rule)
	}
}

// breakRule runs a guest that breaks one rule.
func breakRule(t *testing.T, image []byte, cfg hyperv.Config) vmm.Exit {
	t.Helper()
	vm, err := vmm.New(vmm.Config{Memory: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Close()
	e := &echo{t: t}
	cfg.Server = e
	if e.p, err = hyperv.New(vm, cfg); err != nil {
		t.Fatal(err)
	}
	defer e.p.Close()
	if _, err := firmware.Boot(vm, firmware.Config{Image: image}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	exit, err := vm.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	e.p.Ended()
	return exit
}

// Each guest breaks one rule, which is named, and no other.
func TestRules(t *testing.T) {
	hosttest.NeedKVM(t)
	const noCalls = hyperv.NoPostMessages | hyperv.NoSignalEvents
	for name, tt := range map[string]struct {
		what  hosttest.Break
		mask  hyperv.Mask
		rule  string
		fault bool // ends in an exception
	}{
		"nothing":           {what: hosttest.Nothing},
		"no EOM":            {what: hosttest.NoEOM, rule: hyperv.RuleEOM},
		"no EOM, waits":     {what: hosttest.NoEOMWaits, rule: hyperv.RuleEOM}, // reported after some seconds
		"EOM too early":     {what: hosttest.LateEOM, rule: hyperv.RuleEOM},
		"SIMP not zero":     {what: hosttest.DirtySIMP, rule: hyperv.RuleSIMP},
		"SIEFP not zero":    {what: hosttest.DirtySIEFP, rule: hyperv.RuleSIEFP},
		"no such register":  {what: hosttest.NoRegister, rule: hyperv.RuleMSRValue, fault: true},
		"low vector":        {what: hosttest.LowVector, rule: hyperv.RuleSINTVector, fault: true},
		"SINT twice":        {what: hosttest.SINTTwice, rule: hyperv.RuleSINTTwice},
		"SINT masked first": {what: hosttest.MaskedFirst},
		"no privilege":      {what: hosttest.NoPrivilege, mask: noCalls, rule: hyperv.RuleHypercallPrivilege},
		"reserved bits":     {what: hosttest.ReservedBits}, // KVM answers, and only the guest sees
		"variable header":   {what: hosttest.VariableHeader},
		"rep count":         {what: hosttest.Repeated},
		"fast":              {what: hosttest.FastCall, rule: hyperv.RuleHypercallFast},
		"unaligned":         {what: hosttest.Unaligned, rule: hyperv.RuleHypercallInput},
		"across pages":      {what: hosttest.CrossingPage, rule: hyperv.RuleHypercallInput},
		"not RAM":           {what: hosttest.NoMemory, rule: hyperv.RuleHypercallInput},
		"too long":          {what: hosttest.TooLong, rule: hyperv.RuleMessageFormat},
		"no type":           {what: hosttest.NoType, rule: hyperv.RuleMessageFormat},
		"reserved field":    {what: hosttest.ReservedField, rule: hyperv.RuleMessageFormat},
	} {
		t.Run(name, func(t *testing.T) {
			l := &ruleLog{t: t}
			exit := breakRule(t, tt.what.Image(), hyperv.Config{Mask: tt.mask, Strict: l.add})
			var want []string
			if tt.rule != "" {
				want = []string{tt.rule}
			}
			if !slices.Equal(l.rules, want) {
				t.Errorf("reported %q, want %q", l.rules, want)
			}
			if tt.fault != (exit.Kind == vmm.TripleFault) || exit.Status != 0 {
				t.Errorf("ended with %v\n%s", exit, exit.Detail)
			}
		})
	}
}

// A register that CPUID does not announce is named, whether KVM refuses it or strict
// mode does; where nothing is enforced, it may be used.
func TestMSRPrivilege(t *testing.T) {
	hosttest.NeedKVM(t)
	for _, tt := range []struct {
		cfg   hyperv.Config
		rules []string
	}{
		{hyperv.Config{}, nil},
		{hyperv.Config{Mask: hyperv.NoReferenceTSC}, []string{hyperv.RuleMSRPrivilege}},
		{hyperv.Config{Mask: hyperv.NoReferenceTSC | hyperv.NoPostMessages}, []string{hyperv.RuleMSRPrivilege}},
		{hyperv.Config{Mask: hyperv.NoReferenceTSC | hyperv.NoPostMessages, NoEnforce: true}, nil},
	} {
		l := &ruleLog{t: t}
		tt.cfg.Strict = l.add
		exit := breakRule(t, hosttest.Enforced.Image(), tt.cfg)
		if !slices.Equal(l.rules, tt.rules) || (exit.Kind == vmm.TripleFault) != (tt.rules != nil) {
			t.Errorf("without %v: ended with %v, reported %q", tt.cfg.Mask, exit, l.rules)
		}
	}
}

// What KVM of today (Linux 6.12) refuses itself is refused here too.
func TestHypercallControl(t *testing.T) {
	hosttest.NeedKVM(t)
	vm, err := vmm.New(vmm.Config{Memory: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Close()
	l := &ruleLog{t: t}
	p, err := hyperv.New(vm, hyperv.Config{Strict: l.add})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, input := range []uint64{
		tlfs.HvCallPostMessage | 1<<17, tlfs.HvCallPostMessage | 1<<32, tlfs.HvCallPostMessage | 1<<48,
		tlfs.HvCallSignalEvent | 1<<27, tlfs.HvCallSignalEvent | 1<<32, tlfs.HvCallSignalEvent | 1<<63,
	} {
		l.rules = nil
		r := p.Hypercall(vm.VCPUs()[0], kvm.Hypercall{Input: input})
		if tlfs.Status(r) != tlfs.StatusInvalidHypercallInput || !slices.Equal(l.rules, []string{hyperv.RuleHypercallControl}) {
			t.Errorf("input value %#x: %v, reported %q", input, tlfs.Status(r), l.rules)
		}
	}
}

// Without strict mode nobody is told, and an EOI does for an EOM.
func TestLenient(t *testing.T) {
	hosttest.NeedKVM(t)
	for _, what := range []hosttest.Break{hosttest.Nothing, hosttest.NoEOM, hosttest.DirtySIMP, hosttest.SINTTwice} {
		if exit := breakRule(t, what.Image(), hyperv.Config{}); exit != (vmm.Exit{Kind: vmm.Shutdown}) {
			t.Errorf("guest %d ended with %v\n%s", what, exit, exit.Detail)
		}
	}
}

// A host that looks at the slots again and again needs no EOM.
func TestRepoll(t *testing.T) {
	hosttest.NeedKVM(t)
	l := &ruleLog{t: t}
	exit := breakRule(t, hosttest.NoEOMWaits.Image(), hyperv.Config{Strict: l.add, Quirks: hyperv.Quirks{Repoll: time.Millisecond}})
	if exit != (vmm.Exit{Kind: vmm.Shutdown}) || len(l.rules) > 0 {
		t.Errorf("ended with %v, reported %q", exit, l.rules)
	}
}

// What the guest has in its pages is not there while those of the host are.
func TestOverlayHidesDirt(t *testing.T) {
	hosttest.NeedKVM(t)
	quirks := hyperv.Quirks{OverlayPages: true, PresetSControl: true}
	for _, what := range []hosttest.Break{hosttest.Nothing, hosttest.DirtySIMP, hosttest.DirtySIEFP} {
		if exit := breakRule(t, what.Image(), hyperv.Config{Quirks: quirks}); exit != (vmm.Exit{Kind: vmm.Shutdown}) {
			t.Errorf("guest %d ended with %v", what, exit)
		}
	}
}

func TestPresetSControl(t *testing.T) {
	hosttest.NeedKVM(t)
	for _, preset := range []bool{false, true} {
		vm, err := vmm.New(vmm.Config{Memory: 32 << 20})
		if err != nil {
			t.Fatal(err)
		}
		defer vm.Close()
		p, err := hyperv.New(vm, hyperv.Config{Quirks: hyperv.Quirks{PresetSControl: preset}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		v, err := vm.VCPUs()[0].MSRs(tlfs.MSRSControl)
		if err != nil || (v[0]&tlfs.SControlEnable != 0) != preset {
			t.Errorf("preset %t: SCONTROL is %#x, %v", preset, v, err)
		}
	}
}

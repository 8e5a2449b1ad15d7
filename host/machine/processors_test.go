// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"fmt"
	"sync"
	"testing"

	"github.com/hvgo/hvgo/host/hosttest"
	"github.com/hvgo/hvgo/host/hyperv"
	"github.com/hvgo/hvgo/host/vmm"
)

// All processors that a machine may have come up by INIT and startup interrupts.
func TestProcessors(t *testing.T) {
	for _, n := range []int{1, 2, 8, vmm.MaxVCPUs} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			if e, _, _, err := run(t, hosttest.All, Config{VCPUs: n}); err != nil || e != (Exit{Kind: vmm.Shutdown}) {
				t.Errorf("%v, %v", e, err)
			}
		})
	}
}

// The guest tries what HvCallStartVirtualProcessor must refuse, and starts all
// processors by it. Its exit status is the number of a failed check in
// testdata/guests.S of package hosttest.
func TestStartVP(t *testing.T) {
	// What the guest does wrong on purpose, as a strict host reports it.
	want := map[string]int{hyperv.RuleHypercallControl: 4, hyperv.RuleHypercallInput: 6}
	for _, n := range []int{2, 8} {
		for _, lenient := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d, lenient %t", n, lenient), func(t *testing.T) {
				var mu sync.Mutex
				rules := map[string]int{}
				cfg := Config{VCPUs: n, Lenient: lenient, Quirks: hyperv.Quirks{StartVP: true}}
				if !lenient {
					cfg.Strict = func(rule, _ string) {
						mu.Lock()
						defer mu.Unlock()
						rules[rule]++
					}
				}
				if e, _, _, err := run(t, hosttest.Starter, cfg); err != nil || e != (Exit{Kind: vmm.Shutdown}) {
					t.Errorf("%v, %v", e, err)
				}
				mu.Lock()
				defer mu.Unlock()
				for rule, times := range want {
					if !lenient && rules[rule] != times {
						t.Errorf("rule %s broken %d times, want %d: %v", rule, rules[rule], times, rules)
					}
				}
			})
		}
	}
}

// Without the quirk the privilege is not there.
func TestNoStartVP(t *testing.T) {
	const noPrivilege = 200 // the guest's check
	if e, _, _, err := run(t, hosttest.Starter, Config{VCPUs: 2, Lenient: true}); err != nil || e != (Exit{Kind: vmm.Shutdown, Status: noPrivilege}) {
		t.Errorf("%v, %v", e, err)
	}
}

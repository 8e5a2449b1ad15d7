// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hvgo/hvgo/internal/wire/tlfs"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// A guest that goes must have said so.
func TestEnded(t *testing.T) {
	for _, tt := range []struct {
		name     string
		messages []string
		rules    []string
	}{
		{"never connected", nil, nil},
		{"refused", []string{"0e000000 00000000 ffff0000 00000000 0000000000000000 0000000000000000 0000000000000000"}, nil},
		{"connected", []string{contact40}, []string{RuleUnload}},
		{"offers", []string{contact40, offersReq}, []string{RuleUnload}},
		{"unloaded", []string{contact40, offersReq, unloadMsg}, nil},
		{"connected anew", []string{contact40, unloadMsg, contact40}, []string{RuleUnload}},
	} {
		v := newFake(t, Options{})
		for _, m := range tt.messages { // without waiting: the last is still in the queue
			for v.s.PostMessage(wire.ConnectionMessages, 1, unhex(t, m)) == tlfs.StatusInsufficientBuffers {
				v.settle()
			}
		}
		v.s.Ended()
		if _, rules := v.take(); !slices.Equal(rules, tt.rules) {
			t.Errorf("%s: reported %q, want %q", tt.name, rules, tt.rules)
		}
	}
}

func TestSignalRules(t *testing.T) {
	v := newFake(t, Options{})
	v.s.AddDevice(echo{id: 1})
	v.post(1, contact40, offersReq)
	const connection = SINT<<12 + 1
	if s := v.s.SignalEvent(connection, 1); s != tlfs.StatusInvalidParameter {
		t.Errorf("flag 1: %v", s)
	}
	if _, rules := v.take(); !slices.Equal(rules, []string{RuleSignalFlag}) {
		t.Errorf("flag 1: reported %q", rules)
	}
	if s := v.s.SignalEvent(connection, 0); s != tlfs.StatusSuccess {
		t.Errorf("closed channel: %v", s)
	}
	if _, rules := v.take(); !slices.Equal(rules, []string{RuleSignalClosed}) {
		t.Errorf("closed channel: reported %q", rules)
	}
}

// What a guest can make the server keep has a bound.
func TestLimits(t *testing.T) {
	v := newFake(t, Options{})
	v.s.AddDevice(echo{id: 1})
	v.post(1, contact40, offersReq)
	for i := range maxGPADLs {
		// One page, in a body that never comes.
		v.post(1, fmt.Sprintf("08000000 00000000 01000000 %02x%02x0100 1000 0100 00100000 00000000", i&0xFF, i>>8))
	}
	if _, rules := v.post(1, "08000000 00000000 01000000 00000200 1000 0100 00100000 00000000"); !slices.Equal(rules, []string{RuleGPADLLimit}) {
		t.Errorf("reported %q", rules)
	}

	v = newFake(t, Options{})
	v.post(4, "0e000000 00000000 00000600 00000000 02000000 20000000 0000000000000000 0000000000000000")
	v.post(1, "1b000000 00000000") // PAUSE
	v.s.do(func() {
		v.s.mu.Lock()
		defer v.s.mu.Unlock()
		for range maxHeldMessages + 1 {
			v.s.send(wire.AppendHeader(nil, wire.MsgAllOffersDelivered))
		}
	})
	if _, rules := v.take(); !slices.Equal(rules, []string{RulePaused}) {
		t.Errorf("reported %q", rules)
	}
}

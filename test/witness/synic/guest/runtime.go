// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// loan is what the runtime had set when the checks began.
type loan struct {
	sints [tlfs.SINTCount]uint64
	timer uint64 // configuration of timer 0
}

// borrow stops the runtime's timer and masks its SINTs.
func borrow() *loan {
	l := &loan{}
	for s := range l.sints {
		msr := tlfs.MSRSINT0 + uint32(s)
		l.sints[s] = ring0.Rdmsr(msr)
		ring0.Wrmsr(msr, tlfs.SINTMasked)
	}
	l.timer = ring0.Rdmsr(tlfs.MSRStimer0Config) &^ tlfs.StimerEnabled
	ring0.Wrmsr(tlfs.MSRStimer0Config, 0)
	return l
}

// giveBack lets the runtime go on, and look at once for what it missed: threads
// whose time has come, and VMBus's messages and flags.
func (l *loan) giveBack(p *processor) {
	for s, v := range l.sints {
		ring0.Wrmsr(tlfs.MSRSINT0+uint32(s), v)
	}
	l.armTimer()
	hv.Arm(0)
	p.do(opVMBusInterrupt)
}

// armTimer makes timer 0 what package hv made it, not armed.
func (l *loan) armTimer() {
	if hv.TimerMode() != "direct" {
		sint := l.timer >> tlfs.StimerSINTShift & (tlfs.SINTCount - 1)
		ring0.Wrmsr(tlfs.MSRSINT0+uint32(sint), l.sints[sint])
	}
	ring0.Wrmsr(tlfs.MSRStimer0Count, 0)
	ring0.Wrmsr(tlfs.MSRStimer0Config, l.timer)
	hv.TimerFired()
}

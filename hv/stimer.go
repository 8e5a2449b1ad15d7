// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hv

import (
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// directTimer tells that timer 0 interrupts by VecTimer itself; otherwise it
// sends a message to sintTimer.
var directTimer bool

// initTimer makes this processor's timer 0 one-shot, and enabled by a write of its count
// (TLFS 12.5): arming is one MSR write.
//
//go:nosplit
func initTimer() {
	directTimer = Host.Misc&tlfs.FeatureDirectSyntheticTmrs != 0
	config := uint64(tlfs.StimerAutoEnable)
	if directTimer {
		config |= tlfs.StimerDirect | VecTimer<<tlfs.StimerVectorShift
	} else {
		ring0.Wrmsr(tlfs.MSRSINT0+sintTimer, VecTimerMsg)
		config |= sintTimer << tlfs.StimerSINTShift
	}
	ring0.Wrmsr(tlfs.MSRStimer0Config, config)
}

// TimerMode names how timers reach us.
//
//go:nosplit
func TimerMode() string {
	if directTimer {
		return "direct"
	}
	return "SINT messages"
}

// latest is as late as a timer is set, in ns: 146 years. KVM adds its own clock to what is
// left, and a sum of more than 63 bits is a time that has passed.
const latest = 1 << 62

// Arm makes a timer interrupt come to this processor at the reference time when (ns)
// or soon after. An earlier one that is still to come stands: one write costs an exit,
// an early interrupt only now and then does. Trap context.
//
//go:nosplit
func Arm(when int64) {
	when = min(when, latest)
	l := mine()
	if l.armed != 0 && l.armed <= when {
		return
	}
	l.armed = when
	if when < 0 {
		when = 0
	}
	ring0.Wrmsr(tlfs.MSRStimer0Count, uint64(when/tlfs.ReferenceUnit100ns)+1)
}

// TimerFired must be called on each timer interrupt: it takes the message, if
// it came by one. Trap context.
//
//go:nosplit
func TimerFired() {
	mine().armed = 0
	if !directTimer {
		TakeMessage(sintTimer, 0)
	}
}

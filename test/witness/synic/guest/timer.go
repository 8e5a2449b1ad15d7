// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// timer is one of a processor's synthetic timers.
type timer struct {
	*processor
	number uint32
}

func (t timer) configMSR() uint32 { return tlfs.MSRStimer0Config + 2*t.number }
func (t timer) countMSR() uint32  { return tlfs.MSRStimer0Count + 2*t.number }

// sint is where the timer's messages go: each timer has a SINT of its own here.
func (t timer) sint() uint32 { return 8 + t.number }

func (t timer) vector() uint64 { return sintVector(t.sint()) }

// set writes both registers, the configuration first or last.
func (t timer) set(config, count uint64) error {
	first, second := t.countMSR(), t.configMSR()
	a, b := count, config
	if config&tlfs.StimerAutoEnable != 0 {
		first, second, a, b = second, first, b, a
	}
	if !t.wrmsr(first, a) || !t.wrmsr(second, b) {
		return fmt.Errorf("#GP on a write of configuration %#x or count %d", config, count)
	}
	return nil
}

func (t timer) stop() {
	t.wrmsr(t.configMSR(), 0)
	t.wrmsr(t.countMSR(), 0)
}

func (t timer) toSINT() uint64 { return uint64(t.sint()) << tlfs.StimerSINTShift }

const (
	soon    = 20 * time.Millisecond // until a one-shot timer expires
	period  = time.Millisecond
	periods = 100
)

func (m *machine) timers() {
	for n := range uint32(tlfs.StimerCount) {
		name := fmt.Sprintf("timer %d ", n)
		m.each(name+"once", m.withTimer(n, func(t timer) error { return t.once(tlfs.StimerEnabled) }))
		m.each(name+"once, enabled by its count", m.withTimer(n, func(t timer) error { return t.once(tlfs.StimerAutoEnable) }))
		m.each(name+"every millisecond", m.withTimer(n, timer.periodic))
		m.each(name+"waits for a taken slot", m.withTimer(n, timer.waits))
		m.each(name+"direct", m.withTimer(n, timer.direct))
		m.each(name+"stopped by count 0", m.withTimer(n, timer.stopped))
		m.each(name+"disabled by SINT 0", m.withTimer(n, timer.losesSINT))
	}
	m.check("timer of package hv", m.productTimer)
}

// withTimer makes one of the timers and its SINT ready for a check.
func (m *machine) withTimer(number uint32, f func(timer) error) func(*processor) (string, error) {
	return func(p *processor) (string, error) {
		t := timer{p, number}
		if hv.Host.Features&tlfs.AccessStimer == 0 {
			return "", notRun("the host has no timers")
		}
		t.slot(t.sint()).clear()
		t.setSINT(t.sint(), true)
		err := f(t)
		t.stop()
		t.take(t.sint())
		t.maskSINT(t.sint())
		return "", err
	}
}

// expired checks the message in the slot: timer, when it was due, when it was sent
// (TLFS 12.4). It returns both times.
func (t timer) expired(pending bool) (due, sent uint64, err error) {
	s := t.slot(t.sint())
	payload := uintptr(s) + tlfs.MessagePayloadOffset
	index := *half(payload)
	due, sent = *word(payload + 8), *word(payload + 16)
	switch {
	case s.kind() != tlfs.MessageTypeTimerExpired:
		err = fmt.Errorf("the slot's type is %#x", s.kind())
	case s.size() < 24:
		err = fmt.Errorf("the payload has %d bytes", s.size())
	case index != t.number:
		err = fmt.Errorf("the message is of timer %d", index)
	case sent < due || sent > ticks():
		err = fmt.Errorf("due at %d, sent at %d", due, sent)
	case s.pending() != pending:
		err = fmt.Errorf("the pending flag is %v", s.pending())
	}
	return due, sent, err
}

// arm sets the timer to expire soon, and returns when.
func (t timer) arm(enable uint64) (due uint64, err error) {
	due = ticks() + units(soon)
	return due, t.set(t.toSINT()|enable, due)
}

// mostLead is when armAnd gives up.
const mostLead = 2 * time.Second

// armAnd arms the timer and does something before it expires, for which it needs
// more and more time on a machine that is busy. Nothing may come then.
func (t timer) armAnd(do func() error) error {
	for lead := soon; lead <= mostLead; lead *= 2 {
		before, due := t.count(t.vector()), ticks()+units(lead)
		if err := t.set(t.toSINT()|tlfs.StimerEnabled, due); err != nil {
			return err
		}
		if err := do(); err != nil {
			return err
		}
		if ticks() >= due { // it may have come first
			t.stop()
			t.take(t.sint())
			continue
		}
		if config, _ := t.rdmsr(t.configMSR()); config&tlfs.StimerEnabled != 0 {
			return fmt.Errorf("still enabled: %#x", config)
		}
		spin(lead)
		if k := t.slot(t.sint()).kind(); k != tlfs.MessageTypeNone {
			return fmt.Errorf("a message of type %#x", k)
		}
		return t.quiet(t.vector(), before)
	}
	return fmt.Errorf("the machine is too busy: a register write took %v", mostLead)
}

// once checks a timer that expires once, at an absolute time.
func (t timer) once(enable uint64) error {
	before := t.count(t.vector())
	want, err := t.arm(enable)
	if err != nil {
		return err
	}
	if err := t.processor.once(t.vector(), before); err != nil {
		return err
	}
	if due, _, err := t.expired(false); err != nil || due != want {
		return errors.Join(err, mismatch("due time", due, want))
	}
	if config, _ := t.rdmsr(t.configMSR()); config&tlfs.StimerEnabled != 0 {
		return fmt.Errorf("still enabled after it expired: %#x", config)
	}
	return nil
}

func mismatch(what string, got, want uint64) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s is %d instead of %d", what, got, want)
}

// periodic takes the messages of many periods, in order; then none comes any more.
func (t timer) periodic() error {
	start := ticks()
	if err := t.set(t.toSINT()|tlfs.StimerPeriodic|tlfs.StimerEnabled, units(period)); err != nil {
		return err
	}
	s, last := t.slot(t.sint()), start
	for i := range periods {
		if !until(func() bool { return s.kind() != tlfs.MessageTypeNone }, patience) {
			return fmt.Errorf("no message after %d of them", i)
		}
		due, _, err := t.expired(s.pending())
		if err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
		if due < last+units(period) {
			return fmt.Errorf("message %d was due at %d, after one at %d", i, due, last)
		}
		last = due
		t.take(t.sint())
	}
	t.stop()
	t.take(t.sint())
	spin(settle)
	t.take(t.sint())
	return t.quiet(t.vector(), t.count(t.vector()))
}

// waits lets the timer expire while the slot is taken.
func (t timer) waits() error {
	before := t.count(t.vector())
	first, err := t.arm(tlfs.StimerEnabled)
	if err != nil {
		return err
	}
	if err := t.processor.once(t.vector(), before); err != nil {
		return err
	}
	second, err := t.arm(tlfs.StimerEnabled)
	if err != nil {
		return err
	}
	s := t.slot(t.sint())
	if !until(s.pending, patience) {
		return errors.New("slot taken: the pending flag is not set")
	}
	if err := t.quiet(t.vector(), before+1); err != nil {
		return fmt.Errorf("slot taken: %w", err)
	}
	if due, _, err := t.expired(true); err != nil || due != first {
		return fmt.Errorf("slot taken: %w", errors.Join(err, mismatch("due time", due, first)))
	}
	t.take(t.sint())
	if err := t.processor.once(t.vector(), before+1); err != nil {
		return fmt.Errorf("after EOM: %w", err)
	}
	if due, _, err := t.expired(false); err != nil || due != second {
		return fmt.Errorf("after EOM: %w", errors.Join(err, mismatch("due time", due, second)))
	}
	return nil
}

// direct checks a timer that interrupts by a vector of its own, without a message.
func (t timer) direct() error {
	if hv.Host.Misc&tlfs.FeatureDirectSyntheticTmrs == 0 {
		return notRun("the host has no direct timers")
	}
	vector := 0xC0 + uint64(t.number)
	before := t.count(vector)
	config := tlfs.StimerDirect | vector<<tlfs.StimerVectorShift | tlfs.StimerEnabled
	if err := t.set(config, ticks()+units(soon)); err != nil {
		return err
	}
	err := t.processor.once(vector, before)
	t.eoi()
	if err != nil {
		return err
	}
	if t.slot(t.sint()).kind() != tlfs.MessageTypeNone {
		return errors.New("there is a message too")
	}
	if n := t.count(t.vector()); t.quiet(t.vector(), n) != nil {
		return errors.New("the SINT interrupts too")
	}
	return nil
}

// stopped arms the timer and takes its time back.
func (t timer) stopped() error {
	return t.armAnd(func() error {
		if !t.wrmsr(t.countMSR(), 0) {
			return errors.New("#GP on a write of count 0")
		}
		return nil
	})
}

// losesSINT takes the SINT from a timer that runs, which disables it (TLFS 12.3.1).
func (t timer) losesSINT() error {
	return t.armAnd(func() error {
		if !t.wrmsr(t.configMSR(), tlfs.StimerEnabled) {
			return errors.New("#GP on a write of SINT 0")
		}
		return nil
	})
}

// productTimer is the runtime's own timer: package hv arms it, in the mode that the
// runtime chose, with a vector that is counted instead of served.
func (m *machine) productTimer() (string, error) {
	vector := uint64(hv.VecTimer)
	if hv.TimerMode() != "direct" {
		vector = hv.VecTimerMsg
	}
	restore := m.first.borrowVector(uintptr(vector))
	defer restore()
	m.lent.armTimer()
	defer ring0.Wrmsr(tlfs.MSRStimer0Config, 0)
	for i := range 3 {
		before := m.first.count(vector)
		due := hv.Now() + int64(soon)
		hv.Arm(due)
		if err := m.first.once(vector, before); err != nil {
			return "", fmt.Errorf("interrupt %d: %w", i, err)
		}
		m.first.eoi()
		hv.TimerFired()
		if now := hv.Now(); now < due {
			return "", fmt.Errorf("interrupt %d came %d ns early", i, due-now)
		}
	}
	return hv.TimerMode(), nil
}

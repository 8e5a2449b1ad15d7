// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// slot is a message slot, as it lies in the SIMP page.
type slot uintptr

func (p *processor) slot(sint uint32) slot { return slot(p.simp + uintptr(sint)*tlfs.MessageSize) }

func (s slot) kind() uint32 { return atomic.LoadUint32(half(uintptr(s))) }
func (s slot) size() int    { return int(*octet(uintptr(s) + 4)) }
func (s slot) pending() bool {
	return *octet(uintptr(s) + tlfs.MessageFlagsOffset)&tlfs.MessagePending != 0
}
func (s slot) clear()            { atomic.StoreUint32(half(uintptr(s)), tlfs.MessageTypeNone) }
func (s slot) at(i uintptr) byte { return *octet(uintptr(s) + tlfs.MessagePayloadOffset + i) }

// holds checks a message that the device sent back.
func (s slot) holds(n int, pending bool) error {
	if k := s.kind(); k != tlfs.MessageTypeVMBus {
		return fmt.Errorf("the slot's type is %#x", k)
	}
	if s.size() != n {
		return fmt.Errorf("the payload's size is %d instead of %d", s.size(), n)
	}
	for i := range uintptr(n) {
		if got, want := s.at(i), patternByte(i, uint32(n)); got != want {
			return fmt.Errorf("byte %d of the payload is %#x instead of %#x", i, got, want)
		}
	}
	if s.pending() != pending {
		return fmt.Errorf("the pending flag is %v", s.pending())
	}
	return nil
}

// take frees a slot as a guest does, with EOM when the host asks for it. On the
// first processor it is the runtime's own way.
func (p *processor) take(sint uint32) {
	if !p.remote {
		hv.TakeMessage(uintptr(sint), 0)
		return
	}
	s := p.slot(sint)
	s.clear()
	ring0.Mfence()
	if s.pending() {
		p.wrmsr(tlfs.MSREOM, 0)
	}
}

// post sends a message of n bytes of a pattern, on the first processor by the
// runtime's own way. The device may still be at the message before, which went
// through: then it asks to wait.
func (p *processor) post(connection uint32, n int) (tlfs.Status, error) {
	p.message(connection, tlfs.MessageTypeVMBus, n)
	if !p.remote {
		return hv.PostMessage(connection, mem.Phys(p.input)+tlfs.MessageHeaderSize, uintptr(n)), nil
	}
	st, ok := p.hypercall(tlfs.HvCallPostMessage, p.input, 0)
	if !ok {
		return 0, errors.New("PostMessage: an exception")
	}
	return st, nil
}

// postNow is post where there is room: the device is given time for it.
func (p *processor) postNow(connection uint32, n int) error {
	var st tlfs.Status
	var err error
	until(func() bool {
		st, err = p.post(connection, n)
		return err != nil || st != tlfs.StatusInsufficientBuffers
	}, patience)
	if err == nil && st != tlfs.StatusSuccess {
		err = fmt.Errorf("PostMessage: status %#x", uint16(st))
	}
	return err
}

// pairs runs a check from each processor to each, where the host grants its hypercall.
func (m *machine) pairs(name string, privilege uint32, f func(from, to *processor) (string, error)) {
	for _, way := range []struct {
		name     string
		from, to *processor
	}{{"vp0 to vp0", m.first, m.first}, {"vp0 to vp1", m.first, m.second}, {"vp1 to vp0", m.second, m.first}, {"vp1 to vp1", m.second, m.second}} {
		m.check(name+" "+way.name, func() (string, error) {
			switch {
			case way.from == nil || way.to == nil:
				return "", notRun(m.why.Error())
			case !m.hasDevice():
				return "", noDevice
			case hv.Host.Privileges&privilege == 0:
				return "", notRun("the host does not grant the hypercall")
			}
			return f(way.from, way.to)
		})
	}
}

// The connections of the checks. VMBus has 1 and 4.
const (
	messageConnection = 0x70
	eventConnection   = 0x71
)

func (m *machine) messages() {
	for _, c := range []struct {
		sint    uint32
		autoEOI bool
		mode    string
	}{{tlfs.SINTVMBus, false, "explicit EOI"}, {9, true, "AutoEOI"}} {
		m.pairs("message arrives, "+c.mode+",", tlfs.PostMessages, m.withMessages(c.sint, c.autoEOI, arrives))
		m.pairs("message to a taken slot waits for EOM, "+c.mode+",", tlfs.PostMessages, m.withMessages(c.sint, c.autoEOI, waits))
	}
	m.pairs("messages of 0 to 239 bytes", tlfs.PostMessages, m.withMessages(7, true, sizes))
	m.pairs("no message connection any more", tlfs.PostMessages, m.withMessages(3, true, func(*mailbox) error { return nil }))
}

// mailbox is a message connection that leads to a SINT.
type mailbox struct {
	from, to *processor
	sint     uint32
	autoEOI  bool
}

// withMessages makes a connection for a check, and takes it away.
func (m *machine) withMessages(sint uint32, autoEOI bool, f func(*mailbox) error) func(from, to *processor) (string, error) {
	return func(from, to *processor) (string, error) {
		to.slot(sint).clear()
		to.setSINT(sint, autoEOI)
		m.device(messagesCreate, messageConnection, to, sint)
		err := f(&mailbox{from, to, sint, autoEOI})
		to.take(sint)
		spin(settle) // QEMU ends itself when a connection goes whose message still waits
		to.take(sint)
		m.device(messagesDestroy, messageConnection, to, sint)
		to.maskSINT(sint)
		if err != nil {
			return "", err
		}
		st, err := from.post(messageConnection, 8)
		if err == nil {
			_, err = status(st, tlfs.StatusInvalidConnectionID)
		}
		return "", err
	}
}

// interrupted waits for the one interrupt of a message or an event, and ends it.
func (b *mailbox) interrupted(before uint64) error {
	vector := sintVector(b.sint)
	if err := b.to.once(vector, before); err != nil {
		return err
	}
	return b.to.ended(vector, b.autoEOI)
}

func arrives(b *mailbox) error {
	s := b.to.slot(b.sint)
	before := b.to.count(sintVector(b.sint))
	if err := b.from.postNow(messageConnection, 24); err != nil {
		return err
	}
	if err := b.interrupted(before); err != nil {
		return err
	}
	if err := s.holds(24, false); err != nil {
		return err
	}
	b.to.take(b.sint)
	if s.kind() != tlfs.MessageTypeNone {
		return errors.New("the slot is not free")
	}
	return nil
}

// waits posts a second message while the first lies in the slot, and the same again
// while it waits, which is refused. (The same, since QEMU's device remembers a refused
// message in place of the one that waits.)
func waits(b *mailbox) error {
	s, vector := b.to.slot(b.sint), sintVector(b.sint)
	before := b.to.count(vector)
	if err := b.from.postNow(messageConnection, 24); err != nil {
		return err
	}
	if err := b.interrupted(before); err != nil {
		return err
	}
	if err := b.from.postNow(messageConnection, 40); err != nil {
		return fmt.Errorf("second message: %w", err)
	}
	if !until(s.pending, patience) {
		return errors.New("the pending flag is not set")
	}
	if err := b.to.quiet(vector, before+1); err != nil {
		return fmt.Errorf("slot taken: %w", err)
	}
	if err := s.holds(24, true); err != nil {
		return fmt.Errorf("slot taken: %w", err)
	}
	switch st, err := b.from.post(messageConnection, 40); {
	case err != nil:
		return err
	case st != tlfs.StatusInsufficientBuffers:
		return fmt.Errorf("third message: status %#x", uint16(st))
	}
	b.to.take(b.sint)
	if err := b.interrupted(before + 1); err != nil {
		return fmt.Errorf("after EOM: %w", err)
	}
	if err := s.holds(40, false); err != nil {
		return fmt.Errorf("after EOM: %w", err)
	}
	return nil
}

func sizes(b *mailbox) error {
	for _, n := range []int{0, 1, 8, 239} {
		before := b.to.count(sintVector(b.sint))
		if err := b.from.postNow(messageConnection, n); err != nil {
			return err
		}
		if err := b.interrupted(before); err != nil {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
		if err := b.to.slot(b.sint).holds(n, false); err != nil {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
		b.to.take(b.sint)
	}
	return nil
}

func (m *machine) events() {
	for _, c := range []struct {
		sint    uint32
		autoEOI bool
		mode    string
	}{{tlfs.SINTVMBus, false, "explicit EOI"}, {12, true, "AutoEOI"}} {
		m.pairs("event sets its flag, "+c.mode+",", tlfs.SignalEvents, m.withEvents(c.sint, c.autoEOI, signals))
	}
	m.pairs("event by the slow form", tlfs.SignalEvents, m.withEvents(13, true, signalsSlowly))
}

// withEvents makes an event connection for a check, and takes it away.
func (m *machine) withEvents(sint uint32, autoEOI bool, f func(*mailbox) error) func(from, to *processor) (string, error) {
	return func(from, to *processor) (string, error) {
		to.setSINT(sint, autoEOI)
		m.device(eventsCreate, eventConnection, to, sint)
		err := f(&mailbox{from, to, sint, autoEOI})
		m.device(eventsDestroy, eventConnection, to, sint)
		to.maskSINT(sint)
		to.takeFlag(sint)
		if err != nil {
			return "", err
		}
		st, err := from.signal(0)
		if err == nil {
			_, err = status(st, tlfs.StatusInvalidConnectionID)
		}
		return "", err
	}
}

// signalsSlowly makes the hypercall with its input in memory.
func signalsSlowly(b *mailbox) error {
	before := b.to.count(sintVector(b.sint))
	*word(mem.Phys(b.from.input)) = eventConnection
	if _, err := gives(tlfs.HvCallSignalEvent, b.from.input, tlfs.StatusSuccess)(b.from); err != nil {
		return err
	}
	if err := b.interrupted(before); err != nil {
		return err
	}
	if got := b.to.takeFlag(b.sint); got != flagBit {
		return fmt.Errorf("the flags are %#x instead of %#x", got, uint64(flagBit))
	}
	return nil
}

// signal makes the event, on the first processor by the runtime's own way.
func (p *processor) signal(flag uint16) (tlfs.Status, error) {
	if !p.remote {
		return hv.SignalEvent(eventConnection, flag), nil
	}
	st, ok := p.hypercall(tlfs.HvCallSignalEvent|tlfs.HypercallFast, eventConnection|uint64(flag)<<32, 0)
	if !ok {
		return 0, errors.New("SignalEvent: an exception")
	}
	return st, nil
}

func (p *processor) signalOnce() error {
	st, err := p.signal(0)
	if err == nil && st != tlfs.StatusSuccess {
		err = fmt.Errorf("SignalEvent: status %#x", uint16(st))
	}
	return err
}

// flagWord is the word of the SIEFP page that the connection's flag lies in.
func (p *processor) flagWord(sint uint32) *uint64 {
	return word(p.siefp + uintptr(sint)*tlfs.EventFlagsSize + eventConnection/64*8)
}

const flagBit = 1 << (eventConnection % 64)

// takeFlag reads and clears the flags of the connection's word, those of VMBus on
// the first processor by the runtime's own way.
func (p *processor) takeFlag(sint uint32) uint64 {
	if !p.remote && sint == tlfs.SINTVMBus {
		return hv.TakeFlags(eventConnection / 64)
	}
	return atomic.SwapUint64(p.flagWord(sint), 0)
}

// signals makes an event, again while its flag is set, and again when it is taken.
func signals(b *mailbox) error {
	vector := sintVector(b.sint)
	before := b.to.count(vector)
	for i := range uint64(2) {
		if err := b.from.signalOnce(); err != nil {
			return err
		}
		if err := b.interrupted(before + i); err != nil {
			return err
		}
		if got := atomic.LoadUint64(b.to.flagWord(b.sint)); got != flagBit {
			return fmt.Errorf("the flags are %#x instead of %#x", got, uint64(flagBit))
		}
		if err := b.from.signalOnce(); err != nil {
			return fmt.Errorf("flag set: %w", err)
		}
		if err := b.to.quiet(vector, before+i+1); err != nil {
			return fmt.Errorf("flag set: %w", err)
		}
		if got := b.to.takeFlag(b.sint); got != flagBit {
			return fmt.Errorf("the flags taken are %#x instead of %#x", got, uint64(flagBit))
		}
	}
	switch st, err := b.from.signal(1); {
	case err != nil:
		return err
	case st == tlfs.StatusSuccess:
		return errors.New("flag number 1 of a connection with one flag is accepted")
	}
	return nil
}

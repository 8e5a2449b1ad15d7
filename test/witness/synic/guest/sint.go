// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
)

// The test device: connection, operation, VP index and SINT in one word.
const (
	devicePort = 0x3000

	routeCreate = iota
	routeDestroy
	routeRaise
	messagesCreate
	messagesDestroy
	eventsCreate
	eventsDestroy
)

// device asks the test device for something.
func (m *machine) device(op, connection uint64, p *processor, sint uint32) {
	m.first.do(opOutput, devicePort, connection<<24|op<<16|uint64(p.index)<<8|uint64(sint))
}

// hasDevice tells whether there is a test device: its port reads zero.
func (m *machine) hasDevice() bool {
	v, _ := m.first.do(opInput, devicePort)
	return v == 0
}

const noDevice = notRun("the machine has no test device")

// physical is where the page of an overlay register is mapped.
func physical(register uint64) uintptr { return mem.Phys(register & tlfs.OverlayAddressMask) }

// setSINT gives a SINT its vector of the checks.
func (p *processor) setSINT(sint uint32, autoEOI bool) {
	v := sintVector(sint)
	if autoEOI {
		v |= tlfs.SINTAutoEOI
	}
	p.wrmsr(tlfs.MSRSINT0+sint, v)
}

func (p *processor) maskSINT(sint uint32) { p.wrmsr(tlfs.MSRSINT0+sint, tlfs.SINTMasked) }

// sints raises each SINT by the device.
func (m *machine) sints() {
	for _, autoEOI := range []bool{true, false} {
		mode := "explicit EOI"
		if autoEOI {
			mode = "AutoEOI"
		}
		for s := range uint32(tlfs.SINTCount) {
			m.each(fmt.Sprintf("SINT%d interrupts once, %s", s, mode), func(p *processor) (string, error) {
				return m.raise(p, s, autoEOI)
			})
		}
	}
	m.each("a masked SINT does not interrupt", m.raiseMasked)
}

// raise checks one delivery: one interrupt, and whether it has to be ended.
func (m *machine) raise(p *processor, sint uint32, autoEOI bool) (string, error) {
	if !m.hasDevice() {
		return "", noDevice
	}
	vector := sintVector(sint)
	p.setSINT(sint, autoEOI)
	defer p.maskSINT(sint)
	m.device(routeCreate, 0, p, sint)
	defer m.device(routeDestroy, 0, p, sint)
	before := p.count(vector)
	m.device(routeRaise, 0, p, sint)
	if err := p.once(vector, before); err != nil {
		return "", err
	}
	if err := p.ended(vector, autoEOI); err != nil {
		return "", err
	}
	m.device(routeRaise, 0, p, sint) // and it can come again
	err := p.once(vector, before+1)
	if !autoEOI {
		p.eoi()
	}
	return "", err
}

// ended checks that AutoEOI has ended an interrupt, and ends it where there is none.
func (p *processor) ended(vector uint64, autoEOI bool) error {
	if p.inService(vector) == autoEOI {
		if !autoEOI {
			return errors.New("without AutoEOI the interrupt is not in service")
		}
		p.eoi()
		return errors.New("with AutoEOI the interrupt is still in service")
	}
	if !autoEOI {
		p.eoi()
		if p.inService(vector) {
			return errors.New("EOI did not end the interrupt")
		}
	}
	return nil
}

func (m *machine) raiseMasked(p *processor) (string, error) {
	const sint = 5
	if !m.hasDevice() {
		return "", noDevice
	}
	p.wrmsr(tlfs.MSRSINT0+sint, sintVector(sint)|tlfs.SINTMasked)
	m.device(routeCreate, 0, p, sint)
	defer m.device(routeDestroy, 0, p, sint)
	before := p.count(sintVector(sint))
	m.device(routeRaise, 0, p, sint)
	return "", p.quiet(sintVector(sint), before)
}

// cleanUp masks all SINTs, frees their slots and ends the interrupts in service.
func (p *processor) cleanUp() {
	for s := range uint32(tlfs.SINTCount) {
		p.maskSINT(s)
		p.take(s)
	}
	for v := uint64(0xFF); v >= firstVector; v-- {
		if v != vecCommand && p.inService(v) {
			p.eoi()
		}
	}
}

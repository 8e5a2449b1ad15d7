// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package acpi

import "github.com/hvgo/hvgo/runtime/ring0"

// Host is the machine that we run on: boot fills it in where there is no UEFI.
var Host Machine

// Bits of the PM1 control registers (4.8.3.2.1) and of the sleep control register
// (4.8.3.7).
const (
	pm1Enabled    = 1 << 0 // the machine is in ACPI mode
	pm1TypeShift  = 10
	pm1Sleep      = 1 << 13
	sleepShift    = 2
	sleepNow      = 1 << 5
	resetControl  = 0xCF9 // of PC chipsets: bit 1 the kind, bit 2 now
	resetHard     = 1<<1 | 1<<2
	keyboard      = 0x64 // command port of the keyboard controller
	pulseReset    = 0xFE
	tries         = 1 << 12 // of a port that is waited for
	triesToTheEnd = 1 << 16 // of the wait for what was asked for
)

// Off switches the machine off. It returns if that had no effect.
//
//go:nosplit
func Off() {
	m := &Host
	if !m.hasS5 {
		return
	}
	if m.sleep.usable() && (m.hwReduced || !m.pm1a.usable()) {
		m.sleep.write8(m.s5a<<sleepShift | sleepNow)
		wait()
	}
	if !m.pm1a.usable() {
		return
	}
	if m.smi != 0 && m.enable != 0 && m.pm1a.read16()&pm1Enabled == 0 {
		ring0.Out8(m.smi, m.enable)
		for i := 0; i < tries && m.pm1a.read16()&pm1Enabled == 0; i++ {
			ring0.Pause()
		}
	}
	a, b := m.pm1a.withType(m.s5a), m.pm1b.withType(m.s5b)
	m.pm1a.write16(a)
	m.pm1b.write16(b)
	m.pm1a.write16(a | pm1Sleep)
	m.pm1b.write16(b | pm1Sleep)
	wait()
}

// Reset starts the machine anew: by the register that ACPI names, or else by those
// that PCs have. It returns if that had no effect.
//
//go:nosplit
func Reset() {
	if m := &Host; m.reset.usable() {
		m.reset.write8(m.resetValue)
		wait()
	}
	ring0.Out8(resetControl, resetHard)
	wait()
	ring0.Out8(keyboard, pulseReset)
	wait()
}

// wait gives the machine a moment: a register of a real one works late.
//
//go:nosplit
func wait() {
	for range triesToTheEnd {
		ring0.Pause()
	}
}

//go:nosplit
func (r *register) usable() bool {
	return r.address != 0 && (r.space == spaceIO || r.virtual != 0)
}

// withType is the register's value with a type of sleep in it.
//
//go:nosplit
func (r *register) withType(typ uint8) uint16 {
	return r.read16()&^(7<<pm1TypeShift|pm1Sleep) | uint16(typ)<<pm1TypeShift
}

//go:nosplit
func (r *register) read16() uint16 {
	switch {
	case !r.usable():
		return 0
	case r.space == spaceIO:
		return ring0.In16(uint16(r.address))
	}
	return *(*uint16)(ring0.Pointer(r.virtual))
}

//go:nosplit
func (r *register) write16(v uint16) {
	switch {
	case !r.usable():
	case r.space == spaceIO:
		ring0.Out16(uint16(r.address), v)
	default:
		*(*uint16)(ring0.Pointer(r.virtual)) = v
	}
}

//go:nosplit
func (r *register) write8(v uint8) {
	switch {
	case !r.usable():
	case r.space == spaceIO:
		ring0.Out8(uint16(r.address), v)
	default:
		*(*uint8)(ring0.Pointer(r.virtual)) = v
	}
}

// Registers is the number of registers that can be in memory.
const Registers = 4

// InMemory gives the physical address of register i if it is in memory.
func (m *Machine) InMemory(i int) (pa uint64, ok bool) {
	r := m.register(i)
	return r.address, r.address != 0 && r.space == spaceMemory
}

// MappedAt says at which virtual address register i lies.
func (m *Machine) MappedAt(i int, virtual uintptr) { m.register(i).virtual = virtual }

func (m *Machine) register(i int) *register {
	switch i {
	case 0:
		return &m.reset
	case 1:
		return &m.sleep
	case 2:
		return &m.pm1a
	}
	return &m.pm1b
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package acpi switches a machine off, or on again, where no UEFI firmware does
// (ACPI 6.5). Read finds out how while the machine boots; Off and Reset are the last
// step of a program's way out: nosplit, trap context.
//
//	RSDP -> XSDT or RSDT -> FADT: reset register, sleep or PM1 control registers
//	                          |
//	                        DSDT: \_S5, the type of sleep that is off
//
// The DSDT is a program for an interpreter. Off needs a constant of it only, which
// is looked for by its name and the few forms that a package of small numbers has.
package acpi

import (
	"encoding/binary"

	"github.com/hvgo/hvgo/runtime/handover"
)

var le = binary.LittleEndian

// Bounds for what tables say of themselves.
const (
	maxTable  = 1 << 20 // bytes
	maxTables = 64
)

// Offsets: RSDP 5.2.5.3, table header 5.2.6, FADT 5.2.9.
const (
	rsdpSize1    = 20
	rsdpSize     = 36
	rsdpRevision = 15
	rsdpRSDT     = 16
	rsdpXSDT     = 24

	headerSize   = 36
	headerLength = 4

	fadtDSDT    = 40
	fadtSMI     = 48
	fadtEnable  = 52
	fadtPM1a    = 64
	fadtPM1b    = 68
	fadtCentury = 108
	fadtBoot    = 109
	fadtFlags   = 112
	fadtReset   = 116
	fadtResetTo = 128
	fadtXDSDT   = 140
	fadtXPM1a   = 172
	fadtXPM1b   = 184
	fadtSleep   = 244

	bootNoRTC     = 1 << 5
	flagReset     = 1 << 10
	flagHWReduced = 1 << 20
)

// Table is where a table lies.
type Table struct {
	Address, Size uint64
	Signature     uint32 // as it stands in memory
}

// Machine is what the tables say.
type Machine struct {
	Tables  [maxTables]Table // RSDP first; N of them
	N       int
	Century uint8 // index of the century in the real-time clock, 0: none
	NoRTC   bool  // there is no real-time clock

	reset      register
	resetValue uint8
	hwReduced  bool
	sleep      register // control register of hardware-reduced machines
	pm1a, pm1b register
	smi        uint16 // port that switches to ACPI mode, 0: it is on
	enable     uint8  // what to write there

	hasS5    bool
	s5a, s5b uint8 // types of sleep for pm1a (and sleep) and pm1b
}

// register is a register in I/O space, or in memory at a virtual address that boot
// has mapped. There is none at address 0.
type register struct {
	space   uint8
	address uint64
	virtual uintptr
}

// Spaces of a generic address (5.2.3.2).
const (
	spaceMemory = 0
	spaceIO     = 1
)

// FindRSDP looks where a PC has it (5.2.5.1): on 16 bytes from 0xE0000 to 0xFFFFF. It
// gives the address or 0.
func FindRSDP(v handover.View) uint64 {
	for at := uint64(handover.WindowStart); at < handover.WindowEnd; at += 16 {
		if isRSDP(v.Bytes(at, rsdpSize1)) {
			return at
		}
	}
	return 0
}

func isRSDP(b []byte) bool {
	return len(b) >= rsdpSize1 && string(b[:8]) == "RSD PTR " && sum(b[:rsdpSize1]) == 0
}

func sum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}

// Read fills m from the tables that the RSDP leads to. What cannot be read is left
// out: Off and Reset try what there is.
func (m *Machine) Read(v handover.View, rsdp uint64) {
	b := v.Bytes(rsdp, rsdpSize1)
	if !isRSDP(b) {
		return
	}
	m.note(rsdp, rsdpSize1, 0)
	root, signature, entry := uint64(le.Uint32(b[rsdpRSDT:])), "RSDT", uint64(4)
	if b[rsdpRevision] >= 2 {
		if b = v.Bytes(rsdp, rsdpSize); b != nil && sum(b) == 0 && le.Uint64(b[rsdpXSDT:]) != 0 {
			m.Tables[0].Size = rsdpSize
			root, signature, entry = le.Uint64(b[rsdpXSDT:]), "XSDT", 8
		}
	}
	list := m.table(v, root, signature)
	for at := uint64(headerSize); at+entry <= uint64(len(list)); at += entry {
		address := uint64(le.Uint32(list[at:]))
		if entry == 8 {
			address = le.Uint64(list[at:])
		}
		if t := m.table(v, address, ""); t != nil && string(t[:4]) == "FACP" {
			m.readFADT(v, t)
		}
	}
}

// table shows a table of that signature, "" for any, and notes where it is. It gives
// nil when there is none, or its sum is wrong.
func (m *Machine) table(v handover.View, at uint64, signature string) []byte {
	h := v.Bytes(at, headerSize)
	if h == nil || signature != "" && string(h[:4]) != signature {
		return nil
	}
	n := uint64(le.Uint32(h[headerLength:]))
	if n < headerSize || n > maxTable {
		return nil
	}
	b := v.Bytes(at, n)
	if b == nil || sum(b) != 0 {
		return nil
	}
	m.note(at, n, le.Uint32(b))
	return b
}

func (m *Machine) note(at, size uint64, signature uint32) {
	if m.N < len(m.Tables) {
		m.Tables[m.N] = Table{at, size, signature}
		m.N++
	}
}

func (m *Machine) readFADT(v handover.View, t []byte) {
	if len(t) < fadtFlags+4 {
		return
	}
	flags := le.Uint32(t[fadtFlags:])
	m.hwReduced = flags&flagHWReduced != 0
	m.NoRTC = le.Uint16(t[fadtBoot:])&bootNoRTC != 0
	m.Century = t[fadtCentury]
	m.smi, m.enable = uint16(le.Uint32(t[fadtSMI:])), t[fadtEnable]
	m.pm1a = port(le.Uint32(t[fadtPM1a:]))
	m.pm1b = port(le.Uint32(t[fadtPM1b:]))
	dsdt := uint64(le.Uint32(t[fadtDSDT:]))
	if len(t) > fadtResetTo && flags&flagReset != 0 {
		m.reset, m.resetValue = generic(t[fadtReset:]), t[fadtResetTo]
	}
	if len(t) >= fadtXDSDT+8 {
		if x := le.Uint64(t[fadtXDSDT:]); x != 0 {
			dsdt = x
		}
	}
	if len(t) >= fadtXPM1b+12 {
		if r := generic(t[fadtXPM1a:]); r.address != 0 {
			m.pm1a = r
		}
		if r := generic(t[fadtXPM1b:]); r.address != 0 {
			m.pm1b = r
		}
	}
	if len(t) >= fadtSleep+12 {
		m.sleep = generic(t[fadtSleep:])
	}
	if d := m.table(v, dsdt, "DSDT"); d != nil {
		m.s5a, m.s5b, m.hasS5 = FindS5(d[headerSize:])
	}
}

// port is a register block as old FADTs name it.
func port(at uint32) register {
	if at > 0xFFFF {
		return register{}
	}
	return register{space: spaceIO, address: uint64(at)}
}

// generic reads a generic address (5.2.3.2). Registers elsewhere than in I/O space
// and memory are none.
func generic(b []byte) register {
	r := register{space: b[0], address: le.Uint64(b[4:12])}
	if r.space != spaceIO && r.space != spaceMemory || r.space == spaceIO && r.address > 0xFFFF {
		return register{}
	}
	return r
}

// FindS5 looks for the package \_S5 in AML (20.2) and gives its first two numbers,
// the types of sleep for the two PM1 control registers.
//
//	08  [5C]  5F 53 35 5F  12   length   count  number  number ...
//	Name  \   _  S  5  _   Package
func FindS5(aml []byte) (a, b uint8, ok bool) {
	const (
		nameOp, rootChar, packageOp = 0x08, '\\', 0x12
		name                        = "_S5_"
	)
	for i := 1; i+len(name) < len(aml); i++ {
		if string(aml[i:i+len(name)]) != name || aml[i-1] != nameOp && (i < 2 || aml[i-1] != rootChar || aml[i-2] != nameOp) {
			continue
		}
		rest := aml[i+len(name):]
		if rest[0] != packageOp || len(rest) < 2 {
			continue
		}
		lead := 2 + int(rest[1]>>6) // PkgLength has up to three bytes more
		if len(rest) <= lead {
			continue
		}
		count, rest := rest[lead], rest[lead+1:]
		if count < 1 {
			continue
		}
		a, n := smallNumber(rest)
		if n == 0 {
			continue
		}
		b := uint8(0)
		if count > 1 {
			if b, n = smallNumber(rest[n:]); n == 0 {
				continue
			}
		}
		return a, b, true
	}
	return 0, 0, false
}

// smallNumber reads a constant (20.2.3) from 0 to 7 and gives its size in bytes, 0
// when it is none.
func smallNumber(b []byte) (v uint8, size int) {
	if len(b) == 0 {
		return 0, 0
	}
	switch b[0] {
	case 0x00, 0x01: // ZeroOp, OneOp
		return b[0], 1
	case 0x0A: // BytePrefix
		size = 2
	case 0x0B: // WordPrefix
		size = 3
	case 0x0C: // DWordPrefix
		size = 5
	case 0x0E: // QWordPrefix
		size = 9
	default:
		return 0, 0
	}
	if len(b) < size || b[1] > 7 {
		return 0, 0
	}
	for _, c := range b[2:size] {
		if c != 0 {
			return 0, 0
		}
	}
	return b[1], size
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package acpi

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/hvgo/hvgo/runtime/handover"
)

// memory is the first MiB of physical memory.
type memory []byte

func (m memory) view() handover.View {
	return handover.View{Base: uintptr(unsafe.Pointer(unsafe.SliceData(m))), End: uint64(len(m))}
}

// seal makes the bytes add up to 0.
func seal(b []byte, at int) {
	b[at] = 0
	b[at] = -sum(b)
}

func (m memory) table(at int, signature string, size int, fill func(b []byte)) {
	b := m[at : at+size]
	clear(b)
	copy(b, signature)
	le.PutUint32(b[4:], uint32(size))
	if fill != nil {
		fill(b)
	}
	seal(b, 9)
}

func (m memory) rsdp(at int, revision byte, rsdt uint32, xsdt uint64) {
	b := m[at : at+rsdpSize]
	copy(b, "RSD PTR ")
	b[15] = revision
	le.PutUint32(b[16:], rsdt)
	le.PutUint64(b[24:], xsdt)
	seal(b[:20], 8)
	seal(b, 32)
}

var s5 = []byte("\x10\x05\\_SB_\x08_S5_\x12\x07\x04\x0A\x05\x0A\x06\x00\x00")

// machineOf is a PC with everything: PM1 registers, reset register, RSDT and XSDT.
func machineOf() memory {
	m := make(memory, 1<<20)
	m.rsdp(0xE0040, 2, 0x1000, 0x2000)
	m.table(0x1000, "RSDT", 36+8, func(b []byte) { le.PutUint32(b[36:], 0x3000); le.PutUint32(b[40:], 0x6000) })
	m.table(0x2000, "XSDT", 36+16, func(b []byte) { le.PutUint64(b[36:], 0x3000); le.PutUint64(b[44:], 0x6000) })
	m.table(0x3000, "FACP", 276, func(b []byte) {
		le.PutUint32(b[fadtDSDT:], 0x5000)
		le.PutUint32(b[fadtSMI:], 0xB2)
		b[fadtEnable] = 0xF1
		le.PutUint32(b[fadtPM1a:], 0x604)
		b[fadtCentury] = 0x32
		le.PutUint32(b[fadtFlags:], flagReset)
		copy(b[fadtReset:], "\x01\x08\x00\x00\xF9\x0C\x00\x00\x00\x00\x00\x00")
		b[fadtResetTo] = 0x0F
	})
	m.table(0x5000, "DSDT", 36+len(s5), func(b []byte) { copy(b[36:], s5) })
	m.table(0x6000, "APIC", 44, nil)
	return m
}

func TestRead(t *testing.T) {
	for _, revision := range []byte{0, 2} {
		mem := machineOf()
		mem.rsdp(0xE0040, revision, 0x1000, 0x2000)
		if at := FindRSDP(mem.view()); at != 0xE0040 {
			t.Fatalf("RSDP at %#x", at)
		}
		var m Machine
		m.Read(mem.view(), 0xE0040)
		if m.pm1a != (register{space: spaceIO, address: 0x604}) || m.pm1b.usable() || m.sleep.usable() || m.hwReduced ||
			m.reset != (register{space: spaceIO, address: 0xCF9}) || m.resetValue != 0x0F || m.smi != 0xB2 || m.enable != 0xF1 ||
			!m.hasS5 || m.s5a != 5 || m.s5b != 6 || m.Century != 0x32 || m.NoRTC {
			t.Errorf("revision %d: %+v", revision, m)
		}
		var got []string
		for _, table := range m.Tables[:m.N] {
			got = append(got, string(le.AppendUint32(nil, table.Signature)))
		}
		if want := "RSDT FACP DSDT APIC"; !strings.HasSuffix(strings.ReplaceAll(strings.Join(got, " "), "XSDT", "RSDT"), want) || m.N != 5 {
			t.Errorf("tables %q", got)
		}
	}
}

// TestReadReduced: a hardware-reduced machine with registers in memory.
func TestReadReduced(t *testing.T) {
	mem := machineOf()
	mem.table(0x3000, "FACP", 276, func(b []byte) {
		le.PutUint64(b[fadtXDSDT:], 0x5000)
		le.PutUint32(b[fadtFlags:], flagReset|flagHWReduced)
		le.PutUint16(b[fadtBoot:], bootNoRTC)
		copy(b[fadtReset:], "\x00\x08\x00\x00\x00\x10\x00\xFE\x00\x00\x00\x00")
		copy(b[fadtSleep:], "\x00\x08\x00\x00\x08\x10\x00\xFE\x00\x00\x00\x00")
		copy(b[fadtXPM1a:], "\x02\x10\x00\x00\x08\x10\x00\xFE\x00\x00\x00\x00") // PCI configuration space
	})
	var m Machine
	m.Read(mem.view(), 0xE0040)
	if !m.hwReduced || !m.NoRTC || !m.hasS5 || m.pm1a.usable() {
		t.Errorf("%+v", m)
	}
	for i, want := range []uint64{0xFE001000, 0xFE001008, 0, 0} {
		if pa, ok := m.InMemory(i); ok != (want != 0) || ok && pa != want {
			t.Errorf("register %d: %#x, %v", i, pa, ok)
		}
	}
	if m.sleep.usable() {
		t.Error("a register that is not mapped is used")
	}
	var word [2]uint64
	m.MappedAt(1, uintptr(unsafe.Pointer(&word)))
	if m.sleep.write8(m.s5a<<sleepShift | sleepNow); word != [2]uint64{5<<2 | 1<<5} {
		t.Errorf("%x", word)
	}
}

// TestReadDamage: what is wrong is left out, and nothing is read outside of memory.
func TestReadDamage(t *testing.T) {
	for name, damage := range map[string]func(m memory){
		"RSDP's sum":      func(m memory) { m[0xE0048]++ },
		"XSDT outside":    func(m memory) { m.rsdp(0xE0040, 2, 0, 1<<40) },
		"XSDT's name":     func(m memory) { m.rsdp(0xE0040, 2, 0, 0x3000) },
		"FADT's sum":      func(m memory) { m[0x3050]++ },
		"FADT too long":   func(m memory) { le.PutUint32(m[0x3004:], 1<<31) },
		"FADT too short":  func(m memory) { m.table(0x3000, "FACP", 100, nil) },
		"table of header": func(m memory) { le.PutUint32(m[0x3004:], 35) },
	} {
		mem := machineOf()
		damage(mem)
		var m Machine
		m.Read(mem.view(), FindRSDP(mem.view()))
		if m.pm1a.usable() || m.reset.usable() || m.hasS5 {
			t.Errorf("%s: %+v", name, m)
		}
	}
	mem := machineOf()
	mem.table(0x1000, "RSDT", 36+4*200, func(b []byte) {
		for i := range 200 {
			le.PutUint32(b[36+4*i:], 0x6000)
		}
	})
	mem.rsdp(0xE0040, 0, 0x1000, 0)
	var m Machine
	if m.Read(mem.view(), 0xE0040); m.N != maxTables {
		t.Errorf("%d tables", m.N)
	}
}

func TestFindS5(t *testing.T) {
	for _, test := range []struct {
		aml  string
		a, b uint8
		ok   bool
	}{
		{string(s5), 5, 6, true},
		{"\x08\\_S5_\x12\x06\x04\x00\x01\x00\x00", 0, 1, true}, // from the root
		{"\x08_S5_\x12\x04\x01\x0A\x03", 3, 0, true},           // one number
		{"\x08_S5_\x12\x47\x00\x02\x0B\x05\x00\x0C\x07\x00\x00\x00", 5, 7, true},
		{"\x08_S5_\x12\x0D\x02\x0E\x05\x00\x00\x00\x00\x00\x00\x00\x00", 5, 0, true},
		{"\x08_S5_x_S5_\x08_S5_\x12\x06\x04\x01\x01\x00\x00", 1, 1, true}, // the third is it
		{"", 0, 0, false},
		{"_S5_", 0, 0, false},
		{"\x08_S5_", 0, 0, false},
		{"\x08_S5_\x12", 0, 0, false},
		{"\x08_S5_\x12\xC6\x04", 0, 0, false},             // a length of four bytes that is not there
		{"\x08_S5_\x12\x03\x00", 0, 0, false},             // an empty package
		{"\x08_S5_\x12\x05\x02\x0A\x08\x00", 0, 0, false}, // no type of sleep
		{"\x08_S5_\x12\x05\x02\x0B\x05\x01\x00", 0, 0, false},
		{"\x08_S5_\x12\x04\x02\x00", 0, 0, false}, // the second number is missing
		{"\x08_S5_\x12\x04\x02\x0A", 0, 0, false},
		{"\x14_S5_\x12\x06\x04\x01\x01\x00\x00", 0, 0, false}, // a method
	} {
		if a, b, ok := FindS5([]byte(test.aml)); ok != test.ok || ok && (a != test.a || b != test.b) {
			t.Errorf("%q: %d, %d, %v", test.aml, a, b, ok)
		}
	}
}

func FuzzFindS5(f *testing.F) {
	f.Add([]byte(s5))
	f.Fuzz(func(t *testing.T, aml []byte) {
		if a, b, ok := FindS5(aml); ok && (a > 7 || b > 7) {
			t.Fatal(a, b)
		}
	})
}

func FuzzRead(f *testing.F) {
	m := machineOf()
	f.Add([]byte(m[0x1000:0x7000]))
	f.Fuzz(func(t *testing.T, b []byte) {
		mem := machineOf()
		copy(mem[0x1000:], b)
		for at := 0x1000; at < 0x7000; at += 0x1000 { // sums that are right lead further in
			if n := int(le.Uint32(mem[at+4:])); n >= headerSize && n <= 0x1000 {
				seal(mem[at:at+n], 9)
			}
		}
		var m Machine
		m.Read(mem.view(), 0xE0040)
	})
}

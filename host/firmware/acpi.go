// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package firmware

import (
	"github.com/hvgo/hvgo/host/vmm"
)

// The ACPI tables of a hardware-reduced machine with VMBus, one serial port and a clock,
// as a Generation 2 VM has them (ACPI 6.5, chapter 5).

const (
	acpiHeader  = 36
	fadtSize    = 276
	resetValue  = 1
	sleepTypeS5 = 5

	ioAPICAddr    = 0xFEC00000
	localAPICAddr = 0xFEE00000
)

// buildACPI places RSDP, XSDT, FADT, MADT and DSDT in ACPI reclaim memory.
func (f *Firmware) buildACPI() error {
	base, b, err := f.place(2*pageSize, memACPIReclaim)
	if err != nil {
		return err
	}
	const rsdpRoom = 64
	rsdp, tables := f.acpiTables(base + rsdpRoom)
	copy(b, rsdp)
	copy(b[rsdpRoom:], tables)
	f.addConfig(guidACPI20, base)
	return nil
}

// acpiTables makes all tables but the RSDP, to lie at base, and the RSDP, to lie
// anywhere.
func (f *Firmware) acpiTables(base uint64) (rsdp, tables []byte) {
	put := func(t []byte) uint64 {
		at := base + uint64(len(tables))
		tables = append(tables, t...)
		tables = append(tables, make([]byte, -len(tables)&63)...)
		return at
	}
	dsdt := put(f.dsdt())
	fadt := put(f.fadt(dsdt))
	madt := put(f.madt())
	xsdt := put(acpiTable("XSDT", 1, le.AppendUint64(le.AppendUint64(nil, fadt), madt)))

	const rsdpSize = 36
	r := append([]byte("RSD PTR "), 0)
	r = append(r, "HVGO  "...)
	r = append(r, 2)          // revision
	r = append(r, 0, 0, 0, 0) // no RSDT
	r[8] = checksum(r)        // of the first 20 bytes
	r = le.AppendUint32(r, rsdpSize)
	r = le.AppendUint64(r, xsdt)
	r = append(r, 0, 0, 0, 0)
	r[32] = checksum(r)
	return r, tables
}

// acpiTable puts the common header before a table's body (ACPI 5.2.6).
func acpiTable(signature string, revision byte, body []byte) []byte {
	t := make([]byte, acpiHeader, acpiHeader+len(body))
	copy(t, signature)
	le.PutUint32(t[4:], uint32(acpiHeader+len(body)))
	t[8] = revision
	copy(t[10:], "HVGO  ")
	copy(t[16:], "HVGOTEST")
	le.PutUint32(t[24:], 1)
	copy(t[28:], "HVGO")
	le.PutUint32(t[32:], 1)
	t = append(t, body...)
	t[9] = checksum(t)
	return t
}

// checksum returns the byte that makes the sum of b zero, b's own being zero.
func checksum(b []byte) (c byte) {
	for _, v := range b {
		c -= v
	}
	return c
}

// fadt (ACPI 5.2.9): no fixed hardware; reset and sleep by I/O ports.
func (f *Firmware) fadt(dsdt uint64) []byte {
	const (
		wbinvd, powerButton, sleepButton = 1 << 0, 1 << 4, 1 << 5
		resetSupported, hardwareReduced  = 1 << 10, 1 << 20
		noVGA, noASPM                    = 1 << 2, 1 << 4
	)
	t := acpiTable("FACP", 6, make([]byte, fadtSize-acpiHeader))
	t[9] = 0
	le.PutUint32(t[40:], uint32(dsdt))
	t[108] = vmm.RTCCentury
	le.PutUint16(t[109:], noVGA|noASPM)
	le.PutUint32(t[112:], wbinvd|powerButton|sleepButton|resetSupported|hardwareReduced)
	copy(t[116:], portRegister(portReset))
	t[128] = resetValue
	t[131] = 5 // minor version
	le.PutUint64(t[140:], dsdt)
	copy(t[244:], portRegister(portSleepControl))
	copy(t[256:], portRegister(portSleepStatus))
	t[9] = checksum(t)
	return t
}

// portRegister is a generic address of one byte in I/O space (ACPI 5.2.3.2).
func portRegister(port uint16) []byte {
	return le.AppendUint64([]byte{1, 8, 0, 1}, uint64(port))
}

// madt (ACPI 5.2.12): a local APIC for each processor, one I/O APIC, no PIC.
func (f *Firmware) madt() []byte {
	b := le.AppendUint32(nil, localAPICAddr)
	b = le.AppendUint32(b, 0) // no 8259
	for id := range f.cpus {
		b = append(b, 0, 8, byte(id), byte(id))
		b = le.AppendUint32(b, 1) // enabled
	}
	b = append(b, 1, 12, 0, 0)
	b = le.AppendUint32(b, ioAPICAddr)
	b = le.AppendUint32(b, 0) // first GSI
	return acpiTable("APIC", 5, b)
}

// dsdt declares VMBus under a module device whose window holds the addresses for
// devices, the serial port, the clock, and S5.
func (f *Firmware) dsdt() []byte {
	const acpiSpace = 0xFEC0_0000 // the interrupt controllers follow
	windows := [][]byte{memoryWindow(vmm.LowMemoryEnd, acpiSpace-vmm.LowMemoryEnd)}
	top := uint64(vmm.HighMemory)
	for _, r := range f.ram.Regions() {
		top = max(top, r.GPA+uint64(len(r.Mem)))
	}
	windows = append(windows, memoryWindow((top+gigabyte-1)&^(gigabyte-1), gigabyte))
	body := amlScope("\\_SB",
		amlDevice("VMOD",
			amlName("_HID", amlString("ACPI0004")),
			amlName("_UID", amlInt(0)),
			amlName("_CRS", amlResources(windows...)),
			amlDevice("VMBS",
				amlName("_HID", amlString("VMBus")),
				amlName("_UID", amlInt(0)),
				amlName("_DDN", amlString("VMBUS")),
				amlName("_STA", amlInt(0x0F)),
				// Empty, but there: without, Linux does not look at the module's windows.
				amlName("_CRS", amlResources()))),
		amlDevice("UAR1",
			amlName("_HID", amlEISA("PNP0501")),
			amlName("_UID", amlInt(1)),
			amlName("_CRS", amlResources(ioPorts(vmm.COM1Port, 8), irq(4)))),
		amlDevice("RTC0",
			amlName("_HID", amlEISA("PNP0B00")),
			amlName("_CRS", amlResources(ioPorts(vmm.RTCPort, 2)))))
	body = append(body, amlName("\\_S5_", amlPackage(amlInt(sleepTypeS5), amlInt(0)))...)
	return acpiTable("DSDT", 2, body)
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package firmware

import (
	"fmt"

	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/guid"
)

// Places are where Describe writes, all in RAM that the caller keeps for it.
type Places struct {
	RSDP   uint64
	ACPI   uint64 // all other ACPI tables
	SMBIOS uint64 // entry point and structures
}

// Describe writes the ACPI and SMBIOS tables of a machine that starts a kernel
// without this firmware, and serves the ports of ACPI's power registers. It returns
// how many bytes lie at Places.ACPI.
func Describe(vm *vmm.VM, id guid.GUID, at Places) (acpiBytes uint64, err error) {
	f := newFirmware(vm.Memory(), len(vm.VCPUs()), Config{UUID: id})
	f.vm = vm
	rsdp, tables := f.acpiTables(at.ACPI)
	structures := f.smbiosStructures()
	for _, part := range []struct {
		at, size uint64
		write    func(b []byte)
	}{
		{at.RSDP, uint64(len(rsdp)), func(b []byte) { copy(b, rsdp) }},
		{at.ACPI, uint64(len(tables)), func(b []byte) { copy(b, tables) }},
		{at.SMBIOS, smbiosTablesAt + uint64(len(structures)), func(b []byte) { putSMBIOS(b, at.SMBIOS, structures) }},
	} {
		b, err := f.ram.Bytes(part.at, part.size)
		if err != nil {
			return 0, fmt.Errorf("ACPI and SMBIOS tables: %w", err)
		}
		part.write(b)
	}
	return uint64(len(tables)), f.handlePower()
}

func (f *Firmware) handlePower() error {
	return f.vm.HandlePorts("ACPI power", portSleepControl, portReset, vmm.PortFunc(f.servePower))
}

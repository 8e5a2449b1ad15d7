// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"unsafe"

	"github.com/u-root/u-root/pkg/acpi"
	"github.com/u-root/u-root/pkg/smbios"

	"github.com/hvgo/hvgo/runtime/linux"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// What the firmware's tables may hold at most, so that a wrong length costs
// nothing.
const (
	maxTable   = 1 << 20
	maxTables  = 256
	sdtHeader  = 36
	rsdpLength = 36
)

// firmwareTablesToFiles shows the firmware's tables where Linux does:
// /sys/class/dmi/id and /sys/firmware/acpi/tables. A table that is damaged is
// left out.
func firmwareTablesToFiles() {
	if err := showSMBIOS(); err != nil {
		say("SMBIOS: %v", err)
	}
	if err := showACPI(); err != nil {
		say("ACPI: %v", err)
	}
}

// physical copies n bytes at a physical address, if all of it is mapped RAM.
func physical(pa uint64, n int) ([]byte, error) {
	if pa == 0 || n <= 0 || n > maxTable || pa > mem.MaxPhys-maxTable {
		return nil, fmt.Errorf("%d bytes at %#x", n, pa)
	}
	for at := pa &^ (mem.PageSize - 1); at < pa+uint64(n); at += mem.PageSize {
		if _, _, ok := mem.Walk(mem.Phys(at)); !ok {
			return nil, fmt.Errorf("%#x is not RAM", at)
		}
	}
	return bytes.Clone(unsafe.Slice((*byte)(ring0.Pointer(mem.Phys(pa))), n)), nil
}

// showSMBIOS parses the entry point (SMBIOS 3.6, 5.2.2) and the structures.
func showSMBIOS() error {
	if Machine.SMBIOS == 0 {
		return nil
	}
	entry, err := physical(Machine.SMBIOS, 24)
	if err != nil {
		return err
	}
	var at uint64
	var n int
	switch {
	case bytes.HasPrefix(entry, []byte("_SM3_")):
		n, at = int(binary.LittleEndian.Uint32(entry[12:])), binary.LittleEndian.Uint64(entry[16:])
	case bytes.HasPrefix(entry, []byte("_SM_")):
		if entry, err = physical(Machine.SMBIOS, 31); err != nil {
			return err
		}
		n, at = int(binary.LittleEndian.Uint16(entry[22:])), uint64(binary.LittleEndian.Uint32(entry[24:]))
	default:
		return fmt.Errorf("no entry point at %#x", Machine.SMBIOS)
	}
	table, err := physical(at, n)
	if err != nil {
		return err
	}
	info, err := smbios.ParseInfo(entry, table)
	if err != nil {
		return err
	}
	return showDMI(info)
}

func showDMI(info *smbios.Info) error {
	system, err := info.GetSystemInfo()
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"sys_vendor":      system.Manufacturer,
		"product_name":    system.ProductName,
		"product_version": system.Version,
		"product_serial":  system.SerialNumber,
		"product_uuid":    system.UUID.String(),
	} {
		linux.RegisterText("/sys/class/dmi/id/"+name, func() string { return strings.TrimSpace(text) + "\n" })
	}
	return nil
}

// showACPI walks RSDP and XSDT (ACPI 6.5, 5.2.5 and 5.2.8).
func showACPI() error {
	if Machine.RSDP == 0 {
		return nil
	}
	rsdp, err := physical(Machine.RSDP, rsdpLength)
	if err != nil {
		return err
	}
	if string(rsdp[:8]) != "RSD PTR " {
		return fmt.Errorf("no RSDP at %#x", Machine.RSDP)
	}
	at, want, entry := binary.LittleEndian.Uint64(rsdp[24:]), "XSDT", 8
	if revision := rsdp[15]; revision < 2 { // of ACPI 1.0, as SeaBIOS has it
		at, want, entry = uint64(binary.LittleEndian.Uint32(rsdp[16:])), "RSDT", 4
	}
	root, err := acpiTable(at)
	if err != nil {
		return err
	}
	if root.Sig() != want {
		return fmt.Errorf("%q instead of %s", root.Sig(), want)
	}
	list := root.TableData()
	for i := 0; i+entry <= len(list) && i < entry*maxTables; i += entry {
		at := uint64(binary.LittleEndian.Uint32(list[i:]))
		if entry == 8 {
			at = binary.LittleEndian.Uint64(list[i:])
		}
		t, err := acpiTable(at)
		if err != nil {
			return err
		}
		linux.RegisterText("/sys/firmware/acpi/tables/"+safeName(t.Sig()), func() string { return string(t.Data()) })
	}
	return nil
}

func acpiTable(pa uint64) (acpi.Table, error) {
	header, err := physical(pa, sdtHeader)
	if err != nil {
		return nil, err
	}
	n := int(binary.LittleEndian.Uint32(header[4:]))
	if n < sdtHeader {
		return nil, fmt.Errorf("table at %#x says it has %d bytes", pa, n)
	}
	b, err := physical(pa, n)
	if err != nil {
		return nil, err
	}
	tables, err := acpi.NewRaw(b)
	if err != nil {
		return nil, err
	}
	if len(tables) == 0 {
		return nil, fmt.Errorf("no table at %#x", pa)
	}
	return tables[0], nil
}

// safeName makes a file name of a signature.
func safeName(sig string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, sig)
}

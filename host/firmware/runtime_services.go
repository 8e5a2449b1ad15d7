// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package firmware

import (
	"fmt"
	"time"

	"github.com/hvgo/hvgo/host/vmm"
)

// getTime(*time, *capabilities): UTC, UEFI 8.3.1.
func (f *Firmware) getTime(k *call) uint64 {
	t := time.Now().UTC()
	b := le.AppendUint16(nil, uint16(t.Year()))
	b = append(b, byte(t.Month()), byte(t.Day()), byte(t.Hour()), byte(t.Minute()), byte(t.Second()), 0)
	b = le.AppendUint32(b, uint32(t.Nanosecond()))
	b = append(b, 0, 0, 0, 0) // time zone UTC, no daylight saving
	if k.regs.RDX != 0 {
		c := le.AppendUint32(nil, 1)       // resolution, Hz
		c = le.AppendUint32(c, 50_000_000) // accuracy, 1e-12: 50 ppm
		c = le.AppendUint32(c, 0)          // setting does not clear the fraction
		if !k.write(k.regs.RDX, c) {
			return efiInvalidParameter
		}
	}
	return written(k.write(k.regs.RCX, b))
}

// resetSystem(type, status, size, data) does not return.
func (f *Firmware) resetSystem(k *call) uint64 {
	kind := k.regs.RCX & 0xFFFFFFFF
	if kind > resetMax {
		return efiInvalidParameter
	}
	e := vmm.Exit{Kind: vmm.Reset, Status: k.regs.RDX}
	if kind == resetShutdown {
		e.Kind = vmm.Shutdown
	}
	f.log.Debug("the guest called ResetSystem", "type", kind, "status", fmt.Sprintf("%#x", k.regs.RDX))
	f.vm.End(e)
	return efiSuccess
}

// maxDescriptors bounds the table of SetVirtualAddressMap.
const maxDescriptors = 4096

// setVirtualAddressMap(size, descriptor size, version, map): the stubs work under
// any address; only the pointers in the runtime tables change (UEFI 8.4.1).
func (f *Firmware) setVirtualAddressMap(k *call) uint64 {
	size, stride := k.regs.RCX, k.regs.RDX
	if !f.exited {
		return efiUnsupported
	}
	const least = 40 // EFI_MEMORY_DESCRIPTOR
	if stride < least || stride > pageSize || size%stride != 0 || size/stride > maxDescriptors {
		return efiInvalidParameter
	}
	b := make([]byte, size)
	if err := k.c.ReadVirtual(k.regs.R9, b); err != nil {
		return efiInvalidParameter
	}
	convert := func(addr uint64) uint64 {
		for d := b; len(d) > 0; d = d[stride:] {
			start, virt, n := le.Uint64(d[8:]), le.Uint64(d[16:]), le.Uint64(d[24:])
			if addr >= start && (addr-start)/pageSize < n {
				return virt + addr - start
			}
		}
		return addr
	}
	s, err1 := f.ram.Bytes(f.tables.system, systemTableSize)
	r, err2 := f.ram.Bytes(f.tables.runtime, tableHeader+8*runtimeServiceCount)
	if err1 != nil || err2 != nil {
		return efiDeviceError
	}
	for _, at := range []int{systemVendor, systemRuntime, systemConfig} {
		le.PutUint64(s[at:], convert(le.Uint64(s[at:])))
	}
	putTable(r, runtimeTableSignature, convert(f.tables.runtimeStubs), 0, runtimeServiceCount)
	sealTable(s, systemTableSignature, systemTableSize)
	return efiSuccess
}

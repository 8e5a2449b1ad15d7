// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package firmware

import (
	"github.com/hvgo/hvgo/host/kvm"
)

// Page table entry bits, Intel SDM volume 3, 4.5.
const (
	pteWritable = 1<<1 | 1<<0
	pteLarge    = 1<<7 | pteWritable

	largePage = 2 << 20
	gigabyte  = 1 << 30
)

// buildPageTables maps every address up to the end of RAM, and 4 GiB at least,
// to itself with 2 MiB pages, as UEFI 2.3.4 asks ("all memory ... identity mapped").
func (f *Firmware) buildPageTables() (cr3 uint64, err error) {
	end := uint64(4 * gigabyte)
	for _, r := range f.ram.Regions() {
		end = max(end, r.GPA+uint64(len(r.Mem)))
	}
	gigs := (end + gigabyte - 1) / gigabyte // at most 256 + 4: one page of level 3
	base, b, err := f.place((2+gigs)*pageSize, memBootData)
	if err != nil {
		return 0, err
	}
	le.PutUint64(b, base+pageSize|pteWritable)
	for g := range gigs {
		pd := 2*pageSize + g*pageSize
		le.PutUint64(b[pageSize+8*g:], base+pd|pteWritable)
		for i := range uint64(512) {
			le.PutUint64(b[pd+8*i:], g*gigabyte+i*largePage|pteLarge)
		}
	}
	return base, nil
}

// buildDescriptorTables makes a GDT with the flat segments kvm.Sregs.LongMode
// loads, and an IDT whose 256 gates lead to the stubs of port portException.
func (f *Firmware) buildDescriptorTables(s *kvm.Sregs) error {
	const gdtSize, idtSize, gateSize = 24, 4096, 16
	gdt, b, err := f.place(gdtSize, memBootData)
	if err != nil {
		return err
	}
	le.PutUint64(b[kvm.CodeSelector:], 0x00AF9B000000FFFF)
	le.PutUint64(b[kvm.DataSelector:], 0x00CF93000000FFFF)
	stubs, err := f.placeStubs(portException, memBootCode)
	if err != nil {
		return err
	}
	idt, b, err := f.place(idtSize, memBootData)
	if err != nil {
		return err
	}
	const interruptGate = 0x8E00
	for v := range uint64(idtSize / gateSize) {
		g, to := b[v*gateSize:], stubs+v*stubSize
		le.PutUint16(g, uint16(to))
		le.PutUint16(g[2:], kvm.CodeSelector)
		le.PutUint16(g[4:], interruptGate)
		le.PutUint16(g[6:], uint16(to>>16))
		le.PutUint32(g[8:], uint32(to>>32))
	}
	s.GDT.Base, s.GDT.Limit = gdt, gdtSize-1
	s.IDT.Base, s.IDT.Limit = idt, idtSize-1
	return nil
}

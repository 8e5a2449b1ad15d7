// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmm

import (
	"fmt"
	"strings"

	"github.com/hvgo/hvgo/host/kvm"
	"golang.org/x/arch/x86/x86asm"
)

// EachPage calls f with the guest RAM behind n bytes of guest-virtual memory at
// va, piece by piece within pages, under the processor's page tables.
// It fails when a page is not mapped, or, for write, not writable, or not RAM;
// pieces before it have then been passed to f.
func (c *VCPU) EachPage(va, n uint64, write bool, f func(b []byte)) error {
	if n > 0 && va+n-1 < va {
		return fmt.Errorf("guest address %#x, %d bytes: wraps round", va, n)
	}
	for n > 0 {
		piece := min(n, PageSize-va%PageSize)
		t, err := c.Translate(va)
		if err != nil {
			return err
		}
		if t.Valid == 0 {
			return fmt.Errorf("guest address %#x is not mapped", va)
		}
		if write && t.Writeable == 0 {
			return fmt.Errorf("guest address %#x is not writable", va)
		}
		b, err := c.vm.mem.Bytes(t.Physical, piece)
		if err != nil {
			return err
		}
		f(b)
		va, n = va+piece, n-piece
	}
	return nil
}

// ReadVirtual copies guest-virtual memory at va to b.
func (c *VCPU) ReadVirtual(va uint64, b []byte) error {
	return c.EachPage(va, uint64(len(b)), false, func(p []byte) { b = b[copy(b, p):] })
}

// WriteVirtual copies b to guest-virtual memory at va. Nothing is written unless
// all of it can be.
func (c *VCPU) WriteVirtual(va uint64, b []byte) error {
	if err := c.EachPage(va, uint64(len(b)), true, func([]byte) {}); err != nil {
		return err
	}
	return c.EachPage(va, uint64(len(b)), true, func(p []byte) { b = b[copy(p, b):] })
}

// Describe returns registers, the instruction at RIP and the top of the stack as
// text, for reports. It needs the processor outside the guest.
func (c *VCPU) Describe() string {
	r, err := c.Regs()
	if err != nil {
		return err.Error()
	}
	s, err := c.Sregs()
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "RAX %016x RBX %016x RCX %016x RDX %016x\n", r.RAX, r.RBX, r.RCX, r.RDX)
	fmt.Fprintf(&b, "RSI %016x RDI %016x RBP %016x RSP %016x\n", r.RSI, r.RDI, r.RBP, r.RSP)
	fmt.Fprintf(&b, "R8  %016x R9  %016x R10 %016x R11 %016x\n", r.R8, r.R9, r.R10, r.R11)
	fmt.Fprintf(&b, "R12 %016x R13 %016x R14 %016x R15 %016x\n", r.R12, r.R13, r.R14, r.R15)
	fmt.Fprintf(&b, "RIP %016x RFLAGS %08x CS %04x SS %04x FS.base %x GS.base %x\n", r.RIP, r.RFlags, s.CS.Selector, s.SS.Selector, s.FS.Base, s.GS.Base)
	fmt.Fprintf(&b, "CR0 %x CR2 %x CR3 %x CR4 %x EFER %x\n", s.CR0, s.CR2, s.CR3, s.CR4, s.EFER)
	fmt.Fprintf(&b, "GDT %x+%x IDT %x+%x TR %04x\n", s.GDT.Base, s.GDT.Limit, s.IDT.Base, s.IDT.Limit, s.TR.Selector)
	fmt.Fprintf(&b, "at RIP: %s", c.Instruction(r.RIP, s))
	var stack [64]byte
	if c.ReadVirtual(r.RSP, stack[:]) == nil {
		fmt.Fprintf(&b, "\nstack: % x", stack[:])
	}
	return b.String()
}

// Instruction decodes the instruction at guest-virtual address va.
func (c *VCPU) Instruction(va uint64, s kvm.Sregs) string {
	var code []byte
	const longest = 15
	for i := uint64(0); i < longest; i++ { // byte by byte: the next page may be missing
		var one [1]byte
		if err := c.ReadVirtual(va+i, one[:]); err != nil {
			break
		}
		code = append(code, one[0])
	}
	if len(code) == 0 {
		return "(not mapped)"
	}
	mode := 32
	if s.CS.L != 0 {
		mode = 64
	}
	in, err := x86asm.Decode(code, mode)
	if err != nil {
		return fmt.Sprintf("% x (%v)", code, err)
	}
	return fmt.Sprintf("% x  %s", code[:in.Len], x86asm.GNUSyntax(in, va, nil))
}

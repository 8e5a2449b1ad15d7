// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv

import (
	"bytes"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

// The page's code, followed for each call code: two lead to the port, others to KVM.
func TestHypercallPage(t *testing.T) {
	vmcall, vmmcall := []byte{0x0F, 0x01, 0xC1, 0xC3}, []byte{0x0F, 0x01, 0xD9, 0xC3}
	for _, own := range [][]byte{vmcall, vmmcall, append([]byte{0x0D, 0, 0, 0, 0x80}, vmmcall...)} {
		code, err := hypercallPage(append(bytes.Clone(own), make([]byte, 100)...))
		if err != nil {
			t.Fatal(err)
		}
		for call, port := range map[uint16]bool{
			tlfs.HvCallStartVirtualProcessor: true, tlfs.HvCallGetVpIndexFromApicId: true, tlfs.HvCallPostMessage: false, 0x98: false, 0x199: false,
		} {
			if got := follow(t, code, call); got != port {
				t.Errorf("%x, call %#x: by port %t", own, call, got)
			}
		}
	}
	for _, own := range [][]byte{nil, {0xC3}, make([]byte, 4096), {0x0F, 0x01, 0xC1}} {
		if code, err := hypercallPage(own); err == nil {
			t.Errorf("% x becomes % x", own, code)
		}
	}
}

// follow runs the code up to its RET, and tells whether it went by the port.
func follow(t *testing.T, code []byte, call uint16) (port bool) {
	t.Helper()
	equal := false
	for at := 0; at < len(code); {
		if bytes.HasPrefix(code[at:], []byte{0x0F, 0x01}) { // VMCALL or VMMCALL, which x86asm does not know
			at += 3
			continue
		}
		in, err := x86asm.Decode(code[at:], 64)
		if err != nil {
			t.Fatalf("% x at %d: %v", code, at, err)
		}
		at += in.Len
		switch in.Op {
		case x86asm.CMP:
			equal = in.Args[0] == x86asm.CX && uint16(in.Args[1].(x86asm.Imm)) == call
		case x86asm.JE:
			if equal {
				at += int(in.Args[0].(x86asm.Rel))
			}
		case x86asm.OUT:
			port = in.Args[0] == x86asm.Imm(hypercallPort) && in.Args[1] == x86asm.EAX
		case x86asm.RET:
			return port
		}
	}
	t.Fatalf("% x has no end", code)
	return false
}

func TestCheckContext(t *testing.T) {
	good := tlfs.InitialVPContext{
		RIP: 0xFFFFFFFF80000000, RFlags: 2, EFER: 0xD01, CR0: 0x80000031, CR4: 0x20, PAT: 0x0007040600070406,
	}
	if err := checkContext(&good); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*tlfs.InitialVPContext){
		"SVME":           func(c *tlfs.InitialVPContext) { c.EFER |= 1 << 12 },
		"no LMA":         func(c *tlfs.InitialVPContext) { c.EFER &^= 1 << 10 },
		"LMA, no paging": func(c *tlfs.InitialVPContext) { c.CR0 = 1 },
		"flags":          func(c *tlfs.InitialVPContext) { c.RFlags = 0 },
		"virtual-8086":   func(c *tlfs.InitialVPContext) { c.RFlags |= 1 << 17 },
		"reserved flag":  func(c *tlfs.InitialVPContext) { c.RFlags |= 1 << 40 },
		"PAT":            func(c *tlfs.InitialVPContext) { c.PAT = 2 << 56 },
		"IP":             func(c *tlfs.InitialVPContext) { c.RIP = 1 << 47 },
		"IDT":            func(c *tlfs.InitialVPContext) { c.IDTR.Base = 1 << 63 },
		"GS":             func(c *tlfs.InitialVPContext) { c.GS.Base = 1 << 50 },
	} {
		c := good
		if change(&c); checkContext(&c) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	five := good
	five.RIP, five.CR4 = 1<<50, five.CR4|1<<12
	if err := checkContext(&five); err != nil {
		t.Error(err)
	}
}

func TestSegment(t *testing.T) {
	s := segment(tlfs.Segment{Base: 1, Limit: 2, Selector: 3, Attributes: 0xA09B})
	if s.Base != 1 || s.Limit != 2 || s.Selector != 3 || s.Type != 0xB || s.S != 1 || s.DPL != 0 || s.Present != 1 || s.L != 1 || s.DB != 0 || s.G != 1 || s.Unusable != 0 {
		t.Errorf("%+v", s)
	}
	if s := segment(tlfs.Segment{Attributes: 0x5060}); s.DPL != 3 || s.Present != 0 || s.Unusable != 1 || s.AVL != 1 || s.DB != 1 || s.G != 0 {
		t.Errorf("%+v", s)
	}
}

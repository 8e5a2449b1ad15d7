// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package imagecheck

import (
	"bytes"

	"golang.org/x/arch/x86/x86asm"
)

// instruction is one decoded instruction.
type instruction struct {
	x86asm.Inst
	privileged string // its name, when ring 3 may not use it
}

// missing is an instruction that x86asm v0.32 does not decode. All of them
// begin, after prefixes, with the bytes of code.
type missing struct {
	code       []byte
	modRM      bool // a ModRM byte of register form follows
	group      byte // its middle field, when modRM
	anyGroup   bool
	name       string
	privileged bool
}

// The opcodes are from the Intel SDM volume 2 and the AMD APM volume 3.
var missingInstructions = []missing{
	{code: []byte{0x0F, 0x01, 0xC1}, name: "VMCALL", privileged: true},
	{code: []byte{0x0F, 0x01, 0xC2}, name: "VMLAUNCH", privileged: true},
	{code: []byte{0x0F, 0x01, 0xC3}, name: "VMRESUME", privileged: true},
	{code: []byte{0x0F, 0x01, 0xC4}, name: "VMXOFF", privileged: true},
	{code: []byte{0x0F, 0x01, 0xCA}, name: "CLAC", privileged: true},
	{code: []byte{0x0F, 0x01, 0xCB}, name: "STAC", privileged: true},
	{code: []byte{0x0F, 0x01, 0xD8}, name: "VMRUN", privileged: true},
	{code: []byte{0x0F, 0x01, 0xD9}, name: "VMMCALL", privileged: true},
	{code: []byte{0x0F, 0x01, 0xDA}, name: "VMLOAD", privileged: true},
	{code: []byte{0x0F, 0x01, 0xDB}, name: "VMSAVE", privileged: true},
	{code: []byte{0x0F, 0x01, 0xDC}, name: "STGI", privileged: true},
	{code: []byte{0x0F, 0x01, 0xDD}, name: "CLGI", privileged: true},
	{code: []byte{0x0F, 0x01, 0xDF}, name: "INVLPGA", privileged: true},
	{code: []byte{0x0F, 0x01, 0xE8}, name: "SERIALIZE"},
	{code: []byte{0x0F, 0x01, 0xEE}, name: "RDPKRU"},
	{code: []byte{0x0F, 0x01, 0xEF}, name: "WRPKRU"},
	{code: []byte{0x0F, 0x1E, 0xFA}, name: "ENDBR64"},
	{code: []byte{0x0F, 0x1E, 0xFB}, name: "ENDBR32"},
	{code: []byte{0x0F, 0xC7}, modRM: true, group: 7, name: "RDSEED"},           // with F3: RDPID
	{code: []byte{0x0F, 0xAE}, modRM: true, group: 6, name: "UMWAIT"},           // and TPAUSE, UMONITOR
	{code: []byte{0x0F, 0x38, 0xF6}, modRM: true, anyGroup: true, name: "ADCX"}, // and ADOX
}

// decode decodes the instruction at the start of code. ok is false when it is
// not known; then only its first byte can be skipped.
func decode(code []byte) (in instruction, ok bool) {
	inst, err := x86asm.Decode(code, 64)
	if err != nil || inst.Op == 0 || inst.Len <= 0 || inst.Len > len(code) {
		return decodeMissing(code)
	}
	in.Inst = inst
	in.privileged = privilegedName(&inst)
	return in, true
}

func decodeMissing(code []byte) (in instruction, ok bool) {
	prefixes := 0
	for prefixes < len(code) && prefixes < 4 && isPrefix(code[prefixes]) {
		prefixes++
	}
	rest := code[prefixes:]
	for _, m := range missingInstructions {
		if !bytes.HasPrefix(rest, m.code) {
			continue
		}
		length := len(m.code)
		if m.modRM {
			if len(rest) <= length {
				continue
			}
			modRM := rest[length]
			if modRM>>6 != 3 || !m.anyGroup && modRM>>3&7 != m.group {
				continue
			}
			length++
		}
		in.Len = prefixes + length
		if m.privileged {
			in.privileged = m.name
		}
		return in, true
	}
	return instruction{}, false
}

// isPrefix reports whether b is a legacy prefix or REX.
func isPrefix(b byte) bool {
	return b == 0x66 || b == 0xF2 || b == 0xF3 || b>>4 == 4
}

// privilegedOps fault outside ring 0, or (IN, OUT, CLI, STI) with IOPL 0, or
// change what only ring 0 may mean to change.
var privilegedOps = map[x86asm.Op]bool{
	x86asm.RDMSR: true, x86asm.WRMSR: true, x86asm.RDPMC: true, x86asm.XSETBV: true,
	x86asm.LGDT: true, x86asm.LIDT: true, x86asm.LLDT: true, x86asm.LTR: true, x86asm.LMSW: true, x86asm.CLTS: true,
	x86asm.HLT: true, x86asm.CLI: true, x86asm.STI: true, x86asm.MONITOR: true, x86asm.MWAIT: true,
	x86asm.IN: true, x86asm.INSB: true, x86asm.INSW: true, x86asm.INSD: true,
	x86asm.OUT: true, x86asm.OUTSB: true, x86asm.OUTSW: true, x86asm.OUTSD: true,
	x86asm.INVLPG: true, x86asm.INVPCID: true, x86asm.INVD: true, x86asm.WBINVD: true,
	x86asm.SWAPGS: true, x86asm.IRET: true, x86asm.IRETD: true, x86asm.IRETQ: true,
	x86asm.SYSRET: true, x86asm.SYSEXIT: true, x86asm.RSM: true,
	x86asm.WRFSBASE: true, x86asm.WRGSBASE: true, x86asm.XSAVES: true, x86asm.XSAVES64: true,
	x86asm.XRSTORS: true, x86asm.XRSTORS64: true,
}

// privilegedName returns the name of a privileged instruction, or "".
func privilegedName(in *x86asm.Inst) string {
	if privilegedOps[in.Op] {
		return in.Op.String()
	}
	if in.Op == x86asm.MOV {
		for _, arg := range in.Args[:2] {
			if r, ok := arg.(x86asm.Reg); ok && (r >= x86asm.CR0 && r <= x86asm.CR15 || r >= x86asm.DR0 && r <= x86asm.DR15) {
				return "MOV " + r.String()
			}
		}
	}
	return ""
}

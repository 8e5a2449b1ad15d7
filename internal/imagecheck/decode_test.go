// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package imagecheck

import (
	"encoding/hex"
	"testing"
)

// TestDecode has what the project's assembly uses and x86asm may not know. The
// lengths are from the manuals (Intel SDM volume 2, AMD APM volume 3).
func TestDecode(t *testing.T) {
	for _, test := range []struct{ code, privileged string }{
		{"0f01c1", "VMCALL"}, {"0f01d9", "VMMCALL"}, {"0f01ca", "CLAC"}, {"0f01cb", "STAC"},
		{"0f01d0", ""}, {"0f01d1", "XSETBV"}, {"0f01f8", "SWAPGS"}, {"0f01f9", ""}, {"0f01e8", ""},
		{"0f01c8", "MONITOR"}, {"0f01c9", "MWAIT"}, {"0f01ee", ""},
		{"0fc7f0", ""}, {"480fc7f0", ""}, {"480fc7f8", ""}, {"0fc7f8", ""}, {"f30fc7f8", ""},
		{"480fc70c24", ""}, {"480fc72424", ""}, {"480fc72c24", "XSAVES64"},
		{"480fae2424", ""}, {"480fae2b", ""}, {"480fae33", ""}, {"f3480faed0", "WRFSBASE"}, {"f3480faec0", ""},
		{"f30f1efa", ""}, {"66480f38f6c1", ""}, {"f3480f38f6c1", ""}, {"660faef0", ""}, {"f20faef0", ""}, {"f30faef0", ""},
		{"660f388208", "INVPCID"}, {"0f08", "INVD"}, {"0f09", "WBINVD"}, {"0f0138", "INVLPG"},
		{"0f30", "WRMSR"}, {"0f32", "RDMSR"}, {"0f33", "RDPMC"}, {"f4", "HLT"}, {"fa", "CLI"}, {"fb", "STI"},
		{"ec", "IN"}, {"ee", "OUT"}, {"e420", "IN"}, {"f36e", "OUTSB"}, {"6c", "INSB"},
		{"0f011f", "LIDT"}, {"0f0117", "LGDT"}, {"0f00d8", "LTR"}, {"0f06", "CLTS"},
		{"0f22d8", "MOV CR3"}, {"0f20d0", "MOV CR2"}, {"440f20c0", "MOV CR8"}, {"0f23c0", "MOV DR0"},
		{"48cf", "IRETQ"}, {"480f07", "SYSRET"}, {"0f35", "SYSEXIT"}, {"0f05", ""}, {"0fa2", ""}, {"0f31", ""},
		{"f390", ""}, {"f3aa", ""}, {"f348ab", ""}, {"c3", ""}, {"cc", ""}, {"90", ""},
		{"64488b0c25f8ffffff", ""}, {"654c8b1c2500000000", ""}, {"f0480fb10b", ""}, {"4889d8", ""}, {"ffd6", ""},
	} {
		code, err := hex.DecodeString(test.code)
		if err != nil {
			t.Fatal(err)
		}
		for _, tail := range []string{"", "\x90\x90\x90\x90", "\x00\x00\x00\x00", "\xff\xff\xff\xff"} {
			in, ok := decode(append(code[:len(code):len(code)], tail...))
			if !ok || in.Len != len(code) || in.privileged != test.privileged {
				t.Errorf("%s: ok %v, length %d, privileged %q (want %q)", test.code, ok, in.Len, in.privileged, test.privileged)
			}
		}
		for n := range code {
			if in, ok := decode(code[:n]); ok && in.Len > n {
				t.Errorf("%s cut to %d bytes: length %d", test.code, n, in.Len)
			}
		}
	}
	for _, code := range []string{"", "0f0a", "06", "0fff"} {
		b, _ := hex.DecodeString(code)
		if in, ok := decode(b); ok && in.Op == 0 {
			t.Errorf("%s decodes to %+v", code, in)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0x0F, 0x01, 0xC1})
	f.Add([]byte{0xF3, 0x48, 0x0F, 0xAE, 0xF0})
	f.Add([]byte{0x62, 0xF1, 0x7C, 0x48, 0x10, 0x00})
	f.Fuzz(func(t *testing.T, code []byte) {
		if in, ok := decode(code); ok && (in.Len <= 0 || in.Len > len(code)) {
			t.Errorf("length %d of %d bytes", in.Len, len(code))
		}
	})
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package direct

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRange(t *testing.T) {
	b := unhex(t, "0000100000000000 0000f00700000000 01000000")
	want := Range{Start: 0x100000, Size: 0x7F00000, Type: RAM}
	if got, err := DecodeRange(b); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if got := want.AppendE820([]byte("foo")); !bytes.Equal(got, append([]byte("foo"), b...)) {
		t.Errorf("% x", got)
	}
	if got := want.AppendMemmap(nil); len(got) != MemmapEntrySize || !bytes.Equal(got, append(b, 0, 0, 0, 0)) {
		t.Errorf("% x", got)
	}
	for n := range E820EntrySize {
		if _, err := DecodeRange(b[:n]); err != ErrShort {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// TestStartInfo: the offsets are those of Xen's start_info.h.
func TestStartInfo(t *testing.T) {
	b := unhex(t, `78c56e33 01000000 00000000 02000000 0060000000000000 0030000000000000
		00000e0000000000 4020000000000000 03000000 00000000`)
	want := StartInfo{Magic: StartMagic, Version: 1, ModuleCount: 2, Modules: 0x6000, CommandLine: 0x3000,
		RSDP: 0xE0000, Memmap: 0x2040, MemmapCount: 3}
	if got, err := DecodeStartInfo(b); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if got := want.AppendTo([]byte("foo")); !bytes.Equal(got[3:], b) || len(b) != StartInfoSize {
		t.Errorf("% x", got)
	}
	for n := range StartInfoSize {
		if _, err := DecodeStartInfo(b[:n]); err != ErrShort {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	b[4] = 0 // version 0 ends before the memory map
	if got, err := DecodeStartInfo(b[:StartInfoSize0]); err != nil || got.Memmap != 0 || got.MemmapCount != 0 || got.RSDP != 0xE0000 {
		t.Errorf("version 0: %+v, %v", got, err)
	}
}

// TestBootParams: the offsets are those of Linux's zero-page.rst.
func TestBootParams(t *testing.T) {
	p := BootParams{RSDP: 0x1122334455, CommandLine: 0x6677889900, SetupData: 0xAABBCCDDEE,
		E820: []Range{{0, 0x9FC00, RAM}, {0x9FC00, 0x400, Reserved}}}
	b := p.AppendTo([]byte("foo"))[3:]
	if len(b) != BootParamsSize {
		t.Fatal(len(b))
	}
	for at, want := range map[int]string{
		0x070: "5544332211000000", 0x0C8: "66000000", 0x1E8: "02", 0x1FE: "55aa", 0x202: "48647253", 0x206: "0f02",
		0x210: "ff", 0x228: "00998877", 0x238: "ff070000", 0x250: "eeddccbbaa000000",
		0x2D0: "0000000000000000 00fc090000000000 01000000 00fc090000000000 0004000000000000 02000000 00",
	} {
		if w := unhex(t, want); !bytes.Equal(b[at:at+len(w)], w) {
			t.Errorf("%#x: % x, want %s", at, b[at:at+len(w)], want)
		}
	}
	got, count, err := DecodeBootParams(b)
	if err != nil || count != 2 || got.RSDP != p.RSDP || got.CommandLine != p.CommandLine || got.SetupData != p.SetupData {
		t.Errorf("%+v, %d, %v", got, count, err)
	}
	table := E820Table(b)
	for i, want := range p.E820 {
		if r, err := DecodeRange(table[i*E820EntrySize:]); err != nil || r != want {
			t.Errorf("range %d: %+v, %v", i, r, err)
		}
	}
	if len(table) != MaxE820*E820EntrySize || E820Table(b[1:]) != nil {
		t.Errorf("a table of %d bytes", len(table))
	}
	if _, _, err := DecodeBootParams(b[1:]); err != ErrShort {
		t.Error(err)
	}
	p.E820 = make([]Range, 200)
	if _, count, _ := DecodeBootParams(p.AppendTo(nil)); count != MaxE820 {
		t.Errorf("%d ranges of 200", count)
	}
}

func TestSetupData(t *testing.T) {
	b := unhex(t, "00a0000000000000 09000000 20000000")
	want := SetupData{Next: 0xA000, Type: SetupRNGSeed, Length: 32}
	if got, err := DecodeSetupData(b); err != nil || got != want || len(b) != SetupDataSize {
		t.Errorf("%+v, %v", got, err)
	}
	if got := want.AppendTo(nil); !bytes.Equal(got, b) {
		t.Errorf("% x", got)
	}
	if _, err := DecodeSetupData(b[:15]); err != ErrShort {
		t.Error(err)
	}
	if reflect.TypeOf(want).Size() != SetupDataSize {
		t.Error("a field more?")
	}
}

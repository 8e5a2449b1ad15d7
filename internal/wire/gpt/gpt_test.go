// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package gpt

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/internal/guid"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func check[T interface {
	comparable
	AppendTo([]byte) []byte
}](t *testing.T, v T, want []byte, decode func([]byte) (T, error)) {
	t.Helper()
	if got := v.AppendTo([]byte("foo")); !bytes.Equal(got, append([]byte("foo"), want...)) {
		t.Errorf("encoded\n%x\nwant\n%x", got[3:], want)
	}
	if back, err := decode(want); err != nil || back != v {
		t.Errorf("decoded %+v, %v", back, err)
	}
	for n := range want {
		if _, err := decode(want[:n]); err == nil {
			t.Errorf("decoded a prefix of %d bytes", n)
		}
	}
}

func TestGolden(t *testing.T) {
	check(t, ProtectiveMBR{0x12345678},
		append(make([]byte, 446), unhex(t, "00000200 eeffffff 01000000 78563412"+strings.Repeat("00", 48)+"55aa")...), DecodeProtectiveMBR)
	check(t, Header{92, 0x01020304, 1, 99, 34, 66, guid.MustParse("00112233-4455-6677-8899-aabbccddeeff"), 2, 128, 128, 0x05060708},
		unhex(t, "4546492050415254 00000100 5c000000 04030201 00000000 0100000000000000 6300000000000000"+
			"2200000000000000 4200000000000000 33221100554477668899aabbccddeeff 0200000000000000 80000000 80000000 08070605"), DecodeHeader)
	check(t, Entry{TypeEFISystem, TypeLinuxData, 2048, 4095, 5, [36]uint16{'E', 'F', 'I'}},
		unhex(t, "28732ac11ff8d211ba4b00a0c93ec93b af3dc60f838472478e793d69d8477de4 0008000000000000 ff0f000000000000"+
			"0500000000000000 450046004900"+strings.Repeat("00", 66)), DecodeEntry)
}

func FuzzDecode(f *testing.F) {
	f.Add(Header{}.AppendTo(nil))
	f.Add(ProtectiveMBR{}.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		DecodeHeader(b)
		DecodeEntry(b)
		DecodeProtectiveMBR(b)
	})
}

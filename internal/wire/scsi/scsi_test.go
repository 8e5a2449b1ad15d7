// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type golden struct {
	name   string
	hex    string
	append func(b []byte) []byte
	decode func(b []byte) (any, error)
	want   any
}

// check runs one golden test: both ways, after "foo", every shorter prefix fails.
// lax is how many of the last bytes may be missing.
func check(t *testing.T, tt golden, lax int) {
	t.Helper()
	want := unhex(t, tt.hex)
	if got := tt.append([]byte("foo")); !bytes.Equal(got, append([]byte("foo"), want...)) {
		t.Errorf("%s: appended %x, want foo then %x", tt.name, got, want)
	}
	if tt.decode == nil {
		return
	}
	if got, err := tt.decode(want); err != nil || !reflect.DeepEqual(got, tt.want) {
		t.Errorf("%s: decoded %+v, %v, want %+v", tt.name, got, err, tt.want)
	}
	for n := range len(want) - lax {
		if _, err := tt.decode(want[:n]); err == nil {
			t.Errorf("%s: %d bytes decoded, want an error", tt.name, n)
		}
	}
}

func TestCDBs(t *testing.T) {
	rw := func(b []byte) (any, error) { return DecodeReadWrite(b) }
	inquiry := func(b []byte) (any, error) { return DecodeInquiry(b) }
	mode := func(b []byte) (any, error) { return DecodeModeSense(b) }
	stop := func(b []byte) (any, error) { return DecodeStartStopUnit(b) }
	var tests []golden
	for _, r := range []struct {
		hex string
		c   ReadWrite
	}{
		{"08 1f ff fe 00 00", ReadWrite{OpRead6, 0, 0x1FFFFE, 256}},
		{"0a 00 01 02 03 00", ReadWrite{OpWrite6, 0, 0x102, 3}},
		{"28 08 01 02 03 04 00 00 08 00", ReadWrite{OpRead10, FlagFUA, 0x01020304, 8}},
		{"2a 00 ff ff ff ff 00 ff ff 00", ReadWrite{OpWrite10, 0, 1<<32 - 1, 65535}},
		{"2f 02 00 00 00 05 00 00 01 00", ReadWrite{OpVerify10, FlagByteCheck, 5, 1}},
		{"35 02 00 00 00 00 00 00 00 00", ReadWrite{OpSynchronizeCache10, FlagImmediate, 0, 0}},
		{"a8 00 00 00 00 09 00 01 00 00 00 00", ReadWrite{OpRead12, 0, 9, 65536}},
		{"aa 10 00 00 00 09 00 00 00 01 00 00", ReadWrite{OpWrite12, FlagDPO, 9, 1}},
		{"88 00 01 02 03 04 05 06 07 08 00 01 00 02 00 00", ReadWrite{OpRead16, 0, 0x0102030405060708, 0x10002}},
		{"8a 08 00 00 00 01 00 00 00 00 00 00 00 10 00 00", ReadWrite{OpWrite16, FlagFUA, 1 << 32, 16}},
		{"8f 00 00 00 00 00 00 00 00 07 00 00 00 01 00 00", ReadWrite{OpVerify16, 0, 7, 1}},
		{"91 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", ReadWrite{OpSynchronizeCache16, 0, 0, 0}},
	} {
		tests = append(tests, golden{r.c.Op.String(), r.hex, r.c.AppendTo, rw, r.c})
	}
	tests = append(tests,
		golden{"INQUIRY", "12 00 00 00 24 00", Inquiry{Allocation: 36}.AppendTo, inquiry, Inquiry{Allocation: 36}},
		golden{"INQUIRY VPD", "12 01 83 01 02 00", Inquiry{true, 0x83, 0x102}.AppendTo, inquiry, Inquiry{true, 0x83, 0x102}},
		golden{"READ CAPACITY(10)", "25 00 00 00 00 00 00 00 00 00", ReadCapacity10{}.AppendTo, nil, nil},
		golden{"READ CAPACITY(16)", "9e 10 00 00 00 00 00 00 00 00 00 00 00 20 00 00", ReadCapacity16{32}.AppendTo,
			func(b []byte) (any, error) { return DecodeReadCapacity16(b) }, ReadCapacity16{32}},
		golden{"REPORT LUNS", "a0 00 02 00 00 00 00 00 01 08 00 00", ReportLUNs{2, 264}.AppendTo,
			func(b []byte) (any, error) { return DecodeReportLUNs(b) }, ReportLUNs{2, 264}},
		golden{"TEST UNIT READY", "00 00 00 00 00 00", TestUnitReady{}.AppendTo, nil, nil},
		golden{"MODE SENSE(6)", "1a 08 3f 01 c0 00", ModeSense{OpModeSense6, true, 0, 0x3F, 1, 192}.AppendTo, mode,
			ModeSense{OpModeSense6, true, 0, 0x3F, 1, 192}},
		golden{"MODE SENSE(10)", "5a 00 88 00 00 00 00 01 00 00", ModeSense{OpModeSense10, false, 2, 8, 0, 256}.AppendTo, mode,
			ModeSense{OpModeSense10, false, 2, 8, 0, 256}},
		golden{"START STOP UNIT", "1b 01 00 00 13 00", StartStopUnit{true, 1, true, true}.AppendTo, stop, StartStopUnit{true, 1, true, true}},
		golden{"UNMAP", "42 00 00 00 00 00 00 00 18 00", Unmap{24}.AppendTo,
			func(b []byte) (any, error) { return DecodeUnmap(b) }, Unmap{24}},
	)
	for _, tt := range tests {
		check(t, tt, 0)
	}
}

func TestReadWriteCheck(t *testing.T) {
	for _, tt := range []struct {
		c    ReadWrite
		want error
	}{
		{ReadWrite{OpRead6, 0, 1<<21 - 1, 256}, nil}, {ReadWrite{OpRead6, 0, 1 << 21, 1}, ErrRange},
		{ReadWrite{OpRead6, 0, 0, 0}, ErrRange}, {ReadWrite{OpRead6, 0, 0, 257}, ErrRange},
		{ReadWrite{OpRead10, 0, 1 << 32, 1}, ErrRange}, {ReadWrite{OpRead10, 0, 0, 65536}, ErrRange},
		{ReadWrite{OpRead12, 0, 1 << 32, 1}, ErrRange}, {ReadWrite{OpRead16, 0, 1<<64 - 1, 1<<32 - 1}, nil},
		{ReadWrite{Op(0xC0), 0, 0, 1}, ErrOpcode},
	} {
		if got := tt.c.Check(); got != tt.want {
			t.Errorf("%+v: %v, want %v", tt.c, got, tt.want)
		}
	}
	if _, err := DecodeReadWrite([]byte{0x12, 0, 0, 0, 0, 0}); err != ErrOpcode {
		t.Errorf("INQUIRY as READ: %v", err)
	}
	if _, err := DecodeReadCapacity16(append([]byte{0x9E, 0x12}, make([]byte, 14)...)); err != ErrOpcode {
		t.Errorf("GET LBA STATUS as READ CAPACITY(16): %v", err)
	}
}

func TestData(t *testing.T) {
	disk := InquiryData{PeripheralDisk, true, true, "Msft", "Virtual Disk", "1.0"}
	check(t, golden{"INQUIRY", "00 80 05 02 1f 00 00 02 4d736674 20202020 5669727475616c20 4469736b20202020 312e3020",
		disk.AppendTo, func(b []byte) (any, error) { return DecodeInquiryData(b) }, disk}, 0)
	check(t, golden{"capacity 10", "00 00 ff ff 00 00 02 00", Capacity10{0xFFFF, 512}.AppendTo,
		func(b []byte) (any, error) { return DecodeCapacity10(b) }, Capacity10{0xFFFF, 512}}, 0)
	c16 := Capacity16{0x100000001, 512, 3, true, true}
	check(t, golden{"capacity 16", "00 00 00 01 00 00 00 01 00 00 02 00 00 03 c0 00" + strings.Repeat("00", 16), c16.AppendTo,
		func(b []byte) (any, error) { return DecodeCapacity16(b) }, c16}, 0)
	luns := LUNList{0, 3, 0x123}
	check(t, golden{"LUN list", "00 00 00 18 00 00 00 00" + "0000 000000000000" + "0003 000000000000" + "4123 000000000000", luns.AppendTo,
		func(b []byte) (any, error) { l, _, err := DecodeLUNList(b); return l, err }, luns}, 24)
	page := CachingPage{true}
	check(t, golden{"caching page", "08 12 04" + strings.Repeat("00", 17), page.AppendTo,
		func(b []byte) (any, error) { return DecodeCachingPage(b) }, page}, 0)
	vpd := VPDPage{0, 0x80, []byte("abc")}
	check(t, golden{"VPD page", "00 80 00 03 61 62 63", vpd.AppendTo,
		func(b []byte) (any, error) { return DecodeVPDPage(b) }, vpd}, 3)
	limits := BlockLimits{1, 2, 3, 4, 5, 6}
	check(t, golden{"block limits", "0000 0001 00000002 00000003 00000000 00000004 00000005 00000006" + strings.Repeat("00", 32),
		limits.AppendTo, func(b []byte) (any, error) { return DecodeBlockLimits(b) }, limits}, 0)
	ranges := []UnmapRange{{0x102030405, 9}}
	check(t, golden{"unmap ranges", "0016 0010 00000000 0000000102030405 00000009 00000000",
		func(b []byte) []byte { return AppendUnmapRanges(b, ranges) },
		func(b []byte) (any, error) { return DecodeUnmapRanges(b) }, ranges}, 0)
	for _, op := range []Op{OpModeSense6, OpModeSense10} {
		h := ModeHeader{0x13, 1, ModeWriteProtect, 8}
		hex := map[Op]string{OpModeSense6: "13 01 80 08", OpModeSense10: "0013 01 80 0000 0008"}[op]
		check(t, golden{"mode header", hex, func(b []byte) []byte { return h.AppendTo(op, b) },
			func(b []byte) (any, error) { h, _, err := DecodeModeHeader(op, b); return h, err }, h}, 0)
	}
}

// TestLUNListCut reads a list that claims more LUNs than were sent, as after a small allocation length.
func TestLUNListCut(t *testing.T) {
	l, total, err := DecodeLUNList(unhex(t, "ff ff ff f8 00 00 00 00 0001 000000000000 c101 000000000000 00"))
	if err != nil || !reflect.DeepEqual(l, LUNList{1}) || total != 0x1FFFFFFF {
		t.Errorf("%v, %d, %v", l, total, err)
	}
}

func TestSense(t *testing.T) {
	s := Sense{Key: MediumError, Code: CodeUnrecoveredReadError, InformationValid: true, Information: 5}
	check(t, golden{"sense", "f0 00 03 00000005 0a 00000000 11 00 00 000000", s.AppendTo,
		func(b []byte) (any, error) { return DecodeSense(b) }, s}, 10)
	if got := s.String(); got != "MEDIUM ERROR, 11/00, LBA 5" {
		t.Error(got)
	}
	far := Sense{Key: MediumError, InformationValid: true, Information: 1 << 32}
	if got, _ := DecodeSense(far.AppendTo(nil)); got.InformationValid || got.Information != 0 {
		t.Errorf("a 33-bit LBA in fixed format: %+v", got)
	}
	for _, tt := range []struct {
		hex  string
		want Sense
	}{
		{"71 00 02 00000000 0a 00000000 3a 00", Sense{Deferred: true, Key: NotReady, Code: CodeMediumNotPresent}},
		{"70 00 05 00000000 05 00000000 24 00", Sense{Key: IllegalRequest, Code: 0x2400}}, // length ends after ASC
		{"70 00 05 00000000 00 00000000 24 00", Sense{Key: IllegalRequest}},
		{"72 05 21 00 00 00 00 0c 00 0a 80 00 0000000100000002", Sense{false, IllegalRequest, CodeLBAOutOfRange, true, 1<<32 + 2}},
		{"73 05 21 00 00 00 00 ff 00 ff 80 00 0000000100000002", Sense{Deferred: true, Key: IllegalRequest, Code: CodeLBAOutOfRange}},
	} {
		if got, err := DecodeSense(unhex(t, tt.hex)); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v, want %+v", tt.hex, got, err, tt.want)
		}
	}
	if _, err := DecodeSense(make([]byte, 18)); err == nil {
		t.Error("format 0 decoded")
	}
}

func TestCDBSize(t *testing.T) {
	for op, want := range map[Op]int{OpInquiry: 6, OpRead10: 10, OpModeSense10: 10, OpRead16: 16, OpReportLUNs: 12, 0x60: 0, 0xC0: 0, 0xFF: 0} {
		if got := op.CDBSize(); got != want {
			t.Errorf("%v: %d, want %d", op, got, want)
		}
	}
	if Op(0xC1).String() != "operation code 0xC1" || OpRead10.String() != "READ(10)" {
		t.Error("names")
	}
}

func FuzzCDB(f *testing.F) {
	f.Add(unhex(f, "28 08 01 02 03 04 00 00 08 00"))
	f.Add(unhex(f, "88 00 01 02 03 04 05 06 07 08 00 01 00 02 00 00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := DecodeReadWrite(b); err == nil {
			if err := c.Check(); err != nil {
				t.Fatalf("%+v: %v", c, err)
			}
			if d, err := DecodeReadWrite(c.AppendTo(nil)); err != nil || c != d {
				t.Errorf("round trip: %+v, %v", d, err)
			}
		}
		DecodeInquiry(b)
		DecodeReadCapacity16(b)
		DecodeReportLUNs(b)
		DecodeModeSense(b)
		DecodeStartStopUnit(b)
		DecodeUnmap(b)
	})
}

func FuzzData(f *testing.F) {
	f.Add(unhex(f, "72 05 21 00 00 00 00 0c 00 0a 80 00 0000000100000002"))
	f.Add(unhex(f, "0016 0010 00000000 0000000102030405 00000009 00000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		DecodeSense(b)
		DecodeInquiryData(b)
		DecodeCapacity10(b)
		DecodeCapacity16(b)
		DecodeLUNList(b)
		DecodeModeHeader(OpModeSense6, b)
		DecodeModeHeader(OpModeSense10, b)
		DecodeCachingPage(b)
		DecodeVPDPage(b)
		DecodeBlockLimits(b)
		DecodeUnmapRanges(b)
	})
}

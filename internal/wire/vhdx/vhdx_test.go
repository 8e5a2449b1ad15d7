// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/hvgo/hvgo/internal/guid"
)

var (
	gA = guid.MustParse("00112233-4455-6677-8899-aabbccddeeff")
	gB = guid.MustParse("10112233-4455-6677-8899-aabbccddeeff")
	gC = guid.MustParse("20112233-4455-6677-8899-aabbccddeeff")
)

// golden is one structure: its first bytes in hex; the rest up to size is zero.
var golden = []struct {
	name   string
	hex    string
	size   int
	value  interface{ AppendTo([]byte) []byte }
	decode func([]byte) (any, error)
}{
	{
		"Header",
		"68656164 78563412 0800000000000000 33221100554477668899aabbccddeeff" +
			"33221110554477668899aabbccddeeff 33221120554477668899aabbccddeeff 0000 0100 00001000 0000200000000000",
		HeaderSize,
		Header{Checksum: 0x12345678, SequenceNumber: 8, FileWriteGUID: gA, DataWriteGUID: gB, LogGUID: gC,
			Version: 1, LogLength: 1 << 20, LogOffset: 2 << 20},
		func(b []byte) (any, error) { return DecodeHeader(b) },
	},
	{
		"RegionTable",
		"72656769 04030201 02000000 00000000" +
			"6677c22d23f600429d64115e9bfd4a08 0000300000000000 00001000 01000000" +
			"06a27c8b90479a4bb8fe575f050f886e 0000200000000000 00002000 00000000",
		RegionTableSize,
		RegionTable{Checksum: 0x01020304, Entries: []RegionEntry{
			{RegionBAT, 3 << 20, 1 << 20, true}, {RegionMetadata, 2 << 20, 2 << 20, false}}},
		func(b []byte) (any, error) { return DecodeRegionTable(b) },
	},
	{
		"MetadataTable",
		"6d65746164617461 0000 0100 00000000 00000000 00000000 00000000 00000000" +
			"3767a1ca36fa434db3b633f0aa44e76b 00000100 08000000 04000000 00000000",
		MetadataTableSize,
		MetadataTable{[]MetadataEntry{{ItemFileParameters, 64 << 10, 8, MetadataIsRequired}}},
		func(b []byte) (any, error) { return DecodeMetadataTable(b) },
	},
	{
		"FileParameters", "00001000 03000000", FileParametersSize,
		FileParameters{1 << 20, true, true},
		func(b []byte) (any, error) { return DecodeFileParameters(b) },
	},
	{
		"LogEntry",
		"6c6f6765 04030201 00200000 00100000 0700000000000000 01000000 00000000" +
			"33221100554477668899aabbccddeeff 0000400000000000 0000500000000000",
		LogEntryHeaderSize,
		LogEntry{0x01020304, 8192, 4096, 7, 1, gA, 4 << 20, 5 << 20},
		func(b []byte) (any, error) { return DecodeLogEntry(b) },
	},
	{
		"zero descriptor", "7a65726f 00000000 0020000000000000 0000300000000000 0700000000000000", LogDescriptorSize,
		LogDescriptor{Zero: true, Length: 8192, Offset: 3 << 20, SequenceNumber: 7},
		func(b []byte) (any, error) { return DecodeLogDescriptor(b) },
	},
	{
		"data descriptor", "64657363 01020304 1112131415161718 0000300000000000 0700000000000000", LogDescriptorSize,
		LogDescriptor{Trailing: [4]byte{1, 2, 3, 4}, Leading: [8]byte{0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18}, Offset: 3 << 20, SequenceNumber: 7},
		func(b []byte) (any, error) { return DecodeLogDescriptor(b) },
	},
	{
		"FileID", "7668647866696c65 68007600 67006f00", FileIDSize,
		FileID{[256]uint16{'h', 'v', 'g', 'o'}},
		func(b []byte) (any, error) { return DecodeFileID(b) },
	},
}

func TestGolden(t *testing.T) {
	for _, g := range golden {
		t.Run(g.name, func(t *testing.T) {
			want, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(g.hex), []byte(" "), nil)))
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, make([]byte, g.size-len(want))...)
			got := g.value.AppendTo([]byte("foo"))
			if !bytes.Equal(got, append([]byte("foo"), want...)) {
				t.Errorf("encoded\n%x\nwant\n%x", got[3:min(len(got), 200)], want[:min(len(want), 197)])
			}
			back, err := g.decode(want)
			if err != nil || !reflect.DeepEqual(back, g.value) {
				t.Errorf("decoded %+v, %v", back, err)
			}
			step := max(1, g.size/512)
			for n := 0; n < g.size; n += step {
				if _, err := g.decode(want[:n]); err == nil {
					t.Errorf("decoded a prefix of %d bytes", n)
				}
			}
			if g.name == "FileParameters" {
				return
			}
			want[0] ^= 0xff
			if _, err := g.decode(want); err == nil {
				t.Error("decoded a wrong signature")
			}
		})
	}
}

func TestDataSector(t *testing.T) {
	s := DataSector{SequenceNumber: 0x1112131415161718}
	s.Data[0], s.Data[len(s.Data)-1] = 0xa5, 0x5a
	b := s.AppendTo(nil)
	if len(b) != LogSectorSize || hex.EncodeToString(b[:9]) != "6461746114131211a5" || hex.EncodeToString(b[4091:]) != "5a18171615" {
		t.Errorf("encoded %x ... %x", b[:9], b[4091:])
	}
	if back, err := DecodeDataSector(b); err != nil || back != s {
		t.Errorf("decoded %v", err)
	}
	if _, err := DecodeDataSector(b[:4095]); err == nil {
		t.Error("decoded a prefix")
	}
}

func TestBATEntry(t *testing.T) {
	e := NewBATEntry(FullyPresent, 5<<20)
	if uint64(e) != 0x500006 || e.State() != FullyPresent || e.Offset() != 5<<20 {
		t.Errorf("%#x: state %d, offset %#x", uint64(e), e.State(), e.Offset())
	}
	if e |= 0xffff8; e.State() != FullyPresent || e.Offset() != 5<<20 {
		t.Errorf("reserved bits change %#x: state %d, offset %#x", uint64(e), e.State(), e.Offset())
	}
}

// Tables that claim more entries than the format allows are refused.
func TestTooManyEntries(t *testing.T) {
	b := RegionTable{}.AppendTo(nil)
	le.PutUint32(b[8:], MaxRegions+1)
	if _, err := DecodeRegionTable(b); err == nil {
		t.Error("region table")
	}
	b = MetadataTable{}.AppendTo(nil)
	le.PutUint16(b[10:], MaxMetadataEntries+1)
	if _, err := DecodeMetadataTable(b); err == nil {
		t.Error("metadata table")
	}
}

func FuzzDecode(f *testing.F) {
	for _, g := range golden {
		f.Add(g.value.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, g := range golden {
			g.decode(b)
		}
		DecodeDataSector(b)
	})
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vstor

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
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

const requestHex = `
	34 00 84 02 01 02 03 04 0a 14 01 05 00 02 00 00
	28 00 00 00 10 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00
	00 00 07 20 46 01 00 00 3c 00 00 00 09 00 00 00`

var request = Request{
	Length: 52, SRBStatus: SRBError | SRBAutosenseValid, SCSIStatus: 2, Port: 1, Path: 2, Target: 3, LUN: 4,
	CDBLength: 10, SenseLength: 20, DataIn: DataIn, Properties: 5, DataTransferLength: 512,
	Data: [SenseSize]byte{0: 0x28, 4: 0x10, 8: 1}, QueueTag: 7, QueueAction: QueueTagSimple,
	SRBFlags: SRBFlagDataIn | SRBFlagNoQueueFreeze | SRBFlagDisableDisconnect | SRBFlagQueueActionEnable, TimeoutSeconds: 60, QueueSortKey: 9,
}

// TestGolden checks every structure against literal bytes both ways, after "foo",
// and that every shorter prefix fails.
func TestGolden(t *testing.T) {
	packet := Packet{Operation: OpExecuteSRB, Flags: FlagRequestCompletion, Status: StatusRevisionMismatch}
	packet.SetPayload(request.AppendTo(nil))
	tests := []struct {
		name    string
		hex     string
		append  func(b []byte) []byte
		decode  func(b []byte) (any, error)
		want    any
		minimum int
	}{
		{"packet", "03 00 00 00 01 00 00 00 59 00 00 c0" + requestHex, packet.AppendTo,
			func(b []byte) (any, error) { return DecodePacket(b) }, packet, HeaderSize},
		{"request", requestHex, request.AppendTo,
			func(b []byte) (any, error) { return DecodeRequest(b) }, request, RequestSizeV1},
		{"properties", "00 00 00 00 04 00 00 00 01 00 00 00 00 00 04 00 00 00 00 00 00 00 00 00",
			Properties{4, PropertyMultiChannel, 0x40000}.AppendTo,
			func(b []byte) (any, error) { return DecodeProperties(b) }, Properties{4, PropertyMultiChannel, 0x40000}, PropertiesSize},
		{"version", "02 06 00 00", ProtocolVersion{Version6_2}.AppendTo,
			func(b []byte) (any, error) { return DecodeProtocolVersion(b) }, ProtocolVersion{Version6_2}, VersionSize},
		{"sub-channels", "03 00", SubChannels{3}.AppendTo,
			func(b []byte) (any, error) { return DecodeSubChannels(b) }, SubChannels{3}, 2},
	}
	for _, tt := range tests {
		want := unhex(t, tt.hex)
		if got := tt.append([]byte("foo")); !bytes.Equal(got, append([]byte("foo"), want...)) {
			t.Errorf("%s: appended %x, want foo then %x", tt.name, got, want)
		}
		if got, err := tt.decode(want); err != nil || got != tt.want {
			t.Errorf("%s: decoded %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
		for n := range tt.minimum {
			if _, err := tt.decode(want[:n]); err == nil {
				t.Errorf("%s: %d bytes decoded, want an error", tt.name, n)
			}
		}
	}
}

// TestLayout compares our sizes and offsets with those of the Linux driver.
func TestLayout(t *testing.T) {
	ours := map[string]int{
		"vstor_packet":                                    len(Packet{}.AppendTo(nil)),
		"vmscsi_request":                                  len(Request{}.AppendTo(nil)),
		"vmscsi_request.cdb":                              offset(Request{}.AppendTo, Request{Data: [SenseSize]byte{0xFF}}.AppendTo),
		"vmscsi_request.reserve":                          offset(Request{}.AppendTo, Request{QueueTag: 0xFF}.AppendTo) - 2,
		"vmscsi_request.srb_flags":                        offset(Request{}.AppendTo, Request{SRBFlags: 0xFF}.AppendTo),
		"vmscsi_request.time_out_value":                   offset(Request{}.AppendTo, Request{TimeoutSeconds: 0xFF}.AppendTo),
		"vmstorage_channel_properties":                    len(Properties{}.AppendTo(nil)),
		"vmstorage_channel_properties.max_channel_cnt":    offset(Properties{}.AppendTo, Properties{MaxSubChannels: 0xFF}.AppendTo),
		"vmstorage_channel_properties.flags":              offset(Properties{}.AppendTo, Properties{Flags: 0xFF}.AppendTo),
		"vmstorage_channel_properties.max_transfer_bytes": offset(Properties{}.AppendTo, Properties{MaxTransferBytes: 0xFF}.AppendTo),
	}
	f, err := os.Open("testdata/layout-linux-6.1.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var name string
		var want int
		if strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		if _, err := fmt.Sscan(sc.Text(), &name, &want); err != nil {
			t.Fatal(err)
		}
		if got, ok := ours[name]; !ok || got != want {
			t.Errorf("%s: %d, Linux has %d", name, got, want)
		}
		seen++
	}
	if seen != len(ours) {
		t.Errorf("%d numbers in the table, %d checked here", seen, len(ours))
	}
}

// offset returns the first byte at which two encodings differ.
func offset(a, b func([]byte) []byte) int {
	x, y := a(nil), b(nil)
	for i := range x {
		if x[i] != y[i] {
			return i
		}
	}
	return -1
}

func TestVersionSizes(t *testing.T) {
	for _, tt := range []struct {
		v                      Version
		packet, request, sense int
		text                   string
	}{
		{Version2_0, 48, 36, 18, "2.0"}, {Version4_2, 48, 36, 18, "4.2"},
		{Version5_1, 64, 52, 20, "5.1"}, {Version6_0, 64, 52, 20, "6.0"}, {Version6_2, 64, 52, 20, "6.2"},
	} {
		if tt.v.PacketSize() != tt.packet || tt.v.RequestSize() != tt.request || tt.v.SenseSize() != tt.sense || tt.v.String() != tt.text {
			t.Errorf("%v: packet %d, request %d, sense %d", tt.v, tt.v.PacketSize(), tt.v.RequestSize(), tt.v.SenseSize())
		}
	}
}

// TestShortForm reads a request of a version before 5.1: the long form's fields stay zero.
func TestShortForm(t *testing.T) {
	r, err := DecodeRequest(unhex(t, requestHex)[:RequestSizeV1])
	want := request
	want.QueueTag, want.QueueAction, want.SRBFlags, want.TimeoutSeconds, want.QueueSortKey = 0, 0, 0, 0, 0
	if err != nil || r != want {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestBounds(t *testing.T) {
	r := Request{CDBLength: 255, SenseLength: 255, SRBStatus: SRBError}
	if len(r.CDB()) != CDBSize || r.Sense() != nil {
		t.Errorf("CDB of %d bytes, sense %x", len(r.CDB()), r.Sense())
	}
	r.SRBStatus |= SRBAutosenseValid
	if len(r.Sense()) != SenseSize {
		t.Errorf("sense of %d bytes", len(r.Sense()))
	}
	if got := r.SRBStatus.Code(); got != SRBError {
		t.Errorf("code %v", got)
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{OpQueryVersion.String(), "QUERY_PROTOCOL_VERSION"}, {Operation(0).String(), "operation 0"},
		{Operation(0xFFFFFFFF).String(), "operation 4294967295"},
		{StatusRevisionMismatch.String(), "REVISION_MISMATCH"}, {Status(5).String(), "status 0x00000005"},
		{(SRBError | SRBAutosenseValid | SRBQueueFrozen).String(), "SRB 0x04+sense+frozen"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(unhex(f, "03 00 00 00 01 00 00 00 59 00 00 c0"+requestHex))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodePacket(b)
		if err != nil {
			return
		}
		if q, err := DecodePacket(p.AppendTo(nil)); err != nil || q != p {
			t.Errorf("round trip: %+v, %v", q, err)
		}
		r, err := DecodeRequest(b)
		if err == nil {
			r.CDB()
			r.Sense()
			if q, err := DecodeRequest(r.AppendTo(nil)); err != nil || q != r {
				t.Errorf("round trip: %+v, %v", q, err)
			}
		}
		DecodeProperties(b)
		DecodeProtocolVersion(b)
		DecodeSubChannels(b)
	})
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package dynmem

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"os"
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

// body is any type that follows a header.
type body interface{ AppendTo(b []byte) []byte }

// decoder reads any type that follows a header.
type decoder func(b []byte) (any, error)

func decode[T any](f func([]byte) (T, error)) decoder {
	return func(b []byte) (any, error) { return f(b) }
}

var decoders = map[MessageType]decoder{
	MsgVersionRequest:       decode(DecodeVersionRequest),
	MsgVersionResponse:      decode(DecodeVersionResponse),
	MsgCapabilitiesReport:   decode(DecodeCapabilities),
	MsgCapabilitiesResponse: decode(DecodeCapabilitiesResponse),
	MsgStatusReport:         decode(DecodeStatus),
	MsgBalloonRequest:       decode(DecodeBalloonRequest),
	MsgBalloonResponse:      decode(DecodeBalloonResponse),
	MsgUnballoonRequest:     decode(DecodeUnballoonRequest),
	MsgHotAddRequest:        decode(DecodeHotAddRequest),
	MsgHotAddResponse:       decode(DecodeHotAddResponse),
	MsgInfo:                 decode(DecodeInfo),
}

var ranges = []Range{{0x123456789a, 0xbcdef0}, {MaxRangeStart, 1}}

const rangesHex = "9a78563412 f0debc ffffffffff 010000"

var golden = []struct {
	t    MessageType
	hex  string // without the header
	body body
}{
	{MsgVersionRequest, "0000 0200 00000000", VersionRequest{Version2_0, false}},
	{MsgVersionRequest, "0300 0000 01000000", VersionRequest{Version0_3, true}},
	{MsgVersionResponse, "0100000000000000", VersionResponse{true}},
	{MsgVersionResponse, "0000000000000000", VersionResponse{false}},
	{MsgCapabilitiesReport, "0100000000000000 0068000000000000 ffffffffffffffff", Capabilities{Balloon: true, MinPages: 26624, MaxPage: 1<<64 - 1}},
	{MsgCapabilitiesReport, "5e00000000000000 0000000000000000 0807060504030201", Capabilities{HotAdd: true, HotAddAlignment: 7, HotRemove: true, MaxPage: 0x0102030405060708}},
	{MsgCapabilitiesResponse, "0700000000000000", CapabilitiesResponse{true, true, true}},
	{MsgCapabilitiesResponse, "0400000000000000", CapabilitiesResponse{SuppressReports: true}},
	{MsgStatusReport, "0100000000000000 0200000000000000 0300000000000000 0400000000000000 05000000 06000000", Status{1, 2, 3, 4, 5, 6}},
	{MsgBalloonRequest, "00400000 00000000", BalloonRequest{0x4000}},
	{MsgBalloonResponse, "00000000 05000000" + rangesHex, BalloonResponse{true, ranges}},
	{MsgBalloonResponse, "00000000 00000000", BalloonResponse{false, []Range{}}},
	{MsgUnballoonRequest, "01000000 02000000" + rangesHex, UnballoonRequest{true, ranges}},
	{MsgUnballoonRequest, "00000000 01000000 0100000000 020000", UnballoonRequest{false, []Range{{1, 2}}}},
	{MsgHotAddRequest, "0000100000 000800", HotAddRequest{Range: Range{0x100000, 0x800}}},
	{MsgHotAddRequest, rangesHex, HotAddRequest{ranges[0], true, ranges[1]}},
	{MsgHotAddResponse, "00080000 01000000", HotAddResponse{0x800, true}},
	{MsgInfo, "00000000 10000000 00000000 08000000 0000100000000000", Info{InfoMaxPageCount, []byte{0, 0, 16, 0, 0, 0, 0, 0}}},
}

// TestGolden checks every message against literal bytes both ways, after "foo",
// and that every shorter prefix fails.
func TestGolden(t *testing.T) {
	for _, tt := range golden {
		want := unhex(t, tt.hex)
		if got := tt.body.AppendTo([]byte("foo")); !bytes.Equal(got, append([]byte("foo"), want...)) {
			t.Errorf("%v: appended %x, want foo then %x", tt.t, got, want)
		}
		if got, err := decoders[tt.t](want); err != nil || !reflect.DeepEqual(got, tt.body) {
			t.Errorf("%v: decoded %+v, %v, want %+v", tt.t, got, err, tt.body)
		}
		for n := range want {
			if h, ok := tt.body.(HotAddRequest); ok && h.HasRegion && n == HotAddRequestSize {
				continue // the short form
			}
			if _, err := decoders[tt.t](want[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%v: %d of %d bytes: %v", tt.t, n, len(want), err)
			}
		}
		message := Message(tt.t, 0x01020304, want)
		h, rest, err := DecodeHeader(append(message, 0xA5, 0xA5))
		if err != nil || h != (Header{tt.t, uint16(8 + len(want)), 0x01020304}) || !bytes.Equal(rest, want) {
			t.Errorf("%v: header %+v, body %x, %v", tt.t, h, rest, err)
		}
		for n := range message {
			if _, _, err := DecodeHeader(message[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%v: header in %d of %d bytes: %v", tt.t, n, len(message), err)
			}
		}
	}
	if got := (Header{MsgUnballoonResponse, 8, 0x01020304}).AppendTo(nil); !bytes.Equal(got, unhex(t, "0900 0800 04030201")) {
		t.Errorf("header %x", got)
	}
	if _, _, err := DecodeHeader(unhex(t, "0900 0700 04030201")); !errors.Is(err, ErrMalformed) {
		t.Error("a message smaller than its header:", err)
	}
}

// TestReserved sees that reserved bits do not change what is decoded.
func TestReserved(t *testing.T) {
	for _, tt := range []struct {
		t    MessageType
		hex  string
		want body
	}{
		{MsgVersionRequest, "0000 0100 fefffff5", VersionRequest{Version1_0, false}},
		{MsgVersionResponse, "fffffffffffffff5", VersionResponse{true}},
		{MsgCapabilitiesReport, "81ffffffffffffff 0000000000000000 0000000000000000", Capabilities{Balloon: true}},
		{MsgCapabilitiesResponse, "f9ffffffffffffff", CapabilitiesResponse{Accepted: true}},
		{MsgBalloonRequest, "00400000 a5a5a5a5", BalloonRequest{0x4000}},
		{MsgBalloonResponse, "a5a5a5a5 02000000 0100000000 020000", BalloonResponse{false, []Range{{1, 2}}}},
		{MsgUnballoonRequest, "fefffff5 01000000 0100000000 020000", UnballoonRequest{false, []Range{{1, 2}}}},
	} {
		if got, err := decoders[tt.t](unhex(t, tt.hex)); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%v: decoded %+v, %v, want %+v", tt.t, got, err, tt.want)
		}
	}
}

// bitOffset returns the first bit, header included, in which two bodies differ.
func bitOffset(a, b body) int {
	x, y := a.AppendTo(nil), b.AppendTo(nil)
	for i := range min(len(x), len(y)) {
		if d := x[i] ^ y[i]; d != 0 {
			return (HeaderSize+i)*8 + bits.TrailingZeros8(d)
		}
	}
	return (HeaderSize + min(len(x), len(y))) * 8
}

func sizeOf(b body) int { return HeaderSize + len(b.AppendTo(nil)) }

// TestLayout compares our sizes and offsets with those of the Linux driver.
func TestLayout(t *testing.T) {
	none := []Range{}
	ours := map[string]int{
		"dm_mem_page_range":                    len(Range{}.AppendTo(nil)),
		"dm_header":                            len(Header{}.AppendTo(nil)),
		"dm_header.trans_id":                   bits.TrailingZeros64(le64(Header{Transaction: 1}.AppendTo(nil))),
		"dm_version_request":                   sizeOf(VersionRequest{}),
		"dm_version_request.is_last_attempt":   bitOffset(VersionRequest{}, VersionRequest{Last: true}),
		"dm_version_response":                  sizeOf(VersionResponse{}),
		"dm_version_response.is_accepted":      bitOffset(VersionResponse{}, VersionResponse{true}),
		"dm_capabilities":                      sizeOf(Capabilities{}),
		"dm_capabilities.min_page_cnt":         bitOffset(Capabilities{}, Capabilities{MinPages: 1}),
		"dm_capabilities.max_page_number":      bitOffset(Capabilities{}, Capabilities{MaxPage: 1}),
		"dm_capabilities_resp_msg":             sizeOf(CapabilitiesResponse{}),
		"dm_capabilities_resp_msg.is_accepted": bitOffset(CapabilitiesResponse{}, CapabilitiesResponse{Accepted: true}),
		"dm_status":                            sizeOf(Status{}),
		"dm_status.num_avail":                  bitOffset(Status{}, Status{Available: 1}),
		"dm_status.num_committed":              bitOffset(Status{}, Status{Committed: 1}),
		"dm_status.page_file_size":             bitOffset(Status{}, Status{PageFileSize: 1}),
		"dm_status.zero_free":                  bitOffset(Status{}, Status{ZeroFree: 1}),
		"dm_status.page_file_writes":           bitOffset(Status{}, Status{PageFileWrites: 1}),
		"dm_status.io_diff":                    bitOffset(Status{}, Status{IODifference: 1}),
		"dm_balloon":                           sizeOf(BalloonRequest{}),
		"dm_balloon_response":                  sizeOf(BalloonResponse{}),
		"dm_balloon_response.more_pages":       bitOffset(BalloonResponse{}, BalloonResponse{More: true}),
		"dm_balloon_response.range_count":      bitOffset(BalloonResponse{}, BalloonResponse{Ranges: ranges[:1]}),
		"dm_balloon_response.range_array":      8 * sizeOf(BalloonResponse{Ranges: none}),
		"dm_unballoon_request":                 sizeOf(UnballoonRequest{}),
		"dm_unballoon_request.more_pages":      bitOffset(UnballoonRequest{}, UnballoonRequest{More: true}),
		"dm_unballoon_request.range_count":     bitOffset(UnballoonRequest{}, UnballoonRequest{Ranges: ranges[:1]}),
		"dm_unballoon_request.range_array":     8 * sizeOf(UnballoonRequest{Ranges: none}),
		"dm_unballoon_response":                len(Message(MsgUnballoonResponse, 0, nil)),
		"dm_hot_add":                           sizeOf(HotAddRequest{}),
		"dm_hot_add_response":                  sizeOf(HotAddResponse{}),
		"dm_info_msg":                          sizeOf(Info{}) - 8, // without what the table has apart as dm_info_header
	}
	f, err := os.Open("testdata/layout-linux-6.1.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		var name string
		var want int
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

func le64(b []byte) (v uint64) {
	for i := range 8 {
		v |= uint64(b[i]) << (8 * i)
	}
	return v
}

func TestLimits(t *testing.T) {
	full := make([]Range, MaxBalloonRanges)
	if n := sizeOf(BalloonResponse{Ranges: full}); n > MaxMessageSize || n+RangeSize <= MaxMessageSize {
		t.Errorf("the longest balloon response has %d bytes", n)
	}
	if n := sizeOf(UnballoonRequest{Ranges: make([]Range, MaxUnballoonRanges)}); n > MaxMessageSize || n+RangeSize <= MaxMessageSize {
		t.Errorf("the longest unballoon request has %d bytes", n)
	}
	if e := (Range{MaxRangeStart, MaxRangeCount}).End(); e != MaxRangeStart+MaxRangeCount {
		t.Errorf("end %#x", e)
	}
	info := Info{Type: InfoMaxPageCount, Data: []byte{1, 2, 0, 0, 0, 0, 0, 0}}
	if n, err := info.MaxPageCount(); n != 0x201 || err != nil {
		t.Error(n, err)
	}
	for _, info := range []Info{{1, info.Data}, {InfoMaxPageCount, info.Data[:7]}} {
		if _, err := info.MaxPageCount(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%+v: %v", info, err)
		}
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{MsgVersionRequest.String(), "VERSION_REQUEST"}, {MsgInfo.String(), "INFO_MESSAGE"},
		{MsgHotRemoveResponse.String(), "MEM_HOT_REMOVE_RESPONSE"}, {MessageType(15).String(), "message type 15"},
		{Version0_3.String(), "0.3"}, {Version2_0.String(), "2.0"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, g := range golden {
		f.Add(Message(g.t, 7, unhex(f, g.hex)))
	}
	f.Add(Message(MsgUnballoonResponse, 7, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, rest, err := DecodeHeader(b)
		if err != nil || decoders[h.Type] == nil {
			return
		}
		m, err := decoders[h.Type](rest)
		if err != nil {
			return
		}
		encoded := m.(body).AppendTo(nil)
		if len(encoded) > len(rest) {
			t.Errorf("%v of %d bytes encodes to %d", h.Type, len(rest), len(encoded))
		}
		if again, err := decoders[h.Type](encoded); err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("round trip of %+v: %+v, %v", m, again, err)
		}
	})
}

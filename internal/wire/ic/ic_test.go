// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ic

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"
)

type codec struct {
	name  string
	hex   string
	enc   func(b []byte) []byte
	dec   func(b []byte) (any, error)
	want  any
	least int
}

func codecs() []codec {
	h := Header{Framework: Version{3, 0}, Type: MsgShutdown, Message: Version{3, 2}, Status: StatusFail,
		Transaction: 7, Flags: FlagTransaction | FlagResponse}
	n := Negotiate{Frameworks: FrameworkVersions, Messages: ShutdownVersions}
	s := Shutdown{Reason: ReasonPlanned, Timeout: 30, Flags: ShutdownForce, Text: "by"}
	return []codec{
		{"Header", "03000000 0300 03000200 0000 05400080 07 05 0000", h.AppendTo,
			func(b []byte) (any, error) { h, _, err := DecodeHeader(b); return h, err }, h, 0},
		{"Negotiate", "0200 0400 00000000 01000000 03000000 01000000 03000000 03000100 03000200", n.AppendTo,
			func(b []byte) (any, error) { return DecodeNegotiate(b) }, n, 0},
		{"Shutdown", "00000080 1e000000 01000000 6279" + strings.Repeat("00", 2046), s.AppendTo,
			func(b []byte) (any, error) { return DecodeShutdown(b) }, s, ShutdownMinSize},
		{"Heartbeat", "0800000000000000 01000000" + strings.Repeat("00", 28), Heartbeat{8, HeartbeatHealthy}.AppendTo,
			func(b []byte) (any, error) { return DecodeHeartbeat(b) }, Heartbeat{8, HeartbeatHealthy}, HeartbeatMinSize},
		{"Time", "0100000000000000 0200000000000000 0300000000000000 01 000000", Time{1, 2, 3, TimeSync}.AppendTo,
			func(b []byte) (any, error) { return DecodeTime(b) }, Time{1, 2, 3, TimeSync}, TimeMinSize},
		{"TimeV4", "0100000000000000 0200000000000000 02 03 04 0000000000", TimeV4{1, 2, TimeSample, 3, 4}.AppendTo,
			func(b []byte) (any, error) { return DecodeTimeV4(b) }, TimeV4{1, 2, TimeSample, 3, 4}, TimeV4MinSize},
	}
}

func TestCodecs(t *testing.T) {
	for _, c := range codecs() {
		want, err := hex.DecodeString(strings.ReplaceAll(c.hex, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.enc([]byte("foo")); !bytes.Equal(got, append([]byte("foo"), want...)) {
			t.Errorf("%s: encoded %x", c.name, got)
		}
		if got, err := c.dec(want); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: decoded %+v, %v", c.name, got, err)
		}
		least := c.least
		if least == 0 {
			least = len(want)
		}
		for n := range least {
			if _, err := c.dec(want[:n]); err == nil {
				t.Errorf("%s: decoded from %d of %d bytes", c.name, n, len(want))
			}
		}
	}
}

// layout holds sizes in bytes as the BTF of hv_utils.ko states them (Debian's Linux
// 6.1.192 and 6.12.117): what Linux reads of a message must be there.
var layout = map[string]int{"icmsg_hdr": 20, "heartbeat_msg_data": 40, "ictimesync_data": 25, "ictimesync_ref_data": 22}

func TestLayout(t *testing.T) {
	for name, n := range map[string]int{
		"icmsg_hdr": HeaderSize, "heartbeat_msg_data": HeartbeatSize, "ictimesync_data": TimeMinSize,
		"ictimesync_ref_data": len(TimeV4{}.AppendTo(nil)) - 2, // two more reserved bytes
	} {
		if n != layout[name] {
			t.Errorf("%s: %d bytes, want %d", name, n, layout[name])
		}
	}
}

func TestLimits(t *testing.T) {
	h := Header{Size: 3}.AppendTo(nil)
	if _, _, err := DecodeHeader(append(h, 1, 2)); err == nil {
		t.Error("header announcing more than follows decodes")
	}
	if _, body, err := DecodeHeader(append(h, 1, 2, 3, 4)); err != nil || !bytes.Equal(body, []byte{1, 2, 3}) {
		t.Errorf("body %x, %v", body, err)
	}
	if _, err := DecodeNegotiate(append([]byte{255, 255, 255, 255}, make([]byte, 1<<20)...)); err == nil {
		t.Error("65535 versions decode")
	}
	long := Shutdown{Text: strings.Repeat("x", 5000)}.AppendTo(nil)
	if len(long) != ShutdownSize || long[ShutdownSize-1] != 0 {
		t.Errorf("long text: %d bytes", len(long))
	}
	if s, err := DecodeShutdown(bytes.Repeat([]byte{'x'}, ShutdownSize+9)); err != nil || len(s.Text) != ShutdownTextSize {
		t.Errorf("text without end: %d bytes, %v", len(s.Text), err)
	}
}

func TestFileTime(t *testing.T) {
	if v := FileTime(0); v != 0x019DB1DED53E8000 {
		t.Errorf("1970 is %#x", v)
	}
	now := time.Date(2026, 7, 1, 2, 3, 4, 567_800, time.UTC).UnixNano()
	if got, ok := UnixNano(FileTime(now)); got != now || !ok {
		t.Errorf("%v becomes %v, %t", now, got, ok)
	}
	for _, v := range []uint64{0, 1 << 63, 1<<64 - 1} {
		if got, ok := UnixNano(v); ok {
			t.Errorf("%d is %d", v, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range codecs() {
		f.Add(c.enc(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, body, err := DecodeHeader(b); err == nil && len(body) != int(h.Size) {
			t.Errorf("%d bytes of body, %d announced", len(body), h.Size)
		}
		DecodeNegotiate(b)
		DecodeShutdown(b)
		DecodeHeartbeat(b)
		DecodeTime(b)
		DecodeTimeV4(b)
	})
}

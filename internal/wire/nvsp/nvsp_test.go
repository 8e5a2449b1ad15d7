// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package nvsp

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

// layout holds sizes in bytes as the BTF of hv_netvsc.ko states them (Debian's
// Linux 6.1.192): whole messages, and bodies without the 4-byte type.
var layout = map[string]int{
	"nvsp_message":                     40,
	"nvsp_1_message_send_rndis_packet": 12,
}

func TestLayout(t *testing.T) {
	if MessageSize != layout["nvsp_message"] {
		t.Errorf("MessageSize = %d, want %d", MessageSize, layout["nvsp_message"])
	}
	if got, want := SendRNDISPacketSize-HeaderSize, layout["nvsp_1_message_send_rndis_packet"]; got != want {
		t.Errorf("body of SendRNDISPacket = %d, want %d", got, want)
	}
	// One section fills the older message size exactly.
	if got := SendReceiveBufferCompleteSize + SectionSize; got != MessageSizeLegacy {
		t.Errorf("SendReceiveBufferComplete with a section = %d, want %d", got, MessageSizeLegacy)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type appender interface{ AppendTo([]byte) []byte }

// d adapts a decoder to the table below.
func d[T any](f func([]byte) (T, error)) func([]byte) (any, error) {
	return func(b []byte) (any, error) { return f(b) }
}

var golden = []struct {
	name   string
	hex    string
	msg    appender
	decode func([]byte) (any, error)
}{
	{"Init", "01000000 01000600 01000600", Init{Version61, Version61}, d(DecodeInit)},
	{"InitComplete", "02000000 ffffffff 22000000 01000000", InitComplete{0xFFFFFFFF, 34, StatusSuccess}, d(DecodeInitComplete)},
	{"SendNDISVersion", "64000000 06000000 1e000000", SendNDISVersion{6, 30}, d(DecodeSendNDISVersion)},
	{"SendNDISConfig", "7d000000 ea050000 00000000 0800000000000000", SendNDISConfig{1514, CapIEEE8021Q}, d(DecodeSendNDISConfig)},
	{"SendReceiveBuffer", "65000000 04030201 feca 0000", SharedBuffer{TypeSendReceiveBuffer, 0x01020304, 0xCAFE},
		d(func(b []byte) (SharedBuffer, error) { return DecodeSharedBuffer(b, TypeSendReceiveBuffer) })},
	{"SendReceiveBufferComplete", "66000000 01000000 01000000 00000000 0e070000 89040000 fefb1f00",
		SendReceiveBufferComplete{StatusSuccess, []Section{{0, 1806, 1161, 0x1FFBFE}}}, d(DecodeSendReceiveBufferComplete)},
	{"RevokeReceiveBuffer", "67000000 feca", RevokeBuffer{TypeRevokeReceiveBuffer, 0xCAFE},
		d(func(b []byte) (RevokeBuffer, error) { return DecodeRevokeBuffer(b, TypeRevokeReceiveBuffer) })},
	{"SendSendBuffer", "68000000 04030201 0000 0000", SharedBuffer{TypeSendSendBuffer, 0x01020304, 0},
		d(func(b []byte) (SharedBuffer, error) { return DecodeSharedBuffer(b, TypeSendSendBuffer) })},
	{"SendSendBufferComplete", "69000000 01000000 00180000", SendSendBufferComplete{StatusSuccess, 6144}, d(DecodeSendSendBufferComplete)},
	{"RevokeSendBuffer", "6a000000 0100", RevokeBuffer{TypeRevokeSendBuffer, 1},
		d(func(b []byte) (RevokeBuffer, error) { return DecodeRevokeBuffer(b, TypeRevokeSendBuffer) })},
	{"SendRNDISPacket", "6b000000 01000000 ffffffff 00000000", SendRNDISPacket{ChannelControl, NoSection, 0}, d(DecodeSendRNDISPacket)},
	{"SendRNDISPacket in a section", "6b000000 00000000 07000000 78000000", SendRNDISPacket{ChannelData, 7, 120}, d(DecodeSendRNDISPacket)},
	{"SendRNDISPacketComplete", "6c000000 01000000", SendRNDISPacketComplete{StatusSuccess}, d(DecodeSendRNDISPacketComplete)},
	{"SendVFAssociation", "80000000 01000000 02000000", SendVFAssociation{true, 2}, d(DecodeSendVFAssociation)},
	{"SwitchDataPath", "81000000 01000000", SwitchDataPath{true}, d(DecodeSwitchDataPath)},
	{"OIDQueryExComplete", "84000000 bb0000c0 04000000", OIDQueryExComplete{0xC00000BB, 4}, d(DecodeOIDQueryExComplete)},
	{"SubChannel", "85000000 01000000 03000000", SubChannel{SubChannelAllocate, 3}, d(DecodeSubChannel)},
	{"SendIndirectionTable", "86000000 10000000 2c000000", SendIndirectionTable{16, 44}, d(DecodeSendIndirectionTable)},
}

func TestGolden(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.name, func(t *testing.T) {
			want := unhex(t, tt.hex)
			if got := tt.msg.AppendTo([]byte("foo")); !bytes.Equal(got, append([]byte("foo"), want...)) {
				t.Errorf("append = %x, want foo and %x", got, want)
			}
			got, err := tt.decode(want)
			if err != nil || !reflect.DeepEqual(got, tt.msg) {
				t.Errorf("decode = %+v, %v, want %+v", got, err, tt.msg)
			}
			// Hosts pad to the message size of their version.
			padded := append(bytes.Clone(want), bytes.Repeat([]byte{0xA5}, MessageSize)...)
			if got, err := tt.decode(padded); err != nil || !reflect.DeepEqual(got, tt.msg) {
				t.Errorf("decode padded = %+v, %v", got, err)
			}
			for n := range want {
				if _, err := tt.decode(want[:n]); err == nil {
					t.Errorf("decode of %d bytes of %d succeeds", n, len(want))
				}
			}
			other := bytes.Clone(want)
			other[0] ^= 0x40
			if _, err := tt.decode(other); err == nil {
				t.Error("decode of another type succeeds")
			}
		})
	}
}

// Reserved fields are not looked at.
func TestGarbageInReserved(t *testing.T) {
	b := SendNDISConfig{1514, 8}.AppendTo(nil)
	copy(b[8:], "\xa5\xa5\xa5\xa5")
	if m, err := DecodeSendNDISConfig(b); err != nil || m != (SendNDISConfig{1514, 8}) {
		t.Errorf("got %+v, %v", m, err)
	}
}

func TestTooManySections(t *testing.T) {
	for _, n := range []uint32{2, MaxSections + 1, 1 << 28, 0xFFFFFFFF} {
		b := SendReceiveBufferComplete{StatusSuccess, []Section{{0, 1, 1, 1}}}.AppendTo(nil)
		le.PutUint32(b[8:], n)
		if m, err := DecodeSendReceiveBufferComplete(b); err == nil {
			t.Errorf("%d sections decode to %+v", n, m)
		}
	}
}

func TestIndirectionEntries(t *testing.T) {
	b := SendIndirectionTable{2, 16}.AppendTo(nil)
	b = append(b, 0, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0)
	m, _ := DecodeSendIndirectionTable(b)
	if e, err := m.Entries(b); err != nil || !reflect.DeepEqual(e, []uint32{1, 9}) {
		t.Errorf("entries = %v, %v", e, err)
	}
	for _, bad := range []SendIndirectionTable{{3, 16}, {2, 20}, {2, 0xFFFFFFFC}, {17, 12}, {1, 0}, {0xFFFFFFFF, 12}} {
		if e, err := bad.Entries(b); err == nil {
			t.Errorf("%+v gives %v", bad, e)
		}
	}
}

func TestVersion(t *testing.T) {
	if s := Version61.String(); s != "6.1" {
		t.Errorf("String = %q", s)
	}
	if Version6.MessageSize() != 28 || Version61.MessageSize() != 40 {
		t.Error("message sizes")
	}
}

// FuzzDecode feeds all decoders; what decodes must encode to what was read.
func FuzzDecode(f *testing.F) {
	for _, g := range golden {
		f.Add(g.msg.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		DecodeType(b)
		for _, g := range golden {
			m, err := g.decode(b)
			if err != nil {
				continue
			}
			again, err := g.decode(m.(appender).AppendTo(nil))
			if err != nil || !reflect.DeepEqual(again, m) {
				t.Errorf("%s: %+v encodes to %+v, %v", g.name, m, again, err)
			}
		}
		if m, err := DecodeSendIndirectionTable(b); err == nil {
			m.Entries(b)
		}
	})
}

func TestAppendSendIndirectionTable(t *testing.T) {
	want := unhex(t, "86000000 02000000 0c000000 00000000 01000000")
	if got := AppendSendIndirectionTable([]byte("foo"), []uint32{0, 1}); !bytes.Equal(got[3:], want) {
		t.Errorf("%x, want %x", got[3:], want)
	}
	m, _ := DecodeSendIndirectionTable(want)
	if e, err := m.Entries(want); err != nil || !reflect.DeepEqual(e, []uint32{0, 1}) {
		t.Errorf("entries = %v, %v", e, err)
	}
}

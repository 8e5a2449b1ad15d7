// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/hvgo/hvgo/internal/guid"
)

type codec struct {
	name  string
	hex   string
	enc   func(b []byte) []byte
	dec   func(b []byte) (any, error)
	want  any
	least int // bytes that decode already; 0: all
}

const zeros8 = "0000000000000000"

func fill(s string, n int) string { return strings.Repeat(s, n) }

func codecs() []codec {
	offer := OfferChannel{
		InterfaceID: InterfaceSCSI, InstanceID: guid.MustParse("00112233-4455-6677-8899-aabbccddeeff"),
		Flags: OfferNamedPipe, MMIOMegabytes: 2, SubchannelIndex: 3, MMIOMegabytesOptional: 4, ChannelID: 5,
		MonitorID: 6, MonitorAllocated: true, DedicatedInterrupt: true, ConnectionID: 0x2005,
	}
	offer.UserDefined[0], offer.UserDefined[119] = 4, 0x77
	openCh := OpenChannel{ChannelID: 5, OpenID: 6, RingGPADL: 7, TargetVP: 8, DownstreamPageOffset: 9}
	openCh.UserData[0], openCh.UserData[119] = 0x11, 0x22
	contact := InitiateContact{Version: Version6_0, TargetVP: 1, InterruptPageGPA: TargetInfo{SINT: 2, Features: 0xE3}.Word(), MonitorHostGPA: 0x1000, MonitorGuestGPA: 0x2000}
	long := contact
	long.ClientID, long.HasClientID = InterfaceSCSI, true
	vr := VersionResponse{Supported: true, State: 1, VersionOrConnID: 4, Features: FeatureClientID, MonitorHostGPA: 0x1000, MonitorGuestGPA: 0x2000}
	vrShort := VersionResponse{Supported: true}
	head := GPADLHeader{ChannelID: 5, GPADLID: 1, Length: 16, RangeCount: 1, Data: AppendPFN(GPARange{4096, 0}.AppendTo(nil), 0x123)}
	body := GPADLBody{GPADLID: 1, Data: AppendPFN(nil, 0x456)}
	return []codec{
		{name: "OfferChannel", hex: "01000000 00000000 d96361baa104294db60572e2ffb1dc7f 33221100554477668899aabbccddeeff" + zeros8 + zeros8 +
			"1000 0200 04" + fill("00", 118) + "77 0300 0400 05000000 06 01 0100 05200000",
			enc: offer.AppendTo, dec: func(b []byte) (any, error) { return DecodeOfferChannel(b) }, want: offer},
		{name: "RescindChannelOffer", hex: "02000000 00000000 05000000", enc: ChannelMessage{MsgRescindChannelOffer, 5}.AppendTo,
			dec:  func(b []byte) (any, error) { return DecodeChannelMessage(b, MsgRescindChannelOffer) },
			want: ChannelMessage{MsgRescindChannelOffer, 5}},
		// Literal, hosts' tests: CloseChannel(5).
		{name: "CloseChannel", hex: "07000000 00000000 05000000", enc: ChannelMessage{MsgCloseChannel, 5}.AppendTo,
			dec: func(b []byte) (any, error) { return DecodeChannelMessage(b, MsgCloseChannel) }, want: ChannelMessage{MsgCloseChannel, 5}},
		{name: "OpenChannel", hex: "05000000 00000000 05000000 06000000 07000000 08000000 09000000 11" + fill("00", 118) + "22",
			enc: openCh.AppendTo, dec: func(b []byte) (any, error) { return DecodeOpenChannel(b) }, want: openCh},
		{name: "OpenResult", hex: "06000000 00000000 05000000 06000000 360200c0", enc: OpenResult{5, 6, StatusConnectionRefused}.AppendTo,
			dec: func(b []byte) (any, error) { return DecodeOpenResult(b) }, want: OpenResult{5, 6, StatusConnectionRefused}},
		// Literal, hosts' tests: the fixed part of a GPADL header.
		{name: "GPADLHeader fixed part", hex: "08000000 00000000 05000000 01000000 0700 0600",
			enc:  GPADLHeader{ChannelID: 5, GPADLID: 1, Length: 7, RangeCount: 6}.AppendTo,
			dec:  func(b []byte) (any, error) { return DecodeGPADLHeader(b) },
			want: GPADLHeader{ChannelID: 5, GPADLID: 1, Length: 7, RangeCount: 6, Data: []byte{}}},
		{name: "GPADLHeader", hex: "08000000 00000000 05000000 01000000 1000 0100 00100000 00000000 2301000000000000", enc: head.AppendTo,
			dec: func(b []byte) (any, error) { return DecodeGPADLHeader(b) }, want: head, least: GPADLHeaderSize},
		{name: "GPADLBody", hex: "09000000 00000000 00000000 01000000 5604000000000000", enc: body.AppendTo,
			dec: func(b []byte) (any, error) { return DecodeGPADLBody(b) }, want: body, least: GPADLBodySize},
		{name: "GPADLCreated", hex: "0a000000 00000000 05000000 01000000 ffff0080", enc: GPADLCreated{5, 1, StatusUnsuccessful}.AppendTo,
			dec: func(b []byte) (any, error) { return DecodeGPADLCreated(b) }, want: GPADLCreated{5, 1, StatusUnsuccessful}},
		{name: "GPADLTeardown", hex: "0b000000 00000000 05000000 01000000", enc: GPADLTeardown{5, 1}.AppendTo,
			dec: func(b []byte) (any, error) { return DecodeGPADLTeardown(b) }, want: GPADLTeardown{5, 1}},
		{name: "GPADLTorndown", hex: "0c000000 00000000 01000000", enc: GPADLTorndown{1}.AppendTo,
			dec: func(b []byte) (any, error) { return DecodeGPADLTorndown(b) }, want: GPADLTorndown{1}},
		{name: "InitiateContact", hex: "0e000000 00000000 00000600 01000000 02000000e3000000 0010000000000000 0020000000000000",
			enc: contact.AppendTo, dec: func(b []byte) (any, error) { return DecodeInitiateContact(b) }, want: contact},
		{name: "InitiateContact long", hex: "0e000000 00000000 00000600 01000000 02000000e3000000 0010000000000000 0020000000000000 d96361baa104294db60572e2ffb1dc7f",
			enc: long.AppendTo, dec: func(b []byte) (any, error) { return DecodeInitiateContact(b) }, want: long, least: InitiateContactSize},
		{name: "VersionResponse", hex: "0f000000 00000000 01 01 0000 04000000 08000000 00000000 0010000000000000 0020000000000000",
			enc: func(b []byte) []byte { return vr.AppendTo(b, VersionResponseMonitorSize) },
			dec: func(b []byte) (any, error) { return DecodeVersionResponse(b) }, want: vr, least: VersionResponseMinSize},
		{name: "VersionResponse short", hex: "0f000000 00000000 01 00",
			enc: func(b []byte) []byte { return vrShort.AppendTo(b, VersionResponseMinSize) },
			dec: func(b []byte) (any, error) { return DecodeVersionResponse(b) }, want: vrShort},
		{name: "ModifyChannel", hex: "16000000 00000000 05000000 ffffffff", enc: ModifyChannel{5, VPDisableInterrupt}.AppendTo,
			dec: func(b []byte) (any, error) { return DecodeModifyChannel(b) }, want: ModifyChannel{5, VPDisableInterrupt}},
		{name: "ModifyChannelResponse", hex: "18000000 00000000 05000000 01000000", enc: ModifyChannelResponse{5, 1}.AppendTo,
			dec: func(b []byte) (any, error) { return DecodeModifyChannelResponse(b) }, want: ModifyChannelResponse{5, 1}},
		{name: "ModifyConnection", hex: "19000000 00000000 0010000000000000 0020000000000000", enc: ModifyConnection{0x1000, 0x2000}.AppendTo,
			dec: func(b []byte) (any, error) { return DecodeModifyConnection(b) }, want: ModifyConnection{0x1000, 0x2000}},
		{name: "ModifyConnectionResponse", hex: "1a000000 00000000 02", enc: ModifyConnectionResponse{2}.AppendTo,
			dec: func(b []byte) (any, error) { return DecodeModifyConnectionResponse(b) }, want: ModifyConnectionResponse{2}},

		{name: "PacketHeader", hex: "0900 0400 0600 0100 8877665544332211",
			enc:  PacketHeader{PacketGPADirect, 4, 6, PacketCompletionRequested, 0x1122334455667788}.AppendTo,
			dec:  func(b []byte) (any, error) { return DecodePacketHeader(b) },
			want: PacketHeader{PacketGPADirect, 4, 6, PacketCompletionRequested, 0x1122334455667788}},
		{name: "GPADirectHeader", hex: "00000000 02000000", enc: GPADirectHeader{2}.AppendTo,
			dec: func(b []byte) (any, error) { return DecodeGPADirectHeader(b) }, want: GPADirectHeader{2}},
		{name: "GPARange", hex: "00200000 08000000", enc: GPARange{0x2000, 8}.AppendTo,
			dec: func(b []byte) (any, error) { return DecodeGPARange(b) }, want: GPARange{0x2000, 8}},
		{name: "TransferPageHeader", hex: "feca 0000 02000000", enc: TransferPageHeader{0xCAFE, 2}.AppendTo,
			dec: func(b []byte) (any, error) { return DecodeTransferPageHeader(b) }, want: TransferPageHeader{0xCAFE, 2}},
		{name: "TransferPageRange", hex: "ea050000 00180000", enc: TransferPageRange{1514, 6144}.AppendTo,
			dec: func(b []byte) (any, error) { return DecodeTransferPageRange(b) }, want: TransferPageRange{1514, 6144}},
		{name: "PipeHeader", hex: "01000000 00000000", enc: PipeHeader{PipeData, 0}.AppendTo,
			dec: func(b []byte) (any, error) { return DecodePipeHeader(b) }, want: PipeHeader{PipeData, 0}},
	}
}

func golden(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCodecs(t *testing.T) {
	for _, c := range codecs() {
		want := golden(t, c.hex)
		if got := c.enc([]byte("foo")); !bytes.Equal(got, append([]byte("foo"), want...)) {
			t.Errorf("%s: encoded\n%x, want foo and\n%x", c.name, got, want)
		}
		got, err := c.dec(want)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: decoded\n%+v, %v, want\n%+v", c.name, got, err, c.want)
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

// Unload is the other literal message of a host's tests.
func TestHeaderOnly(t *testing.T) {
	if got := AppendHeader(nil, MsgUnload); !bytes.Equal(got, golden(t, "1000000000000000")) {
		t.Errorf("UNLOAD is %x", got)
	}
	if typ, err := DecodeType(golden(t, "1000000000000000")); err != nil || typ != MsgUnload {
		t.Errorf("decoded %v, %v", typ, err)
	}
}

func TestWrongTypeFails(t *testing.T) {
	b := make([]byte, MaxMessageSize)
	b[0] = byte(MsgPause)
	for _, c := range codecs() {
		if strings.Contains(c.name, "Range") || strings.HasSuffix(c.name, "DirectHeader") ||
			strings.HasPrefix(c.name, "P") || strings.HasPrefix(c.name, "TransferPage") {
			continue
		}
		if _, err := c.dec(b); err == nil {
			t.Errorf("%s decodes a PAUSE", c.name)
		}
	}
}

// offsetOf finds a mark that occurs exactly once.
func offsetOf(t *testing.T, b []byte, mark ...byte) int {
	t.Helper()
	at := bytes.Index(b, mark)
	if at < 0 || bytes.Contains(b[at+1:], mark) {
		t.Fatalf("mark %x is not in %x exactly once", mark, b)
	}
	return at
}

func TestLayoutAgainstLinux(t *testing.T) {
	var user [UserDataSize]byte
	offer := (&OfferChannel{InterfaceID: guid.GUID{0xA1, 0xA2}, UserDefined: user, ChannelID: 0xB2B1, MonitorID: 0xC1,
		DedicatedInterrupt: true, ConnectionID: 0xD2D1}).AppendTo(nil)
	ours := map[string]int{
		"vmbus_channel_offer_channel size":                   len(offer),
		"vmbus_channel_offer_channel offer":                  offsetOf(t, offer, 0xA1, 0xA2),
		"vmbus_channel_offer_channel child_relid":            offsetOf(t, offer, 0xB1, 0xB2),
		"vmbus_channel_offer_channel monitorid":              offsetOf(t, offer, 0xC1),
		"vmbus_channel_offer_channel is_dedicated_interrupt": offsetOf(t, offer, 0x01, 0x00, 0xD1),
		"vmbus_channel_offer_channel connection_id":          offsetOf(t, offer, 0xD1, 0xD2),
		"vmbus_channel_open_channel size":                    len((&OpenChannel{}).AppendTo(nil)),
		"vmbus_channel_gpadl_header size":                    len(GPADLHeader{}.AppendTo(nil)),
		"hv_ring_buffer size":                                RingControlSize,
		"hv_ring_buffer write_index":                         RingInOffset,
		"hv_ring_buffer read_index":                          RingOutOffset,
		"hv_ring_buffer interrupt_mask":                      RingInterruptMask,
		"hv_ring_buffer pending_send_sz":                     RingPendingSendSize,
		"hv_ring_buffer feature_bits":                        RingFeatureBits,
	}
	f, err := os.Open("testdata/layout-linux-6.1.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		field := strings.Fields(sc.Text())
		if len(field) != 3 || field[0] == "#" {
			continue
		}
		key := field[0] + " " + field[1]
		want, err := strconv.Atoi(field[2])
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := ours[key]; !ok || got != want {
			t.Errorf("%s: %d (known: %v), Linux has %d", key, got, ok, want)
		}
		delete(ours, key)
	}
	if len(ours) > 0 {
		t.Errorf("not in the table: %v", ours)
	}
}

func TestSizes(t *testing.T) {
	for name, c := range map[string][2]int{
		"OfferChannel":      {OfferChannelSize, len((&OfferChannel{}).AppendTo(nil))},
		"OpenChannel":       {OpenChannelSize, len((&OpenChannel{}).AppendTo(nil))},
		"full GPADL header": {MaxMessageSize, GPADLHeaderSize + GPARangeSize + GPADLHeaderMaxPFNs*PFNSize + 4},
		"full GPADL body":   {MaxMessageSize, GPADLBodySize + GPADLBodyMaxPFNs*PFNSize},
		"OpenResult":        {OpenResultSize, len(OpenResult{}.AppendTo(nil))},
		"GPADLCreated":      {GPADLCreatedSize, len(GPADLCreated{}.AppendTo(nil))},
		"PacketHeader":      {PacketHeaderSize, len(PacketHeader{}.AppendTo(nil))},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: size %d, encoded %d", name, c[0], c[1])
		}
	}
	if n := (GPARange{ByteCount: 4096, ByteOffset: 1}).Pages(); n != 2 {
		t.Errorf("4096 bytes from offset 1 lie in %d pages", n)
	}
	if n := (GPARange{ByteCount: 0xFFFFFFFF, ByteOffset: 0xFFFFFFFF}).Pages(); n != 1<<21 {
		t.Errorf("the largest range has %d pages", n)
	}
}

func TestMalformed(t *testing.T) {
	for _, h := range []PacketHeader{{Off8: 1, Len8: 2}, {Off8: 3, Len8: 2}, {}} {
		if _, err := DecodePacketHeader(h.AppendTo(nil)); err == nil {
			t.Errorf("header %+v decodes", h)
		}
	}
	if _, err := DecodePipeHeader(PipeHeader{PipeData, 9}.AppendTo(nil)); err == nil {
		t.Error("pipe header longer than its packet decodes")
	}
	if h, err := DecodeGPADirectHeader(golden(t, "deadbeef03000000")); err != nil || h.RangeCount != 3 {
		t.Errorf("garbage in the reserved word: %+v, %v", h, err)
	}
}

func TestNames(t *testing.T) {
	for n := MsgOfferChannel; n <= MsgResume; n++ {
		if !n.Known() || strings.HasPrefix(n.String(), "message ") {
			t.Errorf("message %d has no name", uint32(n))
		}
	}
	if s := MessageType(30).String(); s != "message 30" || MessageType(30).Known() || MessageType(0xFFFFFFFF).String() != "message 4294967295" {
		t.Error(s)
	}
	if Version5_3.String() != "5.3" || Version0_13.String() != "0.13" || Version6_0 != 0x60000 || Version0_13 != 0xD {
		t.Error("versions")
	}
	if InterfaceName(InterfaceSCSI) != "SCSI" || InterfaceName(guid.GUID{}) != "00000000-0000-0000-0000-000000000000" {
		t.Error("interface names")
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range codecs() {
		f.Add(c.enc(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range codecs() {
			c.dec(b)
		}
	})
}

func BenchmarkDecodePacketHeader(b *testing.B) {
	buf := PacketHeader{PacketInBand, 2, 4, 0, 1}.AppendTo(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodePacketHeader(buf); err != nil {
			b.Fatal(err)
		}
	}
}

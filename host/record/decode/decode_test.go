// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package decode

import (
	"bytes"
	enchex "encoding/hex"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/record"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/internal/wire/vstor"
)

func unhex(t testing.TB, s string) []byte {
	b, err := enchex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// conversation holds records whose bytes were written by hand, and what is to be
// shown for each.
func conversation(t testing.TB) (records []record.Record, want string) {
	scsi := record.Opened{Interface: wire.InterfaceSCSI}
	net := record.Opened{Interface: wire.InterfaceNetwork}
	shutdown := record.Opened{Interface: wire.InterfaceShutdown}
	inquiry := "0300000001000000000000003400000000000001060001ff24000000" + "128000002400" + "0000000000000000000000000000" +
		"0000 ff 20 42000000 3c000000 00000000"
	packet := func(opened record.Opened, toGuest bool, memory string, total uint32, s string) record.Record {
		return record.Record{
			Kind: record.Packet, Channel: 3, ToGuest: toGuest, Opened: opened, Data: unhex(t, s), Memory: unhex(t, memory), Total: total,
			Position: 64, Trailer: 64 << 32,
		}
	}
	for _, x := range []struct {
		r    record.Record
		want string
	}{
		{record.Record{Kind: record.Note, Text: "a\x1b[2Jguest"}, `note: text a\x1b[2Jguest`},
		{
			record.Record{Kind: record.Message, Target: 4, Data: unhex(t, "0e00000000000000 00000600 00000000 0200000000000000 00100f0000000000 00200f0000000000")},
			"INITIATE_CONTACT: connection 0x4, size 40, version 6.0, VP 0, SINT 2, VTL 0, features 0x0, monitor pages 0xf1000 0xf2000",
		},
		{
			packet(record.Opened{Interface: wire.InterfaceDynamicMemory}, false, "", 0, "0600 0200 0400 0000 0100000000000000"+"0100 1000 02000000 00000200 01000000"),
			"in-band packet: size 32, payload at 16, flags 0, transaction 0x1, position 0x40, mask 0, pending 0, ring features 0x0\n" +
				"VERSION_REQUEST: size 16, message size 16, transaction 2, body {Version:2.0 Last:true}",
		},
		{ // a reserved byte, and bytes behind
			record.Record{Kind: record.Message, Target: 1, Data: unhex(t, "1000000000aa0000 00bb")},
			"UNLOAD: connection 0x1, size 10, other aa@5 bb@9",
		},
		{
			record.Record{Kind: record.Message, Target: 1, Data: unhex(t, "0500000000000000")},
			"OPEN_CHANNEL: connection 0x1, size 8, error vmbus: OPEN_CHANNEL of 8 bytes, need 148: too short, bytes 0500000000000000",
		},
		{
			packet(scsi, false, "", 36, "0900 0900 1100 0100 2a00000000000000"+"0000000001000000"+"2400000010000000"+"bc0a000000000000"+
				strings.Repeat("00", 24)+"0000000000000000"+inquiry),
			"GPA-direct packet: size 136, payload at 72, flags 1, transaction 0x2a, ranges 1, range 0 36 bytes at 16, page numbers 1, pages 0xabc, memory 36, " +
				"behind ranges 32 bytes, position 0x40, mask 0, pending 0, ring features 0x0\n" +
				"EXECUTE_SRB INQUIRY: size 64, flags 0x1, status SUCCESS, length 0x34, SRB status SRB 0x00, SCSI status 0x0, address port 0 path 0 target 0 LUN 1, " +
				"CDB length 6, sense length 0, direction 1, properties 0xff, transfer 36, CDB 128000002400, queue tag 0xff, queue action 0x20, SRB flags 0x42, timeout 60, sort key 0",
		},
		{
			packet(scsi, true, "", 0, "0b00 0200 0600 0000 2a00000000000000"+"01000000 00000000 590000c0 00000000"+strings.Repeat("00", 16)),
			"completion packet: size 48, payload at 16, flags 0, transaction 0x2a, position 0x40, mask 0, pending 0, ring features 0x0\n" +
				"COMPLETE_IO of EXECUTE_SRB: size 32, flags 0x0, status REVISION_MISMATCH",
		},
		{
			packet(net, false, "04000000 20000000 01000000 01010101 04000000 14000000 00000000 deadbeef", 32,
				"0900 0500 0800 0100 0100000000000000"+"0000000001000000"+"2000000000000000"+"0100000000000000"+"6b000000 01000000 ffffffff 00000000 00000000 00000000"),
			"GPA-direct packet: size 64, payload at 40, flags 1, transaction 0x1, ranges 1, range 0 32 bytes at 0, page numbers 1, pages 0x1, memory 32, position 0x40, mask 0, pending 0, ring features 0x0\n" +
				"NVSP SEND_RNDIS_PACKET: size 24, channel 1, section 0xffffffff, section size 0\n" +
				"RNDIS QUERY OID_802_3_PERMANENT_ADDRESS: length 32, request 0x1, OID 0x1010101, information 4 bytes at 20, value deadbeef",
		},
		{
			record.Record{Kind: record.Memory, Channel: 3, Opened: net, Origin: record.OriginGPADL, ID: 9, Offset: 6144, Total: 3000, Memory: unhex(t,
				"01000000 b80b0000 34000000 7c0b0000 000000000000000000000000 24000000 10000000 0000000000000000"+"10000000000000000c00000041000000"+"ffffffffffff 00155d000001 0806")},
			"memory: GPADL 0x9, offset 6144, size 3000\n" +
				"RNDIS PACKET: length 3000, data 2940 bytes at 52, PPI 16 bytes at 36, PPI 0x0 41000000, frame to ffffffffffff from 00155d000001 type 0806",
		},
		{
			packet(shutdown, true, "", 0, "0600 0200 0900 0000 0000000000000000"+"01000000 2c000000"+"00000000 0000 00000000 1000 00000000 00 03 0000"+"0100 0100 00000000 01000000 03000000"+"0000000000000000 00000000"),
			"in-band packet: size 72, payload at 16, flags 0, transaction 0x0, position 0x40, mask 0, pending 0, ring features 0x0\n" +
				"NEGOTIATE: size 56, pipe type 1, 44 bytes, framework 0.0, version 0.0, body 16, status 0x0, transaction 0, flags 0x3, frameworks [1.0], messages [3.0]",
		},
		{
			packet(record.Opened{Interface: wire.InterfaceHeartbeat}, false, "", 0, "0600 0200 0b00 0000 0000000000000000"+"01000000 3c000000"+"03000000 0100 03000000 2800 00000000 00 05 0000"+
				"0200000000000000"+strings.Repeat("00", 36)),
			"in-band packet: size 88, payload at 16, flags 0, transaction 0x0, position 0x40, mask 0, pending 0, ring features 0x0\n" +
				"HEARTBEAT: size 72, pipe type 1, 60 bytes, framework 3.0, version 3.0, body 40, status 0x0, transaction 0, flags 0x5, sequence 2, state 0",
		},
		{
			packet(record.Opened{Interface: wire.InterfaceTimeSync}, true, "", 0, "0600 0200 0900 0000 0000000000000000"+"01000000 2c000000"+"03000000 0400 04000000 1800 00000000 00 03 0000"+
				"0100000000000000 0200000000000000 01 02 03 00000000ee"+"00000000"),
			"in-band packet: size 72, payload at 16, flags 0, transaction 0x0, position 0x40, mask 0, pending 0, ring features 0x0\n" +
				"TIMESYNC: size 56, pipe type 1, 44 bytes, framework 3.0, version 4.0, body 24, status 0x0, transaction 0, flags 0x3, host's time 1, reference 2, what 0x1, leap 2, stratum 3, other ee@51",
		},
		{
			packet(record.Opened{}, true, "", 0, "0600 0200 0300 0000 0000000000000000 0102030405060708"),
			"in-band packet: size 24, payload at 16, flags 0, transaction 0x0, position 0x40, mask 0, pending 0, ring features 0x0\n" +
				"payload: size 8, bytes 0102030405060708",
		},
		{
			packet(net, true, "", 0, "0600 0200 0900 0000 0000000000000000 0102030405060708"),
			"packet: size 24, error the packet's own length is 72, bytes 060002000900000000000000000000000102030405060708",
		},
		{record.Record{Kind: record.Signal, Channel: 3, Opened: scsi, Target: 0x2003}, "signal: connection 0x2003, flag 0"},
		{record.Record{Kind: record.Rule, Text: "ring-index: far"}, "broken rule: text ring-index: far"},
		{record.Record{Kind: record.Limit}, "the recording had reached its size limit"},
	} {
		records = append(records, x.r)
		want += x.want + "\n"
	}
	return records, want
}

func TestText(t *testing.T) {
	records, want := conversation(t)
	d, got := New(), ""
	for _, r := range records {
		e := d.Decode(r)
		for line := range strings.Lines(e.Text(false)) {
			got += line[indent+1:]
		}
	}
	if g, w := strings.Split(got, "\n"), strings.Split(want, "\n"); len(g) == len(w) {
		for i := range g {
			if g[i] != w[i] {
				t.Errorf("line %d:\ngot  %s\nwant %s", i+1, g[i], w[i])
			}
		}
	} else {
		t.Errorf("got %d lines, want %d:\n%s", len(g), len(w), got)
	}
}

func TestHeadAndRaw(t *testing.T) {
	e := New().Decode(record.Record{
		Kind: record.Packet, ToGuest: true, Channel: 12, Time: 1204 * time.Microsecond, Opened: record.Opened{Interface: wire.InterfaceSCSI},
		Data: unhex(t, "0b00 0200 0200 0000 0100000000000000"),
	})
	want := "    0.001204 host  SCSI 12                 completion packet: size 16, payload at 16, flags 0, transaction 0x1, position 0x0, mask 0, pending 0, ring features 0x0\n" +
		"                                           00000000  0b 00 02 00 02 00 00 00  01 00 00 00 00 00 00 00  |................|\n"
	if got := e.Text(true); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func FuzzDecode(f *testing.F) {
	records, _ := conversation(f)
	b := record.AppendFileHeader(nil, 1024, time.Unix(0, 0))
	devices := []record.Opened{{Interface: wire.InterfaceSCSI}, {Interface: wire.InterfaceNetwork}, {Interface: wire.InterfaceShutdown}, {Interface: wire.InterfaceDynamicMemory}}
	for i, opened := range devices {
		b = (&record.Record{Kind: record.Channel, Channel: uint32(i + 1), Opened: opened}).AppendTo(b)
	}
	for i, r := range records {
		r.Channel = uint32(i%len(devices) + 1)
		b = r.AppendTo(b)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := record.NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		d := New()
		for {
			rec, err := r.Next()
			if err == io.EOF || err != nil {
				return
			}
			e := d.Decode(rec)
			_ = e.Text(true)
		}
	})
}

// TestRequestsBounded is a recording with requests that are never completed.
func TestRequestsBounded(t *testing.T) {
	d := New()
	for i := range maxRequests + 10 {
		d.asked(uint32(i%2), request{transaction: uint64(i / 4)}, vstor.OpExecuteSRB)
	}
	if want := 2 * ((maxRequests+10)/4 + 1); d.waiting != want {
		t.Errorf("%d requests wait, want %d: each was asked twice", d.waiting, want)
	}
	for i := range 2 * maxRequests {
		d.asked(2, request{transaction: uint64(i)}, vstor.OpExecuteSRB)
	}
	if d.waiting != maxRequests {
		t.Errorf("%d requests wait", d.waiting)
	}
	d.forget(2)
	if op, ok := d.completed(1, request{transaction: 3}); !ok || op != vstor.OpExecuteSRB {
		t.Errorf("request of another channel: %v, %v", op, ok)
	}
	d.forget(0)
	d.forget(1)
	if d.waiting != 0 || len(d.requests) != 0 {
		t.Errorf("%d requests wait behind all channels", d.waiting)
	}
}

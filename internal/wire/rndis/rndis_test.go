// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package rndis

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
)

// layout holds sizes in bytes as the BTF of hv_netvsc.ko states them (Debian's
// Linux 6.1.192), without the 8-byte message header.
var layout = map[string]int{"rndis_packet": 36}

func TestLayout(t *testing.T) {
	if got, want := PacketSize-HeaderSize, layout["rndis_packet"]; got != want {
		t.Errorf("rndis_packet = %d, want %d", got, want)
	}
	if n := len(Offload{}.AppendTo(nil)); n != OffloadSizeRevision3 {
		t.Errorf("Offload = %d, want %d", n, OffloadSizeRevision3)
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

// d adapts a decoder to the table below.
func d[T any](f func([]byte) (T, error)) func([]byte) (any, error) {
	return func(b []byte) (any, error) { return f(b) }
}

var mac = []byte{0x00, 0x15, 0x5d, 0x01, 0x02, 0x03}

var golden = []struct {
	name   string
	hex    string
	msg    any
	append func([]byte) []byte
	decode func([]byte) (any, error)
}{
	{"Initialize", "02000000 18000000 01000000 01000000 00000000 00400000",
		Initialize{1, 1, 0, 0x4000}, Initialize{1, 1, 0, 0x4000}.AppendTo, d(DecodeInitialize)},
	{"InitializeComplete", "02000080 34000000 01000000 00000000 01000000 00000000 01000000 00000000 08000000 ffffffef 03000000 00000000 00000000",
		InitializeComplete{RequestID: 1, Major: 1, DeviceFlags: 1, MaxPacketsPerMessage: 8, MaxTransferSize: 0xEFFFFFFF, AlignmentFactor: 3},
		InitializeComplete{RequestID: 1, Major: 1, DeviceFlags: 1, MaxPacketsPerMessage: 8, MaxTransferSize: 0xEFFFFFFF, AlignmentFactor: 3}.AppendTo,
		d(DecodeInitializeComplete)},
	{"Halt", "03000000 0c000000 09000000", Halt{9}, Halt{9}.AppendTo, d(DecodeHalt)},
	{"Query", "04000000 1c000000 02000000 01010101 00000000 14000000 00000000",
		Request{TypeQuery, 2, OID8023PermanentAddress, 0, 20, 0},
		func(b []byte) []byte { return AppendRequest(b, TypeQuery, 2, OID8023PermanentAddress, nil) },
		d(func(b []byte) (Request, error) { return DecodeRequest(b, TypeQuery) })},
	{"QueryComplete", "04000080 1e000000 02000000 00000000 06000000 10000000 00155d010203",
		QueryComplete{2, StatusSuccess, 6, 16},
		func(b []byte) []byte { return AppendQueryComplete(b, 2, StatusSuccess, mac) }, d(DecodeQueryComplete)},
	{"Set", "05000000 20000000 03000000 0e010100 04000000 14000000 00000000 0d000000",
		Request{TypeSet, 3, OIDGenPacketFilter, 4, 20, 0},
		func(b []byte) []byte { return AppendRequest(b, TypeSet, 3, OIDGenPacketFilter, []byte{13, 0, 0, 0}) },
		d(func(b []byte) (Request, error) { return DecodeRequest(b, TypeSet) })},
	{"SetComplete", "05000080 10000000 03000000 bb0000c0", SetComplete{3, StatusNotSupported}, SetComplete{3, StatusNotSupported}.AppendTo, d(DecodeSetComplete)},
	{"IndicateStatus", "07000000 14000000 0c000140 00000000 00000000", IndicateStatus{StatusMediaDisconnect, 0, 0},
		func(b []byte) []byte { return AppendIndicateStatus(b, StatusMediaDisconnect, nil) }, d(DecodeIndicateStatus)},
	{"IndicateStatus with buffer", "07000000 18000000 13000140 04000000 0c000000 01020304", IndicateStatus{StatusLinkSpeedChange, 4, 12},
		func(b []byte) []byte { return AppendIndicateStatus(b, StatusLinkSpeedChange, []byte{1, 2, 3, 4}) }, d(DecodeIndicateStatus)},
	{"Keepalive", "08000000 0c000000 07000000", Keepalive{7}, Keepalive{7}.AppendTo, d(DecodeKeepalive)},
	{"KeepaliveComplete", "08000080 10000000 07000000 00000000", KeepaliveComplete{7, StatusSuccess}, KeepaliveComplete{7, StatusSuccess}.AppendTo, d(DecodeKeepaliveComplete)},
	{"Packet", "01000000 2c000000 24000000 01000000 02000000 03000000 04000000 05000000 06000000 07000000 08000000",
		Packet{44, 36, 1, 2, 3, 4, 5, 6, 7, 8}, Packet{44, 36, 1, 2, 3, 4, 5, 6, 7, 8}.AppendTo, d(DecodePacket)},
}

func TestGolden(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.name, func(t *testing.T) {
			want := unhex(t, tt.hex)
			if got := tt.append([]byte("foo")); !bytes.Equal(got, append([]byte("foo"), want...)) {
				t.Errorf("append = %x\nwant foo and %x", got, want)
			}
			got, err := tt.decode(want)
			if err != nil || !reflect.DeepEqual(got, tt.msg) {
				t.Errorf("decode = %+v, %v, want %+v", got, err, tt.msg)
			}
			for n := range want {
				if _, err := tt.decode(want[:n]); err == nil {
					t.Errorf("decode of %d bytes of %d succeeds", n, len(want))
				}
			}
			for _, length := range []uint32{0, 7, 8, uint32(len(want) + 1), 0xFFFFFFFF} {
				bad := bytes.Clone(want)
				le.PutUint32(bad[4:], length)
				if _, err := tt.decode(bad); err == nil {
					t.Errorf("decode with length %d succeeds", length)
				}
			}
			other := bytes.Clone(want)
			other[1] ^= 0x40
			if _, err := tt.decode(other); err == nil {
				t.Error("decode of another type succeeds")
			}
		})
	}
}

func TestInfo(t *testing.T) {
	b := AppendQueryComplete(nil, 2, StatusSuccess, mac)
	m, _ := DecodeQueryComplete(b)
	if info, err := m.Info(b); err != nil || !bytes.Equal(info, mac) {
		t.Errorf("info = %x, %v", info, err)
	}
	for _, bad := range []QueryComplete{{InfoLength: 7, InfoOffset: 16}, {InfoLength: 1, InfoOffset: 15}, {InfoLength: 1, InfoOffset: 22},
		{InfoLength: 1, InfoOffset: 0xFFFFFFF8}, {InfoLength: 0xFFFFFFFF, InfoOffset: 16}, {InfoLength: 0xFFFFFFFF, InfoOffset: 0xFFFFFFFF}} {
		if info, err := bad.Info(b); err == nil {
			t.Errorf("%+v gives %x", bad, info)
		}
	}
	s := AppendIndicateStatus(nil, StatusLinkSpeedChange, mac)
	i, _ := DecodeIndicateStatus(s)
	if buf, err := i.Buffer(s); err != nil || !bytes.Equal(buf, mac) {
		t.Errorf("buffer = %x, %v", buf, err)
	}
	r := AppendRequest(nil, TypeSet, 1, OIDGenPacketFilter, mac)
	q, _ := DecodeRequest(r, TypeSet)
	if info, err := q.Info(r); err != nil || !bytes.Equal(info, mac) {
		t.Errorf("request info = %x, %v", info, err)
	}
}

// packet builds a packet message with PPIs, a gap and padding, by hand.
func packet(frame []byte, ppis []byte, pad int) []byte {
	m := Packet{PPIOffset: 36, PPILength: uint32(len(ppis)), DataOffset: uint32(36 + len(ppis)), DataLength: uint32(len(frame))}
	m.Length = uint32(PacketSize + len(ppis) + len(frame) + pad)
	b := append(append(m.AppendTo(nil), ppis...), frame...)
	return append(b, make([]byte, pad)...)
}

func TestSeveralPackets(t *testing.T) {
	ppis := AppendPPI32(AppendPPI32(nil, PPIChecksum, uint32(ChecksumRxTCPSucceeded)), PPIVLAN, uint32(NewVLAN(100, 5, true)))
	if want := unhex(t, "10000000 00000000 0c000000 08000000 10000000 06000000 0c000000 4d060000"); !bytes.Equal(ppis, want) {
		t.Fatalf("PPIs = %x, want %x", ppis, want)
	}
	b := append(packet([]byte("first frame"), ppis, 5), packet([]byte("second"), nil, 0)...)
	var frames []string
	for rest := b; len(rest) > 0; {
		h, msg, next, err := Next(rest)
		if err != nil || h.Type != TypePacket {
			t.Fatal(h, err)
		}
		m, err := DecodePacket(rest) // longer than the message on purpose
		if err != nil {
			t.Fatal(err)
		}
		f, err := m.Data(msg)
		if err != nil {
			t.Fatal(err)
		}
		start, end, err := m.DataRange()
		if err != nil || !bytes.Equal(msg[start:end], f) {
			t.Errorf("DataRange = %d, %d, %v", start, end, err)
		}
		frames = append(frames, string(f))
		area, err := m.PPIs(msg)
		if err != nil {
			t.Fatal(err)
		}
		for len(area) > 0 {
			typ, data, more, err := NextPPI(area)
			if err != nil {
				t.Fatal(err)
			}
			v, err := PPI32(data)
			if err != nil {
				t.Fatal(err)
			}
			if typ == PPIVLAN && (VLAN(v).ID() != 100 || VLAN(v).Priority() != 5 || !VLAN(v).DropEligible()) {
				t.Errorf("VLAN = %x", v)
			}
			area = more
		}
		rest = next
	}
	if strings.Join(frames, "|") != "first frame|second" {
		t.Errorf("frames = %q", frames)
	}
}

func TestHostilePacket(t *testing.T) {
	b := packet([]byte("frame"), AppendPPI32(nil, PPIChecksum, 0), 0)
	for name, change := range map[string]func(*Packet){
		"data after the end":   func(m *Packet) { m.DataLength++ },
		"data in the header":   func(m *Packet) { m.DataOffset = 35 },
		"data offset wraps":    func(m *Packet) { m.DataOffset = 0xFFFFFFFC },
		"data length wraps":    func(m *Packet) { m.DataLength = 0xFFFFFFFF },
		"PPIs after the end":   func(m *Packet) { m.PPILength = 1000 },
		"PPI offset wraps":     func(m *Packet) { m.PPIOffset = 0xFFFFFFF0 },
		"PPIs in the header":   func(m *Packet) { m.PPIOffset = 4 },
		"length past the data": func(m *Packet) { m.Length -= 1 },
	} {
		m, err := DecodePacket(b)
		if err != nil {
			t.Fatal(err)
		}
		change(&m)
		_, dataErr := m.Data(b)
		_, _, rangeErr := m.DataRange()
		if (rangeErr == nil) != (dataErr == nil) {
			t.Errorf("%s: Data says %v, DataRange %v", name, dataErr, rangeErr)
		}
		_, ppiErr := m.PPIs(b)
		if dataErr == nil && ppiErr == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, bad := range []string{"", "0b00000000000000 0c000000", "0c000000 00000000 0b000000", "0c000000 00000000 0d000000", "0d000000 00000000 0c000000", "ffffffff 00000000 0c000000"} {
		if typ, data, _, err := NextPPI(unhex(t, bad)); err == nil {
			t.Errorf("PPI %q gives %d, %x", bad, typ, data)
		}
	}
}

func TestPPIValues(t *testing.T) {
	if c := (ChecksumTxIPv4 | ChecksumTxTCP).WithOffset(34); c != 0x00220005 || c.Offset() != 34 {
		t.Errorf("ChecksumTx = %#x", c)
	}
	if l := NewLSO(1460, 34, false); l != 0x422005B4 || l.MSS() != 1460 || l.Offset() != 34 || l.IPv6() {
		t.Errorf("LSO = %#x", l)
	}
	if l := NewLSO(1440, 54, true); !l.IPv6() || l.Offset() != 54 {
		t.Errorf("LSO IPv6 = %#x", l)
	}
}

func TestOffload(t *testing.T) {
	m := Offload{IPv4Tx: 0x155, IPv4Rx: 0x145, IPv6Tx: 0x55, IPv6Rx: 0x15, LSOv4MaxSize: 0xF53C, LSOv4MinSegments: 2}
	b := m.AppendTo([]byte("foo"))[3:]
	want := unhex(t, "a7039c00 02000000 55010000 02000000 45010000 02000000 55000000 02000000 15000000")
	if !bytes.HasPrefix(b, want) {
		t.Errorf("offload = %x, want %x...", b, want)
	}
	if got := b[80:108]; !bytes.Equal(got, unhex(t, "02000000 3cf50000 02000000 00000000 00000000 00000000 00000000")) {
		t.Errorf("LSOv2 = %x", got)
	}
	got, err := DecodeOffload(b)
	if err != nil || got != m {
		t.Errorf("decode = %+v, %v", got, err)
	}
	for n := range b {
		if _, err := DecodeOffload(b[:n]); err == nil {
			t.Errorf("%d bytes decode", n)
		}
	}
	old := bytes.Clone(b[:OffloadSizeRevision1])
	copy(old, []byte{ObjectOffload, 1, OffloadSizeRevision1, 0})
	if got, err := DecodeOffload(old); err != nil || got != m {
		t.Errorf("revision 1 = %+v, %v", got, err)
	}
	if !ChecksumCaps(0x155).Has(CapTCP|CapIPHeader) || ChecksumCaps(0x145).Has(CapTCP) || !ChecksumCaps(2).Has(CapIPOptions) {
		t.Error("Has")
	}
}

func TestOffloadParameters(t *testing.T) {
	m := OffloadParameters{IPv4: ChecksumBoth, TCPv4: ChecksumBoth, UDPv4: ChecksumTransmit, TCPv6: ChecksumOff, LSOv2IPv4: LSOOn}
	b := m.AppendTo(nil, OffloadParametersSize)
	if want := unhex(t, "80031c00 04040201 00000002 00000000 00000000 00000000 00000000"); !bytes.Equal(b, want) {
		t.Errorf("parameters = %x, want %x", b, want)
	}
	if got, err := DecodeOffloadParameters(b); err != nil || got != m {
		t.Errorf("decode = %+v, %v", got, err)
	}
	for n := range b {
		if _, err := DecodeOffloadParameters(b[:n]); err == nil {
			t.Errorf("%d bytes decode", n)
		}
	}
}

// FuzzDecode feeds all decoders and walks packets and PPIs as a receiver does.
func FuzzDecode(f *testing.F) {
	for _, g := range golden {
		f.Add(g.append(nil))
	}
	f.Add(append(packet([]byte("frame"), AppendPPI32(nil, PPIChecksum, 0), 3), packet([]byte("x"), nil, 0)...))
	f.Add(Offload{}.AppendTo(nil))
	f.Add(OffloadParameters{}.AppendTo(nil, OffloadParametersSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, g := range golden {
			m, err := g.decode(b)
			if err != nil {
				continue
			}
			switch m := m.(type) {
			case Request:
				m.Info(b)
			case QueryComplete:
				m.Info(b)
			case IndicateStatus:
				m.Buffer(b)
			}
		}
		DecodeOffload(b)
		DecodeOffloadParameters(b)
		for rest := b; len(rest) > 0; {
			_, msg, next, err := Next(rest)
			if err != nil {
				break
			}
			if m, err := DecodePacket(msg); err == nil {
				m.Data(msg)
				for area, _ := m.PPIs(msg); len(area) > 0; {
					_, data, more, err := NextPPI(area)
					if err != nil {
						break
					}
					PPI32(data)
					area = more
				}
			}
			rest = next
		}
	})
}

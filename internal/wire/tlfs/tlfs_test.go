// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package tlfs

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
)

type codec struct {
	name string
	hex  string
	enc  func(b []byte) []byte
	dec  func(b []byte) (any, error)
	want any
}

func codecs() []codec {
	post := PostMessageInput{ConnectionID: 4, MessageType: 1, PayloadSize: 3}
	copy(post.Payload[:], "abc")
	sig := SignalEventInput{ConnectionID: 0x2001, Flag: 7}
	head := MessageHeader{Type: MessageTypeVMBus, PayloadSize: 16, Flags: MessagePending, Origin: 0x1122334455667788}
	timer := TimerExpired{TimerIndex: 2, ExpirationTime: 0x10, DeliveryTime: 0x20}
	tsc := ReferenceTSC{Sequence: 1, Scale: 0x0102030405060708, Offset: -2}
	start := startVPExample()
	index := VPIndexInput{Partition: PartitionSelf, TargetVTL: 2, Reserved: [7]uint8{6: 9}}
	return []codec{
		{"StartVPInput", startVPGolden, start.AppendTo, func(b []byte) (any, error) { return DecodeStartVPInput(b) }, start},
		{"VPIndexInput", "ffffffffffffffff 02 00000000000009",
			index.AppendTo, func(b []byte) (any, error) { return DecodeVPIndexInput(b) }, index},
		{"PostMessageInput", "04000000 00000000 01000000 03000000 616263" + strings.Repeat("00", 237),
			post.AppendTo, func(b []byte) (any, error) { return DecodePostMessageInput(b) }, post},
		{"SignalEventInput", "01200000 0700 0000",
			sig.AppendTo, func(b []byte) (any, error) { return DecodeSignalEventInput(b) }, sig},
		{"MessageHeader", "01000000 10 01 0000 8877665544332211",
			head.AppendTo, func(b []byte) (any, error) { return DecodeMessageHeader(b) }, head},
		{"TimerExpired", "02000000 00000000 1000000000000000 2000000000000000",
			timer.AppendTo, func(b []byte) (any, error) { return DecodeTimerExpired(b) }, timer},
		{"ReferenceTSC", "01000000 00000000 0807060504030201 feffffffffffffff",
			tsc.AppendTo, func(b []byte) (any, error) { return DecodeReferenceTSC(b) }, tsc},
	}
}

func TestCodecs(t *testing.T) {
	for _, c := range codecs() {
		golden, err := hex.DecodeString(strings.ReplaceAll(c.hex, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.enc([]byte("foo")); !bytes.Equal(got, append([]byte("foo"), golden...)) {
			t.Errorf("%s: encoded %x, want foo and %x", c.name, got, golden)
		}
		if got, err := c.dec(golden); err != nil || got != c.want {
			t.Errorf("%s: decoded %+v, %v", c.name, got, err)
		}
		for n := range golden {
			if _, err := c.dec(golden[:n]); err == nil {
				t.Errorf("%s: decoded from %d of %d bytes", c.name, n, len(golden))
			}
		}
	}
}

func TestLimits(t *testing.T) {
	b := make([]byte, PostMessageInputSize)
	b[12] = MessagePayloadSize + 1
	if _, err := DecodePostMessageInput(b); err == nil {
		t.Error("PostMessage of 241 bytes decodes")
	}
	m := make([]byte, MessageHeaderSize)
	m[4] = MessagePayloadSize + 1
	if _, err := DecodeMessageHeader(m); err == nil {
		t.Error("message of 241 bytes decodes")
	}
}

// The values below are printed in the specification's text or seen on a
// running host; they do not come from this package.
func TestNumbers(t *testing.T) {
	if got := string(binary.LittleEndian.AppendUint32(nil, InterfaceSignature)); got != "Hv#1" {
		t.Errorf("interface signature is %q", got)
	}
	if got := SignalEventFromWord(0x0007_00002001); got.ConnectionID != 0x2001 || got.Flag != 7 {
		t.Errorf("SignalEventFromWord gives %+v", got)
	}
	if ResultStatus(0x0000_0003_0000_0013) != StatusInsufficientBuffers || ResultRepsDone(0x0000_0003_0000_0013) != 3 {
		t.Error("hypercall result is taken apart wrongly")
	}
	if Status(0x1234).Error() != "hypercall: status 0x1234" || StatusInvalidConnectionID.Error() != "hypercall: invalid connection id" {
		t.Error("status texts")
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

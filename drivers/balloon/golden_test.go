// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package balloon

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	host "github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/wire/dynmem"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// explained are the bytes in which our messages may differ from Linux's, by offset.
var explained = map[string][]struct {
	from, to int
	why      string
}{
	"CAPABILITIES_REPORT": {{8, 9, "Linux can add memory, from multiples of 128 MiB on; we cannot"}},
	"BALLOON_RESPONSE":    {{16, 32, "which pages are free"}},
	"STATUS_REPORT": {
		{8, 24, "how much memory is free, and in use"},
		{32, 40, "Linux leaves the number of free pages out here; no host is known to look at it"},
	},
}

// linuxMessages reads what Linux said, in order.
func linuxMessages(t *testing.T) (names []string, messages map[string][]byte) {
	t.Helper()
	f, err := os.Open("testdata/linux-6.12.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	messages = map[string][]byte{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		name, text, ok := strings.Cut(sc.Text(), ":")
		if strings.HasPrefix(name, "#") {
			continue
		}
		b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil || !ok {
			t.Fatalf("%q: %v", sc.Text(), err)
		}
		names, messages[name] = append(names, name), b
	}
	return names, messages
}

// message gives the guest's next message whole, with the packet around it; status
// reports are left out unless wanted.
func (s *stage) message(want dynmem.MessageType) (host.Packet, []byte, error) {
	for {
		p, err := s.ch.ReadPacket(s.ctx)
		if err != nil {
			return p, nil, err
		}
		h, _, err := dynmem.DecodeHeader(p.Payload)
		if err != nil || h.Type == want {
			return p, p.Payload[:h.Size], err
		}
		if h.Type != dynmem.MsgStatusReport {
			return p, nil, fmt.Errorf("%v instead of %v", h.Type, want)
		}
	}
}

// TestAgainstLinux compares our messages with Linux's, byte by byte.
func TestAgainstLinux(t *testing.T) {
	names, linux := linuxMessages(t)
	answers := map[dynmem.MessageType][]byte{
		dynmem.MsgVersionRequest:     dynmem.Message(dynmem.MsgVersionResponse, 1, dynmem.VersionResponse{Accepted: true}.AppendTo(nil)),
		dynmem.MsgCapabilitiesReport: dynmem.Message(dynmem.MsgCapabilitiesResponse, 2, dynmem.CapabilitiesResponse{Accepted: true}.AppendTo(nil)),
	}
	ask := dynmem.Message(dynmem.MsgBalloonRequest, 2, dynmem.BalloonRequest{Pages: 2}.AppendTo(nil)) // not adjacent: two ranges, as Linux has
	ours := map[string][]byte{}
	perform(t, func(s *stage) error {
		for _, want := range []dynmem.MessageType{
			dynmem.MsgVersionRequest, dynmem.MsgCapabilitiesReport, dynmem.MsgBalloonResponse, dynmem.MsgStatusReport,
		} {
			p, message, err := s.message(want)
			if err != nil {
				return err
			}
			if p.Type != wire.PacketInBand || p.Transaction != 0 || p.WantsCompletion {
				t.Errorf("%v in a packet of type %d, transaction %d, completion %v; Linux: in-band, 0, none", want, p.Type, p.Transaction, p.WantsCompletion)
			}
			ours[want.String()] = message
			if answer := answers[want]; answer != nil {
				if err := s.raw(wire.PacketInBand, answer); err != nil {
					return err
				}
			}
			if want == dynmem.MsgCapabilitiesReport {
				if err := s.raw(wire.PacketInBand, ask); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if len(names) != len(ours) {
		t.Fatalf("%d messages of Linux's, %d of ours", len(names), len(ours))
	}
	for _, name := range names {
		compareBytes(t, name, linux[name], ours[name])
	}
}

func compareBytes(t *testing.T, name string, linux, ours []byte) {
	t.Helper()
	if len(linux) != len(ours) {
		t.Errorf("%s: Linux %x, ours %x", name, linux, ours)
		return
	}
	used := 0
	for i := range linux {
		known := false
		for _, e := range explained[name] {
			known = known || i >= e.from && i < e.to
		}
		switch {
		case linux[i] == ours[i]:
		case known:
			used++
		default:
			t.Errorf("%s: byte %d: Linux %#02x, ours %#02x", name, i, linux[i], ours[i])
		}
	}
	if used == 0 && len(explained[name]) > 0 {
		t.Errorf("%s: the differences that are explained are none any more", name)
	}
}

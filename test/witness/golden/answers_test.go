// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package golden

import (
	"bytes"

	"github.com/hvgo/hvgo/host/record"
	"github.com/hvgo/hvgo/internal/guid"
	"github.com/hvgo/hvgo/internal/wire/nvsp"
	"github.com/hvgo/hvgo/internal/wire/rndis"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// answers are what the host said to Linux, and has to say again.
type answers struct {
	completions map[transaction][][]byte // what they carry, in order
	controls    map[uint32][]control     // RNDIS messages that are no frames, by channel, in order
	total       int
}

type transaction struct {
	channel uint32
	id      uint64
}

// control is an RNDIS message in the receive buffer.
type control struct {
	gpadl string
	bytes []byte
}

func readAnswers(records []record.Record) *answers {
	a := &answers{completions: map[transaction][][]byte{}, controls: map[uint32][]control{}}
	for _, r := range records {
		switch {
		case !r.ToGuest:
		case r.Kind == record.Memory && r.Origin == record.OriginGPADL && len(r.Memory) >= rndis.HeaderSize && rndis.Type(le.Uint32(r.Memory)) != rndis.TypePacket:
			a.controls[r.Channel] = append(a.controls[r.Channel], control{hexadecimal(r.ID), r.Memory})
			a.total++
		case r.Kind == record.Packet:
			if h, err := wire.DecodePacketHeader(r.Data); err == nil && h.Type == wire.PacketCompletion {
				key := transaction{r.Channel, h.Transaction}
				a.completions[key] = append(a.completions[key], r.Data[h.Offset():])
				a.total++
			}
		}
	}
	return a
}

// check compares a packet of the host's with what was recorded.
func (r *replay) check(channel uint32, packet []byte) {
	r.t.Helper()
	h, err := wire.DecodePacketHeader(packet)
	if err != nil {
		r.t.Fatalf("channel %d: a packet of the host's: %v", channel, err)
	}
	payload := packet[h.Offset():]
	switch h.Type {
	case wire.PacketCompletion:
		key := transaction{channel, h.Transaction}
		want := r.answers.completions[key]
		if len(want) == 0 {
			r.t.Errorf("channel %d: a completion of %#x that was not recorded: %x", channel, h.Transaction, payload)
			return
		}
		if !bytes.Equal(payload, want[0]) {
			r.t.Errorf("channel %d: the completion of %#x carries\n%x, recorded was\n%x", channel, h.Transaction, payload, want[0])
		}
		r.answers.completions[key] = want[1:]
		r.compared++
	case wire.PacketTransferPage:
		m, err := nvsp.DecodeSendRNDISPacket(payload)
		if err != nil || m.ChannelType != nvsp.ChannelControl {
			return
		}
		r.checkControl(channel, packet[wire.PacketHeaderSize:h.Offset()])
	}
}

// checkControl compares the RNDIS message of a transfer, which has one range.
func (r *replay) checkControl(channel uint32, descriptor []byte) {
	r.t.Helper()
	t, err := wire.DecodeTransferPageHeader(descriptor)
	if err != nil || t.RangeCount != 1 {
		r.t.Fatalf("channel %d: %d ranges of a control message: %v", channel, t.RangeCount, err)
	}
	g, err := wire.DecodeTransferPageRange(descriptor[wire.TransferPageHeaderSize:])
	if err != nil {
		r.t.Fatal(err)
	}
	want := r.answers.controls[channel]
	if len(want) == 0 {
		r.t.Errorf("channel %d: an RNDIS message that was not recorded", channel)
		return
	}
	got := r.load(r.gpadls[want[0].gpadl], int(g.ByteOffset), int(g.ByteCount))
	if !bytes.Equal(got, want[0].bytes) {
		r.t.Errorf("channel %d: RNDIS message\n%x, recorded was\n%x", channel, got, want[0].bytes)
	}
	r.answers.controls[channel] = want[1:]
	r.compared++
}

// load reads n bytes at an offset of pages.
func (r *replay) load(pages []uint64, offset, n int) (b []byte) {
	for len(b) < n {
		page, _ := r.Bytes(pages[offset/wire.PageSize]*wire.PageSize, wire.PageSize)
		part := page[offset%wire.PageSize:]
		part = part[:min(len(part), n-len(b))]
		b, offset = append(b, part...), offset+len(part)
	}
	return b
}

// checkMessages compares the host's channel messages with those recorded. mu is held.
func (r *replay) checkMessages(records []record.Record) {
	r.t.Helper()
	i := 0
	for _, rec := range records {
		if rec.Kind != record.Message || !rec.ToGuest {
			continue
		}
		if got, want := nameless(r.heard[i]), nameless(rec.Data); !bytes.Equal(got, want) {
			r.t.Errorf("message %d of the host's is\n%x, recorded was\n%x", i, got, want)
		}
		i++
	}
	r.compared += i
}

// nameless is a message without the number of a device, which is chosen by chance.
func nameless(b []byte) []byte {
	if m, err := wire.DecodeOfferChannel(b); err == nil {
		m.InstanceID = guid.GUID{}
		return m.AppendTo(nil)
	}
	return b
}

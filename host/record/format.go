// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hvgo/hvgo/internal/guid"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

var le = binary.LittleEndian

const (
	magic         = "hvgo-rec"
	formatVersion = 1

	fileHeaderSize   = 32
	recordHeaderSize = 24

	channelSize      = 44
	messageFixedSize = 8
	refusedSize      = 8
	signalSize       = 12
	packetFixedSize  = 40
	memoryFixedSize  = 24

	// maxRecord is the longest record: a packet of the greatest length, and memory.
	maxRecord = recordHeaderSize + packetFixedSize + wire.MaxPacketLen8*8 + MaxPayload

	// MaxPayload is the greatest payload limit, in bytes.
	MaxPayload = 128 << 10
)

// Kind says what a record is about.
type Kind uint8

// Kinds of records; the package comment has their layouts.
const (
	Note    Kind = 1
	Channel Kind = 2
	Message Kind = 3
	Refused Kind = 4
	Signal  Kind = 5
	Packet  Kind = 6
	Memory  Kind = 7
	Limit   Kind = 8
	Rule    Kind = 9
)

// Origins of a Memory record.
const (
	OriginGPADL = 1 // a buffer that the guest has shared
	OriginPages = 2 // the pages of a GPA-direct packet, at its completion
)

// Errors of the decoder; a Reader wraps them.
var (
	ErrFormat = errors.New("not a recording")
	// ErrCut: the recording ends within a record.
	ErrCut = errors.New("the recording is cut")
	// ErrRecord: a record makes no sense.
	ErrRecord = errors.New("malformed record")
)

// Ring holds the words of a ring's control page.
type Ring struct{ In, Out, Mask, Pending, Features uint32 }

// Opened describes a channel that the guest opened.
type Opened struct {
	Interface, Instance guid.GUID
	SubIndex            uint32 // 0, or the number of a sub-channel
	ToHost, ToGuest     uint32 // bytes of the rings' data
}

// Record is one record. Which fields mean something depends on Kind; slices may
// share memory with what was decoded.
type Record struct {
	Kind    Kind
	ToGuest bool
	Channel uint32
	Time    time.Duration // since the start

	Text   string      // Note, Rule
	Opened Opened      // Channel; a Reader fills in Interface wherever it knows the channel
	Target uint32      // Message, Refused, Signal: connection id, or VP
	SINT   uint32      // Message to the guest
	Flag   uint32      // Signal
	Status tlfs.Status // Refused, Signal

	Data     []byte // Message; Packet without trailer
	Ring     Ring   // Packet
	Position uint32 // Packet: offset in the ring
	Trailer  uint64 // Packet

	Origin uint32 // Memory
	ID     uint64 // Memory: GPADL or transaction
	Offset uint64 // Memory: of its first byte
	Total  uint32 // Packet, Memory: bytes of memory meant
	Memory []byte // Packet, Memory: the first of them
}

// AppendTo appends the encoded record to b. Data and Memory are cut where no record
// could hold them.
func (r *Record) AppendTo(b []byte) []byte {
	start := len(b)
	direction := byte(0)
	if r.ToGuest {
		direction = 1
	}
	b = append(b, 0, 0, 0, 0, byte(r.Kind), direction, 0, 0)
	b = append32(b, r.Channel, 0)
	b = le.AppendUint64(b, uint64(r.Time))
	b = r.appendBody(b)
	le.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

func (r *Record) appendBody(b []byte) []byte {
	switch r.Kind {
	case Note, Rule:
		return append(b, r.Text[:min(len(r.Text), MaxPayload)]...)
	case Channel:
		b = r.Opened.Instance.AppendTo(r.Opened.Interface.AppendTo(b))
		return append32(b, r.Opened.SubIndex, r.Opened.ToHost, r.Opened.ToGuest)
	case Message:
		return append(append32(b, r.Target, r.SINT), r.Data[:min(len(r.Data), wire.MaxPacketLen8)]...)
	case Refused:
		return append32(b, r.Target, uint32(r.Status))
	case Signal:
		return append32(b, r.Target, r.Flag, uint32(r.Status))
	case Packet:
		data := r.Data[:min(len(r.Data), wire.MaxPacketLen8*8)]
		b = append32(b, r.Ring.In, r.Ring.Out, r.Ring.Mask, r.Ring.Pending, r.Ring.Features, r.Position)
		b = append32(le.AppendUint64(b, r.Trailer), r.Total, uint32(len(data)))
		return append(append(b, data...), r.Memory[:min(len(r.Memory), MaxPayload)]...)
	case Memory:
		b = le.AppendUint64(append32(b, r.Origin), r.ID)
		b = append32(le.AppendUint64(b, r.Offset), r.Total)
		return append(b, r.Memory[:min(len(r.Memory), MaxPayload)]...)
	}
	return b
}

// decodeRecord reads a whole record, whose length was checked.
func decodeRecord(b []byte) (r Record, err error) {
	r = Record{Kind: Kind(b[4]), ToGuest: b[5] != 0, Channel: le.Uint32(b[8:]), Time: time.Duration(le.Uint64(b[16:]))}
	body := b[recordHeaderSize:]
	need := map[Kind]int{
		Channel: channelSize, Message: messageFixedSize, Refused: refusedSize, Signal: signalSize,
		Packet: packetFixedSize, Memory: memoryFixedSize,
	}[r.Kind]
	if len(body) < need {
		return r, fmt.Errorf("%w: kind %d with %d bytes", ErrRecord, r.Kind, len(body))
	}
	if r.Time < 0 {
		return r, fmt.Errorf("%w: time before the start", ErrRecord)
	}
	switch r.Kind {
	case Note, Rule:
		r.Text = string(body)
	case Channel:
		r.Opened = Opened{
			Interface: guid.GUID(body[:16]), Instance: guid.GUID(body[16:32]),
			SubIndex: le.Uint32(body[32:]), ToHost: le.Uint32(body[36:]), ToGuest: le.Uint32(body[40:]),
		}
	case Message:
		r.Target, r.SINT, r.Data = le.Uint32(body), le.Uint32(body[4:]), body[messageFixedSize:]
	case Refused:
		r.Target, r.Status = le.Uint32(body), tlfs.Status(le.Uint32(body[4:]))
	case Signal:
		r.Target, r.Flag, r.Status = le.Uint32(body), le.Uint32(body[4:]), tlfs.Status(le.Uint32(body[8:]))
	case Packet:
		return r, r.decodePacket(body)
	case Memory:
		r.Origin, r.ID, r.Offset, r.Total = le.Uint32(body), le.Uint64(body[4:]), le.Uint64(body[12:]), le.Uint32(body[20:])
		r.Memory = body[memoryFixedSize:]
	}
	return r, nil
}

func (r *Record) decodePacket(body []byte) error {
	r.Ring = Ring{le.Uint32(body), le.Uint32(body[4:]), le.Uint32(body[8:]), le.Uint32(body[12:]), le.Uint32(body[16:])}
	r.Position, r.Trailer, r.Total = le.Uint32(body[20:]), le.Uint64(body[24:]), le.Uint32(body[32:])
	size := le.Uint32(body[36:])
	body = body[packetFixedSize:]
	if uint64(size) > uint64(len(body)) {
		return fmt.Errorf("%w: packet of %d bytes in %d", ErrRecord, size, len(body))
	}
	r.Data, r.Memory = body[:size:size], body[size:]
	return nil
}

func append32(b []byte, v ...uint32) []byte {
	for _, x := range v {
		b = le.AppendUint32(b, x)
	}
	return b
}

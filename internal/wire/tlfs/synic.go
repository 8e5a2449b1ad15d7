// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package tlfs

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Message types, TLFS 11.9.4. Types with the top bit set are the
// hypervisor's own.
const (
	MessageTypeNone         = 0
	MessageTypeVMBus        = 1 // the only type on VMBus's ports
	MessageTypeTimerExpired = 0x80000010
)

// SynIC layouts, TLFS 11.9 and 11.10.
const (
	MessageSize        = 256 // bytes in a slot
	MessagePayloadSize = 240
	MessageHeaderSize  = 16
	MessagePending     = 1 << 0 // in MessageHeader.Flags: write EOM after freeing the slot
	EventFlagsPerSINT  = 2048
	EventFlagsSize     = EventFlagsPerSINT / 8 // bytes of the SIEFP for each SINT

	// Offsets inside a slot, for code that works on the shared page itself.
	MessageTypeOffset    = 0
	MessageFlagsOffset   = 5
	MessagePayloadOffset = MessageHeaderSize
)

// ErrMalformed is wrapped by errors about contents, ErrShort by errors about
// missing bytes.
var (
	ErrMalformed = errors.New("malformed")
	ErrShort     = errors.New("too short")
)

func short(what string, b []byte, need int) error {
	return fmt.Errorf("%s: %d bytes, need %d: %w", what, len(b), need, ErrShort)
}

// MessageHeader is the head of a message slot, TLFS 11.9.5.
//
//	0      4      5       6        8        16
//	+------+------+-------+--------+--------+
//	| type | size | flags |   0    | origin |
//	+------+------+-------+--------+--------+
type MessageHeader struct {
	Type        uint32 // zero: the slot is free
	PayloadSize uint8  // bytes, at most MessagePayloadSize
	Flags       uint8
	Origin      uint64 // port id or sender's partition
}

// DecodeMessageHeader reads a header from b, a private copy of the slot. A
// payload size beyond the slot is an error.
func DecodeMessageHeader(b []byte) (h MessageHeader, err error) {
	if len(b) < MessageHeaderSize {
		return h, short("SynIC message", b, MessageHeaderSize)
	}
	h.Type = binary.LittleEndian.Uint32(b[0:])
	h.PayloadSize = b[4]
	h.Flags = b[5]
	h.Origin = binary.LittleEndian.Uint64(b[8:])
	if h.PayloadSize > MessagePayloadSize {
		return MessageHeader{}, fmt.Errorf("SynIC message: payload of %d bytes: %w", h.PayloadSize, ErrMalformed)
	}
	return h, nil
}

// AppendTo appends the encoded header to b.
func (h MessageHeader) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, h.Type)
	b = append(b, h.PayloadSize, h.Flags, 0, 0)
	return binary.LittleEndian.AppendUint64(b, h.Origin)
}

// TimerExpired is the payload of a MessageTypeTimerExpired message, TLFS 12.4.
type TimerExpired struct {
	TimerIndex     uint32
	ExpirationTime uint64 // 100 ns units of reference time
	DeliveryTime   uint64 // likewise
}

// TimerExpiredSize is the encoded size of a TimerExpired.
const TimerExpiredSize = 24

// DecodeTimerExpired reads the payload from b.
func DecodeTimerExpired(b []byte) (t TimerExpired, err error) {
	if len(b) < TimerExpiredSize {
		return t, short("timer message", b, TimerExpiredSize)
	}
	t.TimerIndex = binary.LittleEndian.Uint32(b[0:])
	t.ExpirationTime = binary.LittleEndian.Uint64(b[8:])
	t.DeliveryTime = binary.LittleEndian.Uint64(b[16:])
	return t, nil
}

// AppendTo appends the encoded payload to b.
func (t TimerExpired) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, t.TimerIndex)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, t.ExpirationTime)
	return binary.LittleEndian.AppendUint64(b, t.DeliveryTime)
}

// ReferenceTSC is the head of the reference TSC page, TLFS 12.7.
//
//	reference time = (TSC x Scale) >> 64 + Offset     in 100 ns units
//
// Sequence changes with the other two. Zero means that the page is not to be
// used and MSRTimeRefCount is to be read instead.
type ReferenceTSC struct {
	Sequence uint32
	Scale    uint64
	Offset   int64
}

// ReferenceTSCSize is the encoded size of a ReferenceTSC; offsets are for
// readers of the live page.
const (
	ReferenceTSCSize           = 24
	ReferenceTSCSequenceOffset = 0
	ReferenceTSCScaleOffset    = 8
	ReferenceTSCOffsetOffset   = 16
	ReferenceTSCInvalid        = 0
	ReferenceTSCReserved       = 0xFFFFFFFF // old specifications' "invalid"; never a valid sequence
)

// DecodeReferenceTSC reads the page's head from b.
func DecodeReferenceTSC(b []byte) (r ReferenceTSC, err error) {
	if len(b) < ReferenceTSCSize {
		return r, short("reference TSC page", b, ReferenceTSCSize)
	}
	r.Sequence = binary.LittleEndian.Uint32(b[0:])
	r.Scale = binary.LittleEndian.Uint64(b[8:])
	r.Offset = int64(binary.LittleEndian.Uint64(b[16:]))
	return r, nil
}

// AppendTo appends the encoded head to b.
func (r ReferenceTSC) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, r.Sequence)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, r.Scale)
	return binary.LittleEndian.AppendUint64(b, uint64(r.Offset))
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package rndis

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var le = binary.LittleEndian

// Type is the number that starts every message.
type Type uint32

// All message types. A completion is its request with the top bit set.
const (
	TypePacket         Type = 0x00000001
	TypeInitialize     Type = 0x00000002
	TypeHalt           Type = 0x00000003
	TypeQuery          Type = 0x00000004
	TypeSet            Type = 0x00000005
	TypeReset          Type = 0x00000006
	TypeIndicateStatus Type = 0x00000007
	TypeKeepalive      Type = 0x00000008

	TypeInitializeComplete Type = 0x80000002
	TypeQueryComplete      Type = 0x80000004
	TypeSetComplete        Type = 0x80000005
	TypeResetComplete      Type = 0x80000006
	TypeKeepaliveComplete  Type = 0x80000008
)

// The protocol's version, and the medium of an Ethernet card.
const (
	MajorVersion = 1
	MinorVersion = 0
	Medium8023   = 0

	DeviceConnectionless = 1 // InitializeComplete.DeviceFlags
)

// Status is an NDIS status.
type Status uint32

// NDIS status values in use.
const (
	StatusSuccess              Status = 0x00000000
	StatusMediaConnect         Status = 0x4001000B
	StatusMediaDisconnect      Status = 0x4001000C
	StatusLinkSpeedChange      Status = 0x40010013
	StatusNetworkChange        Status = 0x40010018
	StatusOffloadCurrentConfig Status = 0x40020006
	StatusFailure              Status = 0xC0000001
	StatusNotSupported         Status = 0xC00000BB
	StatusInvalidLength        Status = 0xC0010014
	StatusInvalidData          Status = 0xC0010015
	StatusInvalidOID           Status = 0xC0010017
)

func (s Status) String() string {
	switch s {
	case StatusSuccess:
		return "success"
	case StatusMediaConnect:
		return "media connect"
	case StatusMediaDisconnect:
		return "media disconnect"
	case StatusFailure:
		return "failure"
	case StatusNotSupported:
		return "not supported"
	case StatusInvalidLength:
		return "invalid length"
	case StatusInvalidData:
		return "invalid data"
	case StatusInvalidOID:
		return "invalid OID"
	}
	return fmt.Sprintf("NDIS status 0x%08X", uint32(s))
}

// Errors of all decoders, wrapped with the message's name.
var (
	ErrShort  = errors.New("message too short")
	ErrType   = errors.New("message of another type")
	ErrLength = errors.New("length or offset outside the message")
)

// Header starts every message. Length counts the whole message in bytes, the
// header included.
type Header struct {
	Type   Type
	Length uint32
}

// HeaderSize is the encoded size of a Header. Offsets in messages count from
// its end.
const HeaderSize = 8

// DecodeHeader reads a header and checks that b holds the whole message.
func DecodeHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, fmt.Errorf("RNDIS header: %w: %d bytes", ErrShort, len(b))
	}
	h := Header{Type(le.Uint32(b)), le.Uint32(b[4:])}
	if h.Length < HeaderSize || uint64(h.Length) > uint64(len(b)) {
		return Header{}, fmt.Errorf("RNDIS header: %w: length %d in %d bytes", ErrLength, h.Length, len(b))
	}
	return h, nil
}

// AppendTo appends the encoded header to b.
func (h Header) AppendTo(b []byte) []byte {
	return le.AppendUint32(le.AppendUint32(b, uint32(h.Type)), h.Length)
}

// Next splits the first message off b: several messages may follow one
// another. Both parts alias b.
func Next(b []byte) (h Header, msg, rest []byte, err error) {
	if h, err = DecodeHeader(b); err != nil {
		return h, nil, nil, err
	}
	return h, b[:h.Length], b[h.Length:], nil
}

// body checks header, type and size of the message in b and returns what
// follows the header, cut at the message's length.
func body(b []byte, size int, want Type, name string) ([]byte, error) {
	h, err := DecodeHeader(b)
	switch {
	case err != nil:
		return nil, fmt.Errorf("RNDIS %s: %w", name, err)
	case h.Type != want:
		return nil, fmt.Errorf("RNDIS %s: %w: 0x%X", name, ErrType, uint32(h.Type))
	case int(h.Length) < size:
		return nil, fmt.Errorf("RNDIS %s: %w: %d of %d bytes", name, ErrShort, h.Length, size)
	}
	return b[HeaderSize:h.Length], nil
}

// part returns the length bytes at offset, counted from the end of the header
// of msg; the range must lie behind the fixed part of the message.
func part(msg []byte, fixed int, offset, length uint32, name string) ([]byte, error) {
	if length == 0 {
		return nil, nil
	}
	start := uint64(offset) + HeaderSize
	if start < uint64(fixed) || start+uint64(length) > uint64(len(msg)) {
		return nil, fmt.Errorf("RNDIS %s: %w: %d bytes at %d of a message of %d", name, ErrLength, length, offset, len(msg))
	}
	return msg[start : start+uint64(length) : start+uint64(length)], nil
}

func append32(b []byte, v ...uint32) []byte {
	for _, x := range v {
		b = le.AppendUint32(b, x)
	}
	return b
}

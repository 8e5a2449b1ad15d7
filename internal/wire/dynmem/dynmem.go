// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package dynmem holds the messages of the Dynamic Memory Protocol, by which a
// Hyper-V host takes memory from a running guest and gives it back.
//
// A message is the payload of an in-band packet on the Dynamic Memory channel,
// without a pipe header:
//
//	0      2      4              8
//	+------+------+--------------+--------------------+
//	| type | size | transaction  | depends on type    |
//	+------+------+--------------+--------------------+
//
//	guest -> host  VERSION_REQUEST 2.0          repeated with older versions
//	host -> guest  VERSION_RESPONSE accepted
//	guest -> host  CAPABILITIES_REPORT balloon, least number of pages
//	host -> guest  CAPABILITIES_RESPONSE accepted
//	guest -> host  STATUS_REPORT                each second from then on
//	host -> guest  BALLOON_REQUEST n pages
//	guest -> host  BALLOON_RESPONSE ranges      n pages or fewer, in one or more
//	host -> guest  UNBALLOON_REQUEST ranges     one or more
//	guest -> host  UNBALLOON_RESPONSE           after the last one
//
// Sources, as facts: Linux's hv_balloon and QEMU's hv-balloon device, which were
// written independently of each other after Microsoft's definitions. testdata
// holds sizes and offsets as Debian's kernel was compiled with.
package dynmem

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hvgo/hvgo/internal/guid"
)

// Instance is the instance id under which hosts offer the service; its
// interface id is vmbus.InterfaceDynamicMemory.
var Instance = guid.MustParse("1eccfd72-4b41-45ef-b73a-4a6e44c12924")

// MessageType numbers the messages.
type MessageType uint16

// Message types, with the version that brought them and their direction.
const (
	MsgError                MessageType = 0
	MsgVersionRequest       MessageType = 1  // 0.3, guest
	MsgVersionResponse      MessageType = 2  // 0.3, host
	MsgCapabilitiesReport   MessageType = 3  // 0.3, guest
	MsgCapabilitiesResponse MessageType = 4  // 0.3, host
	MsgStatusReport         MessageType = 5  // 0.3, guest
	MsgBalloonRequest       MessageType = 6  // 0.3, host
	MsgBalloonResponse      MessageType = 7  // 0.3, guest
	MsgUnballoonRequest     MessageType = 8  // 0.3, host
	MsgUnballoonResponse    MessageType = 9  // 0.3, guest
	MsgHotAddRequest        MessageType = 10 // 0.3, host
	MsgHotAddResponse       MessageType = 11 // 0.3, guest
	MsgInfo                 MessageType = 12 // 1.0, host
	MsgHotRemoveRequest     MessageType = 13 // 2.0, host
	MsgHotRemoveResponse    MessageType = 14 // 2.0, guest
)

var messageNames = [...]string{
	"ERROR", "VERSION_REQUEST", "VERSION_RESPONSE", "CAPABILITIES_REPORT", "CAPABILITIES_RESPONSE", "STATUS_REPORT",
	"BALLOON_REQUEST", "BALLOON_RESPONSE", "UNBALLOON_REQUEST", "UNBALLOON_RESPONSE", "MEM_HOT_ADD_REQUEST",
	"MEM_HOT_ADD_RESPONSE", "INFO_MESSAGE", "MEM_HOT_REMOVE_REQUEST", "MEM_HOT_REMOVE_RESPONSE",
}

// String gives the message's name.
func (t MessageType) String() string {
	if int(t) < len(messageNames) {
		return messageNames[t]
	}
	return fmt.Sprintf("message type %d", uint16(t))
}

// Version of the protocol: major in the upper half, minor in the lower.
type Version uint32

// Versions that were released, and the Windows that brought them.
const (
	Version0_3 Version = 0x0000_0003 // Windows 7
	Version1_0 Version = 0x0001_0000 // Windows 8
	Version2_0 Version = 0x0002_0000 // Windows 10
)

// String gives "major.minor".
func (v Version) String() string { return fmt.Sprintf("%d.%d", uint32(v)>>16, uint32(v)&0xffff) }

// MaxMessageSize is the most that either side sends in one message, in bytes.
const MaxMessageSize = 4096

// ErrMalformed is wrapped by all errors of this package.
var ErrMalformed = errors.New("malformed dynamic memory message")

func short(what string, b []byte, need int) error {
	return fmt.Errorf("dynmem: %s of %d bytes, need %d: %w", what, len(b), need, ErrMalformed)
}

// Header starts every message.
type Header struct {
	Type        MessageType
	Size        uint16 // bytes, header included
	Transaction uint32 // the guest's count; the host's answers repeat it
}

// HeaderSize is the encoded size of a Header.
const HeaderSize = 8

// DecodeHeader reads a header and gives the rest of the message. What follows
// the message in b is padding.
func DecodeHeader(b []byte) (h Header, body []byte, err error) {
	if len(b) < HeaderSize {
		return h, nil, short("header", b, HeaderSize)
	}
	h = Header{
		Type:        MessageType(binary.LittleEndian.Uint16(b[0:])),
		Size:        binary.LittleEndian.Uint16(b[2:]),
		Transaction: binary.LittleEndian.Uint32(b[4:]),
	}
	if h.Size < HeaderSize || int(h.Size) > len(b) {
		return Header{}, nil, fmt.Errorf("dynmem: %v announces %d bytes, has %d: %w", h.Type, h.Size, len(b), ErrMalformed)
	}
	return h, b[HeaderSize:h.Size:h.Size], nil
}

// AppendTo appends the encoded header to b.
func (h Header) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(h.Type))
	b = binary.LittleEndian.AppendUint16(b, h.Size)
	return binary.LittleEndian.AppendUint32(b, h.Transaction)
}

// Message gives a whole message with an encoded body of at most
// MaxMessageSize - HeaderSize bytes.
func Message(t MessageType, transaction uint32, body []byte) []byte {
	h := Header{Type: t, Size: uint16(HeaderSize + len(body)), Transaction: transaction}
	return append(h.AppendTo(make([]byte, 0, HeaderSize+len(body))), body...)
}

// Range is a run of guest pages. Encoded, the start takes the lower 40 bits and
// the count the upper 24.
type Range struct {
	Start uint64 // guest page number, at most MaxRangeStart
	Count uint32 // pages, at most MaxRangeCount
}

// Size and limits of a Range.
const (
	RangeSize     = 8
	MaxRangeStart = 1<<40 - 1
	MaxRangeCount = 1<<24 - 1
)

// End gives the number of the page behind the range.
func (r Range) End() uint64 { return r.Start + uint64(r.Count) }

// DecodeRange reads a range.
func DecodeRange(b []byte) (Range, error) {
	if len(b) < RangeSize {
		return Range{}, short("page range", b, RangeSize)
	}
	v := binary.LittleEndian.Uint64(b)
	return Range{Start: v & MaxRangeStart, Count: uint32(v >> 40)}, nil
}

// AppendTo appends the encoded range to b. Bits above the limits are lost.
func (r Range) AppendTo(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(b, r.Start&MaxRangeStart|uint64(r.Count)<<40)
}

// decodeRanges reads count ranges.
func decodeRanges(what string, count uint32, b []byte) ([]Range, error) {
	if uint64(count)*RangeSize > uint64(len(b)) {
		return nil, fmt.Errorf("dynmem: %s of %d ranges in %d bytes: %w", what, count, len(b), ErrMalformed)
	}
	ranges := make([]Range, count)
	for i := range ranges {
		r, err := DecodeRange(b[i*RangeSize:])
		if err != nil {
			return nil, err
		}
		ranges[i] = r
	}
	return ranges, nil
}

func appendRanges(b []byte, ranges []Range) []byte {
	for _, r := range ranges {
		b = r.AppendTo(b)
	}
	return b
}

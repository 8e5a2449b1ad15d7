// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"encoding/binary"
	"fmt"
)

// PageSize is the unit of rings and GPADLs in bytes.
const PageSize = 4096

// A ring's control page, offsets in bytes of 32-bit words. All indices count
// bytes from the start of the data area, which begins one page further.
const (
	RingInOffset           = 0  // next byte to write, moved by the sender
	RingOutOffset          = 4  // next byte to read, moved by the receiver
	RingInterruptMask      = 8  // 1: the receiver is awake, do not signal it
	RingPendingSendSize    = 12 // bytes of room that the sender waits for, 0: none
	RingFeatureBits        = 64
	RingControlSize        = PageSize
	RingFeaturePendingSend = 1 << 0 // the receiver signals when it made PendingSendSize bytes of room
)

// Packet types.
const (
	PacketInBand       = 0x6
	PacketTransferPage = 0x7
	PacketGPADirect    = 0x9
	PacketCompletion   = 0xB
)

// PacketCompletionRequested in PacketHeader.Flags asks the receiver for a
// completion packet with the same transaction id.
const PacketCompletionRequested = 1

// PacketHeader starts every packet in a ring.
//
//	0      2      4      6      8             16
//	+------+------+------+------+-------------+
//	| type | off8 | len8 | flags| transaction |
//	+------+------+------+------+-------------+
//
// Off8 and Len8 count 8-byte units from the start of the header: to the
// payload, and to its end (the trailer is not counted).
type PacketHeader struct {
	Type        uint16
	Off8        uint16
	Len8        uint16
	Flags       uint16
	Transaction uint64
}

// Sizes of a packet's parts, in bytes.
const (
	PacketHeaderSize       = 16
	PacketTrailerSize      = 8 // zero word, then the ring offset at which the packet began
	GPADirectHeaderSize    = 8 // after PacketHeader
	TransferPageHeaderSize = 8 // after PacketHeader
	TransferPageRangeSize  = 8
	PipeHeaderSize         = 8 // at the start of the payload
	MaxPacketLen8          = 0xFFFF
)

// DecodePacketHeader reads a header from b, which must be a private copy: the
// peer can still write to the ring. It checks that the parts follow one
// another, not that the packet fits in anything.
func DecodePacketHeader(b []byte) (h PacketHeader, err error) {
	if len(b) < PacketHeaderSize {
		return h, fmt.Errorf("vmbus: packet header of %d bytes: %w", len(b), ErrShort)
	}
	h.Type = binary.LittleEndian.Uint16(b[0:])
	h.Off8 = binary.LittleEndian.Uint16(b[2:])
	h.Len8 = binary.LittleEndian.Uint16(b[4:])
	h.Flags = binary.LittleEndian.Uint16(b[6:])
	h.Transaction = binary.LittleEndian.Uint64(b[8:])
	if h.Off8 < PacketHeaderSize/8 || h.Len8 < h.Off8 {
		return PacketHeader{}, fmt.Errorf("vmbus: packet offset %d, length %d (units of 8 bytes): %w", h.Off8, h.Len8, ErrMalformed)
	}
	return h, nil
}

// AppendTo appends the encoded header to b.
func (h PacketHeader) AppendTo(b []byte) []byte {
	b = u16(u16(u16(u16(b, h.Type), h.Off8), h.Len8), h.Flags)
	return u64(b, h.Transaction)
}

// Offset is the number of bytes from the packet's start to its payload.
func (h PacketHeader) Offset() int { return int(h.Off8) * 8 }

// Length is the number of bytes from the packet's start to its trailer.
func (h PacketHeader) Length() int { return int(h.Len8) * 8 }

// GPADirectHeader follows the PacketHeader of a GPA-direct packet; GPARanges
// with their page numbers follow it.
type GPADirectHeader struct{ RangeCount uint32 }

// DecodeGPADirectHeader reads the header from b; the first word is reserved
// and may hold anything.
func DecodeGPADirectHeader(b []byte) (h GPADirectHeader, err error) {
	if len(b) < GPADirectHeaderSize {
		return h, fmt.Errorf("vmbus: GPA-direct header of %d bytes: %w", len(b), ErrShort)
	}
	return GPADirectHeader{get32(b, 4)}, nil
}

// AppendTo appends the encoded header to b.
func (h GPADirectHeader) AppendTo(b []byte) []byte { return u32(u32(b, 0), h.RangeCount) }

// TransferPageHeader follows the PacketHeader of a transfer-page packet;
// RangeCount TransferPageRanges follow it.
type TransferPageHeader struct {
	SetID      uint16 // the device's name for the buffer
	RangeCount uint32
}

// DecodeTransferPageHeader reads the header from b; the word at 2 is reserved
// and may hold anything.
func DecodeTransferPageHeader(b []byte) (h TransferPageHeader, err error) {
	if len(b) < TransferPageHeaderSize {
		return h, fmt.Errorf("vmbus: transfer-page header of %d bytes: %w", len(b), ErrShort)
	}
	return TransferPageHeader{get16(b, 0), get32(b, 4)}, nil
}

// AppendTo appends the encoded header to b.
func (h TransferPageHeader) AppendTo(b []byte) []byte {
	return u32(u16(u16(b, h.SetID), 0), h.RangeCount)
}

// TransferPageRange is a piece of a buffer established beforehand.
type TransferPageRange struct {
	ByteCount  uint32
	ByteOffset uint32
}

// DecodeTransferPageRange reads a range from b.
func DecodeTransferPageRange(b []byte) (r TransferPageRange, err error) {
	if len(b) < TransferPageRangeSize {
		return r, fmt.Errorf("vmbus: transfer-page range of %d bytes: %w", len(b), ErrShort)
	}
	return TransferPageRange{get32(b, 0), get32(b, 4)}, nil
}

// AppendTo appends the encoded range to b.
func (r TransferPageRange) AppendTo(b []byte) []byte { return u32(u32(b, r.ByteCount), r.ByteOffset) }

// Pipe packet types.
const (
	PipeData              = 1
	PipePartial           = 2 // private to one side, never sent
	PipeSetupGPADirect    = 3
	PipeTeardownGPADirect = 4
	MaxPipePacketSize     = 16384 // bytes of payload
)

// PipeHeader starts the payload on channels with OfferNamedPipe, whose data
// need not be a multiple of 8 bytes long.
type PipeHeader struct {
	Type   uint32
	Length uint32 // bytes of data after the header
}

// DecodePipeHeader reads a header from b and checks Length against what
// follows it in b.
func DecodePipeHeader(b []byte) (h PipeHeader, err error) {
	if len(b) < PipeHeaderSize {
		return h, fmt.Errorf("vmbus: pipe header of %d bytes: %w", len(b), ErrShort)
	}
	h = PipeHeader{get32(b, 0), get32(b, 4)}
	if uint64(h.Length) > uint64(len(b)-PipeHeaderSize) {
		return PipeHeader{}, fmt.Errorf("vmbus: pipe data of %d bytes in %d: %w", h.Length, len(b)-PipeHeaderSize, ErrMalformed)
	}
	return h, nil
}

// AppendTo appends the encoded header to b.
func (h PipeHeader) AppendTo(b []byte) []byte { return u32(u32(b, h.Type), h.Length) }

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package scsi

import "encoding/binary"

// VPD pages (SPC-4 7.8, SBC-3 6.6).
const (
	VPDSupportedPages      uint8 = 0x00
	VPDSerialNumber        uint8 = 0x80
	VPDDeviceID            uint8 = 0x83
	VPDBlockLimits         uint8 = 0xB0
	VPDBlockCharacter      uint8 = 0xB1
	VPDLogicalProvisioning uint8 = 0xB2
)

// VPDPage is any VPD page: header and body.
//
//	 0           1      2        4
//	+-----------+------+--------+--------
//	| peripheral| page | length | body ...
//	+-----------+------+--------+--------
type VPDPage struct {
	Peripheral uint8
	Page       uint8
	Body       []byte // at most 65535 bytes
}

// DecodeVPDPage reads a page. The body is a part of b; it is cut where b ends, since
// an answer may be cut to the allocation length.
func DecodeVPDPage(b []byte) (p VPDPage, err error) {
	if len(b) < VPDHeaderSize {
		return p, ErrShort
	}
	n := min(int(binary.BigEndian.Uint16(b[2:])), len(b)-VPDHeaderSize)
	return VPDPage{b[0], b[1], b[VPDHeaderSize : VPDHeaderSize+n]}, nil
}

// AppendTo appends the encoded page to b.
func (p VPDPage) AppendTo(b []byte) []byte {
	b = append(b, p.Peripheral, p.Page)
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.Body)))
	return append(b, p.Body...)
}

// BlockLimits is the body of VPD page B0h (SBC-3 6.6.4), as far as a virtual disk says something.
type BlockLimits struct {
	OptimalGranularity uint16 // blocks
	MaxTransfer        uint32 // blocks; 0: no limit told
	OptimalTransfer    uint32 // blocks
	MaxUnmapBlocks     uint32
	MaxUnmapRanges     uint32
	UnmapGranularity   uint32 // blocks
}

// DecodeBlockLimits reads the body of page B0h.
func DecodeBlockLimits(b []byte) (l BlockLimits, err error) {
	if len(b) < BlockLimitsSize-VPDHeaderSize {
		return l, ErrShort
	}
	return BlockLimits{
		binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]),
		binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:]), binary.BigEndian.Uint32(b[24:]),
	}, nil
}

// AppendTo appends the encoded body to b.
func (l BlockLimits) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(append(b, 0, 0), l.OptimalGranularity)
	b = binary.BigEndian.AppendUint32(b, l.MaxTransfer)
	b = binary.BigEndian.AppendUint32(b, l.OptimalTransfer)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, l.MaxUnmapBlocks)
	b = binary.BigEndian.AppendUint32(b, l.MaxUnmapRanges)
	b = binary.BigEndian.AppendUint32(b, l.UnmapGranularity)
	return append(b, make([]byte, BlockLimitsSize-VPDHeaderSize-28)...)
}

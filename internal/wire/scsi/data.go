// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"bytes"
	"encoding/binary"
)

// Sizes in bytes of the data that commands return.
const (
	InquiryDataSize      = 36
	Capacity10Size       = 8
	Capacity16Size       = 32
	LUNListHeaderSize    = 8
	ModeHeader6Size      = 4
	ModeHeader10Size     = 8
	CachingPageSize      = 20
	VPDHeaderSize        = 4
	BlockLimitsSize      = 64 // with its header
	UnmapHeaderSize      = 8
	UnmapRangeSize       = 16
	MaxLUNs              = 256 // single-level peripheral addressing, SAM-5 4.7.5
	maxLUNListEntries    = 1 << 16
	maxUnmapRanges       = 1 << 12
	inquiryVersionSPC3   = 5
	inquiryFormatCurrent = 2
)

// Peripheral byte of INQUIRY data: qualifier in the top 3 bits, type in the rest.
const (
	PeripheralDisk  uint8 = 0x00
	PeripheralCDROM uint8 = 0x05
	PeripheralNone  uint8 = 0x7F // no device at this LUN (qualifier 3, type 1Fh)
)

// InquiryData is the standard INQUIRY data (SPC-4 6.6.2).
//
//	 0           1         2        3       4       5        8        16       32        36
//	+-----------+---------+--------+-------+-------+--------+--------+--------+---------+
//	| peripheral| removable| version| format| length| flags  | vendor | product| revision|
//	+-----------+---------+--------+-------+-------+--------+--------+--------+---------+
type InquiryData struct {
	Peripheral   uint8
	Removable    bool
	CommandQueue bool
	Vendor       string // at most 8 characters
	Product      string // at most 16 characters
	Revision     string // at most 4 characters
}

// DecodeInquiryData reads standard INQUIRY data; trailing spaces and zeros are cut off the texts.
func DecodeInquiryData(b []byte) (d InquiryData, err error) {
	if len(b) < InquiryDataSize {
		return d, ErrShort
	}
	return InquiryData{
		Peripheral: b[0], Removable: b[1]&0x80 != 0, CommandQueue: b[7]&2 != 0,
		Vendor: text(b[8:16]), Product: text(b[16:32]), Revision: text(b[32:36]),
	}, nil
}

func text(b []byte) string { return string(bytes.TrimRight(b, " \x00")) }

// AppendTo appends the encoded data to b.
func (d InquiryData) AppendTo(b []byte) []byte {
	var removable, queue uint8
	if d.Removable {
		removable = 0x80
	}
	if d.CommandQueue {
		queue = 2
	}
	b = append(b, d.Peripheral, removable, inquiryVersionSPC3, inquiryFormatCurrent, InquiryDataSize-5, 0, 0, queue)
	b = appendText(b, d.Vendor, 8)
	b = appendText(b, d.Product, 16)
	return appendText(b, d.Revision, 4)
}

// appendText appends s cut or padded with spaces to n bytes.
func appendText(b []byte, s string, n int) []byte {
	for i := range n {
		c := byte(' ')
		if i < len(s) {
			c = s[i]
		}
		b = append(b, c)
	}
	return b
}

// Capacity10 is the answer to READ CAPACITY(10).
type Capacity10 struct {
	LastLBA   uint32 // 0xFFFFFFFF: ask READ CAPACITY(16)
	BlockSize uint32 // bytes
}

// DecodeCapacity10 reads the answer to READ CAPACITY(10).
func DecodeCapacity10(b []byte) (c Capacity10, err error) {
	if len(b) < Capacity10Size {
		return c, ErrShort
	}
	return Capacity10{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}, nil
}

// AppendTo appends the encoded answer to b.
func (c Capacity10) AppendTo(b []byte) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, c.LastLBA), c.BlockSize)
}

// Capacity16 is the answer to READ CAPACITY(16) (SBC-3 5.16.2).
type Capacity16 struct {
	LastLBA          uint64
	BlockSize        uint32 // bytes
	PhysicalExponent uint8  // 2^this logical blocks in a physical block (4 bits)
	ThinProvisioned  bool   // LBPME: UNMAP is worth sending
	UnmappedZero     bool   // LBPRZ: unmapped blocks read as zero
}

// DecodeCapacity16 reads the answer to READ CAPACITY(16).
func DecodeCapacity16(b []byte) (c Capacity16, err error) {
	if len(b) < Capacity16Size {
		return c, ErrShort
	}
	return Capacity16{
		binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]), b[13] & 0xF, b[14]&0x80 != 0, b[14]&0x40 != 0,
	}, nil
}

// AppendTo appends the encoded answer to b.
func (c Capacity16) AppendTo(b []byte) []byte {
	var thin uint8
	if c.ThinProvisioned {
		thin |= 0x80
	}
	if c.UnmappedZero {
		thin |= 0x40
	}
	b = binary.BigEndian.AppendUint64(b, c.LastLBA)
	b = binary.BigEndian.AppendUint32(b, c.BlockSize)
	b = append(b, 0, c.PhysicalExponent&0xF, thin, 0)
	return append(b, make([]byte, 16)...)
}

// LUNList is the answer to REPORT LUNS (SPC-4 6.33): LUNs as numbers of the first
// level. Addresses of other methods than peripheral and flat are skipped.
type LUNList []uint16

// DecodeLUNList reads a LUN list as far as the bytes go: the answer may be cut to
// the allocation length. total is the number of LUNs the device has.
func DecodeLUNList(b []byte) (l LUNList, total int, err error) {
	if len(b) < LUNListHeaderSize {
		return nil, 0, ErrShort
	}
	total = int(binary.BigEndian.Uint32(b) / 8)
	n := min(total, (len(b)-LUNListHeaderSize)/8, maxLUNListEntries)
	for i := range n {
		e := binary.BigEndian.Uint16(b[LUNListHeaderSize+8*i:])
		if e>>14 <= 1 { // 0 peripheral, 1 flat addressing
			l = append(l, e&0x3FFF)
		}
	}
	return l, total, nil
}

// AppendTo appends the encoded list to b. LUNs above 255 get the flat address method.
func (l LUNList) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(l)*8))
	b = append(b, 0, 0, 0, 0)
	for _, lun := range l {
		e := lun & 0x3FFF
		if e > 255 {
			e |= 0x4000
		}
		b = append(binary.BigEndian.AppendUint16(b, e), 0, 0, 0, 0, 0, 0)
	}
	return b
}

// Mode pages.
const (
	ModePageCaching uint8 = 0x08
	ModePageControl uint8 = 0x0A
	ModePageAll     uint8 = 0x3F
)

// ModeWriteProtect in ModeHeader.DeviceSpecific: the disk is read-only (SBC-3 6.5.1).
const ModeWriteProtect uint8 = 0x80

// ModeDPOFUA in ModeHeader.DeviceSpecific: FUA and DPO are honoured.
const ModeDPOFUA uint8 = 0x10

// ModeHeader begins the answer to MODE SENSE (SPC-4 7.5.4), in the form for Op.
type ModeHeader struct {
	DataLength            uint16 // bytes that follow this field
	MediumType            uint8
	DeviceSpecific        uint8
	BlockDescriptorLength uint16
}

// DecodeModeHeader reads the header of an answer to op, OpModeSense6 or OpModeSense10,
// and returns its size.
func DecodeModeHeader(op Op, b []byte) (h ModeHeader, size int, err error) {
	if op == OpModeSense6 {
		if len(b) < ModeHeader6Size {
			return h, 0, ErrShort
		}
		return ModeHeader{uint16(b[0]), b[1], b[2], uint16(b[3])}, ModeHeader6Size, nil
	}
	if len(b) < ModeHeader10Size {
		return h, 0, ErrShort
	}
	return ModeHeader{binary.BigEndian.Uint16(b), b[2], b[3], binary.BigEndian.Uint16(b[6:])}, ModeHeader10Size, nil
}

// AppendTo appends the header in the form for op.
func (h ModeHeader) AppendTo(op Op, b []byte) []byte {
	if op == OpModeSense6 {
		return append(b, uint8(h.DataLength), h.MediumType, h.DeviceSpecific, uint8(h.BlockDescriptorLength))
	}
	b = binary.BigEndian.AppendUint16(b, h.DataLength)
	b = append(b, h.MediumType, h.DeviceSpecific, 0, 0)
	return binary.BigEndian.AppendUint16(b, h.BlockDescriptorLength)
}

// CachingPage is mode page 8 (SBC-3 6.5.5): only the write cache bit is told.
type CachingPage struct {
	WriteCache bool // WCE: SYNCHRONIZE CACHE is needed for durability
}

// DecodeCachingPage reads the page; another page code is ErrOpcode.
func DecodeCachingPage(b []byte) (p CachingPage, err error) {
	if len(b) < CachingPageSize {
		return p, ErrShort
	}
	if b[0]&0x3F != ModePageCaching {
		return p, ErrOpcode
	}
	return CachingPage{b[2]&4 != 0}, nil
}

// AppendTo appends the encoded page to b.
func (p CachingPage) AppendTo(b []byte) []byte {
	var flags uint8
	if p.WriteCache {
		flags = 4
	}
	b = append(b, ModePageCaching, CachingPageSize-2, flags)
	return append(b, make([]byte, CachingPageSize-3)...)
}

// UnmapRange is one range of blocks in the data of UNMAP (SBC-3 5.28.2).
type UnmapRange struct {
	LBA    uint64
	Blocks uint32
}

// DecodeUnmapRanges reads the data of UNMAP: header, then ranges. Lengths in the header
// beyond b are ErrShort; the ranges number at most 4096.
func DecodeUnmapRanges(b []byte) ([]UnmapRange, error) {
	if len(b) < UnmapHeaderSize {
		return nil, ErrShort
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n > len(b)-UnmapHeaderSize {
		return nil, ErrShort
	}
	if n/UnmapRangeSize > maxUnmapRanges {
		return nil, ErrRange
	}
	var ranges []UnmapRange
	for d := b[UnmapHeaderSize : UnmapHeaderSize+n]; len(d) >= UnmapRangeSize; d = d[UnmapRangeSize:] {
		ranges = append(ranges, UnmapRange{binary.BigEndian.Uint64(d), binary.BigEndian.Uint32(d[8:])})
	}
	return ranges, nil
}

// AppendUnmapRanges appends the data of UNMAP to b: header and ranges (at most 4095).
func AppendUnmapRanges(b []byte, ranges []UnmapRange) []byte {
	n := len(ranges) * UnmapRangeSize
	b = binary.BigEndian.AppendUint16(b, uint16(n+UnmapHeaderSize-2))
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	b = append(b, 0, 0, 0, 0)
	for _, r := range ranges {
		b = binary.BigEndian.AppendUint64(b, r.LBA)
		b = binary.BigEndian.AppendUint32(b, r.Blocks)
		b = append(b, 0, 0, 0, 0)
	}
	return b
}

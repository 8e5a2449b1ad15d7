// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package dynmem

import (
	"encoding/binary"
	"fmt"
)

// The types of this file are what follows the header; reserved fields are sent
// as zero and not looked at.

// VersionRequest proposes a version. The guest starts with its newest.
//
//	0         4         8
//	+---------+---------+
//	| version | flags   |  flags: bit 0 last attempt
//	+---------+---------+
type VersionRequest struct {
	Version Version
	Last    bool // the guest knows no older one
}

// VersionRequestSize is the encoded size of a VersionRequest.
const VersionRequestSize = 8

// DecodeVersionRequest reads the body of a MsgVersionRequest.
func DecodeVersionRequest(b []byte) (VersionRequest, error) {
	if len(b) < VersionRequestSize {
		return VersionRequest{}, short("version request", b, VersionRequestSize)
	}
	return VersionRequest{Version(binary.LittleEndian.Uint32(b)), b[4]&1 != 0}, nil
}

// AppendTo appends the encoded body to b.
func (m VersionRequest) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(m.Version))
	return binary.LittleEndian.AppendUint32(b, uint32(bit(m.Last, 0)))
}

// VersionResponse accepts or refuses a version: bit 0 of 8 bytes.
type VersionResponse struct {
	Accepted bool
}

// VersionResponseSize is the encoded size of a VersionResponse.
const VersionResponseSize = 8

// DecodeVersionResponse reads the body of a MsgVersionResponse.
func DecodeVersionResponse(b []byte) (VersionResponse, error) {
	if len(b) < VersionResponseSize {
		return VersionResponse{}, short("version response", b, VersionResponseSize)
	}
	return VersionResponse{b[0]&1 != 0}, nil
}

// AppendTo appends the encoded body to b.
func (m VersionResponse) AppendTo(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(b, bit(m.Accepted, 0))
}

// Capabilities is what the guest can do.
//
//	0        8           16          24
//	+--------+-----------+-----------+
//	| flags  | least     | highest   |  flags: bit 0 balloon, 1 hot add,
//	|        | pages     | page      |  2-5 hot-add alignment, 6 hot remove
//	+--------+-----------+-----------+
type Capabilities struct {
	Balloon         bool
	HotAdd          bool
	HotAddAlignment uint8 // hot-added memory starts at a multiple of 2^n MiB; 0 to 15
	HotRemove       bool  // since 2.0
	MinPages        uint64
	MaxPage         uint64 // the highest page number the guest can use; all ones for any
}

// CapabilitiesSize is the encoded size of Capabilities.
const CapabilitiesSize = 24

// DecodeCapabilities reads the body of a MsgCapabilitiesReport.
func DecodeCapabilities(b []byte) (m Capabilities, err error) {
	if len(b) < CapabilitiesSize {
		return m, short("capabilities", b, CapabilitiesSize)
	}
	return Capabilities{
		Balloon:         b[0]&1 != 0,
		HotAdd:          b[0]&2 != 0,
		HotAddAlignment: b[0] >> 2 & 0xf,
		HotRemove:       b[0]&0x40 != 0,
		MinPages:        binary.LittleEndian.Uint64(b[8:]),
		MaxPage:         binary.LittleEndian.Uint64(b[16:]),
	}, nil
}

// AppendTo appends the encoded body to b.
func (m Capabilities) AppendTo(b []byte) []byte {
	flags := bit(m.Balloon, 0) | bit(m.HotAdd, 1) | uint64(m.HotAddAlignment&0xf)<<2 | bit(m.HotRemove, 6)
	b = binary.LittleEndian.AppendUint64(b, flags)
	b = binary.LittleEndian.AppendUint64(b, m.MinPages)
	return binary.LittleEndian.AppendUint64(b, m.MaxPage)
}

// CapabilitiesResponse is the host's answer: bits 0 to 2 of 8 bytes. A guest
// that is not accepted ends the service.
type CapabilitiesResponse struct {
	Accepted        bool
	HotRemove       bool // the host may ask for it
	SuppressReports bool // the host wants no status reports
}

// CapabilitiesResponseSize is the encoded size of a CapabilitiesResponse.
const CapabilitiesResponseSize = 8

// DecodeCapabilitiesResponse reads the body of a MsgCapabilitiesResponse.
func DecodeCapabilitiesResponse(b []byte) (m CapabilitiesResponse, err error) {
	if len(b) < CapabilitiesResponseSize {
		return m, short("capabilities response", b, CapabilitiesResponseSize)
	}
	return CapabilitiesResponse{b[0]&1 != 0, b[0]&2 != 0, b[0]&4 != 0}, nil
}

// AppendTo appends the encoded body to b.
func (m CapabilitiesResponse) AppendTo(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(b, bit(m.Accepted, 0)|bit(m.HotRemove, 1)|bit(m.SuppressReports, 2))
}

// Status is the guest's memory pressure. Hosts compute it from Committed; the
// rest is for people.
//
//	0           8           16          24          32       36       40
//	+-----------+-----------+-----------+-----------+--------+--------+
//	| available | committed | page file | zero and  | page   | I/O    |
//	|           |           | size      | free      | file   | differ-|
//	|           |           |           |           | writes | ence   |
//	+-----------+-----------+-----------+-----------+--------+--------+
type Status struct {
	Available      uint64 // pages
	Committed      uint64 // pages
	PageFileSize   uint64 // pages
	ZeroFree       uint64 // pages
	PageFileWrites uint32 // pages
	IODifference   uint32 // pages: file cache faults less page reads
}

// StatusSize is the encoded size of a Status.
const StatusSize = 40

// DecodeStatus reads the body of a MsgStatusReport.
func DecodeStatus(b []byte) (m Status, err error) {
	if len(b) < StatusSize {
		return m, short("status report", b, StatusSize)
	}
	return Status{
		Available:      binary.LittleEndian.Uint64(b[0:]),
		Committed:      binary.LittleEndian.Uint64(b[8:]),
		PageFileSize:   binary.LittleEndian.Uint64(b[16:]),
		ZeroFree:       binary.LittleEndian.Uint64(b[24:]),
		PageFileWrites: binary.LittleEndian.Uint32(b[32:]),
		IODifference:   binary.LittleEndian.Uint32(b[36:]),
	}, nil
}

// AppendTo appends the encoded body to b.
func (m Status) AppendTo(b []byte) []byte {
	for _, v := range [...]uint64{m.Available, m.Committed, m.PageFileSize, m.ZeroFree} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, m.PageFileWrites)
	return binary.LittleEndian.AppendUint32(b, m.IODifference)
}

// BalloonRequest asks for pages: 4 bytes, and 4 reserved.
type BalloonRequest struct {
	Pages uint32
}

// BalloonRequestSize is the encoded size of a BalloonRequest.
const BalloonRequestSize = 8

// DecodeBalloonRequest reads the body of a MsgBalloonRequest.
func DecodeBalloonRequest(b []byte) (BalloonRequest, error) {
	if len(b) < BalloonRequestSize {
		return BalloonRequest{}, short("balloon request", b, BalloonRequestSize)
	}
	return BalloonRequest{binary.LittleEndian.Uint32(b)}, nil
}

// AppendTo appends the encoded body to b.
func (m BalloonRequest) AppendTo(b []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(b, m.Pages), 0, 0, 0, 0)
}

// BalloonResponse names pages that the guest does not use any more.
//
//	0          4                        8
//	+----------+------------------------+-----------+
//	| reserved | bit 0 more, 1-31 count | ranges... |
//	+----------+------------------------+-----------+
type BalloonResponse struct {
	More   bool // another response of the same transaction follows
	Ranges []Range
}

// Sizes and limit of a BalloonResponse.
const (
	BalloonResponseMinSize = 8
	MaxBalloonRanges       = (MaxMessageSize - HeaderSize - BalloonResponseMinSize) / RangeSize
)

// DecodeBalloonResponse reads the body of a MsgBalloonResponse.
func DecodeBalloonResponse(b []byte) (m BalloonResponse, err error) {
	if len(b) < BalloonResponseMinSize {
		return m, short("balloon response", b, BalloonResponseMinSize)
	}
	v := binary.LittleEndian.Uint32(b[4:])
	m.More = v&1 != 0
	m.Ranges, err = decodeRanges("balloon response", v>>1, b[BalloonResponseMinSize:])
	return m, err
}

// AppendTo appends the encoded body to b.
func (m BalloonResponse) AppendTo(b []byte) []byte {
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.Ranges))<<1|uint32(bit(m.More, 0)))
	return appendRanges(b, m.Ranges)
}

// UnballoonRequest gives pages back.
//
//	0              4       8
//	+--------------+-------+-----------+
//	| bit 0 more   | count | ranges... |
//	+--------------+-------+-----------+
type UnballoonRequest struct {
	More   bool // another request follows, and only the last is answered
	Ranges []Range
}

// Sizes and limit of an UnballoonRequest.
const (
	UnballoonRequestMinSize = 8
	MaxUnballoonRanges      = (MaxMessageSize - HeaderSize - UnballoonRequestMinSize) / RangeSize
)

// DecodeUnballoonRequest reads the body of a MsgUnballoonRequest.
func DecodeUnballoonRequest(b []byte) (m UnballoonRequest, err error) {
	if len(b) < UnballoonRequestMinSize {
		return m, short("unballoon request", b, UnballoonRequestMinSize)
	}
	m.More = b[0]&1 != 0
	m.Ranges, err = decodeRanges("unballoon request", binary.LittleEndian.Uint32(b[4:]), b[UnballoonRequestMinSize:])
	return m, err
}

// AppendTo appends the encoded body to b.
func (m UnballoonRequest) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(bit(m.More, 0)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.Ranges)))
	return appendRanges(b, m.Ranges)
}

// HotAddRequest adds memory: a range that is there now, and since 1.0 perhaps
// the whole region that will be filled by and by.
type HotAddRequest struct {
	Range     Range
	HasRegion bool
	Region    Range
}

// Sizes of a HotAddRequest, without and with a region.
const (
	HotAddRequestSize       = RangeSize
	HotAddRequestRegionSize = 2 * RangeSize
)

// DecodeHotAddRequest reads the body of a MsgHotAddRequest.
func DecodeHotAddRequest(b []byte) (m HotAddRequest, err error) {
	if m.Range, err = DecodeRange(b); err != nil || len(b) == HotAddRequestSize {
		return m, err
	}
	m.HasRegion = true
	m.Region, err = DecodeRange(b[RangeSize:])
	return m, err
}

// AppendTo appends the encoded body to b.
func (m HotAddRequest) AppendTo(b []byte) []byte {
	b = m.Range.AppendTo(b)
	if m.HasRegion {
		b = m.Region.AppendTo(b)
	}
	return b
}

// HotAddResponse says how much was added. Fewer pages than asked for tell the
// host not to ask again.
//
//	0       4        8
//	+-------+--------+
//	| pages | result |  result: 1 success, 0 failure
//	+-------+--------+
type HotAddResponse struct {
	Pages   uint32
	Success bool
}

// HotAddResponseSize is the encoded size of a HotAddResponse.
const HotAddResponseSize = 8

// DecodeHotAddResponse reads the body of a MsgHotAddResponse.
func DecodeHotAddResponse(b []byte) (m HotAddResponse, err error) {
	if len(b) < HotAddResponseSize {
		return m, short("hot-add response", b, HotAddResponseSize)
	}
	return HotAddResponse{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]) != 0}, nil
}

// AppendTo appends the encoded body to b.
func (m HotAddResponse) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, m.Pages)
	return binary.LittleEndian.AppendUint32(b, uint32(bit(m.Success, 0)))
}

// InfoType numbers what a MsgInfo says.
type InfoType uint32

// InfoMaxPageCount tells the most memory that the guest may get: 8 bytes, pages.
const InfoMaxPageCount InfoType = 0

// Info is news for the guest, not answered.
//
//	0          4         8      12         16
//	+----------+---------+------+-----------+---------+
//	| reserved | size of | type | size of   | data... |
//	|          | the rest|      | the data  |         |
//	+----------+---------+------+-----------+---------+
type Info struct {
	Type InfoType
	Data []byte
}

// InfoMinSize is the encoded size of an Info without data.
const InfoMinSize = 16

// DecodeInfo reads the body of a MsgInfo. Data is a part of b.
func DecodeInfo(b []byte) (m Info, err error) {
	if len(b) < InfoMinSize {
		return m, short("info message", b, InfoMinSize)
	}
	m.Type = InfoType(binary.LittleEndian.Uint32(b[8:]))
	n := binary.LittleEndian.Uint32(b[12:])
	if rest := b[InfoMinSize:]; uint64(n) <= uint64(len(rest)) {
		m.Data = rest[:n:n]
		return m, nil
	}
	return Info{}, fmt.Errorf("dynmem: info message announces %d bytes, has %d: %w", n, len(b)-InfoMinSize, ErrMalformed)
}

// AppendTo appends the encoded body to b.
func (m Info) AppendTo(b []byte) []byte {
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(8+len(m.Data)))
	b = binary.LittleEndian.AppendUint32(b, uint32(m.Type))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.Data)))
	return append(b, m.Data...)
}

// MaxPageCount gives what an InfoMaxPageCount says, in pages.
func (m Info) MaxPageCount() (uint64, error) {
	if m.Type != InfoMaxPageCount || len(m.Data) < 8 {
		return 0, fmt.Errorf("dynmem: info type %d of %d bytes is not a page count: %w", m.Type, len(m.Data), ErrMalformed)
	}
	return binary.LittleEndian.Uint64(m.Data), nil
}

func bit(set bool, n uint) uint64 {
	if set {
		return 1 << n
	}
	return 0
}

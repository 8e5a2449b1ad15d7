// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

// GPADLID names a guest physical address descriptor list: a list of the
// guest's pages that the host may map. The guest chooses it; zero is not used.
type GPADLID uint32

// GPADLHeader begins a GPADL (8); GPADLBody messages continue it.
//
//	0        8         12      16     18     20
//	+--------+---------+-------+------+------+------------------------+
//	| header | channel | GPADL | bytes| ranges| range, page numbers...|
//	+--------+---------+-------+------+------+------------------------+
//
// What follows at 20, over header and bodies together, is Length bytes of
// ranges, each a GPARange and its page numbers:
//
//	0            4             8       16      24
//	+------------+-------------+-------+-------+-----
//	| byte count | byte offset | PFN 0 | PFN 1 | ...
//	+------------+-------------+-------+-------+-----
type GPADLHeader struct {
	ChannelID  ChannelID
	GPADLID    GPADLID
	Length     uint16 // bytes of range data in all messages
	RangeCount uint16
	Data       []byte // range data in this message; shares memory with the decoder's input
}

// Sizes and limits of GPADL messages. A header holds 27 words of range data,
// so one range and 26 page numbers; a body 28 page numbers.
const (
	GPADLHeaderSize    = 20
	GPADLHeaderMaxPFNs = 26
	GPADLBodySize      = 16
	GPADLBodyMaxPFNs   = 28
	GPARangeSize       = 8
	PFNSize            = 8
)

// DecodeGPADLHeader reads a whole message. Data is everything after the fixed
// part, cut to Length.
func DecodeGPADLHeader(b []byte) (m GPADLHeader, err error) {
	if err := open(b, MsgGPADLHeader, GPADLHeaderSize); err != nil {
		return m, err
	}
	m.ChannelID = ChannelID(get32(b, 8))
	m.GPADLID = GPADLID(get32(b, 12))
	m.Length = get16(b, 16)
	m.RangeCount = get16(b, 18)
	m.Data = b[GPADLHeaderSize:]
	if len(m.Data) > int(m.Length) {
		m.Data = m.Data[:m.Length]
	}
	return m, nil
}

// AppendTo appends the whole message to b.
func (m GPADLHeader) AppendTo(b []byte) []byte {
	b = AppendHeader(b, MsgGPADLHeader)
	b = u32(b, uint32(m.ChannelID))
	b = u32(b, uint32(m.GPADLID))
	b = u16(b, m.Length)
	b = u16(b, m.RangeCount)
	return append(b, m.Data...)
}

// GPADLBody continues a GPADL (9).
//
//	0        8        12      16
//	+--------+--------+-------+------------------+
//	| header |   0    | GPADL | page numbers ... |
//	+--------+--------+-------+------------------+
//
// The word at 8 is a message number in Linux's structure and reserved in OpenVMM's;
// Linux 6.1 and 6.12 send zero (test/witness/golden).
type GPADLBody struct {
	GPADLID GPADLID
	Data    []byte // range data in this message; shares memory with the decoder's input
}

// DecodeGPADLBody reads a whole message.
func DecodeGPADLBody(b []byte) (m GPADLBody, err error) {
	if err := open(b, MsgGPADLBody, GPADLBodySize); err != nil {
		return m, err
	}
	return GPADLBody{GPADLID(get32(b, 12)), b[GPADLBodySize:]}, nil
}

// AppendTo appends the whole message to b.
func (m GPADLBody) AppendTo(b []byte) []byte {
	b = AppendHeader(b, MsgGPADLBody)
	return append(u32(u32(b, 0), uint32(m.GPADLID)), m.Data...)
}

// GPARange describes a run of bytes over pages that need not be adjacent; its
// page numbers follow it. Also used by GPA-direct packets.
type GPARange struct {
	ByteCount  uint32
	ByteOffset uint32 // in the first page
}

// DecodeGPARange reads a range without its page numbers.
func DecodeGPARange(b []byte) (r GPARange, err error) {
	if len(b) < GPARangeSize {
		return r, ErrShort
	}
	return GPARange{get32(b, 0), get32(b, 4)}, nil
}

// AppendTo appends the range without its page numbers to b.
func (r GPARange) AppendTo(b []byte) []byte { return u32(u32(b, r.ByteCount), r.ByteOffset) }

// Pages is the number of page numbers that follow the range.
func (r GPARange) Pages() int {
	return int((uint64(r.ByteOffset) + uint64(r.ByteCount) + PageSize - 1) / PageSize)
}

// AppendPFN appends a page number to b.
func AppendPFN(b []byte, pfn uint64) []byte { return u64(b, pfn) }

// GPADLCreated answers a complete GPADL (10).
type GPADLCreated struct {
	ChannelID ChannelID
	GPADLID   GPADLID
	Status    uint32 // zero: created
}

// GPADLCreatedSize is the encoded size of a GPADLCreated.
const GPADLCreatedSize = 20

// DecodeGPADLCreated reads a whole message.
func DecodeGPADLCreated(b []byte) (m GPADLCreated, err error) {
	if err := open(b, MsgGPADLCreated, GPADLCreatedSize); err != nil {
		return m, err
	}
	return GPADLCreated{ChannelID(get32(b, 8)), GPADLID(get32(b, 12)), get32(b, 16)}, nil
}

// AppendTo appends the whole message to b.
func (m GPADLCreated) AppendTo(b []byte) []byte {
	return u32(u32(u32(AppendHeader(b, MsgGPADLCreated), uint32(m.ChannelID)), uint32(m.GPADLID)), m.Status)
}

// GPADLTeardown asks for the pages back (11).
type GPADLTeardown struct {
	ChannelID ChannelID
	GPADLID   GPADLID
}

// GPADLTeardownSize is the encoded size of a GPADLTeardown.
const GPADLTeardownSize = 16

// DecodeGPADLTeardown reads a whole message.
func DecodeGPADLTeardown(b []byte) (m GPADLTeardown, err error) {
	if err := open(b, MsgGPADLTeardown, GPADLTeardownSize); err != nil {
		return m, err
	}
	return GPADLTeardown{ChannelID(get32(b, 8)), GPADLID(get32(b, 12))}, nil
}

// AppendTo appends the whole message to b.
func (m GPADLTeardown) AppendTo(b []byte) []byte {
	return u32(u32(AppendHeader(b, MsgGPADLTeardown), uint32(m.ChannelID)), uint32(m.GPADLID))
}

// GPADLTorndown answers GPADLTeardown (12): the host maps the pages no more.
type GPADLTorndown struct{ GPADLID GPADLID }

// GPADLTorndownSize is the encoded size of a GPADLTorndown.
const GPADLTorndownSize = 12

// DecodeGPADLTorndown reads a whole message.
func DecodeGPADLTorndown(b []byte) (m GPADLTorndown, err error) {
	if err := open(b, MsgGPADLTorndown, GPADLTorndownSize); err != nil {
		return m, err
	}
	return GPADLTorndown{GPADLID(get32(b, 8))}, nil
}

// AppendTo appends the whole message to b.
func (m GPADLTorndown) AppendTo(b []byte) []byte {
	return u32(AppendHeader(b, MsgGPADLTorndown), uint32(m.GPADLID))
}

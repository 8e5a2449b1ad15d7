// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package gpt holds the structures of a GUID partition table (UEFI
// specification 2.10, section 5) as plain values.
//
//	LBA 0           1         2 ...               first usable ... last usable          last
//	+---------------+---------+-------------------+-------------------+-----------------+--------+
//	| protective    | primary | primary entries,  | partitions        | backup entries  | backup |
//	| MBR           | header  | 16 KiB at least   |                   |                 | header |
//	+---------------+---------+-------------------+-------------------+-----------------+--------+
//
// All integers are little-endian; checksums are CRC-32 (IEEE).
package gpt

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hvgo/hvgo/internal/guid"
)

var le = binary.LittleEndian

// Errors of the decoders.
var (
	ErrShort     = errors.New("too short")
	ErrSignature = errors.New("wrong signature")
)

// Partition types.
var (
	TypeEFISystem      = guid.MustParse("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
	TypeMicrosoftBasic = guid.MustParse("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")
	TypeLinuxData      = guid.MustParse("0fc63daf-8483-4772-8e79-3d69d8477de4")
)

// Numbers of the format.
const (
	Signature  = "EFI PART"
	Revision   = 0x00010000
	MBRSize    = 512
	HeaderSize = 92
	EntrySize  = 128 // the least; always a power of two
	MinEntries = 128 // 16 KiB are always reserved (5.3.1)
	NameLen    = 36  // UTF-16 code units
	MBRTypeGPT = 0xEE
	mbrEntry   = 446
)

// ProtectiveMBR is what partition tools of the older kind find in LBA 0 (5.2.3):
// one partition of type 0xEE over the whole disk.
//
//	0           446     450    454     458          462     510
//	+-----------+-------+------+-------+------------+-------+------+
//	| zero      | 00 CHS| EE   | CHS   | first LBA 1| count | 55AA |
//	+-----------+-------+------+-------+------------+-------+------+
type ProtectiveMBR struct {
	Sectors uint32 // on the disk less one, or 0xFFFFFFFF if that is too small
}

// DecodeProtectiveMBR reads LBA 0; it wraps ErrSignature if no partition of the
// four is of type 0xEE.
func DecodeProtectiveMBR(b []byte) (ProtectiveMBR, error) {
	if len(b) < MBRSize {
		return ProtectiveMBR{}, fmt.Errorf("gpt: protective MBR: %w", ErrShort)
	}
	if le.Uint16(b[510:]) != 0xAA55 {
		return ProtectiveMBR{}, fmt.Errorf("gpt: protective MBR: %w", ErrSignature)
	}
	for i := range 4 {
		if e := b[mbrEntry+16*i:]; e[4] == MBRTypeGPT {
			return ProtectiveMBR{Sectors: le.Uint32(e[12:])}, nil
		}
	}
	return ProtectiveMBR{}, fmt.Errorf("gpt: protective MBR: %w: no partition of type 0xEE", ErrSignature)
}

// AppendTo appends the MBRSize bytes of m.
func (m ProtectiveMBR) AppendTo(b []byte) []byte {
	at := len(b)
	b = append(b, make([]byte, MBRSize)...)
	e := b[at+mbrEntry:]
	copy(e[1:], []byte{0x00, 0x02, 0x00}) // CHS of LBA 1
	e[4] = MBRTypeGPT
	copy(e[5:], []byte{0xff, 0xff, 0xff}) // CHS beyond what it can say
	le.PutUint32(e[8:], 1)
	le.PutUint32(e[12:], m.Sectors)
	le.PutUint16(b[at+510:], 0xAA55)
	return b
}

// Header is the table's header (5.3.2):
//
//	0          8      12     16     20    24      32      40      48      56     72      80    84    88    92
//	+----------+------+------+------+-----+-------+-------+-------+-------+------+-------+-----+-----+-----+
//	| EFI PART | rev  | size | crc  | 0   | my    | other | first | last  | disk | entry | num | size| crc |
//	|          |      |      |      |     | LBA   | LBA   | usable| usable| GUID | LBA   |     |     |     |
//	+----------+------+------+------+-----+-------+-------+-------+-------+------+-------+-----+-----+-----+
type Header struct {
	HeaderSize  uint32 // bytes under the checksum, from 92 to the sector size
	Checksum    uint32 // of the header, this field zero
	MyLBA       uint64
	OtherLBA    uint64 // of the other header
	FirstUsable uint64 // LBA
	LastUsable  uint64 // LBA
	DiskGUID    guid.GUID
	EntriesLBA  uint64
	Entries     uint32 // number of entries
	EntrySize   uint32 // bytes
	EntriesCRC  uint32 // of all entries
}

// ChecksumOffset is where the checksum stands in a header.
const ChecksumOffset = 16

// DecodeHeader reads a Header; it does not check the checksum.
func DecodeHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, fmt.Errorf("gpt: header: %w", ErrShort)
	}
	if string(b[:8]) != Signature {
		return Header{}, fmt.Errorf("gpt: header: %w", ErrSignature)
	}
	if r := le.Uint32(b[8:]); r != Revision {
		return Header{}, fmt.Errorf("gpt: header: revision %#x, want %#x", r, Revision)
	}
	return Header{
		HeaderSize:  le.Uint32(b[12:]),
		Checksum:    le.Uint32(b[16:]),
		MyLBA:       le.Uint64(b[24:]),
		OtherLBA:    le.Uint64(b[32:]),
		FirstUsable: le.Uint64(b[40:]),
		LastUsable:  le.Uint64(b[48:]),
		DiskGUID:    guid.GUID(b[56:72]),
		EntriesLBA:  le.Uint64(b[72:]),
		Entries:     le.Uint32(b[80:]),
		EntrySize:   le.Uint32(b[84:]),
		EntriesCRC:  le.Uint32(b[88:]),
	}, nil
}

// AppendTo appends the HeaderSize bytes of h, with the checksum as it is in h.
func (h Header) AppendTo(b []byte) []byte {
	b = append(b, Signature...)
	for _, v := range []uint32{Revision, h.HeaderSize, h.Checksum, 0} {
		b = le.AppendUint32(b, v)
	}
	for _, v := range []uint64{h.MyLBA, h.OtherLBA, h.FirstUsable, h.LastUsable} {
		b = le.AppendUint64(b, v)
	}
	b = append(b, h.DiskGUID[:]...)
	b = le.AppendUint64(b, h.EntriesLBA)
	for _, v := range []uint32{h.Entries, h.EntrySize, h.EntriesCRC} {
		b = le.AppendUint32(b, v)
	}
	return b
}

// Entry is one partition (5.3.3); a zero Type marks an unused entry.
//
//	0      16       32      40      48           56            128
//	+------+--------+-------+-------+------------+-------------+
//	| type | GUID   | first | last  | attributes | name UTF-16 |
//	+------+--------+-------+-------+------------+-------------+
type Entry struct {
	Type, ID    guid.GUID
	First, Last uint64 // LBAs, both in the partition
	Attributes  uint64
	Name        [NameLen]uint16
}

// DecodeEntry reads an Entry.
func DecodeEntry(b []byte) (Entry, error) {
	if len(b) < EntrySize {
		return Entry{}, fmt.Errorf("gpt: entry: %w", ErrShort)
	}
	e := Entry{
		Type: guid.GUID(b[:16]), ID: guid.GUID(b[16:32]),
		First: le.Uint64(b[32:]), Last: le.Uint64(b[40:]), Attributes: le.Uint64(b[48:]),
	}
	for i := range e.Name {
		e.Name[i] = le.Uint16(b[56+2*i:])
	}
	return e, nil
}

// AppendTo appends the EntrySize bytes of e.
func (e Entry) AppendTo(b []byte) []byte {
	b = append(append(b, e.Type[:]...), e.ID[:]...)
	b = le.AppendUint64(b, e.First)
	b = le.AppendUint64(b, e.Last)
	b = le.AppendUint64(b, e.Attributes)
	for _, c := range e.Name {
		b = le.AppendUint16(b, c)
	}
	return b
}

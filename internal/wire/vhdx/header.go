// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hvgo/hvgo/internal/guid"
)

var le = binary.LittleEndian

// Units and places, MS-VHDX 2.2.
const (
	KiB = 1 << 10
	MiB = 1 << 20

	// Alignment is that of every region, of the log and of every block.
	Alignment = MiB

	FileIDOffset       = 0
	Header1Offset      = 64 * KiB
	Header2Offset      = 128 * KiB
	RegionTable1Offset = 192 * KiB
	RegionTable2Offset = 256 * KiB
	HeaderSectionSize  = 1 * MiB
)

// Signatures.
const (
	FileIDSignature        = "vhdxfile"
	HeaderSignature        = "head"
	RegionTableSignature   = "regi"
	MetadataTableSignature = "metadata"
	LogEntrySignature      = "loge"
	ZeroSignature          = "zero"
	DataSignature          = "desc"
	DataSectorSignature    = "data"
)

// ErrSignature is wrapped when a structure does not begin with its signature.
var ErrSignature = errors.New("wrong signature")

// ErrShort is wrapped when there are fewer bytes than the structure has.
var ErrShort = errors.New("too short")

// check tells whether b has size bytes and begins with the signature.
func check(what string, b []byte, size int, signature string) error {
	if len(b) < size {
		return fmt.Errorf("vhdx: %s: %w: %d of %d bytes", what, ErrShort, len(b), size)
	}
	if got := string(b[:len(signature)]); got != signature {
		return fmt.Errorf("vhdx: %s: %w: %q, want %q", what, ErrSignature, got, signature)
	}
	return nil
}

// grow appends n zero bytes to b and returns the whole and the new part.
func grow(b []byte, n int) (all, part []byte) {
	at := len(b)
	all = append(b, make([]byte, n)...)
	return all, all[at:]
}

// FileID is the file type identifier, MS-VHDX 2.2.1:
//
//	0           8                      520        64 KiB
//	+-----------+----------------------+----------+
//	| vhdxfile  | creator, UTF-16      | zero     |
//	+-----------+----------------------+----------+
type FileID struct {
	Creator [256]uint16 // UTF-16, for people only
}

// FileIDSize is the part of the 64 KiB that has a meaning.
const FileIDSize = 520

// DecodeFileID reads a file type identifier.
func DecodeFileID(b []byte) (FileID, error) {
	if err := check("file identifier", b, FileIDSize, FileIDSignature); err != nil {
		return FileID{}, err
	}
	var f FileID
	for i := range f.Creator {
		f.Creator[i] = le.Uint16(b[8+2*i:])
	}
	return f, nil
}

// AppendTo appends the FileIDSize bytes of f.
func (f FileID) AppendTo(b []byte) []byte {
	b = append(b, FileIDSignature...)
	for _, c := range f.Creator {
		b = le.AppendUint16(b, c)
	}
	return b
}

// Header is one of the two headers, MS-VHDX 2.2.2. The one with the higher
// sequence number counts; a write always goes to the other one.
//
//	0      4      8          16           32           48       64   66   68      72      80
//	+------+------+----------+------------+------------+--------+----+----+-------+-------+------
//	| head | crc  | sequence | file write | data write | log    | lv | v  | log   | log   | zero to
//	|      |      |          | GUID       | GUID       | GUID   |    |    | length| offset| 4096
//	+------+------+----------+------------+------------+--------+----+----+-------+-------+------
type Header struct {
	Checksum       uint32
	SequenceNumber uint64
	FileWriteGUID  guid.GUID // changes before the first write after an open
	DataWriteGUID  guid.GUID // changes before the first write a guest can see
	LogGUID        guid.GUID // zero: the log is empty
	LogVersion     uint16    // 0
	Version        uint16    // 1
	LogLength      uint32    // bytes, a multiple of 1 MiB
	LogOffset      uint64    // bytes, a multiple of 1 MiB
}

// HeaderSize is the checksummed size of a Header; ChecksumOffset is where the
// checksum stands in it, in RegionTable and in LogEntry.
const (
	HeaderSize     = 4 * KiB
	ChecksumOffset = 4
	Version        = 1
	LogVersion     = 0
)

// DecodeHeader reads a Header; it does not check the checksum.
func DecodeHeader(b []byte) (Header, error) {
	if err := check("header", b, HeaderSize, HeaderSignature); err != nil {
		return Header{}, err
	}
	return Header{
		Checksum:       le.Uint32(b[4:]),
		SequenceNumber: le.Uint64(b[8:]),
		FileWriteGUID:  guid.GUID(b[16:32]),
		DataWriteGUID:  guid.GUID(b[32:48]),
		LogGUID:        guid.GUID(b[48:64]),
		LogVersion:     le.Uint16(b[64:]),
		Version:        le.Uint16(b[66:]),
		LogLength:      le.Uint32(b[68:]),
		LogOffset:      le.Uint64(b[72:]),
	}, nil
}

// AppendTo appends the HeaderSize bytes of h, with the checksum as it is in h.
func (h Header) AppendTo(b []byte) []byte {
	b, p := grow(b, HeaderSize)
	copy(p, HeaderSignature)
	le.PutUint32(p[4:], h.Checksum)
	le.PutUint64(p[8:], h.SequenceNumber)
	copy(p[16:], h.FileWriteGUID[:])
	copy(p[32:], h.DataWriteGUID[:])
	copy(p[48:], h.LogGUID[:])
	le.PutUint16(p[64:], h.LogVersion)
	le.PutUint16(p[66:], h.Version)
	le.PutUint32(p[68:], h.LogLength)
	le.PutUint64(p[72:], h.LogOffset)
	return b
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vhdx

import (
	"fmt"

	"github.com/hvgo/hvgo/internal/guid"
)

// LogSectorSize is the unit of the log: entries, their data sectors and what
// they change in the file are multiples of it.
const LogSectorSize = 4 * KiB

// LogEntry starts an entry of the log, MS-VHDX 2.3.1.1:
//
//	0      4      8        12     16         24            28   32        48        56       64
//	+------+------+--------+------+----------+-------------+----+---------+---------+--------+
//	| loge | crc  | entry  | tail | sequence | descriptors | 0  | log     | flushed | last   |
//	|      |      | length |      |          |             |    | GUID    | offset  | offset |
//	+------+------+--------+------+----------+-------------+----+---------+---------+--------+
//
// 32-byte descriptors follow, up to the next multiple of 4 KiB, then one data
// sector of 4 KiB for each data descriptor. The checksum covers all of it.
type LogEntry struct {
	Checksum       uint32
	EntryLength    uint32 // bytes, a multiple of 4 KiB
	Tail           uint32 // bytes from the start of the log to the oldest entry still needed
	SequenceNumber uint64
	Descriptors    uint32
	LogGUID        guid.GUID
	FlushedOffset  uint64 // the file was at least so long on the medium when this was written
	LastOffset     uint64 // the file is to be at least so long after replay
}

// LogEntryHeaderSize is the encoded size of a LogEntry.
const LogEntryHeaderSize = 64

// DecodeLogEntry reads the header of an entry; it does not check the checksum.
func DecodeLogEntry(b []byte) (LogEntry, error) {
	if err := check("log entry", b, LogEntryHeaderSize, LogEntrySignature); err != nil {
		return LogEntry{}, err
	}
	return LogEntry{
		Checksum:       le.Uint32(b[4:]),
		EntryLength:    le.Uint32(b[8:]),
		Tail:           le.Uint32(b[12:]),
		SequenceNumber: le.Uint64(b[16:]),
		Descriptors:    le.Uint32(b[24:]),
		LogGUID:        guid.GUID(b[32:48]),
		FlushedOffset:  le.Uint64(b[48:]),
		LastOffset:     le.Uint64(b[56:]),
	}, nil
}

// AppendTo appends the LogEntryHeaderSize bytes of e.
func (e LogEntry) AppendTo(b []byte) []byte {
	b, p := grow(b, LogEntryHeaderSize)
	copy(p, LogEntrySignature)
	le.PutUint32(p[4:], e.Checksum)
	le.PutUint32(p[8:], e.EntryLength)
	le.PutUint32(p[12:], e.Tail)
	le.PutUint64(p[16:], e.SequenceNumber)
	le.PutUint32(p[24:], e.Descriptors)
	copy(p[32:], e.LogGUID[:])
	le.PutUint64(p[48:], e.FlushedOffset)
	le.PutUint64(p[56:], e.LastOffset)
	return b
}

// LogDescriptor is one change that an entry makes, MS-VHDX 2.3.1.2 and 2.3.1.3:
//
//	0      4          8          16       24         32
//	+------+----------+----------+--------+----------+
//	| zero | reserved | length   | file   | sequence |
//	| desc | trailing | leading  | offset |          |
//	+------+----------+----------+--------+----------+
type LogDescriptor struct {
	Zero           bool    // zeroes Length bytes; otherwise writes a data sector
	Length         uint64  // bytes; zero descriptors only
	Trailing       [4]byte // last 4 bytes of the sector; data descriptors only
	Leading        [8]byte // first 8 bytes of the sector; data descriptors only
	Offset         uint64  // bytes from the start of the file, a multiple of 4 KiB
	SequenceNumber uint64  // of the entry
}

// LogDescriptorSize is the encoded size of a LogDescriptor.
const LogDescriptorSize = 32

// DecodeLogDescriptor reads a descriptor of either kind.
func DecodeLogDescriptor(b []byte) (LogDescriptor, error) {
	if len(b) < LogDescriptorSize {
		return LogDescriptor{}, fmt.Errorf("vhdx: log descriptor: %w: %d of %d bytes", ErrShort, len(b), LogDescriptorSize)
	}
	d := LogDescriptor{Offset: le.Uint64(b[16:]), SequenceNumber: le.Uint64(b[24:])}
	switch string(b[:4]) {
	case ZeroSignature:
		d.Zero, d.Length = true, le.Uint64(b[8:])
	case DataSignature:
		d.Trailing, d.Leading = [4]byte(b[4:8]), [8]byte(b[8:16])
	default:
		return LogDescriptor{}, fmt.Errorf("vhdx: log descriptor: %w: %q", ErrSignature, b[:4])
	}
	return d, nil
}

// AppendTo appends the LogDescriptorSize bytes of d.
func (d LogDescriptor) AppendTo(b []byte) []byte {
	b, p := grow(b, LogDescriptorSize)
	if d.Zero {
		copy(p, ZeroSignature)
		le.PutUint64(p[8:], d.Length)
	} else {
		copy(p, DataSignature)
		copy(p[4:], d.Trailing[:])
		copy(p[8:], d.Leading[:])
	}
	le.PutUint64(p[16:], d.Offset)
	le.PutUint64(p[24:], d.SequenceNumber)
	return b
}

// DataSector is a sector of 4 KiB in a log entry, MS-VHDX 2.3.1.4:
//
//	0      4          8                        4092       4096
//	+------+----------+------------------------+----------+
//	| data | sequence | bytes 8 to 4092 of the | sequence |
//	|      | high     | sector to be written   | low      |
//	+------+----------+------------------------+----------+
type DataSector struct {
	SequenceNumber uint64
	Data           [LogSectorSize - 12]byte
}

// DecodeDataSector reads a data sector.
func DecodeDataSector(b []byte) (DataSector, error) {
	if err := check("log data sector", b, LogSectorSize, DataSectorSignature); err != nil {
		return DataSector{}, err
	}
	return DataSector{
		SequenceNumber: uint64(le.Uint32(b[4:]))<<32 | uint64(le.Uint32(b[LogSectorSize-4:])),
		Data:           [LogSectorSize - 12]byte(b[8:]),
	}, nil
}

// AppendTo appends the LogSectorSize bytes of s.
func (s DataSector) AppendTo(b []byte) []byte {
	b = append(b, DataSectorSignature...)
	b = le.AppendUint32(b, uint32(s.SequenceNumber>>32))
	b = append(b, s.Data[:]...)
	return le.AppendUint32(b, uint32(s.SequenceNumber))
}

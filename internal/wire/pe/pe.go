// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package pe holds the structures of a PE32+ image (Microsoft PE Format,
// section names in brackets) as an EFI application uses them, as plain values.
//
//	0        60     64..           +4       +24               +264       + 40 n
//	+--------+------+--------------+--------+-----------------+----------+-----------
//	| MZ ... | PE at| DOS stub     | PE\0\0 | file header,    | section  | sections'
//	|        |      |              |        | optional header | headers  | contents
//	+--------+------+--------------+--------+-----------------+----------+-----------
//
// All integers are little-endian; RVA means bytes from the image base.
package pe

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var le = binary.LittleEndian

// Errors of the decoders.
var (
	ErrShort     = errors.New("too short")
	ErrSignature = errors.New("wrong signature")
)

// Sizes and numbers.
const (
	DOSHeaderSize      = 64
	SignatureSize      = 4
	FileHeaderSize     = 20
	OptionalHeaderSize = 112 + 16*8 // PE32+, with all data directories
	SectionHeaderSize  = 40

	MachineAMD64 = 0x8664
	MagicPE32P   = 0x20B

	// File header, characteristics.
	FileExecutable        = 0x0002
	FileLargeAddressAware = 0x0020
	FileDebugStripped     = 0x0200

	// Optional header.
	SubsystemEFIApplication = 10
	DLLHighEntropyVA        = 0x0020
	DLLDynamicBase          = 0x0040
	DLLNXCompat             = 0x0100 // no memory of the image is both writable and executable
	DirectoryRelocations    = 5

	// Section characteristics.
	SectionCode          = 0x00000020
	SectionInitialized   = 0x00000040
	SectionUninitialized = 0x00000080
	SectionDiscardable   = 0x02000000
	SectionExecute       = 0x20000000
	SectionRead          = 0x40000000
	SectionWrite         = 0x80000000

	// Base relocations [The .reloc Section].
	RelocBlockSize = 8
	RelocAbsolute  = 0 // padding
	RelocDir64     = 10
)

// DOSHeader is the start of the file; only the place of the PE signature
// matters.
type DOSHeader struct {
	PEOffset uint32
}

// DecodeDOSHeader reads a DOSHeader.
func DecodeDOSHeader(b []byte) (DOSHeader, error) {
	if len(b) < DOSHeaderSize {
		return DOSHeader{}, fmt.Errorf("pe: DOS header: %w", ErrShort)
	}
	if string(b[:2]) != "MZ" {
		return DOSHeader{}, fmt.Errorf("pe: DOS header: %w", ErrSignature)
	}
	return DOSHeader{le.Uint32(b[60:])}, nil
}

// AppendTo appends the DOSHeaderSize bytes of h.
func (h DOSHeader) AppendTo(b []byte) []byte {
	b = append(b, "MZ"...)
	b = append(b, make([]byte, 58)...)
	return le.AppendUint32(b, h.PEOffset)
}

// FileHeader is the PE signature and the COFF file header [COFF File Header]:
//
//	0        4         6          8      12       16       20         22       24
//	+--------+---------+----------+------+--------+--------+----------+--------+
//	| PE\0\0 | machine | sections | time | symbol | symbol | optional | charac-|
//	|        |         |          |      | table  | count  | size     | terist.|
//	+--------+---------+----------+------+--------+--------+----------+--------+
type FileHeader struct {
	Machine, Sections uint16
	Time              uint32 // seconds since 1970; 0 in a reproducible file
	OptionalSize      uint16
	Characteristics   uint16
}

// DecodeFileHeader reads a signature and FileHeader.
func DecodeFileHeader(b []byte) (FileHeader, error) {
	if len(b) < SignatureSize+FileHeaderSize {
		return FileHeader{}, fmt.Errorf("pe: file header: %w", ErrShort)
	}
	if string(b[:4]) != "PE\x00\x00" {
		return FileHeader{}, fmt.Errorf("pe: file header: %w", ErrSignature)
	}
	return FileHeader{
		Machine: le.Uint16(b[4:]), Sections: le.Uint16(b[6:]), Time: le.Uint32(b[8:]),
		OptionalSize: le.Uint16(b[20:]), Characteristics: le.Uint16(b[22:]),
	}, nil
}

// AppendTo appends the SignatureSize+FileHeaderSize bytes of h.
func (h FileHeader) AppendTo(b []byte) []byte {
	b = append(b, "PE\x00\x00"...)
	b = le.AppendUint16(b, h.Machine)
	b = le.AppendUint16(b, h.Sections)
	b = le.AppendUint32(b, h.Time)
	b = append(b, make([]byte, 8)...) // no COFF symbols
	b = le.AppendUint16(b, h.OptionalSize)
	return le.AppendUint16(b, h.Characteristics)
}

// DataDirectory is a place in the image.
type DataDirectory struct {
	RVA, Size uint32
}

// OptionalHeader is the PE32+ header of an image [Optional Header]. Versions,
// stack and heap sizes, which firmware ignores, are left out and written as 0.
//
//	0     2     4      8     12    16    20    24        32      36
//	+-----+-----+------+-----+-----+-----+-----+---------+-------+-------+
//	|magic| ver | code | data| bss |entry| code| image   |section| file  |
//	| 20B |     | size | size| size| RVA | base| base    |align  | align |
//	+-----+-----+------+-----+-----+-----+-----+---------+-------+-------+
//	36 .. 56   56     60       64        68         70    72 .. 108  108  112
//	+---------+------+--------+---------+----------+-----+----------+----+-------------
//	| versions| image| headers| checksum| subsystem| DLL | stack,   | 16 | directories
//	|         | size | size   |         |          |flags| heap     |    |
//	+---------+------+--------+---------+----------+-----+----------+----+-------------
type OptionalHeader struct {
	SizeOfCode, SizeOfData, SizeOfBSS uint32 // bytes
	EntryPoint                        uint32 // RVA
	BaseOfCode                        uint32 // RVA
	ImageBase                         uint64 // where no relocation is needed
	SectionAlignment, FileAlignment   uint32 // bytes
	SizeOfImage                       uint32 // bytes, multiple of SectionAlignment
	SizeOfHeaders                     uint32 // bytes, multiple of FileAlignment
	Checksum                          uint32 // firmware ignores it
	Subsystem                         uint16
	DLLCharacteristics                uint16
	Directories                       [16]DataDirectory
}

// DecodeOptionalHeader reads an OptionalHeader.
func DecodeOptionalHeader(b []byte) (OptionalHeader, error) {
	if len(b) < OptionalHeaderSize {
		return OptionalHeader{}, fmt.Errorf("pe: optional header: %w", ErrShort)
	}
	if m := le.Uint16(b); m != MagicPE32P {
		return OptionalHeader{}, fmt.Errorf("pe: optional header: %w: magic %#x, want %#x", ErrSignature, m, MagicPE32P)
	}
	if n := le.Uint32(b[108:]); n != 16 {
		return OptionalHeader{}, fmt.Errorf("pe: optional header: %d data directories, want 16", n)
	}
	h := OptionalHeader{
		SizeOfCode: le.Uint32(b[4:]), SizeOfData: le.Uint32(b[8:]), SizeOfBSS: le.Uint32(b[12:]),
		EntryPoint: le.Uint32(b[16:]), BaseOfCode: le.Uint32(b[20:]), ImageBase: le.Uint64(b[24:]),
		SectionAlignment: le.Uint32(b[32:]), FileAlignment: le.Uint32(b[36:]),
		SizeOfImage: le.Uint32(b[56:]), SizeOfHeaders: le.Uint32(b[60:]), Checksum: le.Uint32(b[64:]),
		Subsystem: le.Uint16(b[68:]), DLLCharacteristics: le.Uint16(b[70:]),
	}
	for i := range h.Directories {
		h.Directories[i] = DataDirectory{le.Uint32(b[112+8*i:]), le.Uint32(b[116+8*i:])}
	}
	return h, nil
}

// AppendTo appends the OptionalHeaderSize bytes of h.
func (h OptionalHeader) AppendTo(b []byte) []byte {
	at := len(b)
	b = append(b, make([]byte, OptionalHeaderSize)...)
	p := b[at:]
	le.PutUint16(p, MagicPE32P)
	for i, v := range []uint32{h.SizeOfCode, h.SizeOfData, h.SizeOfBSS, h.EntryPoint, h.BaseOfCode} {
		le.PutUint32(p[4+4*i:], v)
	}
	le.PutUint64(p[24:], h.ImageBase)
	le.PutUint32(p[32:], h.SectionAlignment)
	le.PutUint32(p[36:], h.FileAlignment)
	le.PutUint32(p[56:], h.SizeOfImage)
	le.PutUint32(p[60:], h.SizeOfHeaders)
	le.PutUint32(p[64:], h.Checksum)
	le.PutUint16(p[68:], h.Subsystem)
	le.PutUint16(p[70:], h.DLLCharacteristics)
	le.PutUint32(p[108:], 16)
	for i, d := range h.Directories {
		le.PutUint32(p[112+8*i:], d.RVA)
		le.PutUint32(p[116+8*i:], d.Size)
	}
	return b
}

// SectionHeader is one section [Section Table]:
//
//	0      8         12    16       20      24            36               40
//	+------+---------+-----+--------+-------+-------------+----------------+
//	| name | virtual | RVA | file   | file  | relocations,| characteristics|
//	|      | size    |     | size   | offset| lines: 0    |                |
//	+------+---------+-----+--------+-------+-------------+----------------+
type SectionHeader struct {
	Name            [8]byte
	VirtualSize     uint32 // bytes in memory; what the file lacks is zero
	RVA             uint32
	FileSize        uint32 // bytes, a multiple of the file alignment
	FileOffset      uint32
	Characteristics uint32
}

// DecodeSectionHeader reads a SectionHeader.
func DecodeSectionHeader(b []byte) (SectionHeader, error) {
	if len(b) < SectionHeaderSize {
		return SectionHeader{}, fmt.Errorf("pe: section header: %w", ErrShort)
	}
	return SectionHeader{
		Name: [8]byte(b), VirtualSize: le.Uint32(b[8:]), RVA: le.Uint32(b[12:]),
		FileSize: le.Uint32(b[16:]), FileOffset: le.Uint32(b[20:]), Characteristics: le.Uint32(b[36:]),
	}, nil
}

// AppendTo appends the SectionHeaderSize bytes of h.
func (h SectionHeader) AppendTo(b []byte) []byte {
	b = append(b, h.Name[:]...)
	for _, v := range []uint32{h.VirtualSize, h.RVA, h.FileSize, h.FileOffset} {
		b = le.AppendUint32(b, v)
	}
	b = append(b, make([]byte, 12)...)
	return le.AppendUint32(b, h.Characteristics)
}

// RelocBlock starts the relocations of one page; Size counts it and the 2-byte
// entries behind it, each type<<12 | offset in the page.
type RelocBlock struct {
	PageRVA, Size uint32
}

// DecodeRelocBlock reads a RelocBlock.
func DecodeRelocBlock(b []byte) (RelocBlock, error) {
	if len(b) < RelocBlockSize {
		return RelocBlock{}, fmt.Errorf("pe: relocation block: %w", ErrShort)
	}
	return RelocBlock{le.Uint32(b), le.Uint32(b[4:])}, nil
}

// AppendTo appends the RelocBlockSize bytes of r.
func (r RelocBlock) AppendTo(b []byte) []byte {
	return le.AppendUint32(le.AppendUint32(b, r.PageRVA), r.Size)
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"encoding/binary"
	"fmt"
)

// SenseKey is the kind of an error (SPC-4 4.5.6).
type SenseKey uint8

// Sense keys.
const (
	NoSense        SenseKey = 0x0
	RecoveredError SenseKey = 0x1 // the command succeeded
	NotReady       SenseKey = 0x2
	MediumError    SenseKey = 0x3
	HardwareError  SenseKey = 0x4
	IllegalRequest SenseKey = 0x5
	UnitAttention  SenseKey = 0x6 // something changed; send the command again
	DataProtect    SenseKey = 0x7
	BlankCheck     SenseKey = 0x8
	CopyAborted    SenseKey = 0xA
	AbortedCommand SenseKey = 0xB
	VolumeOverflow SenseKey = 0xD
	Miscompare     SenseKey = 0xE
)

var senseKeyNames = [16]string{
	"NO SENSE", "RECOVERED ERROR", "NOT READY", "MEDIUM ERROR", "HARDWARE ERROR", "ILLEGAL REQUEST",
	"UNIT ATTENTION", "DATA PROTECT", "BLANK CHECK", "VENDOR SPECIFIC", "COPY ABORTED", "ABORTED COMMAND",
	"RESERVED", "VOLUME OVERFLOW", "MISCOMPARE", "COMPLETED",
}

// String returns the name in the T10 documents.
func (k SenseKey) String() string { return senseKeyNames[k&0xF] }

// Code is an additional sense code with its qualifier: ASC in the high byte, ASCQ in the low.
type Code uint16

// Additional sense codes (SPC-4 annex D).
const (
	CodeNone                  Code = 0x0000
	CodeWriteError            Code = 0x0C00
	CodeUnrecoveredReadError  Code = 0x1100
	CodeParameterListLength   Code = 0x1A00
	CodeMiscompare            Code = 0x1D00
	CodeInvalidOpcode         Code = 0x2000
	CodeLBAOutOfRange         Code = 0x2100
	CodeInvalidFieldInCDB     Code = 0x2400
	CodeLUNNotSupported       Code = 0x2500
	CodeInvalidParameterField Code = 0x2600
	CodeWriteProtected        Code = 0x2700
	CodeMediumMayHaveChanged  Code = 0x2800
	CodePowerOnReset          Code = 0x2900
	CodeCapacityChanged       Code = 0x2A09
	CodeMediumNotPresent      Code = 0x3A00
	CodeReportedLUNsChanged   Code = 0x3F0E
	CodeInternalTargetFailure Code = 0x4400
)

// ASC returns the additional sense code.
func (c Code) ASC() uint8 { return uint8(c >> 8) }

// ASCQ returns its qualifier.
func (c Code) ASCQ() uint8 { return uint8(c) }

// SenseSize is the size in bytes of fixed-format sense data.
const SenseSize = 18

// Sense is what a failed command says about its failure.
//
// Fixed format (SPC-4 4.5.3):
//
//	 0          1   2      3          7        8       12    13     14  15        18
//	+----------+---+------+----------+--------+-------+-----+------+---+---------+
//	| V 70h/71h| - | key  |  inform- | add.   | cmd.  | ASC | ASCQ |FRU| key     |
//	|          |   |      |  ation   | length | spec. |     |      |   | specific|
//	+----------+---+------+----------+--------+-------+-----+------+---+---------+
type Sense struct {
	Deferred         bool // about an earlier command
	Key              SenseKey
	Code             Code
	InformationValid bool
	Information      uint64 // the failing LBA, if InformationValid; 32 bits in fixed format
}

// DecodeSense reads sense data in fixed format (70h, 71h) or descriptor format (72h,
// 73h; the information field is then looked for in the descriptors).
//
// Deliberately lax on length: devices cut sense data. Fixed format needs 8 bytes;
// codes that were not sent are CodeNone.
func DecodeSense(b []byte) (s Sense, err error) {
	if len(b) < 8 {
		return s, ErrShort
	}
	switch format := b[0] & 0x7F; format {
	case 0x70, 0x71:
		return decodeFixedSense(b), nil
	case 0x72, 0x73:
		return decodeDescriptorSense(b), nil
	default:
		return s, fmt.Errorf("scsi: sense data of unknown format 0x%02X", format)
	}
}

func decodeFixedSense(b []byte) (s Sense) {
	s.Deferred = b[0]&0x7F == 0x71
	s.Key = SenseKey(b[2] & 0xF)
	s.InformationValid = b[0]&0x80 != 0
	s.Information = uint64(binary.BigEndian.Uint32(b[3:]))
	n := min(len(b), 8+int(b[7]))
	if n > 12 {
		s.Code = Code(b[12]) << 8
	}
	if n > 13 {
		s.Code |= Code(b[13])
	}
	return s
}

func decodeDescriptorSense(b []byte) (s Sense) {
	s.Deferred = b[0]&0x7F == 0x73
	s.Key = SenseKey(b[1] & 0xF)
	s.Code = Code(b[2])<<8 | Code(b[3])
	d := b[8:min(len(b), 8+int(b[7]))]
	for len(d) >= 2 {
		n := 2 + int(d[1])
		if n > len(d) {
			break
		}
		if d[0] == 0 && n >= 12 { // information descriptor, SPC-4 4.5.2.2
			s.InformationValid = d[2]&0x80 != 0
			s.Information = binary.BigEndian.Uint64(d[4:])
		}
		d = d[n:]
	}
	return s
}

// AppendTo appends the sense data in fixed format, SenseSize bytes. An Information
// that does not fit 32 bits is sent as not valid, as SBC-3 4.18.1 asks.
func (s Sense) AppendTo(b []byte) []byte {
	response, info := uint8(0x70), uint32(0)
	if s.Deferred {
		response = 0x71
	}
	if s.InformationValid && s.Information <= 1<<32-1 {
		response |= 0x80
		info = uint32(s.Information)
	}
	b = append(b, response, 0, uint8(s.Key)&0xF)
	b = binary.BigEndian.AppendUint32(b, info)
	b = append(b, SenseSize-8, 0, 0, 0, 0, s.Code.ASC(), s.Code.ASCQ())
	return append(b, 0, 0, 0, 0)
}

// String returns for example "MEDIUM ERROR, 11/00, LBA 5".
func (s Sense) String() string {
	t := fmt.Sprintf("%v, %02X/%02X", s.Key, s.Code.ASC(), s.Code.ASCQ())
	if s.InformationValid {
		t += fmt.Sprintf(", LBA %d", s.Information)
	}
	return t
}

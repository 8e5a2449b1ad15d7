// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package scsi

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Op is an operation code, the first byte of a CDB.
type Op uint8

// Operation codes.
const (
	OpTestUnitReady      Op = 0x00
	OpRequestSense       Op = 0x03
	OpRead6              Op = 0x08
	OpWrite6             Op = 0x0A
	OpInquiry            Op = 0x12
	OpModeSelect6        Op = 0x15
	OpModeSense6         Op = 0x1A
	OpStartStopUnit      Op = 0x1B
	OpPreventRemoval     Op = 0x1E
	OpReadCapacity10     Op = 0x25
	OpRead10             Op = 0x28
	OpWrite10            Op = 0x2A
	OpVerify10           Op = 0x2F
	OpSynchronizeCache10 Op = 0x35
	OpWriteSame10        Op = 0x41
	OpUnmap              Op = 0x42
	OpModeSense10        Op = 0x5A
	OpRead16             Op = 0x88
	OpWrite16            Op = 0x8A
	OpVerify16           Op = 0x8F
	OpSynchronizeCache16 Op = 0x91
	OpWriteSame16        Op = 0x93
	OpServiceActionIn16  Op = 0x9E // with a service action in byte 1
	OpReportLUNs         Op = 0xA0
	OpRead12             Op = 0xA8
	OpWrite12            Op = 0xAA
	OpVerify12           Op = 0xAF
)

// Service actions of OpServiceActionIn16.
const (
	ServiceReadCapacity16 uint8 = 0x10
	ServiceGetLBAStatus   uint8 = 0x12
)

var opNames = map[Op]string{
	OpTestUnitReady: "TEST UNIT READY", OpRequestSense: "REQUEST SENSE", OpRead6: "READ(6)", OpWrite6: "WRITE(6)",
	OpInquiry: "INQUIRY", OpModeSelect6: "MODE SELECT(6)", OpModeSense6: "MODE SENSE(6)", OpStartStopUnit: "START STOP UNIT",
	OpPreventRemoval: "PREVENT ALLOW MEDIUM REMOVAL", OpReadCapacity10: "READ CAPACITY(10)", OpRead10: "READ(10)",
	OpWrite10: "WRITE(10)", OpVerify10: "VERIFY(10)", OpSynchronizeCache10: "SYNCHRONIZE CACHE(10)",
	OpWriteSame10: "WRITE SAME(10)", OpUnmap: "UNMAP", OpModeSense10: "MODE SENSE(10)", OpRead16: "READ(16)",
	OpWrite16: "WRITE(16)", OpVerify16: "VERIFY(16)", OpSynchronizeCache16: "SYNCHRONIZE CACHE(16)",
	OpWriteSame16: "WRITE SAME(16)", OpServiceActionIn16: "SERVICE ACTION IN(16)", OpReportLUNs: "REPORT LUNS",
	OpRead12: "READ(12)", OpWrite12: "WRITE(12)", OpVerify12: "VERIFY(12)",
}

// String returns the command's name in the T10 documents.
func (o Op) String() string {
	if n := opNames[o]; n != "" {
		return n
	}
	return fmt.Sprintf("operation code 0x%02X", uint8(o))
}

// CDBSize returns the length in bytes of CDBs with this operation code (SPC-4 4.2.5.1),
// or 0 for the reserved and vendor-specific groups.
func (o Op) CDBSize() int {
	switch o >> 5 {
	case 0:
		return 6
	case 1, 2:
		return 10
	case 4:
		return 16
	case 5:
		return 12
	}
	return 0
}

// Status is the SCSI status of a command (SAM-5 5.3.1).
type Status uint8

// Statuses.
const (
	StatusGood                Status = 0x00
	StatusCheckCondition      Status = 0x02 // see the sense data
	StatusBusy                Status = 0x08
	StatusReservationConflict Status = 0x18
	StatusTaskSetFull         Status = 0x28
	StatusTaskAborted         Status = 0x40
)

// Errors of decoders.
var (
	ErrShort  = errors.New("scsi: short data")
	ErrOpcode = errors.New("scsi: wrong operation code")
	ErrRange  = errors.New("scsi: value does not fit the command")
)

// checkCDB checks that b holds a whole CDB of one of the given codes.
func checkCDB(b []byte, ops ...Op) (Op, error) {
	if len(b) == 0 {
		return 0, ErrShort
	}
	op := Op(b[0])
	for _, want := range ops {
		if op == want {
			if len(b) < op.CDBSize() {
				return op, ErrShort
			}
			return op, nil
		}
	}
	return op, ErrOpcode
}

// ReadWrite is a command on a range of blocks: READ, WRITE, VERIFY of any length, and
// SYNCHRONIZE CACHE, where Blocks = 0 means "to the end of the disk" (SBC-3 5.10 to 5.36).
type ReadWrite struct {
	Op     Op
	Flags  uint8 // byte 1 of all but the 6-byte forms
	LBA    uint64
	Blocks uint32
}

// Bits of ReadWrite.Flags.
const (
	FlagFUA       uint8 = 0x08 // READ, WRITE: reach the medium before the status
	FlagDPO       uint8 = 0x10
	FlagImmediate uint8 = 0x02 // SYNCHRONIZE CACHE: status before the work is done
	FlagByteCheck uint8 = 0x02 // VERIFY: compare with data from the guest (2 bits; 0 is no data)
)

var readWriteOps = []Op{
	OpRead6, OpWrite6, OpRead10, OpWrite10, OpVerify10, OpSynchronizeCache10,
	OpRead12, OpWrite12, OpVerify12, OpRead16, OpWrite16, OpVerify16, OpSynchronizeCache16,
}

// DecodeReadWrite reads the CDB of any command ReadWrite describes.
// In the 6-byte forms a count of 0 means 256 blocks; Blocks is then 256.
func DecodeReadWrite(b []byte) (c ReadWrite, err error) {
	op, err := checkCDB(b, readWriteOps...)
	if err != nil {
		return c, err
	}
	c.Op = op
	if op.CDBSize() != 6 {
		c.Flags = b[1]
	}
	switch op.CDBSize() {
	case 6:
		c.LBA = uint64(b[1]&0x1F)<<16 | uint64(b[2])<<8 | uint64(b[3])
		if c.Blocks = uint32(b[4]); c.Blocks == 0 {
			c.Blocks = 256
		}
	case 10:
		c.LBA = uint64(binary.BigEndian.Uint32(b[2:]))
		c.Blocks = uint32(binary.BigEndian.Uint16(b[7:]))
	case 12:
		c.LBA = uint64(binary.BigEndian.Uint32(b[2:]))
		c.Blocks = binary.BigEndian.Uint32(b[6:])
	case 16:
		c.LBA = binary.BigEndian.Uint64(b[2:])
		c.Blocks = binary.BigEndian.Uint32(b[10:])
	}
	return c, nil
}

// Check says whether LBA and Blocks fit the fields of the command's form: ErrRange if
// not, ErrOpcode if Op is no command that ReadWrite describes.
func (c ReadWrite) Check() error {
	var maxLBA, maxBlocks uint64
	switch c.Op.CDBSize() {
	case 6:
		maxLBA, maxBlocks = 1<<21-1, 256
	case 10:
		maxLBA, maxBlocks = 1<<32-1, 1<<16-1
	case 12:
		maxLBA, maxBlocks = 1<<32-1, 1<<32-1
	case 16:
		maxLBA, maxBlocks = 1<<64-1, 1<<32-1
	default:
		return ErrOpcode
	}
	if c.LBA > maxLBA || uint64(c.Blocks) > maxBlocks || (c.Op.CDBSize() == 6 && c.Blocks == 0) {
		return ErrRange
	}
	return nil
}

// AppendTo appends the CDB to b. Precondition: Check returns nil; else the excess bits are lost.
func (c ReadWrite) AppendTo(b []byte) []byte {
	b = append(b, uint8(c.Op))
	switch c.Op.CDBSize() {
	case 6:
		return append(b, uint8(c.LBA>>16)&0x1F, uint8(c.LBA>>8), uint8(c.LBA), uint8(c.Blocks), 0)
	case 10:
		b = binary.BigEndian.AppendUint32(append(b, c.Flags), uint32(c.LBA))
		b = binary.BigEndian.AppendUint16(append(b, 0), uint16(c.Blocks))
		return append(b, 0)
	case 12:
		b = binary.BigEndian.AppendUint32(append(b, c.Flags), uint32(c.LBA))
		b = binary.BigEndian.AppendUint32(b, c.Blocks)
		return append(b, 0, 0)
	default:
		b = binary.BigEndian.AppendUint64(append(b, c.Flags), c.LBA)
		b = binary.BigEndian.AppendUint32(b, c.Blocks)
		return append(b, 0, 0)
	}
}

// Inquiry is INQUIRY (SPC-4 6.6): what the device is, or a VPD page.
type Inquiry struct {
	VPD        bool
	Page       uint8 // 0 unless VPD
	Allocation uint16
}

// DecodeInquiry reads an INQUIRY CDB.
func DecodeInquiry(b []byte) (c Inquiry, err error) {
	if _, err = checkCDB(b, OpInquiry); err != nil {
		return c, err
	}
	return Inquiry{b[1]&1 != 0, b[2], binary.BigEndian.Uint16(b[3:])}, nil
}

// AppendTo appends the CDB to b.
func (c Inquiry) AppendTo(b []byte) []byte {
	var vpd uint8
	if c.VPD {
		vpd = 1
	}
	b = append(b, uint8(OpInquiry), vpd, c.Page)
	return append(binary.BigEndian.AppendUint16(b, c.Allocation), 0)
}

// ReadCapacity10 is READ CAPACITY(10) (SBC-3 5.15). It has no parameters.
type ReadCapacity10 struct{}

// AppendTo appends the CDB to b.
func (ReadCapacity10) AppendTo(b []byte) []byte {
	return append(b, uint8(OpReadCapacity10), 0, 0, 0, 0, 0, 0, 0, 0, 0)
}

// ReadCapacity16 is READ CAPACITY(16) (SBC-3 5.16).
type ReadCapacity16 struct {
	Allocation uint32
}

// DecodeReadCapacity16 reads a READ CAPACITY(16) CDB; another service action is ErrOpcode.
func DecodeReadCapacity16(b []byte) (c ReadCapacity16, err error) {
	if _, err = checkCDB(b, OpServiceActionIn16); err != nil {
		return c, err
	}
	if b[1]&0x1F != ServiceReadCapacity16 {
		return c, ErrOpcode
	}
	return ReadCapacity16{binary.BigEndian.Uint32(b[10:])}, nil
}

// AppendTo appends the CDB to b.
func (c ReadCapacity16) AppendTo(b []byte) []byte {
	b = append(b, uint8(OpServiceActionIn16), ServiceReadCapacity16, 0, 0, 0, 0, 0, 0, 0, 0)
	return append(binary.BigEndian.AppendUint32(b, c.Allocation), 0, 0)
}

// ReportLUNs is REPORT LUNS (SPC-4 6.33).
type ReportLUNs struct {
	Select     uint8 // 0: all but well-known, 1: well-known only, 2: all
	Allocation uint32
}

// DecodeReportLUNs reads a REPORT LUNS CDB.
func DecodeReportLUNs(b []byte) (c ReportLUNs, err error) {
	if _, err = checkCDB(b, OpReportLUNs); err != nil {
		return c, err
	}
	return ReportLUNs{b[2], binary.BigEndian.Uint32(b[6:])}, nil
}

// AppendTo appends the CDB to b.
func (c ReportLUNs) AppendTo(b []byte) []byte {
	b = append(b, uint8(OpReportLUNs), 0, c.Select, 0, 0, 0)
	return append(binary.BigEndian.AppendUint32(b, c.Allocation), 0, 0)
}

// TestUnitReady is TEST UNIT READY (SPC-4 6.47). It has no parameters.
type TestUnitReady struct{}

// AppendTo appends the CDB to b.
func (TestUnitReady) AppendTo(b []byte) []byte {
	return append(b, uint8(OpTestUnitReady), 0, 0, 0, 0, 0)
}

// ModeSense is MODE SENSE(6) or (10) (SPC-4 6.13, 6.14).
type ModeSense struct {
	Op                      Op // OpModeSense6 or OpModeSense10
	DisableBlockDescriptors bool
	PageControl             uint8 // 0 current, 1 changeable, 2 default, 3 saved values
	Page                    uint8 // 0x3F: all
	Subpage                 uint8
	Allocation              uint16 // at most 255 for MODE SENSE(6)
}

// DecodeModeSense reads a MODE SENSE CDB of either length.
func DecodeModeSense(b []byte) (c ModeSense, err error) {
	op, err := checkCDB(b, OpModeSense6, OpModeSense10)
	if err != nil {
		return c, err
	}
	c = ModeSense{Op: op, DisableBlockDescriptors: b[1]&0x08 != 0, PageControl: b[2] >> 6, Page: b[2] & 0x3F, Subpage: b[3]}
	if op == OpModeSense6 {
		c.Allocation = uint16(b[4])
	} else {
		c.Allocation = binary.BigEndian.Uint16(b[7:])
	}
	return c, nil
}

// AppendTo appends the CDB to b.
func (c ModeSense) AppendTo(b []byte) []byte {
	var dbd uint8
	if c.DisableBlockDescriptors {
		dbd = 0x08
	}
	b = append(b, uint8(c.Op), dbd, c.PageControl<<6|c.Page&0x3F, c.Subpage)
	if c.Op == OpModeSense6 {
		return append(b, uint8(c.Allocation), 0)
	}
	b = append(b, 0, 0, 0)
	return append(binary.BigEndian.AppendUint16(b, c.Allocation), 0)
}

// StartStopUnit is START STOP UNIT (SBC-3 5.25).
type StartStopUnit struct {
	Immediate      bool
	PowerCondition uint8
	LoadEject      bool
	Start          bool
}

// DecodeStartStopUnit reads a START STOP UNIT CDB.
func DecodeStartStopUnit(b []byte) (c StartStopUnit, err error) {
	if _, err = checkCDB(b, OpStartStopUnit); err != nil {
		return c, err
	}
	return StartStopUnit{b[1]&1 != 0, b[4] >> 4, b[4]&2 != 0, b[4]&1 != 0}, nil
}

// AppendTo appends the CDB to b.
func (c StartStopUnit) AppendTo(b []byte) []byte {
	var immediate uint8
	if c.Immediate {
		immediate = 1
	}
	last := c.PowerCondition << 4
	if c.LoadEject {
		last |= 2
	}
	if c.Start {
		last |= 1
	}
	return append(b, uint8(OpStartStopUnit), immediate, 0, 0, last, 0)
}

// Unmap is UNMAP (SBC-3 5.28); the ranges come as data (UnmapRange).
type Unmap struct {
	ParameterLength uint16
}

// DecodeUnmap reads an UNMAP CDB.
func DecodeUnmap(b []byte) (c Unmap, err error) {
	if _, err = checkCDB(b, OpUnmap); err != nil {
		return c, err
	}
	return Unmap{binary.BigEndian.Uint16(b[7:])}, nil
}

// AppendTo appends the CDB to b.
func (c Unmap) AppendTo(b []byte) []byte {
	b = append(b, uint8(OpUnmap), 0, 0, 0, 0, 0, 0)
	return append(binary.BigEndian.AppendUint16(b, c.ParameterLength), 0)
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vstor

import (
	"encoding/binary"
	"fmt"
)

// SRBStatus is the outcome of a request as the port driver sees it, with two flags
// in its top bits.
type SRBStatus uint8

// SRB statuses (srb.h of the Windows Driver Kit).
const (
	SRBPending              SRBStatus = 0x00
	SRBSuccess              SRBStatus = 0x01
	SRBAborted              SRBStatus = 0x02
	SRBAbortFailed          SRBStatus = 0x03
	SRBError                SRBStatus = 0x04 // see the SCSI status and the sense data
	SRBBusy                 SRBStatus = 0x05
	SRBInvalidRequest       SRBStatus = 0x06
	SRBInvalidPathID        SRBStatus = 0x07
	SRBNoDevice             SRBStatus = 0x08
	SRBTimeout              SRBStatus = 0x09
	SRBSelectionTimeout     SRBStatus = 0x0A
	SRBCommandTimeout       SRBStatus = 0x0B
	SRBMessageRejected      SRBStatus = 0x0D
	SRBBusReset             SRBStatus = 0x0E
	SRBParityError          SRBStatus = 0x0F
	SRBRequestSenseFailed   SRBStatus = 0x10
	SRBNoHBA                SRBStatus = 0x11
	SRBDataOverrun          SRBStatus = 0x12 // fewer or more bytes than asked; not always an error
	SRBUnexpectedBusFree    SRBStatus = 0x13
	SRBPhaseSequenceFailure SRBStatus = 0x14
	SRBBadBlockLength       SRBStatus = 0x15
	SRBRequestFlushed       SRBStatus = 0x16
	SRBInvalidLUN           SRBStatus = 0x20
	SRBInvalidTargetID      SRBStatus = 0x21
	SRBBadFunction          SRBStatus = 0x22
	SRBErrorRecovery        SRBStatus = 0x23
	SRBNotPowered           SRBStatus = 0x24
	SRBLinkDown             SRBStatus = 0x25

	SRBQueueFrozen    SRBStatus = 0x40 // flag
	SRBAutosenseValid SRBStatus = 0x80 // flag: the payload holds sense data

	SRBStatusMask SRBStatus = 0x3F
)

// Code returns the status without the flags.
func (s SRBStatus) Code() SRBStatus { return s & SRBStatusMask }

// String returns the status as a number with the flags spelled out.
func (s SRBStatus) String() string {
	t := fmt.Sprintf("SRB 0x%02X", uint8(s.Code()))
	if s&SRBAutosenseValid != 0 {
		t += "+sense"
	}
	if s&SRBQueueFrozen != 0 {
		t += "+frozen"
	}
	return t
}

// Request.DataIn: direction of the data as the guest sees it.
const (
	DataOut    uint8 = 0 // guest to disk
	DataIn     uint8 = 1 // disk to guest
	DataUnused uint8 = 2 // no data (Linux: UNKNOWN_TYPE)
)

// Request.SRBFlags (srb.h of the Windows Driver Kit).
const (
	SRBFlagQueueActionEnable    uint32 = 0x00000002
	SRBFlagDisableDisconnect    uint32 = 0x00000004
	SRBFlagDisableSynchTransfer uint32 = 0x00000008
	SRBFlagBypassFrozenQueue    uint32 = 0x00000010
	SRBFlagDisableAutosense     uint32 = 0x00000020
	SRBFlagDataIn               uint32 = 0x00000040
	SRBFlagDataOut              uint32 = 0x00000080
	SRBFlagNoDataTransfer       uint32 = 0x00000000
	SRBFlagNoQueueFreeze        uint32 = 0x00000100
)

// Request.QueueAction (SCSI task attributes).
const (
	QueueTagSimple  uint8 = 0x20
	QueueTagHead    uint8 = 0x21
	QueueTagOrdered uint8 = 0x22
)

// Request is the payload of OpExecuteSRB and of its answer.
//
//	 0      2     3      4     5     6       7    8        9         10    11   12
//	+------+-----+------+-----+-----+-------+----+--------+---------+-----+----+
//	|length|SRB  |SCSI  |port |path |target |LUN |CDB len |sense len|data |prop|
//	|      |stat.|status|     |     |       |    |        |         |in   |    |
//	+------+-----+------+-----+-----+-------+----+--------+---------+-----+----+
//	12                     16                          36
//	+----------------------+---------------------------+
//	| data transfer length | CDB or sense (20 bytes)   |
//	+----------------------+---------------------------+
//	36        38          39             40          44        48               52
//	+---------+-----------+--------------+-----------+---------+----------------+
//	| reserved| queue tag | queue action | SRB flags | timeout | queue sort key |  5.1 and later
//	+---------+-----------+--------------+-----------+---------+----------------+
//
// Length: Linux sends the size of the request, OpenBSD the size of the packet;
// OpenVMM never reads it. A host must not depend on it; we send the request size.
type Request struct {
	Length             uint16
	SRBStatus          SRBStatus
	SCSIStatus         uint8
	Port               uint8
	Path               uint8
	Target             uint8
	LUN                uint8
	CDBLength          uint8
	SenseLength        uint8
	DataIn             uint8
	Properties         uint8
	DataTransferLength uint32
	Data               [SenseSize]byte // request: CDB; answer with SRBAutosenseValid: sense data

	// 5.1 and later.
	QueueTag       uint8
	QueueAction    uint8
	SRBFlags       uint32
	TimeoutSeconds uint32
	QueueSortKey   uint32
}

// DecodeRequest reads a request: the long form of 52 bytes if b has as many, else the
// short form of 36.
func DecodeRequest(b []byte) (r Request, err error) {
	if len(b) < RequestSizeV1 {
		return r, ErrShort
	}
	r.Length = binary.LittleEndian.Uint16(b)
	r.SRBStatus, r.SCSIStatus = SRBStatus(b[2]), b[3]
	r.Port, r.Path, r.Target, r.LUN = b[4], b[5], b[6], b[7]
	r.CDBLength, r.SenseLength = b[8], b[9]
	r.DataIn, r.Properties = b[10], b[11]
	r.DataTransferLength = binary.LittleEndian.Uint32(b[12:])
	copy(r.Data[:], b[16:36])
	if len(b) < RequestSize {
		return r, nil
	}
	r.QueueTag, r.QueueAction = b[38], b[39]
	r.SRBFlags = binary.LittleEndian.Uint32(b[40:])
	r.TimeoutSeconds = binary.LittleEndian.Uint32(b[44:])
	r.QueueSortKey = binary.LittleEndian.Uint32(b[48:])
	return r, nil
}

// AppendTo appends the long form, 52 bytes, to b. For versions below 5.1 cut it to
// Version.RequestSize.
func (r Request) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, r.Length)
	b = append(b, uint8(r.SRBStatus), r.SCSIStatus, r.Port, r.Path, r.Target, r.LUN,
		r.CDBLength, r.SenseLength, r.DataIn, r.Properties)
	b = binary.LittleEndian.AppendUint32(b, r.DataTransferLength)
	b = append(b, r.Data[:]...)
	b = append(b, 0, 0, r.QueueTag, r.QueueAction)
	b = binary.LittleEndian.AppendUint32(b, r.SRBFlags)
	b = binary.LittleEndian.AppendUint32(b, r.TimeoutSeconds)
	return binary.LittleEndian.AppendUint32(b, r.QueueSortKey)
}

// CDB returns the command in a request: CDBLength bytes, at most CDBSize.
func (r *Request) CDB() []byte {
	return r.Data[:min(int(r.CDBLength), CDBSize)]
}

// Sense returns the sense data of an answer, or nil if it has none: SenseLength
// bytes, at most SenseSize.
func (r *Request) Sense() []byte {
	if r.SRBStatus&SRBAutosenseValid == 0 {
		return nil
	}
	return r.Data[:min(int(r.SenseLength), SenseSize)]
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsc

import (
	"errors"
	"fmt"

	"github.com/hvgo/hvgo/internal/wire/scsi"
	"github.com/hvgo/hvgo/internal/wire/vstor"
)

// Errors that callers decide on. An *Error is one of the first five by
// errors.Is when its status or sense data say so.
var (
	ErrNoDevice      = errors.New("storvsc: no such disk")
	ErrReadOnly      = errors.New("storvsc: disk is write-protected")
	ErrMedium        = errors.New("storvsc: medium error")
	ErrOutOfRange    = errors.New("storvsc: beyond the end of the disk")
	ErrNotReady      = errors.New("storvsc: disk not ready")
	ErrProtocol      = errors.New("storvsc: host breaks the protocol")
	ErrNoVersion     = errors.New("storvsc: no common protocol version")
	ErrDisconnected  = errors.New("storvsc: controller gone")
	ErrNotResponding = errors.New("storvsc: host does not complete requests")
)

// Error is a SCSI command that failed.
type Error struct {
	Op       scsi.Op
	LUN      uint8
	LBA      uint64 // of the request, for commands that have one
	NT       vstor.Status
	SRB      vstor.SRBStatus
	Status   scsi.Status
	HasSense bool       // Sense is valid
	Sense    scsi.Sense // what the disk says about it
}

func (e *Error) Error() string {
	s := fmt.Sprintf("storvsc: LUN %d: %v", e.LUN, e.Op)
	switch e.Op {
	case scsi.OpRead10, scsi.OpRead16, scsi.OpWrite10, scsi.OpWrite16:
		s += fmt.Sprintf(" at LBA %d", e.LBA)
	}
	if e.HasSense {
		return s + ": " + e.Sense.String()
	}
	return s + fmt.Sprintf(": %v, SCSI status %#x, %v", e.SRB, uint8(e.Status), e.NT)
}

// Is matches the sentinel errors of this package.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNoDevice:
		switch e.SRB.Code() {
		case vstor.SRBInvalidLUN, vstor.SRBNoDevice, vstor.SRBInvalidTargetID, vstor.SRBInvalidPathID,
			vstor.SRBNoHBA, vstor.SRBSelectionTimeout:
			return true
		}
		return e.HasSense && e.Sense.Code == scsi.CodeLUNNotSupported
	case ErrReadOnly:
		return e.HasSense && e.Sense.Key == scsi.DataProtect
	case ErrMedium:
		return e.HasSense && (e.Sense.Key == scsi.MediumError || e.Sense.Key == scsi.HardwareError)
	case ErrOutOfRange:
		return e.HasSense && e.Sense.Code == scsi.CodeLBAOutOfRange
	case ErrNotReady:
		return e.HasSense && e.Sense.Key == scsi.NotReady
	}
	return false
}

// temporary reports whether the command may succeed when sent again: after a
// unit attention at once, after busy a little later.
func (e *Error) temporary() (again, wait bool) {
	switch {
	case e.HasSense && (e.Sense.Key == scsi.UnitAttention || e.Sense.Key == scsi.AbortedCommand):
		return true, false
	case e.SRB.Code() == vstor.SRBBusReset || e.SRB.Code() == vstor.SRBRequestFlushed:
		return true, false
	case e.SRB.Code() == vstor.SRBBusy, e.Status == scsi.StatusBusy, e.Status == scsi.StatusTaskSetFull:
		return true, true
	}
	return false, false
}

// outcome reads the answer to a command that asked for at most asked bytes and
// gives how many there were.
func outcome(p vstor.Packet, op scsi.Op, lun uint8, lba uint64, asked int) (n int, err error) {
	if p.Operation != vstor.OpCompleteIO {
		return 0, fmt.Errorf("%w: %v answers a request", ErrProtocol, p.Operation)
	}
	r, err := vstor.DecodeRequest(p.Payload[:])
	if err != nil {
		return 0, fmt.Errorf("%w: %v", ErrProtocol, err)
	}
	if !good(p, &r, op) {
		if e := failure(p, &r, op, lun, lba); !e.HasSense || e.Sense.Key != scsi.RecoveredError {
			return 0, e
		}
	}
	if uint64(r.DataTransferLength) > uint64(asked) {
		return 0, fmt.Errorf("%w: %d bytes transferred, %d asked for", ErrProtocol, r.DataTransferLength, asked)
	}
	return int(r.DataTransferLength), nil
}

// good reports whether an answer is a plain success. Hosts say "overrun" when a
// command that asks for a description gives less than there was room for; it is
// an error where the length is exact.
func good(p vstor.Packet, r *vstor.Request, op scsi.Op) bool {
	if scsi.Status(r.SCSIStatus) != scsi.StatusGood {
		return false
	}
	switch r.SRBStatus.Code() {
	case vstor.SRBSuccess:
		return p.Status == vstor.StatusSuccess
	case vstor.SRBDataOverrun:
		return op == scsi.OpInquiry || op == scsi.OpModeSense6 || op == scsi.OpReportLUNs
	}
	return false
}

// failure gathers what an answer says about its failure.
func failure(p vstor.Packet, r *vstor.Request, op scsi.Op, lun uint8, lba uint64) *Error {
	e := &Error{Op: op, LUN: lun, LBA: lba, NT: p.Status, SRB: r.SRBStatus, Status: scsi.Status(r.SCSIStatus)}
	if b := r.Sense(); b != nil {
		if s, err := scsi.DecodeSense(b); err == nil {
			e.Sense, e.HasSense = s, true
		}
	}
	return e
}

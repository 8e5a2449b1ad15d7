// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsp

import (
	"bytes"
	"sync"

	"github.com/hvgo/hvgo/internal/guid"
	"github.com/hvgo/hvgo/internal/wire/scsi"
	"github.com/hvgo/hvgo/internal/wire/vstor"
)

// disk is one LUN.
type disk struct {
	lun         uint8
	id          guid.GUID
	b           Backend
	blockSize   uint64 // bytes
	blocks      uint64
	maxTransfer uint32 // bytes

	busy sync.RWMutex // read-locked by each request
}

// execute carries out a command on the disk. cdb is as long as op asks for.
func (d *disk) execute(op scsi.Op, cdb []byte, j job) result {
	switch op {
	case scsi.OpTestUnitReady, scsi.OpStartStopUnit:
		return done(0)
	case scsi.OpInquiry:
		return d.inquiry(cdb, j)
	case scsi.OpRequestSense:
		return give(j, scsi.Sense{}.AppendTo(nil), uint64(cdb[4]))
	case scsi.OpModeSense6, scsi.OpModeSense10:
		return d.modeSense(cdb, j)
	case scsi.OpReadCapacity10:
		return give(j, d.capacity10().AppendTo(nil), scsi.Capacity10Size)
	case scsi.OpServiceActionIn16:
		c, err := scsi.DecodeReadCapacity16(cdb)
		if err != nil {
			return failed(scsi.IllegalRequest, scsi.CodeInvalidFieldInCDB)
		}
		return give(j, d.capacity16().AppendTo(nil), uint64(c.Allocation))
	case scsi.OpUnmap:
		return d.unmap(cdb, j)
	}
	c, err := scsi.DecodeReadWrite(cdb)
	if err != nil {
		return failed(scsi.IllegalRequest, scsi.CodeInvalidOpcode)
	}
	if c.LBA > d.blocks || uint64(c.Blocks) > d.blocks-c.LBA {
		return failedAt(scsi.IllegalRequest, scsi.CodeLBAOutOfRange, c.LBA)
	}
	switch op {
	case scsi.OpRead6, scsi.OpRead10, scsi.OpRead12, scsi.OpRead16:
		return d.read(c, j)
	case scsi.OpWrite6, scsi.OpWrite10, scsi.OpWrite12, scsi.OpWrite16:
		return d.write(c, j)
	case scsi.OpVerify10, scsi.OpVerify12, scsi.OpVerify16:
		return d.verify(c, j)
	default: // SYNCHRONIZE CACHE: of the whole disk, whatever the range
		return d.flush(c.LBA)
	}
}

// transfer checks that the guest's buffer is as long as the command and goes its way.
// It returns the length in bytes.
func (d *disk) transfer(c scsi.ReadWrite, j job, direction uint8) (n int, ok bool) {
	want := uint64(c.Blocks) * d.blockSize
	if want == 0 {
		return 0, true
	}
	if want > uint64(j.buffer.Len()) || j.request.DataIn != direction {
		return 0, false
	}
	return int(want), true
}

// offset returns where the command's blocks begin in the backend.
func (d *disk) offset(c scsi.ReadWrite) int64 { return int64(c.LBA * d.blockSize) }

func (d *disk) read(c scsi.ReadWrite, j job) result {
	n, ok := d.transfer(c, j, vstor.DataIn)
	if !ok {
		return failed(scsi.IllegalRequest, scsi.CodeInvalidFieldInCDB)
	}
	p := make([]byte, n)
	// Fewer bytes are io.EOF or an I/O error: either way they cannot be read.
	if m, _ := d.b.ReadAt(p, d.offset(c)); m < n {
		return failedAt(scsi.MediumError, scsi.CodeUnrecoveredReadError, c.LBA+uint64(m)/d.blockSize)
	}
	if _, err := j.buffer.WriteAt(p, 0); err != nil {
		return result{srb: vstor.SRBInvalidRequest}
	}
	return done(n)
}

func (d *disk) write(c scsi.ReadWrite, j job) result {
	if d.b.ReadOnly() {
		return failed(scsi.DataProtect, scsi.CodeWriteProtected)
	}
	n, ok := d.transfer(c, j, vstor.DataOut)
	if !ok {
		return failed(scsi.IllegalRequest, scsi.CodeInvalidFieldInCDB)
	}
	p := make([]byte, n)
	if _, err := j.buffer.ReadAt(p, 0); err != nil {
		return result{srb: vstor.SRBInvalidRequest}
	}
	if m, err := d.b.WriteAt(p, d.offset(c)); err != nil || m < n {
		return failedAt(scsi.MediumError, scsi.CodeWriteError, c.LBA+uint64(max(m, 0))/d.blockSize)
	}
	if c.Flags&scsi.FlagFUA != 0 {
		if r := d.flush(c.LBA); r.srb != vstor.SRBSuccess {
			return r
		}
	}
	return done(n)
}

func (d *disk) flush(lba uint64) result {
	if err := d.b.Flush(); err != nil {
		return failedAt(scsi.MediumError, scsi.CodeWriteError, lba)
	}
	return done(0)
}

// verify compares with the guest's data if BYTCHK is 1; without data there is nothing
// that a virtual disk could verify.
func (d *disk) verify(c scsi.ReadWrite, j job) result {
	if c.Flags>>1&3 == 0 {
		return done(0)
	}
	n, ok := d.transfer(c, j, vstor.DataOut)
	if !ok || c.Flags>>1&3 != 1 {
		return failed(scsi.IllegalRequest, scsi.CodeInvalidFieldInCDB)
	}
	want, got := make([]byte, n), make([]byte, n)
	if _, err := j.buffer.ReadAt(want, 0); err != nil {
		return result{srb: vstor.SRBInvalidRequest}
	}
	if m, _ := d.b.ReadAt(got, d.offset(c)); m < n {
		return failedAt(scsi.MediumError, scsi.CodeUnrecoveredReadError, c.LBA+uint64(m)/d.blockSize)
	}
	if !bytes.Equal(want, got) {
		return failed(scsi.Miscompare, scsi.CodeMiscompare)
	}
	return done(n)
}

// unmap gives ranges back to a Backend that can.
func (d *disk) unmap(cdb []byte, j job) result {
	u, ok := d.b.(Unmapper)
	if !ok {
		return failed(scsi.IllegalRequest, scsi.CodeInvalidOpcode)
	}
	if d.b.ReadOnly() {
		return failed(scsi.DataProtect, scsi.CodeWriteProtected)
	}
	c, err := scsi.DecodeUnmap(cdb)
	if err != nil || int(c.ParameterLength) > j.buffer.Len() || (c.ParameterLength > 0 && j.request.DataIn != vstor.DataOut) {
		return failed(scsi.IllegalRequest, scsi.CodeInvalidFieldInCDB)
	}
	if c.ParameterLength == 0 {
		return done(0)
	}
	p := make([]byte, c.ParameterLength)
	if _, err := j.buffer.ReadAt(p, 0); err != nil {
		return result{srb: vstor.SRBInvalidRequest}
	}
	ranges, err := scsi.DecodeUnmapRanges(p)
	if err != nil {
		return failed(scsi.IllegalRequest, scsi.CodeParameterListLength)
	}
	for _, r := range ranges {
		if r.LBA > d.blocks || uint64(r.Blocks) > d.blocks-r.LBA {
			return failedAt(scsi.IllegalRequest, scsi.CodeLBAOutOfRange, r.LBA)
		}
	}
	for _, r := range ranges {
		if err := u.Unmap(int64(r.LBA*d.blockSize), int64(uint64(r.Blocks)*d.blockSize)); err != nil {
			return failedAt(scsi.MediumError, scsi.CodeWriteError, r.LBA)
		}
	}
	return done(len(p))
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsp

import (
	"encoding/hex"

	"github.com/hvgo/hvgo/internal/wire/scsi"
)

// inquiry answers INQUIRY: who the disk is.
func (d *disk) inquiry(cdb []byte, j job) result {
	q, err := scsi.DecodeInquiry(cdb)
	if err != nil || (!q.VPD && q.Page != 0) {
		return failed(scsi.IllegalRequest, scsi.CodeInvalidFieldInCDB)
	}
	if !q.VPD {
		data := scsi.InquiryData{Peripheral: scsi.PeripheralDisk, CommandQueue: true, Vendor: "Msft", Product: "Virtual Disk", Revision: "1.0"}
		return give(j, data.AppendTo(nil), uint64(q.Allocation))
	}
	body := d.vpd(q.Page)
	if body == nil {
		return failed(scsi.IllegalRequest, scsi.CodeInvalidFieldInCDB)
	}
	page := scsi.VPDPage{Peripheral: scsi.PeripheralDisk, Page: q.Page, Body: body}
	return give(j, page.AppendTo(nil), uint64(q.Allocation))
}

// vpd returns the body of a VPD page, or nil if there is no such page.
func (d *disk) vpd(page uint8) []byte {
	_, thin := d.b.(Unmapper)
	switch page {
	case scsi.VPDSupportedPages:
		return []byte{scsi.VPDSupportedPages, scsi.VPDSerialNumber, scsi.VPDDeviceID, scsi.VPDBlockLimits,
			scsi.VPDBlockCharacter, scsi.VPDLogicalProvisioning}
	case scsi.VPDSerialNumber:
		return []byte(hex.EncodeToString(d.id[:]))
	case scsi.VPDDeviceID: // one T10 vendor id designator, SPC-4 7.8.6.4
		id := append([]byte("Msft    "), d.id[:]...)
		return append([]byte{0x01, 0x01, 0x00, uint8(len(id))}, id...)
	case scsi.VPDBlockLimits:
		l := scsi.BlockLimits{OptimalGranularity: uint16(max(4096/d.blockSize, 1)), MaxTransfer: uint32(uint64(d.maxTransfer) / d.blockSize)}
		if thin {
			l.MaxUnmapBlocks, l.MaxUnmapRanges, l.UnmapGranularity = 1<<32-1, 255, 1
		}
		return l.AppendTo(nil)
	case scsi.VPDBlockCharacter: // rotation rate 1: not rotating, SBC-3 6.6.3
		return append([]byte{0, 1}, make([]byte, 58)...)
	case scsi.VPDLogicalProvisioning:
		flags := uint8(0)
		if thin {
			flags = 0x80 | 0x04 // LBPU: UNMAP works; LBPRZ: and gives zeros
		}
		return []byte{0, flags, 0, 0}
	}
	return nil
}

func (d *disk) capacity10() scsi.Capacity10 {
	return scsi.Capacity10{LastLBA: uint32(min(d.blocks-1, 1<<32-1)), BlockSize: uint32(d.blockSize)}
}

func (d *disk) capacity16() scsi.Capacity16 {
	_, thin := d.b.(Unmapper)
	c := scsi.Capacity16{LastLBA: d.blocks - 1, BlockSize: uint32(d.blockSize), ThinProvisioned: thin, UnmappedZero: thin}
	if d.blockSize == 512 {
		c.PhysicalExponent = 3
	}
	return c
}

// modeSense answers MODE SENSE with the caching and control pages.
func (d *disk) modeSense(cdb []byte, j job) result {
	q, err := scsi.DecodeModeSense(cdb)
	if err != nil || q.PageControl == 3 || (q.Subpage != 0 && q.Subpage != 0xFF) {
		return failed(scsi.IllegalRequest, scsi.CodeInvalidFieldInCDB)
	}
	var pages []byte
	if q.Page == scsi.ModePageCaching || q.Page == scsi.ModePageAll {
		pages = scsi.CachingPage{WriteCache: q.PageControl != 1}.AppendTo(pages)
	}
	if q.Page == scsi.ModePageControl || q.Page == scsi.ModePageAll {
		pages = append(pages, scsi.ModePageControl, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	if pages == nil {
		return failed(scsi.IllegalRequest, scsi.CodeInvalidFieldInCDB)
	}
	h := scsi.ModeHeader{DeviceSpecific: scsi.ModeDPOFUA}
	if d.b.ReadOnly() {
		h.DeviceSpecific |= scsi.ModeWriteProtect
	}
	if h.DataLength = uint16(scsi.ModeHeader6Size - 1 + len(pages)); q.Op == scsi.OpModeSense10 {
		h.DataLength = uint16(scsi.ModeHeader10Size - 2 + len(pages))
	}
	return give(j, append(h.AppendTo(q.Op, nil), pages...), uint64(q.Allocation))
}

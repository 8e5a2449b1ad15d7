// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsc

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/internal/wire/scsi"
	"github.com/hvgo/hvgo/internal/wire/vstor"
)

// Limits of a controller: Hyper-V has 64 LUNs on target 0; other hosts may use
// a second target. LUNs above 255 have no place in a request.
const (
	targets        = 2
	lunsIfNoReport = 64
)

// Rescan looks for disks. Disks found before keep their *Disk; those that are
// gone fail with ErrNoDevice from then on.
func (c *Controller) Rescan() error {
	var found []*Disk
	for target := range uint8(targets) {
		luns, err := c.luns(target)
		if err != nil {
			return err
		}
		for _, lun := range luns {
			d, err := c.probe(target, lun)
			switch {
			case c.Err() != nil || errors.Is(err, ErrDisconnected) || errors.Is(err, ErrProtocol):
				return err
			case err != nil && !errors.Is(err, ErrNoDevice):
				c.log.Warn("storvsc: disk not usable", "target", target, "lun", lun, "err", err)
			case d != nil:
				found = append(found, d)
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, d := range found {
		if j := slices.IndexFunc(c.disks, d.same); j >= 0 {
			found[i] = c.disks[j]
		} else {
			c.log.Info("storvsc: disk", "target", d.Target, "lun", d.LUN, "bytes", d.Size(), "block", d.BlockSize(),
				"readonly", d.ReadOnly(), "model", d.Model())
		}
	}
	c.disks = found
	return nil
}

// luns lists the LUNs that may be there: what REPORT LUNS says, or all that
// are possible if the host does not know the command.
func (c *Controller) luns(target uint8) ([]uint8, error) {
	const room = scsi.LUNListHeaderSize + 8*scsi.MaxLUNs
	d := &Disk{c: c, Target: target}
	b, err := d.command(scsi.ReportLUNs{Allocation: room}.AppendTo(nil), room)
	switch {
	case errors.Is(err, ErrDisconnected) || errors.Is(err, ErrProtocol):
		return nil, err
	case err == nil:
		list, _, err := scsi.DecodeLUNList(b)
		if err != nil {
			break
		}
		var luns []uint8
		for _, l := range list {
			if l < scsi.MaxLUNs && !slices.Contains(luns, uint8(l)) {
				luns = append(luns, uint8(l))
			}
		}
		return luns, nil
	}
	if target != 0 {
		return nil, nil
	}
	c.log.Debug("storvsc: no LUN list", "target", target, "err", err)
	var all []uint8
	for l := range uint8(lunsIfNoReport) {
		all = append(all, l)
	}
	return all, nil
}

// probe finds out what a LUN is. It gives nil for what is not a disk.
func (c *Controller) probe(target, lun uint8) (*Disk, error) {
	d := &Disk{c: c, Target: target, LUN: lun}
	b, err := d.command(scsi.Inquiry{Allocation: scsi.InquiryDataSize}.AppendTo(nil), scsi.InquiryDataSize)
	if err != nil {
		return nil, err
	}
	inq, err := scsi.DecodeInquiryData(b)
	if err != nil {
		return nil, fmt.Errorf("INQUIRY: %w", err)
	}
	if inq.Peripheral != scsi.PeripheralDisk {
		if inq.Peripheral>>5 == 0 {
			c.log.Info("storvsc: not a disk", "target", target, "lun", lun, "type", inq.Peripheral)
		}
		return nil, nil
	}
	d.Vendor, d.Product, d.Revision = inq.Vendor, inq.Product, inq.Revision
	if err := d.capacity(); err != nil {
		return nil, err
	}
	d.readOnly = d.writeProtected()
	return d, nil
}

// capacity asks for the size, and again with 64 bits when 32 do not hold it.
func (d *Disk) capacity() error {
	b, err := d.command(scsi.ReadCapacity10{}.AppendTo(nil), scsi.Capacity10Size)
	if err != nil {
		return err
	}
	c10, err := scsi.DecodeCapacity10(b)
	if err != nil {
		return fmt.Errorf("READ CAPACITY(10): %w", err)
	}
	last, block := uint64(c10.LastLBA), c10.BlockSize
	if c10.LastLBA == 0xFFFFFFFF {
		b, err := d.command(scsi.ReadCapacity16{Allocation: scsi.Capacity16Size}.AppendTo(nil), scsi.Capacity16Size)
		if err != nil {
			return err
		}
		c16, err := scsi.DecodeCapacity16(b)
		if err != nil {
			return fmt.Errorf("READ CAPACITY(16): %w", err)
		}
		last, block = c16.LastLBA, c16.BlockSize
	}
	if block < 512 || block > vmbus.PageSize || block&(block-1) != 0 || last >= 1<<62/uint64(block) {
		return fmt.Errorf("%w: capacity of %d+1 blocks of %d bytes", ErrProtocol, last, block)
	}
	d.blockSize, d.blocks = int(block), last+1
	return nil
}

// writeProtected asks for the mode header; a disk that has none is writable.
func (d *Disk) writeProtected() bool {
	cdb := scsi.ModeSense{Op: scsi.OpModeSense6, DisableBlockDescriptors: true, Page: scsi.ModePageAll, Allocation: 192}.AppendTo(nil)
	b, err := d.command(cdb, 192)
	if err != nil {
		return false
	}
	h, _, err := scsi.DecodeModeHeader(scsi.OpModeSense6, b)
	return err == nil && h.DeviceSpecific&scsi.ModeWriteProtect != 0
}

// command sends a command that returns at most n bytes and gives a copy of
// them.
func (d *Disk) command(cdb []byte, n int) ([]byte, error) {
	pages, err := d.c.bounce.get(true)
	if err != nil {
		return nil, err
	}
	defer d.c.bounce.put(pages)
	s, err := d.c.q.acquire(true)
	if err != nil {
		return nil, err
	}
	defer d.c.q.release(s)
	clear(pages.Mem[:n])
	s.pfns = append(s.pfns[:0], pages.PFN...)
	d.encode(s, cdb, vstor.DataIn, n)
	if err := s.data(0, n); err != nil {
		return nil, err
	}
	got, err := d.perform(s, scsi.Op(cdb[0]), 0)
	if err != nil {
		return nil, d.c.cause(err)
	}
	return append([]byte(nil), pages.Mem[:got]...), nil
}

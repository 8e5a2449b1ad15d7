// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsp

import (
	"time"

	"github.com/hvgo/hvgo/internal/wire/scsi"
	"github.com/hvgo/hvgo/internal/wire/vstor"
)

// Fault is a failure put in by a test.
type Fault struct {
	Delay  time.Duration   // before anything else: lets requests overtake one another
	SRB    vstor.SRBStatus // 0: carry the command out after the delay
	Status scsi.Status
	Sense  *scsi.Sense
}

// FaultFunc is asked before each command; nil means no fault. It is called from
// several goroutines.
type FaultFunc func(lun uint8, cdb []byte) *Fault

// SetFault sets or, with nil, removes the fault hook.
func (c *Controller) SetFault(f FaultFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = f
}

func (c *Controller) faulty(lun uint8, cdb []byte) *Fault {
	c.mu.Lock()
	f := c.fault
	c.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(lun, cdb)
}

// BadBlock makes reads and writes that touch block lba fail with MEDIUM ERROR, as a
// worn disk does; the sense data tells the block.
func BadBlock(lun uint8, lba uint64) FaultFunc {
	return func(l uint8, cdb []byte) *Fault {
		c, err := scsi.DecodeReadWrite(cdb)
		if err != nil || l != lun || lba < c.LBA || lba-c.LBA >= uint64(c.Blocks) {
			return nil
		}
		code := scsi.CodeUnrecoveredReadError
		switch c.Op {
		case scsi.OpWrite6, scsi.OpWrite10, scsi.OpWrite12, scsi.OpWrite16:
			code = scsi.CodeWriteError
		}
		return &Fault{SRB: vstor.SRBError, Status: scsi.StatusCheckCondition,
			Sense: &scsi.Sense{Key: scsi.MediumError, Code: code, InformationValid: true, Information: lba}}
	}
}

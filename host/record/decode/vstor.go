// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package decode

import (
	"fmt"

	"github.com/hvgo/hvgo/host/record"
	"github.com/hvgo/hvgo/internal/wire/scsi"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/internal/wire/vstor"
)

// vstor decodes a packet of a SCSI controller.
func (d *Decoder) vstor(r record.Record, h wire.PacketHeader, b []byte) Part {
	p := Part{Layer: "vstor", Name: "packet", Raw: b}
	p.add("size", "%d", len(b))
	m, err := vstor.DecodePacket(b)
	if err != nil {
		p.failed(err)
		return p
	}
	p.Name = m.Operation.String()
	p.add("flags", "%#x", m.Flags)
	p.add("status", "%v", m.Status)
	op := m.Operation
	if h.Type == wire.PacketCompletion {
		if asked, ok := d.completed(r.Channel, request{!r.ToGuest, h.Transaction}); ok {
			op = asked
			p.Name += " of " + op.String()
		}
	} else if h.Flags&wire.PacketCompletionRequested != 0 {
		d.asked(r.Channel, request{r.ToGuest, h.Transaction}, op)
	}
	p.rest(append(header(m), p.vstorPayload(op, m, h.Type == wire.PacketCompletion)...))
	return p
}

// header encodes a packet without its payload.
func header(m vstor.Packet) []byte { return m.AppendTo(nil)[:vstor.HeaderSize] }

// vstorPayload adds the fields of an operation, and returns them encoded again.
func (p *Part) vstorPayload(op vstor.Operation, m vstor.Packet, answer bool) []byte {
	b := p.Raw[min(len(p.Raw), vstor.HeaderSize):]
	switch op {
	case vstor.OpQueryVersion:
		if v, err := vstor.DecodeProtocolVersion(b); err == nil {
			p.add("version", "%v", v.Version)
			return v.AppendTo(nil)
		}
	case vstor.OpQueryProperties:
		if v, err := vstor.DecodeProperties(b); err == nil && answer {
			p.add("sub-channels", "%d", v.MaxSubChannels)
			p.add("properties", "%#x", v.Flags)
			p.add("max transfer", "%d", v.MaxTransferBytes)
			return v.AppendTo(nil)
		}
	case vstor.OpCreateSubChannels:
		if v, err := vstor.DecodeSubChannels(b); err == nil && !answer {
			p.add("sub-channels", "%d", v.Count)
			return v.AppendTo(nil)
		}
	case vstor.OpExecuteSRB, vstor.OpResetLUN, vstor.OpResetBus:
		if v, err := vstor.DecodeRequest(b); err == nil {
			return p.srb(v, len(b), answer)
		}
	}
	return nil
}

// srb adds the fields of a SCSI request or of its answer.
func (p *Part) srb(v vstor.Request, size int, answer bool) []byte {
	if !answer && v.CDBLength > 0 {
		p.Name += " " + command(v.CDB())
	}
	p.add("length", "%#x", v.Length)
	p.add("SRB status", "%v", v.SRBStatus)
	p.add("SCSI status", "%#x", v.SCSIStatus)
	p.add("address", "port %d path %d target %d LUN %d", v.Port, v.Path, v.Target, v.LUN)
	p.add("CDB length", "%d", v.CDBLength)
	p.add("sense length", "%d", v.SenseLength)
	p.add("direction", "%d", v.DataIn)
	p.nonzero("properties", uint64(v.Properties))
	p.add("transfer", "%d", v.DataTransferLength)
	if answer && v.SRBStatus&vstor.SRBAutosenseValid != 0 {
		p.add("sense", "%x", v.Sense())
	} else {
		p.add("CDB", "%x", v.CDB())
	}
	again := v.AppendTo(nil)
	if size < vstor.RequestSize {
		return again[:vstor.RequestSizeV1]
	}
	p.add("queue tag", "%#x", v.QueueTag)
	p.add("queue action", "%#x", v.QueueAction)
	p.add("SRB flags", "%#x", v.SRBFlags)
	p.add("timeout", "%d", v.TimeoutSeconds)
	p.add("sort key", "%d", v.QueueSortKey)
	// Data behind the CDB is in no field of its own.
	clear(again[requestData+len(v.CDB()) : requestData+vstor.SenseSize])
	if answer && v.SRBStatus&vstor.SRBAutosenseValid != 0 {
		copy(again[requestData:], v.Sense())
	}
	return again
}

// requestData is where the CDB or the sense data stands in a vstor.Request.
const requestData = 16

// command names a CDB, with what its first bytes choose.
func command(cdb []byte) string {
	op := scsi.Op(cdb[0])
	name := op.String()
	switch {
	case op == scsi.OpInquiry && len(cdb) > 2 && cdb[1]&1 != 0:
		return fmt.Sprintf("%s page %#02x", name, cdb[2])
	case op == scsi.OpServiceActionIn16 && len(cdb) > 1 && cdb[1]&0x1F == 0x10:
		return "READ CAPACITY(16)"
	case (op == scsi.OpModeSense6 || op == scsi.OpModeSense10) && len(cdb) > 2:
		return fmt.Sprintf("%s page %#02x", name, cdb[2]&0x3F)
	}
	return name
}

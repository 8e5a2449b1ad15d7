// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package decode

import (
	"errors"
	"fmt"

	"github.com/hvgo/hvgo/internal/wire/rndis"
)

// maxMessages is how many RNDIS messages of one transfer are shown.
const maxMessages = 64

// errNotKept is the reason why a message is shown in part only.
var errNotKept = errors.New("the recording holds only its beginning")

// rndisParts decodes the RNDIS messages in the first bytes of a transfer of total bytes.
func rndisParts(b []byte, total uint32) (parts []Part) {
	missing := uint64(total) - uint64(min(uint64(total), uint64(len(b))))
	for len(b) >= rndis.HeaderSize && len(parts) < maxMessages {
		h := rndis.Header{Type: rndis.Type(le.Uint32(b)), Length: le.Uint32(b[4:])}
		p := Part{Layer: "RNDIS", Name: h.Type.String()}
		p.add("length", "%d", h.Length)
		if h.Length < rndis.HeaderSize || uint64(h.Length) > uint64(len(b))+missing {
			p.Raw = b
			p.failed(fmt.Errorf("RNDIS message of %d bytes in %d", h.Length, uint64(len(b))+missing))
			return append(parts, p)
		}
		n := min(int(h.Length), len(b))
		p.Raw, b = b[:n], b[n:]
		p.rndis(h)
		parts = append(parts, p)
	}
	if len(b) > 0 {
		p := unknown("behind the messages", b)
		p.Layer = "RNDIS"
		parts = append(parts, p)
	}
	return parts
}

// rndis adds the fields of a message, of which Raw holds as much as was kept.
func (p *Part) rndis(h rndis.Header) {
	if h.Type == rndis.TypePacket {
		p.packet(h)
		return
	}
	decode, ok := rndisMessages[h.Type]
	switch {
	case len(p.Raw) < int(h.Length):
		p.failed(errNotKept)
	case !ok:
		p.rest(h.AppendTo(nil))
	default:
		n := len(p.Fields)
		again, err := decode(p, p.Raw)
		p.finish(n, again, err)
	}
}

// packet adds the fields of a frame's message. The frame itself is only counted.
func (p *Part) packet(h rndis.Header) {
	m, err := rndis.DecodePacketPrefix(p.Raw, int(h.Length))
	if err != nil {
		p.failed(err)
		return
	}
	p.add("data", "%d bytes at %d", m.DataLength, m.DataOffset)
	p.nonzero("OOB offset", uint64(m.OOBOffset))
	p.nonzero("OOB length", uint64(m.OOBLength))
	p.nonzero("OOB count", uint64(m.OOBCount))
	p.add("PPI", "%d bytes at %d", m.PPILength, m.PPIOffset)
	p.nonzero("VC", uint64(m.VCHandle))
	p.nonzero("reserved", uint64(m.Reserved))
	area, err := m.PPIs(p.Raw)
	for err == nil && len(area) > 0 {
		var t rndis.PPIType
		var data []byte
		if t, data, area, err = rndis.NextPPI(area); err == nil {
			p.add(fmt.Sprintf("PPI %#x", uint32(t)), "%x", data)
		}
	}
	if err != nil {
		p.add("error", "%v", err)
	}
	if start, _, err := m.DataRange(); err != nil {
		p.add("error", "%v", err)
	} else if start+14 <= len(p.Raw) {
		p.add("frame", "to %x from %x type %x", p.Raw[start:start+6], p.Raw[start+6:start+12], p.Raw[start+12:start+14])
	}
}

// rndisMessages add the fields of each kind of message, and encode it again.
var rndisMessages = map[rndis.Type]func(p *Part, b []byte) ([]byte, error){
	rndis.TypeInitialize: func(p *Part, b []byte) ([]byte, error) {
		m, err := rndis.DecodeInitialize(b)
		p.add("request", "%#x", m.RequestID)
		p.add("version", "%d.%d", m.Major, m.Minor)
		p.add("max transfer", "%d", m.MaxTransferSize)
		return m.AppendTo(nil), err
	},
	rndis.TypeInitializeComplete: func(p *Part, b []byte) ([]byte, error) {
		m, err := rndis.DecodeInitializeComplete(b)
		p.add("request", "%#x", m.RequestID)
		p.add("status", "%v", m.Status)
		p.add("version", "%d.%d", m.Major, m.Minor)
		p.add("device flags", "%#x", m.DeviceFlags)
		p.add("medium", "%d", m.Medium)
		p.add("max packets", "%d", m.MaxPacketsPerMessage)
		p.add("max transfer", "%d", m.MaxTransferSize)
		p.add("alignment", "%d", m.AlignmentFactor)
		p.nonzero("AF list", uint64(m.AFListOffset)<<32|uint64(m.AFListSize))
		return m.AppendTo(nil), err
	},
	rndis.TypeHalt: func(p *Part, b []byte) ([]byte, error) {
		m, err := rndis.DecodeHalt(b)
		p.add("request", "%#x", m.RequestID)
		return m.AppendTo(nil), err
	},
	rndis.TypeQuery: oidRequest(rndis.TypeQuery),
	rndis.TypeSet:   oidRequest(rndis.TypeSet),
	rndis.TypeQueryComplete: func(p *Part, b []byte) ([]byte, error) {
		m, err := rndis.DecodeQueryComplete(b)
		if err != nil {
			return nil, err
		}
		p.add("request", "%#x", m.RequestID)
		p.add("status", "%v", m.Status)
		info, err := m.Info(b)
		p.add("information", "%d bytes at %d: %x", m.InfoLength, m.InfoOffset, info)
		again := rndis.AppendQueryComplete(nil, m.RequestID, m.Status, nil)
		return withInfo(again, b, 16, m.InfoOffset, info), err
	},
	rndis.TypeSetComplete: func(p *Part, b []byte) ([]byte, error) {
		m, err := rndis.DecodeSetComplete(b)
		p.add("request", "%#x", m.RequestID)
		p.add("status", "%v", m.Status)
		return m.AppendTo(nil), err
	},
	rndis.TypeKeepalive: func(p *Part, b []byte) ([]byte, error) {
		m, err := rndis.DecodeKeepalive(b)
		p.add("request", "%#x", m.RequestID)
		return m.AppendTo(nil), err
	},
	rndis.TypeKeepaliveComplete: func(p *Part, b []byte) ([]byte, error) {
		m, err := rndis.DecodeKeepaliveComplete(b)
		p.add("request", "%#x", m.RequestID)
		p.add("status", "%v", m.Status)
		return m.AppendTo(nil), err
	},
	rndis.TypeIndicateStatus: func(p *Part, b []byte) ([]byte, error) {
		m, err := rndis.DecodeIndicateStatus(b)
		if err != nil {
			return nil, err
		}
		p.add("status", "%v", m.Status)
		info, err := m.Buffer(b)
		p.add("buffer", "%d bytes at %d: %x", m.BufferLength, m.BufferOffset, info)
		return withInfo(rndis.AppendIndicateStatus(nil, m.Status, nil), b, 12, m.BufferOffset, info), err
	},
}

func oidRequest(t rndis.Type) func(p *Part, b []byte) ([]byte, error) {
	return func(p *Part, b []byte) ([]byte, error) {
		m, err := rndis.DecodeRequest(b, t)
		if err != nil {
			return nil, err
		}
		p.Name += " " + m.OID.Name()
		p.add("request", "%#x", m.RequestID)
		p.add("OID", "%#x", uint32(m.OID))
		p.add("information", "%d bytes at %d", m.InfoLength, m.InfoOffset)
		p.nonzero("VC", uint64(m.VCHandle))
		info, err := m.Info(b)
		if len(info) > 0 {
			p.add("value", "%x", info)
		}
		return withInfo(rndis.AppendRequest(nil, t, m.RequestID, m.OID, nil), b, 16, m.InfoOffset, info), err
	}
}

// withInfo completes the encoding of a message without information: its length, the
// length and offset of the information (at byte lengthAt), the handle behind them,
// and the information where b has it. What was checked is not checked again.
func withInfo(again, b []byte, lengthAt int, offset uint32, info []byte) []byte {
	copy(again[4:8], b[4:8])
	copy(again[lengthAt:], b[lengthAt:len(again)])
	if start := int(offset) + rndis.HeaderSize; len(info) > 0 {
		if n := start + len(info) - len(again); n > 0 {
			again = append(again, make([]byte, n)...)
		}
		copy(again[start:], info)
	}
	return again
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package decode

import (
	"github.com/hvgo/hvgo/host/record"
	"github.com/hvgo/hvgo/internal/wire/nvsp"
)

// nvspParts decodes a message of a network card, and the RNDIS messages in the pages of
// the packet that carries it.
func nvspParts(r record.Record, b []byte) []Part {
	p := Part{Layer: "NVSP", Name: "message", Raw: b}
	p.add("size", "%d", len(b))
	t, err := nvsp.DecodeType(b)
	if err != nil {
		p.failed(err)
		return []Part{p}
	}
	p.Name = t.String()
	again := le.AppendUint32(nil, uint32(t))
	n := len(p.Fields)
	if decode, ok := nvspMessages[t]; ok {
		again, err = decode(&p, b)
	}
	p.finish(n, again, err)
	parts := []Part{p}
	if t == nvsp.TypeSendRNDISPacket && len(r.Memory) > 0 {
		parts = append(parts, rndisParts(r.Memory, r.Total)...)
	}
	return parts
}

// nvspMessages add the fields of each kind of message, and encode it again.
var nvspMessages = map[nvsp.Type]func(p *Part, b []byte) ([]byte, error){
	nvsp.TypeInit: func(p *Part, b []byte) ([]byte, error) {
		m, err := nvsp.DecodeInit(b)
		p.add("version", "%v", m.Version)
		p.add("version 2", "%v", m.Version2)
		return m.AppendTo(nil), err
	},
	nvsp.TypeInitComplete: func(p *Part, b []byte) ([]byte, error) {
		m, err := nvsp.DecodeInitComplete(b)
		p.add("negotiated", "%#x", uint32(m.Negotiated))
		p.add("max MDL chain", "%d", m.MaxMDLChain)
		p.add("status", "%v", m.Status)
		return m.AppendTo(nil), err
	},
	nvsp.TypeSendNDISVersion: func(p *Part, b []byte) ([]byte, error) {
		m, err := nvsp.DecodeSendNDISVersion(b)
		p.add("NDIS", "%d.%d", m.Major, m.Minor)
		return m.AppendTo(nil), err
	},
	nvsp.TypeSendNDISConfig: func(p *Part, b []byte) ([]byte, error) {
		m, err := nvsp.DecodeSendNDISConfig(b)
		p.add("MTU", "%d", m.MTU)
		p.add("capabilities", "%#x", m.Capabilities)
		return m.AppendTo(nil), err
	},
	nvsp.TypeSendReceiveBuffer:   sharedBuffer(nvsp.TypeSendReceiveBuffer),
	nvsp.TypeSendSendBuffer:      sharedBuffer(nvsp.TypeSendSendBuffer),
	nvsp.TypeRevokeReceiveBuffer: revokeBuffer(nvsp.TypeRevokeReceiveBuffer),
	nvsp.TypeRevokeSendBuffer:    revokeBuffer(nvsp.TypeRevokeSendBuffer),
	nvsp.TypeSendReceiveBufferComplete: func(p *Part, b []byte) ([]byte, error) {
		m, err := nvsp.DecodeSendReceiveBufferComplete(b)
		p.add("status", "%v", m.Status)
		for _, s := range m.Sections {
			p.add("section", "%d slots of %d bytes from %d to %d", s.Slots, s.SlotSize, s.Offset, s.End)
		}
		return m.AppendTo(nil), err
	},
	nvsp.TypeSendSendBufferComplete: func(p *Part, b []byte) ([]byte, error) {
		m, err := nvsp.DecodeSendSendBufferComplete(b)
		p.add("status", "%v", m.Status)
		p.add("section size", "%d", m.SectionSize)
		return m.AppendTo(nil), err
	},
	nvsp.TypeSendRNDISPacket: func(p *Part, b []byte) ([]byte, error) {
		m, err := nvsp.DecodeSendRNDISPacket(b)
		p.add("channel", "%d", m.ChannelType)
		p.add("section", "%#x", m.SectionIndex)
		p.add("section size", "%d", m.SectionSize)
		return m.AppendTo(nil), err
	},
	nvsp.TypeSendRNDISPacketComplete: func(p *Part, b []byte) ([]byte, error) {
		m, err := nvsp.DecodeSendRNDISPacketComplete(b)
		p.add("status", "%v", m.Status)
		return m.AppendTo(nil), err
	},
	nvsp.TypeSendVFAssociation: func(p *Part, b []byte) ([]byte, error) {
		m, err := nvsp.DecodeSendVFAssociation(b)
		p.add("allocated", "%t", m.Allocated)
		p.add("serial", "%#x", m.Serial)
		return m.AppendTo(nil), err
	},
	nvsp.TypeSwitchDataPath: func(p *Part, b []byte) ([]byte, error) {
		m, err := nvsp.DecodeSwitchDataPath(b)
		p.add("VF", "%t", m.VF)
		return m.AppendTo(nil), err
	},
	nvsp.TypeOIDQueryExComplete: func(p *Part, b []byte) ([]byte, error) {
		m, err := nvsp.DecodeOIDQueryExComplete(b)
		p.add("status", "%#x", m.Status)
		p.add("bytes", "%d", m.Bytes)
		return m.AppendTo(nil), err
	},
	nvsp.TypeSubChannel: func(p *Part, b []byte) ([]byte, error) {
		m, err := nvsp.DecodeSubChannel(b)
		p.add("operation or status", "%d", m.First)
		p.add("count", "%d", m.Count)
		return m.AppendTo(nil), err
	},
	nvsp.TypeSendIndirectionTable: indirectionTable,
}

func sharedBuffer(t nvsp.Type) func(p *Part, b []byte) ([]byte, error) {
	return func(p *Part, b []byte) ([]byte, error) {
		m, err := nvsp.DecodeSharedBuffer(b, t)
		p.add("GPADL", "%#x", m.GPADL)
		p.add("id", "%#x", m.ID)
		return m.AppendTo(nil), err
	}
}

func revokeBuffer(t nvsp.Type) func(p *Part, b []byte) ([]byte, error) {
	return func(p *Part, b []byte) ([]byte, error) {
		m, err := nvsp.DecodeRevokeBuffer(b, t)
		p.add("id", "%#x", m.ID)
		return m.AppendTo(nil), err
	}
}

func indirectionTable(p *Part, b []byte) ([]byte, error) {
	m, err := nvsp.DecodeSendIndirectionTable(b)
	if err != nil {
		return nil, err
	}
	p.add("count", "%d", m.Count)
	p.add("offset", "%d", m.Offset)
	again := m.AppendTo(nil)
	entries, err := m.Entries(b)
	if err != nil {
		return nil, err
	}
	p.add("channels", "%d", entries)
	again = append(again, make([]byte, int(m.Offset)-len(again))...)
	for _, e := range entries {
		again = le.AppendUint32(again, e)
	}
	return again, nil
}

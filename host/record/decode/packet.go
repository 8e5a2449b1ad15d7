// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package decode

import (
	"fmt"

	"github.com/hvgo/hvgo/host/record"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

var packetNames = map[uint16]string{
	wire.PacketInBand: "in-band packet", wire.PacketTransferPage: "transfer-page packet",
	wire.PacketGPADirect: "GPA-direct packet", wire.PacketCompletion: "completion packet",
}

// packet decodes a packet of a ring and what it carries.
func (d *Decoder) packet(r record.Record) []Part {
	p := Part{Layer: "ring", Name: "packet", Raw: r.Data}
	p.add("size", "%d", len(r.Data))
	h, err := wire.DecodePacketHeader(r.Data)
	if err == nil && h.Length() != len(r.Data) {
		err = fmt.Errorf("the packet's own length is %d", h.Length())
	}
	if err != nil {
		p.failed(err)
		return []Part{p}
	}
	if p.Name = packetNames[h.Type]; p.Name == "" {
		p.Name = fmt.Sprintf("packet of type %#x", h.Type)
	}
	p.Raw = r.Data[:h.Offset()]
	p.add("payload at", "%d", h.Offset())
	p.add("flags", "%d", h.Flags)
	p.add("transaction", "%#x", h.Transaction)
	p.descriptor(h, r)
	p.ring(r)
	parts := []Part{p}
	if payload := r.Data[h.Offset():]; len(payload) > 0 {
		parts = append(parts, d.payload(r, h, payload)...)
	}
	return parts
}

// descriptor adds what stands between the header and the payload.
func (p *Part) descriptor(h wire.PacketHeader, r record.Record) {
	extra := p.Raw[wire.PacketHeaderSize:]
	switch h.Type {
	case wire.PacketGPADirect:
		g, err := wire.DecodeGPADirectHeader(extra)
		if err != nil {
			p.add("error", "%v", err)
			break
		}
		p.add("ranges", "%d", g.RangeCount)
		p.nonzero("reserved", uint64(le.Uint32(extra)))
		extra = p.gpaRanges(g.RangeCount, extra[wire.GPADirectHeaderSize:])
		p.add("memory", "%d", r.Total)
	case wire.PacketTransferPage:
		t, err := wire.DecodeTransferPageHeader(extra)
		if err != nil {
			p.add("error", "%v", err)
			break
		}
		p.add("set", "%#x", t.SetID)
		p.add("ranges", "%d", t.RangeCount)
		p.nonzero("reserved", uint64(le.Uint16(extra[2:])))
		extra = p.transferRanges(t.RangeCount, extra[wire.TransferPageHeaderSize:])
	}
	if len(extra) > 0 {
		p.add("behind ranges", "%d bytes", len(extra))
		p.nonzeroBytes("there", extra)
	}
}

// maxRanges is how many ranges are shown.
const maxRanges = 64

func (p *Part) gpaRanges(count uint32, b []byte) []byte {
	for i := range min(count, maxRanges) {
		g, err := wire.DecodeGPARange(b)
		n := g.Pages() * wire.PFNSize
		if err != nil || n > len(b)-wire.GPARangeSize {
			p.add("error", "range %d of %d is cut", i, count)
			return b
		}
		p.add(fmt.Sprintf("range %d", i), "%d bytes at %d", g.ByteCount, g.ByteOffset)
		p.pages(b[wire.GPARangeSize : wire.GPARangeSize+n])
		b = b[wire.GPARangeSize+n:]
	}
	return b
}

func (p *Part) transferRanges(count uint32, b []byte) []byte {
	for i := range min(count, maxRanges) {
		g, err := wire.DecodeTransferPageRange(b)
		if err != nil {
			p.add("error", "range %d of %d is cut", i, count)
			return b
		}
		p.add(fmt.Sprintf("range %d", i), "%d bytes at %d", g.ByteCount, g.ByteOffset)
		b = b[wire.TransferPageRangeSize:]
	}
	return b
}

func (p *Part) nonzeroBytes(name string, b []byte) {
	for _, x := range b {
		if x != 0 {
			p.add(name, "%x", b)
			return
		}
	}
}

// ring adds the state of the ring.
func (p *Part) ring(r record.Record) {
	p.add("position", "%#x", r.Position)
	p.add("mask", "%d", r.Ring.Mask)
	p.add("pending", "%d", r.Ring.Pending)
	p.add("ring features", "%#x", r.Ring.Features)
	if uint32(r.Trailer>>32) != r.Position || uint32(r.Trailer) != 0 {
		p.add("trailer", "%#x", r.Trailer)
	}
}

// payload decodes what a packet carries, by the kind of device.
func (d *Decoder) payload(r record.Record, h wire.PacketHeader, b []byte) []Part {
	switch r.Opened.Interface {
	case wire.InterfaceSCSI:
		return []Part{d.vstor(r, h, b)}
	case wire.InterfaceNetwork:
		return nvspParts(r, b)
	case wire.InterfaceShutdown, wire.InterfaceHeartbeat, wire.InterfaceTimeSync, wire.InterfaceKVP, wire.InterfaceVSS:
		return []Part{integration(b)}
	case wire.InterfaceDynamicMemory:
		return []Part{balloon(b)}
	}
	return []Part{unknown("payload", b)}
}

func unknown(name string, b []byte) Part {
	p := Part{Name: name, Raw: b}
	p.add("size", "%d", len(b))
	p.add("bytes", "%x", b)
	return p
}

// memory decodes a piece of the guest's memory.
func (d *Decoder) memory(r record.Record) []Part {
	p := Part{Layer: "memory", Name: "memory", Raw: r.Memory}
	if r.Origin == record.OriginGPADL {
		p.add("GPADL", "%#x", r.ID)
		p.add("offset", "%d", r.Offset)
	} else {
		p.add("transaction", "%#x", r.ID)
	}
	p.add("size", "%d", r.Total)
	if r.Opened.Interface == wire.InterfaceNetwork {
		return append([]Part{p}, rndisParts(r.Memory, r.Total)...)
	}
	p.add("bytes", "%x", r.Memory)
	return []Part{p}
}

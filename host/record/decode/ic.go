// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package decode

import (
	"fmt"

	"github.com/hvgo/hvgo/internal/wire/ic"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

var icNames = map[ic.MessageType]string{
	ic.MsgNegotiate: "NEGOTIATE", ic.MsgHeartbeat: "HEARTBEAT", ic.MsgKVP: "KVP", ic.MsgShutdown: "SHUTDOWN",
	ic.MsgTimeSync: "TIMESYNC", ic.MsgVSS: "VSS", ic.MsgGuestInterface: "GUEST_INTERFACE",
}

// integration decodes a message of an integration service.
func integration(b []byte) Part {
	p := Part{Layer: "IC", Name: "message", Raw: b}
	p.add("size", "%d", len(b))
	pipe, err := wire.DecodePipeHeader(b)
	if err != nil {
		p.failed(err)
		return p
	}
	h, body, err := ic.DecodeHeader(b[wire.PipeHeaderSize:])
	if err != nil {
		p.failed(err)
		return p
	}
	if p.Name = icNames[h.Type]; p.Name == "" {
		p.Name = fmt.Sprintf("message %d", h.Type)
	}
	p.add("pipe", "type %d, %d bytes", pipe.Type, pipe.Length)
	p.add("framework", "%v", h.Framework)
	p.add("version", "%v", h.Message)
	p.add("body", "%d", h.Size)
	p.add("status", "%#x", uint32(h.Status))
	p.add("transaction", "%d", h.Transaction)
	p.add("flags", "%#x", h.Flags)
	again := h.AppendTo(pipe.AppendTo(nil))
	more, err := p.icBody(h, body)
	if err != nil {
		p.add("error", "%v", err)
		more = nil
	}
	p.rest(append(again, more...))
	return p
}

// icBody adds the fields of a message's body and returns them encoded again.
func (p *Part) icBody(h ic.Header, body []byte) ([]byte, error) {
	switch h.Type {
	case ic.MsgNegotiate:
		n, err := ic.DecodeNegotiate(body)
		p.add("frameworks", "%v", n.Frameworks)
		p.add("messages", "%v", n.Messages)
		return n.AppendTo(nil), err
	case ic.MsgShutdown:
		s, err := ic.DecodeShutdown(body)
		p.add("reason", "%#x", s.Reason)
		p.add("timeout", "%d", s.Timeout)
		p.add("what", "%#x", s.Flags)
		p.add("text", "%s", printable(s.Text))
		return cut(s.AppendTo(nil), body), err
	case ic.MsgHeartbeat:
		b, err := ic.DecodeHeartbeat(body)
		p.add("sequence", "%d", b.Sequence)
		p.add("state", "%d", b.State)
		return cut(b.AppendTo(nil), body), err
	case ic.MsgTimeSync:
		return p.time(h.Message, body)
	}
	return nil, nil // shown as other bytes
}

// cut cuts what a message encodes to where the sender left its end away.
func cut(again, body []byte) []byte { return again[:min(len(again), len(body))] }

// time adds the fields of a time message of a version.
func (p *Part) time(v ic.Version, body []byte) ([]byte, error) {
	if v.Major < 4 {
		m, err := ic.DecodeTime(body)
		p.add("host's time", "%d", m.Parent)
		p.add("guest's time", "%d", m.Child)
		p.add("round trip", "%d", m.RoundTrip)
		p.add("what", "%#x", m.Flags)
		return cut(m.AppendTo(nil), body), err
	}
	m, err := ic.DecodeTimeV4(body)
	p.add("host's time", "%d", m.Parent)
	p.add("reference", "%d", m.Reference)
	p.add("what", "%#x", m.Flags)
	p.add("leap", "%d", m.Leap)
	p.add("stratum", "%d", m.Stratum)
	return cut(m.AppendTo(nil), body), err
}

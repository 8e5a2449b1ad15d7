// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package decode

import "github.com/hvgo/hvgo/internal/wire/dynmem"

// balloon decodes a message of Dynamic Memory.
func balloon(b []byte) Part {
	p := Part{Layer: "balloon", Name: "message", Raw: b}
	p.add("size", "%d", len(b))
	h, body, err := dynmem.DecodeHeader(b)
	if err != nil {
		p.failed(err)
		return p
	}
	p.Name = h.Type.String()
	p.add("message size", "%d", h.Size)
	p.add("transaction", "%d", h.Transaction)
	n := len(p.Fields)
	again := h.AppendTo(nil)
	if decode, ok := balloonMessages[h.Type]; ok {
		var more []byte
		more, err = decode(&p, body)
		again = append(again, more...)
	}
	p.finish(n, again, err)
	return p
}

// encoder is a message of package dynmem.
type encoder interface{ AppendTo(b []byte) []byte }

// body makes the decoder of one kind of message; its fields have the names of
// package dynmem.
func body[M encoder](decode func(b []byte) (M, error)) func(p *Part, b []byte) ([]byte, error) {
	return func(p *Part, b []byte) ([]byte, error) {
		m, err := decode(b)
		if err != nil {
			return nil, err
		}
		p.add("body", "%+v", m)
		return m.AppendTo(nil), nil
	}
}

var balloonMessages = map[dynmem.MessageType]func(p *Part, b []byte) ([]byte, error){
	dynmem.MsgVersionRequest:       body(dynmem.DecodeVersionRequest),
	dynmem.MsgVersionResponse:      body(dynmem.DecodeVersionResponse),
	dynmem.MsgCapabilitiesReport:   body(dynmem.DecodeCapabilities),
	dynmem.MsgCapabilitiesResponse: body(dynmem.DecodeCapabilitiesResponse),
	dynmem.MsgStatusReport:         body(dynmem.DecodeStatus),
	dynmem.MsgBalloonRequest:       body(dynmem.DecodeBalloonRequest),
	dynmem.MsgBalloonResponse:      body(dynmem.DecodeBalloonResponse),
	dynmem.MsgUnballoonRequest:     body(dynmem.DecodeUnballoonRequest),
	dynmem.MsgHotAddRequest:        body(dynmem.DecodeHotAddRequest),
	dynmem.MsgHotAddResponse:       body(dynmem.DecodeHotAddResponse),
	dynmem.MsgInfo:                 body(dynmem.DecodeInfo),
}

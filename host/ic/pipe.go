// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ic

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/guid"
	wireic "github.com/hvgo/hvgo/internal/wire/ic"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// offer describes a service's channel: a pipe of messages.
func offer(service, instance guid.GUID) vmbus.Offer {
	o := vmbus.Offer{Interface: service, Instance: instance, Flags: wire.OfferEnumerateInterface | wire.OfferNamedPipe}
	binary.LittleEndian.PutUint32(o.UserDefined[:], wire.PipeMessage)
	return o
}

// agreed are the versions that the guest chose.
type agreed struct{ framework, message wireic.Version }

// header begins a request.
func (a agreed) header(t wireic.MessageType) wireic.Header {
	return wireic.Header{Framework: a.framework, Type: t, Message: a.message, Flags: wireic.FlagTransaction | wireic.FlagRequest}
}

// propose sends the versions that the guest may choose from.
func propose(ctx context.Context, ch *vmbus.Channel, messages []wireic.Version) error {
	n := wireic.Negotiate{Frameworks: wireic.FrameworkVersions, Messages: messages}
	return send(ctx, ch, agreed{}.header(wireic.MsgNegotiate), n.AppendTo(nil))
}

// choice reads the guest's choice: exactly one version of each kind, of ours.
func choice(body []byte, messages []wireic.Version) (a agreed, err error) {
	n, err := wireic.DecodeNegotiate(body)
	if err != nil {
		return a, vmbus.Broken("%v", err)
	}
	if len(n.Frameworks) != 1 || len(n.Messages) != 1 {
		return a, vmbus.Broken("ic: guest chose %v and %v of our versions", n.Frameworks, n.Messages)
	}
	if !slices.Contains(wireic.FrameworkVersions, n.Frameworks[0]) || !slices.Contains(messages, n.Messages[0]) {
		return a, vmbus.Broken("ic: guest chose versions %v and %v, which were not offered", n.Frameworks[0], n.Messages[0])
	}
	return agreed{n.Frameworks[0], n.Messages[0]}, nil
}

// negotiate does both, for a service that has nothing else to read meanwhile.
func negotiate(ctx context.Context, ch *vmbus.Channel, messages []wireic.Version) (a agreed, err error) {
	if err := propose(ctx, ch, messages); err != nil {
		return a, err
	}
	_, body, err := answer(ctx, ch, wireic.MsgNegotiate)
	if err != nil {
		return a, err
	}
	return choice(body, messages)
}

// answer reads the answer to the one request that is under way.
func answer(ctx context.Context, ch *vmbus.Channel, t wireic.MessageType) (h wireic.Header, body []byte, err error) {
	h, body, err = receive(ctx, ch)
	if err != nil {
		return h, nil, err
	}
	if h.Type != t || h.Flags&wireic.FlagResponse == 0 {
		return h, nil, vmbus.Broken("ic: message of type %d with flags %#x as the answer to type %d", h.Type, h.Flags, t)
	}
	return h, body, nil
}

// send writes one message as a pipe packet.
func send(ctx context.Context, ch *vmbus.Channel, h wireic.Header, body []byte) error {
	h.Size = uint16(len(body))
	b := wire.PipeHeader{Type: wire.PipeData, Length: uint32(wireic.HeaderSize + len(body))}.AppendTo(nil)
	b = append(h.AppendTo(b), body...)
	return ch.WritePacket(ctx, vmbus.OutPacket{Type: wire.PacketInBand, Payload: b})
}

// receive reads one message.
func receive(ctx context.Context, ch *vmbus.Channel) (h wireic.Header, body []byte, err error) {
	p, err := ch.ReadPacket(ctx)
	if err != nil {
		return h, nil, err
	}
	if p.Type != wire.PacketInBand {
		return h, nil, vmbus.Broken("ic: packet of type %d", p.Type)
	}
	if p.WantsCompletion {
		if err := ch.Complete(ctx, p.Transaction, nil); err != nil {
			return h, nil, err
		}
	}
	pipe, err := wire.DecodePipeHeader(p.Payload)
	if err != nil || pipe.Type != wire.PipeData || pipe.Length > wireic.MaxMessageSize {
		return h, nil, vmbus.Broken("ic: pipe packet of type %d with %d bytes: %v", pipe.Type, pipe.Length, err)
	}
	h, body, err = wireic.DecodeHeader(p.Payload[wire.PipeHeaderSize:][:pipe.Length])
	if err != nil {
		return h, nil, vmbus.Broken("%v", err)
	}
	return h, body, nil
}

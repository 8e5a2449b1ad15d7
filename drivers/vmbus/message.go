// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"fmt"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// receiveMessages takes the host's messages until the bus ends. It never posts
// and never waits for anything but the host.
func (b *Bus) receiveMessages() {
	defer close(b.ended)
	var buf [wire.MaxMessageSize]byte
	for {
		n, err := b.p.NextMessage(&buf)
		if err != nil {
			b.fail(fmt.Errorf("vmbus: receiving messages: %w", err))
			return
		}
		b.stats.messages.Add(1)
		n = max(0, min(n, len(buf)))
		if b.dispatch(buf[:n]) == wire.MsgUnloadComplete && b.unloading.Load() {
			return
		}
	}
}

// dispatch acts on one message, which is a private copy, and gives its type.
func (b *Bus) dispatch(msg []byte) wire.MessageType {
	typ, err := wire.DecodeType(msg)
	if err != nil {
		b.skip(0, err.Error())
		return 0
	}
	switch typ {
	case wire.MsgOfferChannel:
		err = b.offerChannel(msg)
	case wire.MsgRescindChannelOffer:
		err = b.rescindChannel(msg)
	case wire.MsgOpenChannelResult:
		var m wire.OpenResult
		if m, err = wire.DecodeOpenResult(msg); err == nil {
			b.answer(requestKey{typ, m.ChannelID, m.OpenID}, msg)
		}
	case wire.MsgGPADLCreated:
		var m wire.GPADLCreated
		if m, err = wire.DecodeGPADLCreated(msg); err == nil {
			b.answer(requestKey{typ, m.ChannelID, uint32(m.GPADLID)}, msg)
		}
	case wire.MsgGPADLTorndown:
		var m wire.GPADLTorndown
		if m, err = wire.DecodeGPADLTorndown(msg); err == nil {
			b.answer(requestKey{typ, 0, uint32(m.GPADLID)}, msg)
		}
	case wire.MsgAllOffersDelivered, wire.MsgVersionResponse, wire.MsgUnloadComplete:
		b.answer(requestKey{answer: typ}, msg)
	default:
		b.skip(typ, "not a message that we asked for")
	}
	if err != nil {
		b.skip(typ, err.Error())
	}
	return typ
}

// skip counts a message that is of no use and logs the first of each type; the
// host must not be able to fill the log.
func (b *Bus) skip(typ wire.MessageType, why string) {
	b.stats.skipped.Add(1)
	if !typ.Known() {
		typ = 0
	}
	b.mu.Lock()
	_, logged := b.skipped[typ]
	b.skipped[typ] = struct{}{}
	b.mu.Unlock()
	if !logged {
		b.log.Warn("vmbus: message skipped, further ones not logged", "type", typ, "why", why)
	}
}

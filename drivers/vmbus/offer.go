// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"fmt"
	"slices"

	"github.com/hvgo/hvgo/internal/guid"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Offer is a channel that the host offers.
type Offer = wire.OfferChannel

// offered is what we know of a channel id.
//
//	OFFER          Open           Close
//	  |              |              |
//	  v              v              v
//	offered ----> in use -------> offered
//	  |              |
//	  | RESCIND      | RESCIND, then Close
//	  v              v
//	REL_ID_RELEASED sent, id free for a new offer
type offered struct {
	offer Offer
	inUse bool     // Open has begun and Close has not ended
	open  *Channel // once Open has finished; nil before
	gone  bool     // rescinded while in use
}

// Offers lists the channels offered now, in the order of their ids.
func (b *Bus) Offers() []Offer {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]Offer, 0, len(b.offers))
	for _, o := range b.offers {
		if !o.gone {
			list = append(list, o.offer)
		}
	}
	slices.SortFunc(list, func(x, y Offer) int { return int(x.ChannelID) - int(y.ChannelID) })
	return list
}

// Find lists the primary channels of a device kind, in the order of their ids.
func (b *Bus) Find(interfaceID guid.GUID) []Offer {
	return slices.DeleteFunc(b.Offers(), func(o Offer) bool {
		return o.InterfaceID != interfaceID || o.SubchannelIndex != 0
	})
}

// Watch tells of hot add and removal.
type Watch struct {
	// C receives after Offers has changed, or the bus has ended. Several
	// changes may come as one.
	C   <-chan struct{}
	c   chan struct{}
	bus *Bus
}

// Watch begins to watch the list of offers. The first value comes at once.
func (b *Bus) Watch() *Watch {
	c := make(chan struct{}, 1)
	c <- struct{}{}
	w := &Watch{C: c, c: c, bus: b}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watches[w] = struct{}{}
	return w
}

// Stop ends the watch. C is not closed.
func (w *Watch) Stop() {
	w.bus.mu.Lock()
	defer w.bus.mu.Unlock()
	delete(w.bus.watches, w)
}

func (b *Bus) changed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for w := range b.watches {
		select {
		case w.c <- struct{}{}:
		default:
		}
	}
}

func (b *Bus) offerChannel(msg []byte) error {
	m, err := wire.DecodeOfferChannel(msg)
	if err != nil {
		return err
	}
	if m.ChannelID == 0 || m.ChannelID > maxChannelID {
		return fmt.Errorf("offer of channel id %d", m.ChannelID)
	}
	b.mu.Lock()
	known := b.offers[m.ChannelID] != nil
	if !known {
		b.offers[m.ChannelID] = &offered{offer: m}
	}
	b.mu.Unlock()
	if known {
		return fmt.Errorf("offer of channel id %d, which is taken", m.ChannelID)
	}
	b.log.Debug("vmbus: offer", "channel", m.ChannelID, "device", wire.InterfaceName(m.InterfaceID), "instance", m.InstanceID)
	b.changed()
	return nil
}

func (b *Bus) rescindChannel(msg []byte) error {
	m, err := wire.DecodeChannelMessage(msg, wire.MsgRescindChannelOffer)
	if err != nil {
		return err
	}
	b.mu.Lock()
	o := b.offers[m.ChannelID]
	if o == nil || o.gone {
		b.mu.Unlock()
		return fmt.Errorf("rescind of channel id %d, which is not offered", m.ChannelID)
	}
	o.gone = true
	if !o.inUse {
		b.releaseLocked(m.ChannelID)
	}
	for key, r := range b.requests {
		if r.channel == m.ChannelID {
			delete(b.requests, key)
			r.finish(nil, ErrRescinded)
		}
	}
	open := o.open
	b.mu.Unlock()
	b.log.Info("vmbus: channel rescinded", "channel", m.ChannelID, "device", wire.InterfaceName(o.offer.InterfaceID))
	if open != nil {
		open.fail(ErrRescinded)
	}
	b.changed()
	return nil
}

// take marks an offer as in use.
func (b *Bus) take(id wire.ChannelID) (Offer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.offers[id]
	switch {
	case b.err != nil:
		return Offer{}, b.err
	case o == nil || o.gone:
		return Offer{}, ErrRescinded
	case o.inUse:
		return Offer{}, fmt.Errorf("vmbus: channel %d is open already", id)
	}
	o.inUse = true
	return o.offer, nil
}

// giveBack ends the use of an offer; a rescinded one goes back to the host.
func (b *Bus) giveBack(id wire.ChannelID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.offers[id]
	if o == nil {
		return
	}
	o.inUse, o.open = false, nil
	if o.gone {
		b.releaseLocked(id)
	}
}

// gone reports whether a channel in use was rescinded.
func (b *Bus) gone(id wire.ChannelID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.offers[id]
	return o == nil || o.gone
}

// releaseLocked queues an id for releaseChannels. The host may use it for
// another offer only after that message.
func (b *Bus) releaseLocked(id wire.ChannelID) {
	delete(b.offers, id)
	b.release[id] = struct{}{}
	select {
	case b.releaseWake <- struct{}{}:
	default:
	}
}

// releaseChannels posts REL_ID_RELEASED. It is a goroutine of its own because
// the one that takes messages must not post.
func (b *Bus) releaseChannels() {
	for {
		select {
		case <-b.done:
			return
		case <-b.releaseWake:
		}
		b.mu.Lock()
		ids := make([]wire.ChannelID, 0, len(b.release))
		for id := range b.release {
			ids = append(ids, id)
			delete(b.release, id)
		}
		b.mu.Unlock()
		for _, id := range ids {
			if err := b.post(wire.ChannelMessage{Type: wire.MsgRelIDReleased, ChannelID: id}.AppendTo(nil)); err != nil {
				b.log.Warn("vmbus: channel id not released", "channel", id, "err", err)
			}
		}
	}
}

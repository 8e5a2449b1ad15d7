// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package balloon

import (
	"context"

	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/wire/dynmem"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Serve is vmbus.Device.
func (b *Balloon) Serve(ctx context.Context, ch *vmbus.Channel) error {
	b.mu.Lock()
	b.ch = ch
	b.version, b.guest, b.status, b.reports = 0, dynmem.Capabilities{}, dynmem.Status{}, 0
	b.held = map[uint64]bool{}
	b.set(atVersion)
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.ch, b.held = nil, nil
		b.finish(ErrGone)
		b.set(closed)
	}()
	for {
		h, body, err := receive(ctx, ch)
		if err == nil {
			err = b.message(ctx, ch, h, body)
		}
		if err != nil {
			return err
		}
	}
}

// receive reads one message.
func receive(ctx context.Context, ch *vmbus.Channel) (h dynmem.Header, body []byte, err error) {
	p, err := ch.ReadPacket(ctx)
	if err != nil {
		return h, nil, err
	}
	if p.WantsCompletion {
		if err := ch.Complete(ctx, p.Transaction, nil); err != nil {
			return h, nil, err
		}
	}
	if p.Type != wire.PacketInBand || len(p.Payload) > dynmem.MaxMessageSize {
		return h, nil, vmbus.Broken("balloon: packet of type %d, %d bytes", p.Type, len(p.Payload))
	}
	h, body, err = dynmem.DecodeHeader(p.Payload)
	if err != nil {
		return h, nil, vmbus.Broken("%v", err)
	}
	if len(p.Payload)-int(h.Size) >= 8 {
		ch.Report("balloon: %v of %d bytes in a packet of %d", h.Type, h.Size, len(p.Payload))
	}
	return h, body, nil
}

func (b *Balloon) message(ctx context.Context, ch *vmbus.Channel, h dynmem.Header, body []byte) error {
	switch h.Type {
	case dynmem.MsgVersionRequest:
		return b.askedVersion(ctx, ch, h, body)
	case dynmem.MsgCapabilitiesReport:
		return b.toldCapabilities(ctx, ch, h, body)
	case dynmem.MsgStatusReport:
		return b.toldStatus(ch, body)
	case dynmem.MsgBalloonResponse:
		return b.gotPages(ch.Memory(), ch, body)
	case dynmem.MsgUnballoonResponse:
		return b.gavePages()
	}
	return vmbus.Broken("balloon: %v, which a guest does not send unasked", h.Type)
}

// expect tells whether the guest's message fits the state. mu is held.
func (b *Balloon) expect(s state, t dynmem.MessageType) error {
	if b.state != s {
		return vmbus.Broken("balloon: %v in state %v", t, b.state)
	}
	return nil
}

func (b *Balloon) askedVersion(ctx context.Context, ch *vmbus.Channel, h dynmem.Header, body []byte) error {
	m, err := dynmem.DecodeVersionRequest(body)
	if err != nil {
		return vmbus.Broken("%v", err)
	}
	known := m.Version == dynmem.Version0_3 || m.Version == dynmem.Version1_0 || m.Version == dynmem.Version2_0
	accepted := known && (b.opt.Refuse == nil || !b.opt.Refuse(m.Version))
	b.mu.Lock()
	if err := b.expect(atVersion, h.Type); err != nil {
		b.mu.Unlock()
		return err
	}
	if accepted {
		b.version = m.Version
		b.set(atCapabilities)
	}
	b.mu.Unlock()
	return reply(ctx, ch, dynmem.MsgVersionResponse, h.Transaction, dynmem.VersionResponse{Accepted: accepted}.AppendTo(nil))
}

func (b *Balloon) toldCapabilities(ctx context.Context, ch *vmbus.Channel, h dynmem.Header, body []byte) error {
	m, err := dynmem.DecodeCapabilities(body)
	if err != nil {
		return vmbus.Broken("%v", err)
	}
	b.mu.Lock()
	if err := b.expect(atCapabilities, h.Type); err != nil {
		b.mu.Unlock()
		return err
	}
	b.guest = m
	withInfo := b.opt.MaxPages > 0 && b.version >= dynmem.Version1_0
	b.mu.Unlock()

	answer := dynmem.CapabilitiesResponse{Accepted: !b.opt.RefuseCapabilities, SuppressReports: b.opt.NoReports}
	if err := reply(ctx, ch, dynmem.MsgCapabilitiesResponse, h.Transaction, answer.AppendTo(nil)); err != nil {
		return err
	}
	if !answer.Accepted {
		return nil // the guest is expected to close the channel
	}
	if withInfo {
		data := dynmem.Info{Type: dynmem.InfoMaxPageCount, Data: le64(b.opt.MaxPages)}
		if err := b.send(ctx, ch, dynmem.MsgInfo, data.AppendTo(nil)); err != nil {
			return err
		}
	}
	b.mu.Lock()
	b.set(ready) // not before, since requests of ours must come after the answer
	b.mu.Unlock()
	ch.Log().Debug("dynamic memory is ready", "version", b.Guest().Version, "capabilities", m)
	return nil
}

func (b *Balloon) toldStatus(ch *vmbus.Channel, body []byte) error {
	m, err := dynmem.DecodeStatus(body)
	if err != nil {
		return vmbus.Broken("%v", err)
	}
	if b.opt.NoReports {
		ch.Report("balloon: a status report that the guest was told not to send")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state < ready {
		return vmbus.Broken("balloon: %v in state %v", dynmem.MsgStatusReport, b.state)
	}
	b.status = m
	b.reports++
	b.wake()
	return nil
}

// reports is where broken rules go that the device survives: the channel.
type reports interface {
	Report(format string, args ...any)
}

// gotPages takes over the pages that a guest gives.
func (b *Balloon) gotPages(mem vmbus.Memory, ch reports, body []byte) error {
	m, err := dynmem.DecodeBalloonResponse(body)
	if err != nil {
		return vmbus.Broken("%v", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.expect(inflating, dynmem.MsgBalloonResponse); err != nil {
		return err
	}
	if m.More && len(m.Ranges) == 0 {
		ch.Report("balloon: a response without pages that is not the last")
	}
	for _, r := range m.Ranges {
		if r.Count == 0 {
			ch.Report("balloon: an empty range at page %#x", r.Start)
		}
		b.got += uint64(r.Count)
		if b.got > b.asked {
			return vmbus.Broken("balloon: %d pages for %d asked for", b.got, b.asked)
		}
		if err := b.take(mem, r); err != nil {
			return err
		}
	}
	if !m.More {
		b.set(ready)
		b.finish(nil)
	}
	return nil
}

// gavePages hears that the guest has its pages again.
func (b *Balloon) gavePages() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.expect(deflating, dynmem.MsgUnballoonResponse); err != nil {
		return err
	}
	b.set(ready)
	b.finish(nil)
	return nil
}

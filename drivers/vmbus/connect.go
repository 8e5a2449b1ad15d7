// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/hvgo/hvgo/internal/wire/tlfs"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// versions in the order in which they are tried.
var versions = []wire.Version{
	wire.Version6_0, wire.Version5_3, wire.Version5_2, wire.Version5_1, wire.Version5_0, wire.Version4_1,
	wire.Version4_0, wire.Version3_0, wire.Version2_4, wire.Version1_1, wire.Version0_13,
}

// Connect agrees on a version with the host, asks for its offers and returns
// when all that exist now are known.
func Connect(p Platform, log *slog.Logger) (*Bus, error) {
	return connect(p, log, defaultTiming)
}

func connect(p Platform, log *slog.Logger, t timing) (*Bus, error) {
	b := &Bus{
		p: p, log: log, t: t,
		done:        make(chan struct{}),
		ended:       make(chan struct{}),
		offers:      map[wire.ChannelID]*offered{},
		requests:    map[requestKey]*request{},
		watches:     map[*Watch]struct{}{},
		release:     map[wire.ChannelID]struct{}{},
		skipped:     map[wire.MessageType]struct{}{},
		releaseWake: make(chan struct{}, 1),
	}
	shared, err := p.AllocPages(3)
	if err != nil {
		return nil, fmt.Errorf("vmbus: pages shared with the host: %w", err)
	}
	if len(shared.PFN) != 3 || len(shared.Mem) != 3*PageSize {
		return nil, fmt.Errorf("vmbus: asked for 3 pages, got %d of %d bytes", len(shared.PFN), len(shared.Mem))
	}
	b.shared = shared
	go b.receiveMessages()
	go b.releaseChannels()

	if err := b.negotiate(); err != nil {
		b.fail(err)
		return nil, err
	}
	if b.version < wire.Version2_4 {
		if err := b.listenShared(); err != nil {
			b.fail(err)
			return nil, err
		}
	}
	msg := wire.AppendHeader(nil, wire.MsgRequestOffers)
	if _, err := b.ask(msg, requestKey{answer: wire.MsgAllOffersDelivered}, 0); err != nil {
		err = fmt.Errorf("vmbus: requesting offers: %w", err)
		b.fail(err)
		return nil, err
	}
	return b, nil
}

// negotiate tries versions from the newest down. From 5.0 on, messages go to
// connection 4 until the host names another; hosts older than that do not have
// it, and say so by the hypercall's status.
func (b *Bus) negotiate() error {
	for _, v := range versions {
		b.connection = wire.ConnectionMessages
		if v >= wire.Version5_0 {
			b.connection = wire.ConnectionMessagesMulti
		}
		r, err := b.contact(v)
		switch {
		case errors.Is(err, ErrNoConnection) && v >= wire.Version5_0:
			b.log.Debug("vmbus: connection not there", "connection", b.connection, "version", v)
			continue
		case err != nil:
			return fmt.Errorf("vmbus: negotiating version %v: %w", v, err)
		case !r.Supported:
			b.log.Debug("vmbus: version not supported by host", "version", v)
			continue
		case r.State != wire.ConnectionSuccessful:
			return &RefusedError{fmt.Sprintf("version %v", v), uint32(r.State)}
		}
		b.version = v
		if v >= wire.Version5_0 && r.VersionOrConnID != 0 {
			b.connection = r.VersionOrConnID
		}
		b.log.Info("vmbus: connected", "version", v, "connection", b.connection)
		return nil
	}
	return ErrNoVersion
}

// contact asks for one version. The monitor pages are handed over because all
// known guests do so; nothing here uses them.
func (b *Bus) contact(v wire.Version) (wire.VersionResponse, error) {
	m := wire.InitiateContact{
		Version:         v,
		MonitorHostGPA:  b.shared.PFN[1] * PageSize,
		MonitorGuestGPA: b.shared.PFN[2] * PageSize,
	}
	if v >= wire.Version5_0 {
		m.InterruptPageGPA = wire.TargetInfo{SINT: tlfs.SINTVMBus}.Word()
	} else {
		m.InterruptPageGPA = b.shared.PFN[0] * PageSize
	}
	answer, err := b.ask(m.AppendTo(nil), requestKey{answer: wire.MsgVersionResponse}, 0)
	if err != nil {
		return wire.VersionResponse{}, err
	}
	return wire.DecodeVersionResponse(answer)
}

// Unload disconnects: the host forgets all channels and GPADLs of ours. It is
// the last thing before power-off or restart. The bus cannot be used again.
func (b *Bus) Unload() error {
	b.posting.Lock()
	b.unloading.Store(true)
	b.posting.Unlock()
	msg := wire.AppendHeader(nil, wire.MsgUnload)
	var err error
	if b.version == wire.Version0_13 {
		err = b.post(msg) // has no answer
	} else {
		_, err = b.ask(msg, requestKey{answer: wire.MsgUnloadComplete}, 0)
	}
	b.fail(ErrClosed)
	if err != nil {
		return fmt.Errorf("vmbus: unload: %w", err)
	}
	if b.interrupts != nil {
		b.interrupts.close()
	}
	b.shared.Free()
	return nil
}

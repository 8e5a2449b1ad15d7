// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ic

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hvgo/hvgo/host/vmbus"
	wireic "github.com/hvgo/hvgo/internal/wire/ic"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Errors of RequestShutdown.
var (
	ErrNotReady   = errors.New("ic: the guest's shutdown service is not running")
	ErrInProgress = errors.New("ic: another shutdown request waits for its answer")
	ErrGone       = errors.New("ic: the guest closed the shutdown service without an answer")
)

// RefusedError is the guest's answer to a request that it does not want to follow.
type RefusedError struct{ Status wireic.Status }

// Error returns the status as a number.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("ic: guest refused to shut down: status 0x%08X", uint32(e.Status))
}

// Shutdown is the shutdown service, a vmbus.Device.
//
//	closed --guest opens--> negotiating --guest's versions--> ready <--> asking
//
// Any state goes to closed when the guest closes the channel.
type Shutdown struct {
	mu        sync.Mutex
	ch        *vmbus.Channel // nil unless ready
	framework wireic.Version
	message   wireic.Version
	pending   chan error    // of the request that waits for an answer; capacity 1
	changed   chan struct{} // closed at the next change of ch
}

var _ vmbus.Device = (*Shutdown)(nil)

// NewShutdown makes the service.
func NewShutdown() *Shutdown { return &Shutdown{changed: make(chan struct{})} }

// Offer is vmbus.Device.
func (s *Shutdown) Offer() vmbus.Offer {
	o := vmbus.Offer{
		Interface: wire.InterfaceShutdown, Instance: wireic.ShutdownInstance,
		Flags: wire.OfferEnumerateInterface | wire.OfferNamedPipe,
	}
	binary.LittleEndian.PutUint32(o.UserDefined[:], wire.PipeMessage)
	return o
}

// Serve is vmbus.Device.
func (s *Shutdown) Serve(ctx context.Context, ch *vmbus.Channel) error {
	defer s.set(nil)
	n := wireic.Negotiate{Frameworks: wireic.FrameworkVersions, Messages: wireic.ShutdownVersions}
	h := wireic.Header{Type: wireic.MsgNegotiate, Flags: wireic.FlagTransaction | wireic.FlagRequest}
	if err := send(ctx, ch, h, n.AppendTo(nil)); err != nil {
		return err
	}
	for {
		h, body, err := receive(ctx, ch)
		if err != nil {
			return err
		}
		switch {
		case h.Flags&wireic.FlagResponse == 0:
			ch.Report("ic: message of type %d without the response flag", h.Type)
		case h.Type == wireic.MsgNegotiate:
			err = s.negotiated(ch, body)
		case h.Type == wireic.MsgShutdown:
			s.answered(ch, h.Status)
		default:
			ch.Report("ic: answer of type %d, which was not asked for", h.Type)
		}
		if err != nil {
			return err
		}
	}
}

// negotiated takes the guest's choice: exactly one version of each kind, of ours.
func (s *Shutdown) negotiated(ch *vmbus.Channel, body []byte) error {
	n, err := wireic.DecodeNegotiate(body)
	if err != nil {
		return vmbus.Broken("%v", err)
	}
	if len(n.Frameworks) != 1 || len(n.Messages) != 1 {
		return vmbus.Broken("ic: guest chose %v and %v of our versions", n.Frameworks, n.Messages)
	}
	if !slices.Contains(wireic.FrameworkVersions, n.Frameworks[0]) || !slices.Contains(wireic.ShutdownVersions, n.Messages[0]) {
		return vmbus.Broken("ic: guest chose versions %v and %v, which were not offered", n.Frameworks[0], n.Messages[0])
	}
	s.mu.Lock()
	if s.ch != nil {
		s.mu.Unlock()
		return vmbus.Broken("ic: versions chosen twice")
	}
	s.framework, s.message = n.Frameworks[0], n.Messages[0]
	s.mu.Unlock()
	s.set(ch)
	ch.Log().Debug("shutdown service is ready", "framework", n.Frameworks[0], "message", n.Messages[0])
	return nil
}

// answered hands the guest's answer to the request that waits.
func (s *Shutdown) answered(ch *vmbus.Channel, status wireic.Status) {
	s.mu.Lock()
	pending := s.pending
	s.pending = nil
	s.mu.Unlock()
	switch {
	case pending == nil:
		ch.Report("ic: answer to a shutdown that was not asked for")
	case status != wireic.StatusSuccess:
		pending <- &RefusedError{status}
	default:
		pending <- nil
	}
}

// set changes the ready channel and wakes those who wait for it.
func (s *Shutdown) set(ch *vmbus.Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ch = ch
	if ch == nil && s.pending != nil {
		s.pending <- ErrGone
		s.pending = nil
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// WaitReady waits until the guest's service can take requests, or ctx ends.
func (s *Shutdown) WaitReady(ctx context.Context) error {
	for {
		s.mu.Lock()
		ch, changed := s.ch, s.changed
		s.mu.Unlock()
		if ch != nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNotReady, context.Cause(ctx))
		}
	}
}

// RequestShutdown asks the guest to stop, or with restart to start again; with force
// it shall not wait for programs. It returns when the guest has answered that it will
// (nil) or will not (RefusedError), not when it has stopped.
func (s *Shutdown) RequestShutdown(ctx context.Context, force, restart bool) error {
	s.mu.Lock()
	ch, h := s.ch, wireic.Header{Framework: s.framework, Type: wireic.MsgShutdown, Message: s.message}
	if ch == nil || s.pending != nil {
		s.mu.Unlock()
		if ch == nil {
			return ErrNotReady
		}
		return ErrInProgress
	}
	pending := make(chan error, 1)
	s.pending = pending
	s.mu.Unlock()

	m := wireic.Shutdown{Reason: wireic.ReasonPlanned}
	if force {
		m.Flags |= wireic.ShutdownForce
	}
	if restart {
		m.Flags |= wireic.ShutdownRestart
	}
	h.Flags = wireic.FlagTransaction | wireic.FlagRequest
	if err := send(ctx, ch, h, m.AppendTo(nil)); err != nil {
		s.mu.Lock()
		if s.pending == pending {
			s.pending = nil
		}
		s.mu.Unlock()
		return fmt.Errorf("ic: shutdown request: %w", err)
	}
	select {
	case err := <-pending:
		return err
	case <-ctx.Done(): // the answer is still awaited: it must not be taken for a later request's
		return fmt.Errorf("ic: no answer to the shutdown request: %w", context.Cause(ctx))
	}
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

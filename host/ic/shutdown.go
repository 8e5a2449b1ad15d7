// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ic

import (
	"context"
	"errors"
	"fmt"
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
	mu       sync.Mutex
	ch       *vmbus.Channel // nil unless ready
	versions agreed
	pending  chan error    // of the request that waits for an answer; capacity 1
	changed  chan struct{} // closed at the next change of ch
}

var _ vmbus.Device = (*Shutdown)(nil)

// NewShutdown makes the service.
func NewShutdown() *Shutdown { return &Shutdown{changed: make(chan struct{})} }

// Offer is vmbus.Device.
func (s *Shutdown) Offer() vmbus.Offer {
	return offer(wire.InterfaceShutdown, wireic.ShutdownInstance)
}

// Serve is vmbus.Device.
func (s *Shutdown) Serve(ctx context.Context, ch *vmbus.Channel) error {
	defer s.set(nil)
	if err := propose(ctx, ch, wireic.ShutdownVersions); err != nil {
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

// negotiated takes the guest's choice.
func (s *Shutdown) negotiated(ch *vmbus.Channel, body []byte) error {
	v, err := choice(body, wireic.ShutdownVersions)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.ch != nil {
		s.mu.Unlock()
		return vmbus.Broken("ic: versions chosen twice")
	}
	s.versions = v
	s.mu.Unlock()
	s.set(ch)
	ch.Log().Debug("shutdown service is ready", "framework", v.framework, "message", v.message)
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
	ch, h := s.ch, s.versions.header(wireic.MsgShutdown)
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

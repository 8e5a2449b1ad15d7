// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"slices"
	"time"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Quirks are habits that the protocol leaves to a host, and that one host or another
// has. The zero value is this server's own.
type Quirks struct {
	// BusyEvery answers each n-th message of the guest with INSUFFICIENT_BUFFERS, and
	// does not take it. 0 is never; 1 would be always.
	BusyEvery int
	// IDStep is the distance of channel ids; 0 is 1.
	IDStep wire.ChannelID
	// ReverseOffers offers the devices in the reverse of the order they were added.
	ReverseOffers bool
	// SlowTeardown delays the answer to each GPADL_TEARDOWN.
	SlowTeardown time.Duration
}

// busy tells whether a message of the guest is not taken.
func (s *Server) busy() bool {
	every := uint64(max(s.opt.Quirks.BusyEvery, 0))
	return every > 0 && s.offered.Add(1)%every == 0
}

// inOrder lists the devices as they are offered. mu is held.
func (s *Server) inOrder() []Device {
	devices := slices.Clone(s.devices)
	if s.opt.Quirks.ReverseOffers {
		slices.Reverse(devices)
	}
	return devices
}

// sendTorndown answers a teardown, when the host comes round to it. mu is held.
func (s *Server) sendTorndown(id wire.GPADLID) {
	b := wire.GPADLTorndown{GPADLID: id}.AppendTo(nil)
	if s.opt.Quirks.SlowTeardown == 0 {
		s.send(b)
		return
	}
	connection := s.connections
	time.AfterFunc(s.opt.Quirks.SlowTeardown, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.connections == connection && s.ctx.Err() == nil { // else nobody waits for it
			s.send(b)
		}
	})
}

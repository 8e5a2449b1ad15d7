// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"fmt"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// gpadl is a list of guest pages that the guest has named. While users is above zero
// (the rings of an open channel, or a device), a teardown is not answered.
type gpadl struct {
	id      wire.GPADLID
	port    *port
	count   int    // ranges
	want    int    // bytes of range data
	data    []byte // as far as received
	buffers []Buffer
	done    bool // complete and created
	users   int
	tearing bool
}

// gpadlHeader begins a GPADL.
func (s *Server) gpadlHeader(b []byte) {
	m, err := wire.DecodeGPADLHeader(b)
	if err != nil {
		s.report(RuleMessageSize, "%v", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.newGPADL(m); err != nil {
		s.reportError(err)
		s.send(wire.GPADLCreated{ChannelID: m.ChannelID, GPADLID: m.GPADLID, Status: wire.StatusUnsuccessful}.AppendTo(nil))
	}
}

// newGPADL checks and enters a GPADL. mu is held.
func (s *Server) newGPADL(m wire.GPADLHeader) error {
	p := s.ports[m.ChannelID]
	switch {
	case p == nil:
		return broken(RuleUnknownChannel, "GPADL %#x for channel %d", m.GPADLID, m.ChannelID)
	case s.gpadls[m.GPADLID] != nil:
		return broken(RuleGPADLDuplicate, "GPADL %#x", m.GPADLID)
	case len(s.gpadls) >= maxGPADLs:
		return broken(RuleGPADLLimit, "%d GPADLs", len(s.gpadls))
	case m.GPADLID == 0:
		return broken(RuleGPADLMalformed, "GPADL id 0")
	case m.RangeCount == 0 || int(m.Length) < int(m.RangeCount)*(wire.GPARangeSize+wire.PFNSize) || m.Length%8 != 0:
		return broken(RuleGPADLMalformed, "GPADL %#x: %d ranges in %d bytes", m.GPADLID, m.RangeCount, m.Length)
	case len(m.Data)%8 != 0:
		return broken(RuleGPADLMalformed, "GPADL %#x: %d bytes in the header", m.GPADLID, len(m.Data))
	}
	g := &gpadl{id: m.GPADLID, port: p, count: int(m.RangeCount), want: int(m.Length), data: append([]byte(nil), m.Data...)}
	s.gpadls[g.id] = g
	return s.gpadlReceived(g)
}

// gpadlBody continues a GPADL.
func (s *Server) gpadlBody(b []byte) {
	m, err := wire.DecodeGPADLBody(b)
	if err != nil {
		s.report(RuleMessageSize, "%v", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gpadls[m.GPADLID]
	if g == nil || g.done { // no answer is possible: the channel is not known
		s.report(RuleGPADLUnknown, "body for GPADL %#x", m.GPADLID)
		return
	}
	if len(m.Data) == 0 || len(m.Data) > g.want-len(g.data) || len(m.Data)%8 != 0 {
		err = broken(RuleGPADLMalformed, "GPADL %#x: body of %d bytes, %d are missing", g.id, len(m.Data), g.want-len(g.data))
		delete(s.gpadls, g.id)
	} else {
		g.data = append(g.data, m.Data...)
		err = s.gpadlReceived(g)
	}
	if err != nil {
		s.reportError(err)
		s.send(wire.GPADLCreated{ChannelID: g.port.id, GPADLID: g.id, Status: wire.StatusUnsuccessful}.AppendTo(nil))
	}
}

// gpadlReceived creates the GPADL if all its data is there. On error it is gone. mu is held.
func (s *Server) gpadlReceived(g *gpadl) (err error) {
	if len(g.data) < g.want {
		return nil
	}
	if g.buffers, err = decodeRanges(s.vm.Memory(), g.data, g.count, RuleGPADLMalformed, RuleGPADLMemory); err != nil {
		delete(s.gpadls, g.id)
		return err
	}
	g.data, g.done = nil, true
	s.send(wire.GPADLCreated{ChannelID: g.port.id, GPADLID: g.id, Status: wire.StatusSuccess}.AppendTo(nil))
	return nil
}

// gpadlTeardown gives the pages back, at once or when the last user has released them.
func (s *Server) gpadlTeardown(b []byte) {
	m, err := wire.DecodeGPADLTeardown(b)
	if err != nil {
		s.report(RuleMessageSize, "%v", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gpadls[m.GPADLID]
	if g == nil || !g.done || g.tearing || g.port.id != m.ChannelID {
		s.report(RuleGPADLUnknown, "teardown of GPADL %#x of channel %d", m.GPADLID, m.ChannelID)
		return
	}
	g.tearing = true
	if c := g.port.channel.Load(); g.users > 0 && c != nil && c.gpadl == g.id {
		s.report(RuleGPADLInUse, "teardown of GPADL %#x, the rings of open channel %d", g.id, g.port.id)
	}
	s.tearDown(g)
}

// tearDown answers a teardown if nobody uses the GPADL. mu is held.
func (s *Server) tearDown(g *gpadl) {
	if !g.tearing || g.users > 0 {
		return
	}
	delete(s.gpadls, g.id)
	s.sendTorndown(g.id)
}

// release takes back one use. mu is held.
func (s *Server) release(g *gpadl) {
	g.users--
	s.tearDown(g)
}

// GPADL is guest memory that a device uses until Release.
type GPADL struct {
	ID     wire.GPADLID
	Ranges []Buffer // most have one

	server *Server
	g      *gpadl
}

// GPADL gives the device the memory of a GPADL that the guest created for this
// channel. The error wraps ErrProtocol if there is none. The device must Release it
// when the guest takes it back by the device's own protocol; Serve must release all
// before it returns.
func (c *Channel) GPADL(id wire.GPADLID) (*GPADL, error) {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gpadls[id]
	if g == nil || !g.done || g.tearing || (g.port != c.port && g.port != c.port.parent) {
		return nil, fmt.Errorf("channel %d: %w", c.port.id, broken(RuleGPADLUnknown, "GPADL %#x", id))
	}
	g.users++
	return &GPADL{g.id, g.buffers, s, g}, nil
}

// Release ends the device's use; the memory must not be touched afterwards. A second
// Release does nothing.
func (g *GPADL) Release() {
	if g == nil {
		return
	}
	g.server.mu.Lock()
	defer g.server.mu.Unlock()
	if g.g == nil {
		return
	}
	// After a disconnect the GPADL is gone from the server already.
	if u := g.g; g.server.gpadls[u.id] == u {
		g.server.release(u)
	}
	g.g, g.Ranges = nil, nil
}

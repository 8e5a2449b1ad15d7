// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"context"
	"fmt"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// port looks up an offered channel and reports it if there is none.
func (s *Server) port(id wire.ChannelID, t wire.MessageType) *port {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.ports[id]
	if p == nil {
		s.report(RuleUnknownChannel, "%v of channel %d", t, id)
	}
	return p
}

// openChannel opens a channel and starts the device on it.
func (s *Server) openChannel(b []byte) {
	m, err := wire.DecodeOpenChannel(b)
	if err != nil {
		s.report(RuleMessageSize, "%v", err)
		return
	}
	p := s.port(m.ChannelID, wire.MsgOpenChannel)
	if p == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	result := wire.OpenResult{ChannelID: m.ChannelID, OpenID: m.OpenID}
	c, err := s.newChannel(p, m)
	if err != nil {
		s.reportError(err)
		result.Status = wire.StatusUnsuccessful
		s.send(result.AppendTo(nil))
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	c.cancel = cancel
	p.channel.Store(c)
	s.send(result.AppendTo(nil))
	go s.serve(ctx, p, c)
}

// newChannel checks an open request and makes the rings. mu is held.
func (s *Server) newChannel(p *port, m wire.OpenChannel) (*Channel, error) {
	if p.channel.Load() != nil || p.rescind {
		return nil, broken(RuleOpenState, "channel %d, rescinded %t", p.id, p.rescind)
	}
	if m.TargetVP >= s.vm.VPs() && m.TargetVP != wire.VPDisableInterrupt {
		return nil, broken(RuleTargetVP, "channel %d opened for VP %d", p.id, m.TargetVP)
	}
	g := s.gpadls[m.RingGPADL]
	if g == nil || !g.done || g.tearing || g.port != p {
		return nil, broken(RuleGPADLUnknown, "ring GPADL %#x of channel %d", m.RingGPADL, p.id)
	}
	pages := g.buffers[0].Parts()
	if len(g.buffers) != 1 || g.buffers[0].Len() != len(pages)*wire.PageSize {
		return nil, broken(RuleOpenRing, "channel %d: GPADL %#x is not one range of whole pages", p.id, g.id)
	}
	at := uint64(m.DownstreamPageOffset)
	if at < 2 || at+2 > uint64(len(pages)) {
		return nil, broken(RuleOpenRing, "channel %d: second ring at page %d of %d", p.id, at, len(pages))
	}
	in, err := newRing(pages[:at])
	if err != nil {
		return nil, broken(RuleOpenRing, "channel %d: %v", p.id, err)
	}
	out, err := newRing(pages[at:])
	if err != nil {
		return nil, broken(RuleOpenRing, "channel %d: %v", p.id, err)
	}
	c := &Channel{
		UserData: m.UserData, SubIndex: p.subIndex, port: p, server: s, gpadl: g.id, vp: m.TargetVP,
		done: make(chan struct{}), readWake: make(chan struct{}, 1), writeWake: make(chan struct{}, 1),
		turn: make(chan struct{}, 1), in: receiver{ring: in}, out: sender{ring: out},
	}
	if err := c.start(); err != nil {
		return nil, err
	}
	c.tape = s.newTape(c)
	g.users++
	return c, nil
}

// start takes over the indices as the guest left them; normally all are zero.
func (c *Channel) start() (err error) {
	if c.in.out, err = c.in.load(wire.RingOutOffset); err != nil {
		return err
	}
	if _, err = c.in.load(wire.RingInOffset); err != nil {
		return err
	}
	if c.out.in, err = c.out.load(wire.RingInOffset); err != nil {
		return err
	}
	if _, err = c.out.load(wire.RingOutOffset); err != nil {
		return err
	}
	c.in.mask(true) // until ReadPacket waits
	c.out.init()
	return nil
}

// closeChannel ends a channel at the guest's wish. There is no answer; the teardown of
// the rings' GPADL is answered only when the device has stopped.
func (s *Server) closeChannel(b []byte) {
	m, err := wire.DecodeChannelMessage(b, wire.MsgCloseChannel)
	if err != nil {
		s.report(RuleMessageSize, "%v", err)
		return
	}
	p := s.port(m.ChannelID, wire.MsgCloseChannel)
	if p == nil {
		return
	}
	s.mu.Lock()
	rescinded := p.rescind
	s.mu.Unlock()
	if p.channel.Load() == nil && !rescinded { // a rescinded channel was stopped by us
		s.report(RuleCloseState, "channel %d", p.id)
	}
	s.stopChannel(p)
	for _, sub := range s.subPorts(p) {
		s.rescind(sub)
	}
}

// subPorts lists the sub-channels of p.
func (s *Server) subPorts(p *port) (subs []*port) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.ports {
		if sub.parent == p {
			subs = append(subs, sub)
		}
	}
	return subs
}

// rescind stops a channel with its sub-channels and takes the offers back. The ids stay
// in use until the guest has released them. Only run's goroutine.
func (s *Server) rescind(p *port) {
	s.mu.Lock()
	if p.rescind {
		s.mu.Unlock()
		return
	}
	p.rescind = true
	s.mu.Unlock()
	s.stopChannel(p)
	for _, sub := range s.subPorts(p) {
		s.rescind(sub)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.send(wire.ChannelMessage{Type: wire.MsgRescindChannelOffer, ChannelID: p.id}.AppendTo(nil))
}

// relIDReleased ends a channel's life: the guest will not name the id again.
func (s *Server) relIDReleased(b []byte) {
	m, err := wire.DecodeChannelMessage(b, wire.MsgRelIDReleased)
	if err != nil {
		s.report(RuleMessageSize, "%v", err)
		return
	}
	p := s.port(m.ChannelID, wire.MsgRelIDReleased)
	if p == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.rescind || p.channel.Load() != nil {
		s.report(RuleReleaseState, "channel %d, rescinded %t", p.id, p.rescind)
	}
	if p.channel.Load() != nil {
		return
	}
	for id, g := range s.gpadls { // guests need not tear them down after a rescind: Linux does not
		if g.port == p {
			delete(s.gpadls, id)
		}
	}
	delete(s.ports, p.id)
	s.signalMu.Lock()
	defer s.signalMu.Unlock()
	delete(s.byConn, p.connID)
}

// modifyChannel moves a channel's interrupt. It is answered from 5.3 on.
func (s *Server) modifyChannel(b []byte) {
	m, err := wire.DecodeModifyChannel(b)
	if err != nil {
		s.report(RuleMessageSize, "%v", err)
		return
	}
	p := s.port(m.ChannelID, wire.MsgModifyChannel)
	if p == nil {
		return
	}
	r := wire.ModifyChannelResponse{ChannelID: m.ChannelID}
	err = broken(RuleOpenState, "MODIFY_CHANNEL of channel %d, which is not open", p.id)
	if c := p.channel.Load(); c != nil {
		err = c.retarget(m.TargetVP)
	}
	if err != nil {
		s.reportError(err)
		r.Status = wire.StatusUnsuccessful
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn.version >= wire.Version5_3 {
		s.send(r.AppendTo(nil))
	}
}

// MaxSubChannels is how many sub-channels a device may have.
const MaxSubChannels = 64

// OfferSubChannels offers n more channels of the same device, numbered from 1. Each
// that the guest opens is served by the same Device's Serve, with Channel.SubIndex
// not zero. They go when the guest closes this channel.
func (c *Channel) OfferSubChannels(n int) error {
	if n < 0 || n > MaxSubChannels || c.port.parent != nil {
		return fmt.Errorf("vmbus: %d sub-channels", n)
	}
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ports[c.port.id] != c.port || c.port.rescind || c.port.channel.Load() != c {
		return ErrClosed
	}
	for _, p := range s.ports {
		if p.parent == c.port && !p.rescind {
			return fmt.Errorf("vmbus: channel %d has sub-channels already", c.port.id)
		}
	}
	for i := range n {
		s.addPort(&port{offer: c.port.offer, device: c.port.device, parent: c.port, subIndex: uint16(i + 1)})
	}
	return nil
}

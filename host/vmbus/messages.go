// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"slices"

	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// minVersion tells, for each message a guest may send, the version that brought it.
var minVersion = map[wire.MessageType]wire.Version{
	wire.MsgRequestOffers:    wire.Version0_13,
	wire.MsgOpenChannel:      wire.Version0_13,
	wire.MsgCloseChannel:     wire.Version0_13,
	wire.MsgGPADLHeader:      wire.Version0_13,
	wire.MsgGPADLBody:        wire.Version0_13,
	wire.MsgGPADLTeardown:    wire.Version0_13,
	wire.MsgRelIDReleased:    wire.Version0_13,
	wire.MsgInitiateContact:  wire.Version0_13,
	wire.MsgUnload:           wire.Version0_13,
	wire.MsgTLConnectRequest: wire.Version4_0,
	wire.MsgModifyChannel:    wire.Version4_1,
	wire.MsgModifyConnection: wire.Version6_0,
	wire.MsgPause:            wire.Version6_0,
	wire.MsgResume:           wire.Version6_0,
}

// needFeature tells which messages exist only with a feature.
var needFeature = map[wire.MessageType]wire.Features{
	wire.MsgModifyConnection: wire.FeatureModifyConnection,
	wire.MsgPause:            wire.FeaturePauseResume,
	wire.MsgResume:           wire.FeaturePauseResume,
}

// handle handles one message of the guest. Only run's goroutine.
func (s *Server) handle(m message) {
	b := m.payload[:m.size]
	s.Stats.MessagesIn.Add(1)
	if s.opt.Trace != nil {
		s.opt.Trace(false, slices.Clone(b))
	}
	t, err := wire.DecodeType(b)
	if err != nil {
		s.report(RuleMessageSize, "%v", err)
		return
	}
	if !s.allowed(m, t) {
		return
	}
	switch t {
	case wire.MsgInitiateContact:
		s.initiateContact(m.connection, b)
	case wire.MsgRequestOffers:
		s.requestOffers()
	case wire.MsgGPADLHeader:
		s.gpadlHeader(b)
	case wire.MsgGPADLBody:
		s.gpadlBody(b)
	case wire.MsgGPADLTeardown:
		s.gpadlTeardown(b)
	case wire.MsgOpenChannel:
		s.openChannel(b)
	case wire.MsgCloseChannel:
		s.closeChannel(b)
	case wire.MsgRelIDReleased:
		s.relIDReleased(b)
	case wire.MsgModifyChannel:
		s.modifyChannel(b)
	case wire.MsgModifyConnection:
		s.modifyConnection(b)
	case wire.MsgPause, wire.MsgResume:
		s.pause(t == wire.MsgPause)
	case wire.MsgUnload:
		s.unload()
	case wire.MsgTLConnectRequest:
		s.log.Info("guest asked for a socket connection; there is none to offer")
	}
}

// allowed says whether the guest may send t now.
func (s *Server) allowed(m message, t wire.MessageType) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	since, known := minVersion[t]
	if !known {
		s.report(RuleMessageType, "%v from the guest", t)
		return false
	}
	if t == wire.MsgInitiateContact {
		return true
	}
	if !s.conn.connected {
		s.report(RuleMessageState, "%v without a connection", t)
		return false
	}
	if s.conn.version < since || needFeature[t]&^s.conn.features != 0 {
		s.report(RuleMessageType, "%v at version %v, features %#x", t, s.conn.version, s.conn.features)
		return false
	}
	if m.connection != s.conn.connID {
		s.report(RuleMessageConnection, "%v on connection %#x, not %#x", t, m.connection, s.conn.connID)
	}
	return true
}

// initiateContact negotiates the version. A guest that is still connected is
// disconnected first: its kernel may have crashed and started another.
func (s *Server) initiateContact(connection uint32, b []byte) {
	m, err := wire.DecodeInitiateContact(b)
	if err != nil {
		s.report(RuleMessageSize, "%v", err)
		return
	}
	s.mu.Lock()
	if s.conn.connected {
		s.report(RuleContactState, "version %v while connected with %v", m.Version, s.conn.version)
	}
	s.mu.Unlock()
	s.disconnect()
	s.mu.Lock()
	defer s.mu.Unlock()
	sint := uint8(SINT)
	target := wire.TargetInfoFromWord(m.InterruptPageGPA)
	if connection == wire.ConnectionMessagesMulti && m.Version >= wire.Version5_0 {
		sint = target.SINT
	}
	vp := m.TargetVP
	if m.Version < wire.Version3_0 {
		vp = 0 // older guests always listen on processor 0
	}
	if !s.acceptContact(m, sint, connection, target) {
		if sint < 16 {
			s.post(vp, sint, versionNo())
		}
		return
	}
	s.conn = connectionOf(m, vp, connection, s.opt.MessageConnection)
	if m.Version >= wire.Version6_0 {
		s.conn.features = target.Features & *s.opt.Features
	}
	s.log.Info("guest connected to VMBus", "version", m.Version, "features", s.conn.features)
	s.post(vp, sint, s.versionYes())
}

func connectionOf(m wire.InitiateContact, vp, connection, messages uint32) connState {
	c := connState{connected: true, version: m.Version, vp: vp, connID: connection}
	if m.Version >= wire.Version5_0 {
		c.connID = messages
	}
	return c
}

// acceptContact checks the request and takes over the interrupt page. mu is held.
func (s *Server) acceptContact(m wire.InitiateContact, sint uint8, connection uint32, target wire.TargetInfo) bool {
	if m.Version > s.opt.MaxVersion || !slices.Contains(supportedVersions, m.Version) {
		return false
	}
	if connection == wire.ConnectionMessagesMulti && m.Version >= wire.Version5_0 && (sint != SINT || target.VTL != 0) {
		s.report(RuleContactFields, "SINT %d, VTL %d", sint, target.VTL)
		return false
	}
	if (m.MonitorHostGPA == 0) != (m.MonitorGuestGPA == 0) {
		s.report(RuleContactFields, "one monitor page without the other")
		return false
	}
	if m.Version >= wire.Version6_0 && target.Features&wire.FeatureClientID != 0 && !m.HasClientID {
		s.report(RuleContactFields, "client id feature without client id")
		return false
	}
	for _, gpa := range [...]uint64{m.MonitorHostGPA, m.MonitorGuestGPA} {
		if gpa == 0 {
			continue
		}
		if _, err := page(s.vm.Memory(), gpa/wire.PageSize); err != nil || gpa%wire.PageSize != 0 {
			s.report(RuleContactFields, "monitor page at %#x: %v", gpa, err)
			return false
		}
	}
	return m.Version >= wire.Version2_4 || s.takeInterruptPage(m.InterruptPageGPA)
}

// takeInterruptPage maps the interrupt page of a guest below 2.4. A guest may have
// none; it is then signalled by event flags, as from 2.4 on.
func (s *Server) takeInterruptPage(gpa uint64) bool {
	if gpa == 0 {
		return true
	}
	p, err := page(s.vm.Memory(), gpa/wire.PageSize)
	if gpa%wire.PageSize != 0 || err != nil || !aligned(p) {
		s.report(RuleContactFields, "interrupt page at %#x: %v", gpa, err)
		return false
	}
	s.signalMu.Lock()
	defer s.signalMu.Unlock()
	s.intPage = p
	return true
}

func versionNo() []byte {
	return wire.VersionResponse{}.AppendTo(nil, wire.VersionResponseSize)
}

// versionYes encodes the positive answer in the length that the version has. mu is held.
func (s *Server) versionYes() []byte {
	r := wire.VersionResponse{Supported: true, VersionOrConnID: uint32(s.conn.version)}
	size := wire.VersionResponseSize
	if s.conn.version >= wire.Version5_0 {
		r.VersionOrConnID = s.conn.connID
	} else if s.opt.ShortVersionResponse {
		return append(r.AppendTo(nil, wire.VersionResponseMinSize), 0, 0, 0, 0, 0, 0)
	}
	if s.conn.version >= wire.Version6_0 {
		r.Features = s.conn.features
		size = wire.VersionResponseFeaturesSize
	}
	return r.AppendTo(nil, size)
}

// requestOffers offers all devices.
func (s *Server) requestOffers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn.offersSent {
		s.report(RuleOffersTwice, "REQUEST_OFFERS")
		return
	}
	s.conn.offersSent = true
	for _, d := range s.inOrder() {
		s.offer(d)
	}
	s.send(wire.AppendHeader(nil, wire.MsgAllOffersDelivered))
}

// offer makes a port for a device and offers it. mu is held.
func (s *Server) offer(d Device) {
	s.addPort(&port{offer: d.Offer(), device: d})
}

// addPort gives a port its ids and offers it. mu is held.
func (s *Server) addPort(p *port) {
	step := max(s.opt.Quirks.IDStep, 1)
	for p.id = step; s.ports[p.id] != nil; {
		p.id += step
	}
	if p.id > maxChannelID {
		s.log.Error("no channel id left", "device", wire.InterfaceName(p.offer.Interface))
		return
	}
	p.version, p.flag, p.connID = s.conn.version, uint16(p.id), s.opt.EventConnection(p.id)
	o := wire.OfferChannel{
		InterfaceID: p.offer.Interface, InstanceID: p.offer.Instance, Flags: p.offer.Flags,
		MMIOMegabytes: p.offer.MMIOMegabytes, UserDefined: p.offer.UserDefined, SubchannelIndex: p.subIndex,
		ChannelID: p.id,
	}
	if s.conn.version >= wire.Version1_1 { // 0.13 has only the shared connection
		o.DedicatedInterrupt, o.ConnectionID = true, p.connID
		s.signalMu.Lock()
		s.byConn[p.connID] = p
		s.signalMu.Unlock()
	}
	s.ports[p.id] = p
	s.send(o.AppendTo(nil))
}

// unload ends the connection at the guest's wish, channels and GPADLs with it:
// a guest that crashed or starts another kernel closes nothing first. The answer
// exists from 1.1 on.
func (s *Server) unload() {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	s.disconnect()
	if conn.version >= wire.Version1_1 {
		s.post(conn.vp, SINT, wire.AppendHeader(nil, wire.MsgUnloadComplete))
	}
	s.log.Info("guest unloaded VMBus")
}

// modifyConnection takes the guest's monitor pages, which no channel of ours uses.
func (s *Server) modifyConnection(b []byte) {
	m, err := wire.DecodeModifyConnection(b)
	if err != nil {
		s.report(RuleMessageSize, "%v", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := wire.ModifyConnectionResponse{State: wire.ConnectionSuccessful}
	if (m.MonitorHostGPA == 0) != (m.MonitorGuestGPA == 0) {
		s.report(RuleContactFields, "one monitor page without the other")
		r.State = wire.ConnectionFailedUnknown
	}
	s.send(r.AppendTo(nil))
}

// pause holds messages back until the guest resumes.
func (s *Server) pause(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn.paused = on
	if on {
		s.send(wire.AppendHeader(nil, wire.MsgPauseResponse))
		return
	}
	held := s.conn.held
	s.conn.held = nil
	for _, b := range held {
		s.send(b)
	}
}

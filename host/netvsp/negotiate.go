// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
	"slices"

	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/wire/nvsp"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// versions are all that the card can speak.
var versions = []nvsp.Version{nvsp.Version1, nvsp.Version2, nvsp.Version4, nvsp.Version5, nvsp.Version6, nvsp.Version61}

const (
	maxMDLChain = 34 // ranges in a GPA-direct packet

	sectionSize = 6144 // bytes of a section of the send buffer

	// Room in a slot beside the frame, as on OpenVMM: for RNDIS headers, and bytes
	// at the end that some Windows drivers cannot use.
	slotHeader = 256
	slotFooter = 36

	maxBuffer       = 31 << 20 // bytes shared; guests since version 5 ask for up to this
	maxBufferLegacy = 16 << 20 // before
	maxSlots        = 1 << 15
	maxLate         = 1 << 10 // transfers that outlive their receive buffer: drivers wait for them
	minSlots        = 4
	maxSlotSize     = 64 << 10
)

// init proposes a version. It must be one that the card knows, exactly: a guest
// tries older ones until it is.
func (s *session) init(b []byte) ([]byte, error) {
	m, err := nvsp.DecodeInit(b)
	if err != nil {
		return nil, broken(RuleMessage, "%v", err)
	}
	if s.state != begin {
		return nil, broken(RuleOrder, "Init after version %v was agreed on", s.version)
	}
	if m.Version2 != m.Version {
		s.report(RuleMessage, "Init of versions %v and %v", m.Version, m.Version2)
	}
	refuse := s.nic.fault().Refuse
	if !slices.Contains(versions, m.Version) || m.Version > s.nic.opt.MaxVersion || (refuse != nil && refuse(m.Version)) {
		return nvsp.InitComplete{Status: nvsp.StatusNone}.AppendTo(nil), nil
	}
	s.state, s.version = versioned, m.Version
	negotiated := nvsp.Version(0xFFFFFFFF)
	if m.Version == nvsp.Version1 {
		negotiated = m.Version
	}
	return nvsp.InitComplete{Negotiated: negotiated, MaxMDLChain: maxMDLChain, Status: nvsp.StatusSuccess}.AppendTo(nil), nil
}

// ndisVersion says which NDIS version the guest's OIDs follow.
func (s *session) ndisVersion(b []byte) (err error) {
	if s.ndis, err = nvsp.DecodeSendNDISVersion(b); err != nil {
		return broken(RuleMessage, "%v", err)
	}
	if s.ndis.Major < 5 || s.ndis.Major > 6 {
		s.report(RuleMessage, "NDIS version %d.%d", s.ndis.Major, s.ndis.Minor)
	}
	return nil
}

// ndisConfig says how long frames may be. The slots of the receive buffer depend on
// it, so it cannot come later.
func (s *session) ndisConfig(b []byte) error {
	m, err := nvsp.DecodeSendNDISConfig(b)
	if err != nil {
		return broken(RuleMessage, "%v", err)
	}
	if s.state != versioned {
		return broken(RuleOrder, "NDIS config after the receive buffer")
	}
	if m.MTU < defaultMTU+ethernetHeader || m.MTU > maxMTU+ethernetHeader {
		m.MTU = defaultMTU + ethernetHeader
	}
	s.config, s.configured = m, true
	s.mu.Lock()
	s.mtu = min(int(m.MTU), s.nic.opt.MTU+ethernetHeader)
	s.mu.Unlock()
	return nil
}

// shareReceive takes the receive buffer and divides it into slots.
func (s *session) shareReceive(b []byte) ([]byte, error) {
	if s.state != versioned {
		return nil, broken(RuleOrder, "a second receive buffer")
	}
	if s.version >= nvsp.Version2 && !s.configured {
		return nil, broken(RuleOrder, "receive buffer before NDIS config in version %v", s.version)
	}
	failed := nvsp.SendReceiveBufferComplete{Status: nvsp.StatusFailure}.AppendTo(nil)
	m, g, err := s.shared(b, nvsp.TypeSendReceiveBuffer)
	if err != nil {
		return nil, err
	}
	if g == nil || s.nic.fault().RefuseReceiveBuffer {
		g.Release()
		return failed, nil
	}
	s.mu.Lock()
	mtu, late := s.mtu, len(s.receive.out)
	s.mu.Unlock()
	if late > maxLate {
		g.Release()
		return nil, broken(RuleBuffer, "another receive buffer, and %d transfers of earlier ones are not completed", late)
	}
	size := slotSize(s.nic.opt.SlotSize, mtu)
	slots := min(g.Ranges[0].Len()/size, maxSlots)
	if slots < minSlots {
		s.report(RuleBuffer, "receive buffer of %d bytes is %d slots of %d bytes", g.Ranges[0].Len(), slots, size)
		g.Release()
		return failed, nil
	}
	s.mu.Lock()
	s.receive.share(g, m.ID, size, slots)
	s.mu.Unlock()
	s.state = ready
	section := nvsp.Section{SlotSize: uint32(size), Slots: uint32(slots), End: uint32(size * slots)}
	return nvsp.SendReceiveBufferComplete{Status: nvsp.StatusSuccess, Sections: []nvsp.Section{section}}.AppendTo(nil), nil
}

// slotSize is the size of a slot for frames of mtu bytes.
func slotSize(wanted, mtu int) int {
	if wanted >= packetHeader+mtu {
		return wanted
	}
	return slotHeader + mtu + slotFooter
}

// shareSend takes the send buffer.
func (s *session) shareSend(b []byte) ([]byte, error) {
	if s.send != nil {
		return nil, broken(RuleOrder, "a second send buffer")
	}
	_, g, err := s.shared(b, nvsp.TypeSendSendBuffer)
	if err != nil {
		return nil, err
	}
	switch {
	case g == nil || s.nic.fault().RefuseSendBuffer:
	case g.Ranges[0].Len() < sectionSize:
		s.report(RuleBuffer, "send buffer of %d bytes", g.Ranges[0].Len())
	default:
		s.sendMu.Lock()
		s.send = g
		s.sendMu.Unlock()
		return nvsp.SendSendBufferComplete{Status: nvsp.StatusSuccess, SectionSize: sectionSize}.AppendTo(nil), nil
	}
	g.Release()
	return nvsp.SendSendBufferComplete{Status: nvsp.StatusFailure}.AppendTo(nil), nil
}

// shared finds the memory of a shared buffer; nil if it cannot be used.
func (s *session) shared(b []byte, t nvsp.Type) (nvsp.SharedBuffer, *vmbus.GPADL, error) {
	m, err := nvsp.DecodeSharedBuffer(b, t)
	if err != nil {
		return m, nil, broken(RuleMessage, "%v", err)
	}
	g, err := s.ch.GPADL(wire.GPADLID(m.GPADL))
	if err != nil {
		s.report(RuleBuffer, "%v", err)
		return m, nil, nil
	}
	limit := maxBuffer
	if s.version < nvsp.Version5 {
		limit = maxBufferLegacy
	}
	if len(g.Ranges) != 1 || g.Ranges[0].Len() > limit {
		s.report(RuleBuffer, "GPADL %#x has %d ranges, the first of %d bytes; allowed is one of %d bytes", m.GPADL, len(g.Ranges), g.Ranges[0].Len(), limit)
		g.Release()
		return m, nil, nil
	}
	return m, g, nil
}

// revoke gives a shared buffer back. There is no answer.
func (s *session) revoke(t nvsp.Type, b []byte) error {
	if _, err := nvsp.DecodeRevokeBuffer(b, t); err != nil {
		return broken(RuleMessage, "%v", err)
	}
	if t == nvsp.TypeRevokeSendBuffer {
		if s.send == nil {
			s.report(RuleOrder, "send buffer revoked, there is none")
		}
		s.revokeSend()
		return nil
	}
	if s.state != ready {
		s.report(RuleOrder, "receive buffer revoked, there is none")
		return nil
	}
	if s.initialized.Load() {
		s.report(RuleOrder, "receive buffer revoked before RNDIS halt")
		s.halt()
	}
	s.revokeReceive()
	s.state = versioned
	return nil
}

// revokeReceive forgets the receive buffer, with the transfers under way: the guest
// may still complete them.
func (s *session) revokeReceive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receive.revoke()
	s.controls = nil
}

// revokeSend forgets the send buffer.
func (s *session) revokeSend() {
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	s.send.Release()
	s.send = nil
}

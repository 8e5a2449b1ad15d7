// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
	"encoding/binary"

	"github.com/hvgo/hvgo/internal/wire/rndis"
)

var le = binary.LittleEndian

// resetSize and resetCompleteSize are those of REMOTE_NDIS_RESET_MSG and _CMPLT.
const (
	resetSize         = rndis.HeaderSize + 4
	resetCompleteSize = rndis.HeaderSize + 8
)

// control acts on one RNDIS control message, a private copy. An error ends the
// channel.
func (s *session) control(b []byte) error {
	h, msg, rest, err := rndis.Next(b)
	if err != nil {
		s.report(RuleRNDIS, "%v", err)
		return nil
	}
	if len(rest) >= 8 { // less is padding
		s.report(RuleRNDIS, "%d bytes behind a control message", len(rest))
	}
	switch h.Type {
	case rndis.TypeInitialize:
		return s.initialize(msg)
	case rndis.TypeHalt:
		if !s.initialized.Load() {
			s.report(RuleRNDISOrder, "Halt before Initialize")
		}
		s.halt()
		return nil
	case rndis.TypeQuery, rndis.TypeSet:
		return s.request(h.Type, msg)
	case rndis.TypeReset:
		return s.reset(msg)
	case rndis.TypeKeepalive:
		m, err := rndis.DecodeKeepalive(msg)
		if err != nil {
			s.report(RuleRNDIS, "%v", err)
			return nil
		}
		return s.answer(rndis.KeepaliveComplete{RequestID: m.RequestID, Status: rndis.StatusSuccess}.AppendTo(nil))
	case rndis.TypeKeepaliveComplete:
		return nil
	}
	s.report(RuleRNDIS, "control message of type %#x", uint32(h.Type))
	return nil
}

// answer queues a control message for the guest. One that asks without taking the
// answers must not fill our memory.
func (s *session) answer(b []byte) error {
	s.mu.Lock()
	full := len(s.controls) >= maxControls
	if !full {
		s.controls = append(s.controls, b)
	}
	s.mu.Unlock()
	if full {
		return broken(RuleControl, "%d control messages are not taken", maxControls)
	}
	s.queues[0].poke()
	return nil
}

// initialize opens the RNDIS conversation.
func (s *session) initialize(msg []byte) error {
	m, err := rndis.DecodeInitialize(msg)
	if err != nil {
		s.report(RuleRNDIS, "%v", err)
		return nil
	}
	c := rndis.InitializeComplete{
		RequestID: m.RequestID, Status: rndis.StatusSuccess, Major: rndis.MajorVersion, Minor: rndis.MinorVersion,
		DeviceFlags: rndis.DeviceConnectionless, Medium: rndis.Medium8023,
		MaxPacketsPerMessage: maxPackets, MaxTransferSize: maxTransfer, AlignmentFactor: alignmentFactor,
	}
	switch {
	case s.initialized.Load():
		s.report(RuleRNDISOrder, "a second Initialize")
		c.Status = rndis.StatusFailure
	case m.Major != rndis.MajorVersion:
		s.report(RuleRNDIS, "Initialize of RNDIS %d.%d", m.Major, m.Minor)
		c.Status = rndis.StatusNotSupported
	default:
		s.initialized.Store(true)
	}
	return s.answer(c.AppendTo(nil))
}

// halt ends the conversation: no frame goes to the guest any more.
func (s *session) halt() {
	s.initialized.Store(false)
	s.setFilter(rndis.FilterNone)
	s.mu.Lock()
	s.offload, s.rss = rndis.Offload{}, steering{}
	s.steer()
	s.mu.Unlock()
}

// setFilter says which frames the guest wants. Those that wait are dropped if none.
func (s *session) setFilter(f uint32) {
	s.filter.Store(f)
	s.listening.Store(f != rndis.FilterNone)
	if f == rndis.FilterNone {
		s.nic.flush(s)
	}
}

// reset forgets what was set by OIDs, the packet filter above all. The guest is told
// to set it anew.
func (s *session) reset(msg []byte) error {
	if len(msg) < resetSize {
		s.report(RuleRNDIS, "Reset of %d bytes", len(msg))
		return nil
	}
	status := rndis.StatusSuccess
	if s.initialized.Load() {
		s.halt()
		s.initialized.Store(true)
	} else {
		s.report(RuleRNDISOrder, "Reset before Initialize")
		status = rndis.StatusFailure
	}
	b := rndis.Header{Type: rndis.TypeResetComplete, Length: resetCompleteSize}.AppendTo(nil)
	b = le.AppendUint32(b, uint32(status))
	return s.answer(le.AppendUint32(b, 1)) // AddressingReset: filter and lists are gone
}

// request answers a Query or Set.
func (s *session) request(t rndis.Type, msg []byte) error {
	m, err := rndis.DecodeRequest(msg, t)
	if err != nil {
		s.report(RuleRNDIS, "%v", err)
		return nil
	}
	info, err := m.Info(msg)
	status := rndis.StatusSuccess
	var result []byte
	switch {
	case err != nil:
		s.report(RuleRNDIS, "%v: %v", m.OID, err)
		status = rndis.StatusInvalidData
	case !s.initialized.Load():
		s.report(RuleRNDISOrder, "%v before Initialize", m.OID)
		status = rndis.StatusFailure
	case t == rndis.TypeQuery:
		result, status = s.query(m.OID)
	default:
		status = s.set(m.OID, info)
	}
	if t == rndis.TypeQuery {
		return s.answer(rndis.AppendQueryComplete(nil, m.RequestID, status, result))
	}
	return s.answer(rndis.SetComplete{RequestID: m.RequestID, Status: status}.AppendTo(nil))
}

// indicateLink tells the guest about the cable. Any goroutine may call it.
func (s *session) indicateLink(up bool) {
	status := rndis.StatusMediaDisconnect
	if up {
		status = rndis.StatusMediaConnect
	}
	if !s.initialized.Load() { // it will ask
		return
	}
	if err := s.answer(rndis.AppendIndicateStatus(nil, status, nil)); err != nil {
		s.ch.Log().Warn("guest not told about the network cable", "err", err)
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsp

import (
	"slices"

	"github.com/hvgo/hvgo/internal/wire/vstor"
)

// state is how far a channel's negotiation has come.
//
//	begin --BEGIN--> query version --VERSION, accepted--> query properties
//	      --PROPERTIES--> end --END--> ready
//
// CREATE_SUB_CHANNELS may come in end and in ready. Anything else out of this order is
// answered INVALID_DEVICE_STATE and changes nothing.
type state int

const (
	begin state = iota
	queryVersion
	queryProperties
	end
	ready
)

// step is the packet that each state waits for.
var step = [...]vstor.Operation{
	begin: vstor.OpBeginInit, queryVersion: vstor.OpQueryVersion,
	queryProperties: vstor.OpQueryProperties, end: vstor.OpEndInit,
}

// negotiate handles a packet other than EXECUTE_SRB and resets, and returns the answer.
func (s *session) negotiate(p vstor.Packet) (answer vstor.Packet) {
	answer.Operation = vstor.OpCompleteIO
	switch {
	case p.Operation == vstor.OpCreateSubChannels && s.state >= end && s.ch.SubIndex == 0:
		answer.Status = s.createSubChannels(p)
	case s.state >= ready || p.Operation != step[s.state]:
		s.ch.Report("storvsp: %v in state %d", p.Operation, s.state)
		answer.Status = vstor.StatusInvalidDeviceState
	case s.state == queryVersion:
		answer.Status = s.queryVersion(p)
	case s.state == queryProperties:
		answer.SetPayload(s.properties().AppendTo(nil))
		s.state = end
	case s.state == end:
		s.state = ready
		s.c.ready(s)
	default:
		s.state++
	}
	return answer
}

// queryVersion accepts the guest's version or lets it try another.
func (s *session) queryVersion(p vstor.Packet) vstor.Status {
	v, err := vstor.DecodeProtocolVersion(p.Payload[:])
	if err != nil {
		return vstor.StatusInvalidParameter
	}
	if v.Version > s.c.opt.MaxVersion || !slices.Contains(vstor.Versions[:], v.Version) {
		return vstor.StatusRevisionMismatch
	}
	s.version = v.Version
	s.state = queryProperties
	return vstor.StatusSuccess
}

func (s *session) properties() vstor.Properties {
	p := vstor.Properties{MaxTransferBytes: s.c.opt.MaxTransfer}
	if s.version >= vstor.Version5_1 {
		p.MaxSubChannels = s.c.opt.SubChannels
		p.Flags = vstor.PropertyMultiChannel
	}
	return p
}

func (s *session) createSubChannels(p vstor.Packet) vstor.Status {
	n, err := vstor.DecodeSubChannels(p.Payload[:])
	if err != nil || n.Count > s.c.opt.SubChannels || s.version < vstor.Version5_1 {
		s.ch.Report("storvsp: %d sub-channels asked for, %d are allowed", n.Count, s.c.opt.SubChannels)
		return vstor.StatusInvalidParameter
	}
	if err := s.ch.OfferSubChannels(int(n.Count)); err != nil {
		s.ch.Report("storvsp: %v", err)
		return vstor.StatusInvalidParameter
	}
	return vstor.StatusSuccess
}

// ready makes a primary channel known once it is negotiated.
func (c *Controller) ready(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version = s.version
	c.open[s.ch] = struct{}{}
}

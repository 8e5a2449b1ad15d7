// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
	"fmt"

	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/wire/nvsp"
	"github.com/hvgo/hvgo/internal/wire/rndis"
)

// What the guest may put into one transfer, as InitializeComplete tells it.
const (
	maxPackets      = 8
	maxTransfer     = 128 << 10 // bytes
	alignmentFactor = 3         // multiples of 8 bytes
)

// transfer takes RNDIS messages of the guest's: a section of the send buffer, the
// pages of a GPA-direct packet, or the one before the other.
func (q *queue) transfer(p vmbus.Packet) ([]byte, error) {
	m, err := nvsp.DecodeSendRNDISPacket(p.Payload)
	if err != nil {
		return nil, broken(RuleMessage, "%v", err)
	}
	s := q.s
	if q.index == 0 && s.state != ready {
		return nil, broken(RuleOrder, "RNDIS message before the receive buffer")
	}
	status := nvsp.StatusSuccess
	if b, rule, err := q.collect(m, p.Buffers); err != nil {
		s.report(rule, "%v", err)
		status = nvsp.StatusInvalidRNDISPacket
	} else {
		switch m.ChannelType {
		case nvsp.ChannelData:
			s.nic.stats.fromGuestTransfers.Add(1)
			if !q.packets(b) {
				status = nvsp.StatusInvalidRNDISPacket
			}
		case nvsp.ChannelControl:
			if q.index != 0 {
				return nil, broken(RuleOrder, "RNDIS control message on a sub-channel")
			}
			if err := s.control(b); err != nil {
				return nil, err
			}
		default:
			s.report(RuleMessage, "channel type %d", m.ChannelType)
			status = nvsp.StatusFailure
		}
	}
	return nvsp.SendRNDISPacketComplete{Status: status}.AppendTo(nil), nil
}

// collect copies what a transfer names; the copy is valid until the next one. With
// the error comes the rule that it breaks.
func (q *queue) collect(m nvsp.SendRNDISPacket, buffers []vmbus.Buffer) (b []byte, rule string, err error) {
	s := q.s
	s.sendMu.RLock() // the send buffer stays ours
	defer s.sendMu.RUnlock()
	size := 0
	section := m.SectionIndex != nvsp.NoSection
	if section {
		end := uint64(m.SectionIndex)*sectionSize + uint64(m.SectionSize)
		if s.send == nil || m.SectionSize > sectionSize || end > uint64(s.send.Ranges[0].Len()) {
			return nil, RuleSection, fmt.Errorf("%d bytes in section %d", m.SectionSize, m.SectionIndex)
		}
		size = int(m.SectionSize)
	}
	for _, b := range buffers {
		if size += b.Len(); size > maxTransfer {
			return nil, RuleTransfer, fmt.Errorf("transfer of more than %d bytes", maxTransfer)
		}
	}
	if cap(q.scratch) < size {
		q.scratch = make([]byte, size)
	}
	out := q.scratch[:size]
	at := 0
	if section {
		q.ch.RecordMemory(false, s.send, int(m.SectionIndex)*sectionSize, int(m.SectionSize))
		at, _ = s.send.Ranges[0].ReadAt(out[:m.SectionSize], int(m.SectionIndex)*sectionSize)
	}
	for _, b := range buffers {
		n, _ := b.ReadAt(out[at:at+b.Len()], 0)
		at += n
	}
	return out, "", nil
}

// packets takes RNDIS packet messages, one after another. After a malformed one the
// place of the next is not known: the rest is dropped.
func (q *queue) packets(b []byte) (ok bool) {
	s := q.s
	if !s.initialized.Load() {
		s.report(RuleRNDISOrder, "frames before Initialize")
		s.nic.stats.fromGuestBad.Add(1)
		return false
	}
	ok = true
	for count, at := 0, 0; at < len(b); count++ {
		if count >= maxPackets || at%(1<<alignmentFactor) != 0 {
			s.report(RuleBatch, "packet %d of a transfer, at byte %d", count, at)
		}
		h, msg, _, err := rndis.Next(b[at:])
		if err != nil {
			s.badFrame(RuleRNDIS, err)
			return false
		}
		if err := q.packet(h.Type, msg); err != nil {
			s.badFrame(RuleRNDIS, err)
			ok = false
		}
		at += len(msg)
	}
	return ok
}

func (s *session) badFrame(rule string, err error) {
	s.nic.stats.fromGuestBad.Add(1)
	s.report(rule, "%v", err)
}

// packet takes one RNDIS packet message, a private copy.
func (q *queue) packet(t rndis.Type, msg []byte) error {
	if t != rndis.TypePacket {
		return fmt.Errorf("RNDIS message %d among packets", t)
	}
	m, err := rndis.DecodePacket(msg)
	if err != nil {
		return err
	}
	frame, err := m.Data(msg)
	if err != nil {
		return err
	}
	area, err := m.PPIs(msg)
	if err != nil {
		return err
	}
	info, err := readPPIs(area)
	if err != nil {
		return err
	}
	q.s.nic.channels[q.index].fromGuest.Add(1)
	if rule, err := q.s.sendFrame(frame, info); err != nil {
		q.s.badFrame(rule, err)
	}
	return nil // well-formed, as RNDIS goes
}

// ppis is what a packet message says beside the frame.
type ppis struct {
	checksum rndis.ChecksumTx
	lso      rndis.LSO
	vlan     rndis.VLAN
}

func readPPIs(area []byte) (p ppis, err error) {
	for len(area) > 0 {
		var t rndis.PPIType
		var data []byte
		if t, data, area, err = rndis.NextPPI(area); err != nil {
			return p, err
		}
		if t != rndis.PPIChecksum && t != rndis.PPILSO && t != rndis.PPIVLAN {
			continue // hash values and the like
		}
		v, err := rndis.PPI32(data)
		if err != nil {
			return p, err
		}
		switch t {
		case rndis.PPIChecksum:
			p.checksum = rndis.ChecksumTx(v)
		case rndis.PPILSO:
			p.lso = rndis.LSO(v)
		case rndis.PPIVLAN:
			p.vlan = rndis.VLAN(v)
		}
	}
	return p, nil
}

// sendFrame checks a frame against what the card agreed to, does what the guest left to
// the card, and hands it to the network.
func (s *session) sendFrame(frame []byte, info ppis) (rule string, err error) {
	s.mu.Lock()
	mtu, offload := s.mtu, s.offload
	s.mu.Unlock()
	longest := mtu
	if info.lso != 0 {
		longest = ethernetHeader + maxLSO
	}
	switch {
	case len(frame) < ethernetHeader || len(frame) > longest:
		return RuleFrame, fmt.Errorf("frame of %d bytes, allowed are %d to %d", len(frame), ethernetHeader, longest)
	case [6]byte(frame[6:]) != s.nic.opt.MAC:
		return RuleFrame, fmt.Errorf("frame from %x, the card is %x", frame[6:12], s.nic.opt.MAC)
	case info.lso != 0:
		return RuleOffload, s.sendLarge(frame, info, offload, mtu)
	case info.checksum != 0:
		if err := finishChecksums(frame, info.checksum, offload); err != nil {
			return RuleOffload, err
		}
		s.nic.stats.finishedFromGuest.Add(1)
	}
	s.forward(frame, info)
	return "", nil
}

// sendLarge hands a large TCP frame to the network, in segments unless it takes it
// as it is.
func (s *session) sendLarge(frame []byte, info ppis, on rndis.Offload, mtu int) error {
	l, err := parseLarge(frame, info.lso, on, mtu)
	if err != nil {
		return err
	}
	s.nic.stats.largeFromGuest.Add(1)
	if s.nic.opt.Uncut {
		l.finish(frame)
		s.forward(frame, info)
		return nil
	}
	l.cut(frame, func(segment []byte) { s.forward(segment, info) })
	return nil
}

// forward hands a frame to the network.
func (s *session) forward(frame []byte, info ppis) {
	n := s.nic
	if n.opt.Network == nil || !n.linkUp() || info.vlan.ID() != 0 { // no VLAN leads anywhere
		n.stats.fromGuestDown.Add(1)
		return
	}
	if n.lose(false, frame) {
		return
	}
	n.stats.fromGuest.Add(1)
	n.stats.fromGuestBytes.Add(uint64(len(frame)))
	n.transmitMu.Lock()
	defer n.transmitMu.Unlock()
	n.opt.Network.Transmit(frame)
}

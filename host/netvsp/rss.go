// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
	"bytes"
	"encoding/binary"

	"github.com/hvgo/hvgo/internal/wire/nvsp"
	"github.com/hvgo/hvgo/internal/wire/rndis"
)

const (
	maxQueues  = 64  // channels of a card, as on OpenVMM
	tableLimit = 128 // entries of the indirection table

	// Every 16 entries of the receive buffer can serve one more channel.
	slotsPerQueue = 16
)

// steering tells by which channel a frame goes to the guest. It is not changed once
// it is in use.
type steering struct {
	hash   rndis.RSSHash // 0: all frames by the primary channel
	key    []byte
	table  []uint32
	queues []*queue // by number; nil is not open
}

// rssCapabilities is OID_GEN_RECEIVE_SCALE_CAPABILITIES.
func (s *session) rssCapabilities() []byte {
	return rndis.RSSCapabilities{
		Flags:             rndis.RSSCapTCPv4 | rndis.RSSCapTCPv6 | uint32(rndis.HashToeplitz),
		InterruptMessages: 1, Queues: uint32(s.nic.opt.Queues), TableEntries: tableLimit,
	}.AppendTo(nil)
}

// setRSS is OID_GEN_RECEIVE_SCALE_PARAMETERS. The table may name channels that are
// not open yet.
func (s *session) setRSS(info []byte) rndis.Status {
	p, err := rndis.DecodeRSSParameters(info)
	if err != nil {
		s.report(RuleRNDIS, "%v", err)
		return rndis.StatusInvalidData
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.rss
	if p.Flags&rndis.RSSHashUnchanged == 0 {
		next.hash = p.Hash
	}
	if p.Flags&rndis.RSSTableUnchanged == 0 {
		next.table = p.Table
	}
	if p.Flags&rndis.RSSKeyUnchanged == 0 {
		next.key = bytes.Clone(p.Key) // info is used again
	}
	if p.Flags&rndis.RSSDisable != 0 || next.hash&rndis.HashFunctionMask == 0 {
		s.rss = steering{}
		s.steer()
		return rndis.StatusSuccess
	}
	if rule := checkRSS(next, s.nic.opt.Queues); rule != "" {
		s.report(RuleRNDIS, "receive scaling: %s", rule)
		return rndis.StatusInvalidData
	}
	s.rss = next
	s.steer()
	return rndis.StatusSuccess
}

// checkRSS says what is wrong with parameters for a card of n channels, or nothing.
func checkRSS(r steering, n int) string {
	if r.hash&rndis.HashFunctionMask != rndis.HashToeplitz {
		return "another hash function than Toeplitz"
	}
	if len(r.key) != rndis.RSSKeySize {
		return "the key has not 40 bytes"
	}
	if size := len(r.table); size == 0 || size > tableLimit || size&(size-1) != 0 {
		return "the size of the indirection table is not a power of two up to 128"
	}
	for _, q := range r.table {
		if q >= uint32(n) {
			return "the indirection table names a channel that does not exist"
		}
	}
	return ""
}

// steer puts the present channels and parameters to use. mu is held.
func (s *session) steer() {
	next := s.rss
	next.queues = append([]*queue(nil), s.queues...)
	s.steering.Store(&next)
}

// queueOf returns the channel for a frame.
func (t *steering) queueOf(frame []byte) *queue {
	primary := t.queues[0]
	if t.hash == 0 {
		return primary
	}
	input, ok := hashInput(frame, t.hash)
	if !ok {
		return primary
	}
	i := t.table[toeplitz(t.key, input)&uint32(len(t.table)-1)]
	if q := t.queues[i]; q != nil {
		return q
	}
	return primary
}

// hashInput returns the bytes of a frame that are hashed: addresses, and ports if the
// guest wants them and the packet is whole.
func hashInput(frame []byte, want rndis.RSSHash) (input []byte, ok bool) {
	ip, err := parseIP(frame)
	if err != nil {
		return nil, false
	}
	addresses, plain, tcp, udp := frame[ip.start+12:ip.start+20], rndis.HashIPv4, rndis.HashTCPv4, rndis.HashUDPv4
	if ip.v6 {
		addresses, plain, tcp, udp = frame[ip.start+8:ip.start+40], rndis.HashIPv6, rndis.HashTCPv6, rndis.HashUDPv6
	}
	ports := ip.protocol == protoTCP && want&tcp != 0 || ip.protocol == protoUDP && want&udp != 0
	if ports && !ip.fragment && ip.payload+4 <= ip.end {
		input = append(input, addresses...)
		return append(input, frame[ip.payload:ip.payload+4]...), true
	}
	return addresses, want&plain != 0
}

// toeplitz is the hash of RSS: for each bit of input that is set, the 32 bits of the
// key from there on. The key is at least 4 bytes longer than the input.
func toeplitz(key, input []byte) (h uint32) {
	window := binary.BigEndian.Uint64(key)
	for i, b := range input {
		for bit := range 8 {
			if b&(0x80>>bit) != 0 {
				h ^= uint32(window >> 32)
			}
			window <<= 1
		}
		if next := i + 8; next < len(key) {
			window |= uint64(key[next])
		}
	}
	return h
}

// subChannels answers a request for more channels. They are offered once the guest
// has seen the answer.
func (s *session) subChannels(b []byte) (completion, error) {
	m, err := nvsp.DecodeSubChannel(b)
	if err != nil {
		return completion{}, broken(RuleMessage, "%v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	refused := completion{payload: nvsp.SubChannel{First: uint32(nvsp.StatusFailure)}.AppendTo(nil)}
	switch slots := len(s.receive.free); {
	case m.First != nvsp.SubChannelAllocate:
		s.report(RuleMessage, "sub-channel operation %d", m.First)
		return refused, nil
	case s.receive.gpadl == nil || s.wanted > 0:
		s.report(RuleOrder, "sub-channels without a receive buffer, or a second time")
		return refused, nil
	case m.Count == 0 || m.Count >= uint32(s.nic.opt.Queues) || int(m.Count)*slotsPerQueue > slots:
		s.ch.Log().Debug("sub-channels refused", "wanted", m.Count, "channels", s.nic.opt.Queues, "slots", slots)
		return refused, nil
	}
	s.wanted = int(m.Count) + 1
	return completion{
		payload: nvsp.SubChannel{First: uint32(nvsp.StatusSuccess), Count: m.Count}.AppendTo(nil),
		then: func() {
			if err := s.ch.OfferSubChannels(int(m.Count)); err != nil {
				s.ch.Log().Error("netvsp: sub-channels are not offered", "err", err)
			}
		},
	}, nil
}

// spread tells the guest to use its n channels in turn. A guest that has not taken
// the last such notice gets no other: it would be the same. mu is held.
func (s *session) spread(n int) {
	if len(s.notices) > 0 {
		return
	}
	var table [nvsp.IndirectionEntries]uint32
	for i := range table {
		table[i] = uint32(i % n)
	}
	s.notices = append(s.notices, s.pad(nvsp.AppendSendIndirectionTable(nil, table[:])))
	s.queues[0].poke()
}

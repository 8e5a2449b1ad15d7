// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/wire/nvsp"
	"github.com/hvgo/hvgo/internal/wire/rndis"
)

// Names of the rules of NVSP and RNDIS, as the server's Options.Strict hears them
// in front of the detail when a guest breaks one.
const (
	RuleMessage    = "netvsp-message"    // an NVSP message that is too short, or of an unknown type
	RuleOrder      = "netvsp-order"      // a message that the negotiation does not have at this point
	RuleVersion    = "netvsp-version"    // a message that the agreed version does not have
	RuleBuffer     = "netvsp-buffer"     // a shared buffer that cannot be used
	RuleSection    = "netvsp-section"    // a section outside the send buffer
	RuleCompletion = "netvsp-completion" // a completion of a transfer that is not under way
	RuleRNDIS      = "netvsp-rndis"      // a malformed RNDIS message
	RuleRNDISOrder = "netvsp-rndis-order"
	RuleFrame      = "netvsp-frame"    // a frame that the card cannot have sent
	RuleOffload    = "netvsp-offload"  // an offload that was not agreed on
	RuleBatch      = "netvsp-batch"    // more packets in a transfer, or less aligned, than agreed
	RuleTransfer   = "netvsp-transfer" // a transfer larger than agreed
	RuleControl    = "netvsp-control"  // more requests than the guest takes answers for
)

const (
	maxCompletions = 4096 // that wait for room in the ring; then the guest is not read
	maxControls    = 64   // answers that wait for a slot
)

// state is how far a channel's negotiation has come.
//
//	begin --Init, accepted--> versioned --receive buffer--> ready
//	ready --revoke receive buffer--> versioned
//
// NDIS config and version come in versioned, and so may the send buffer. RNDIS
// needs ready.
type state int

const (
	begin state = iota
	versioned
	ready
)

// session is a card while the guest has its primary channel open.
//
//	queue 0:        negotiation, control messages, frames
//	queues 1 to n:  frames, once the guest has opened sub-channels
//
// They share the receive and the send buffer.
type session struct {
	nic *NIC
	ch  *vmbus.Channel // the primary one

	// Of the reader of the primary channel.
	state      state
	version    nvsp.Version // does not change any more when there are sub-channels
	ndis       nvsp.SendNDISVersion
	config     nvsp.SendNDISConfig
	configured bool

	ctx     context.Context // of the sub-channels; ends with the primary channel
	end     context.CancelFunc
	running sync.WaitGroup // sub-channels

	initialized atomic.Bool   // RNDIS is up
	listening   atomic.Bool   // and the packet filter lets frames in
	filter      atomic.Uint32 // rndis.Filter bits
	steering    atomic.Pointer[steering]

	sendMu sync.RWMutex // guards send: held for reading while it is read from
	send   *vmbus.GPADL

	mu       sync.Mutex // guards all below; taken before the NIC's
	queues   []*queue   // by number; nil is not open
	wanted   int        // channels that the guest asked for, the primary included; 0: none
	ended    bool       // no sub-channel may join
	rss      steering   // without queues
	receive  receiveBuffer
	controls [][]byte // RNDIS messages for the guest
	notices  [][]byte // NVSP messages for the guest
	mtu      int      // frame bytes, Ethernet header included
	offload  rndis.Offload
}

func newSession(n *NIC, ch *vmbus.Channel) *session {
	s := &session{nic: n, ch: ch, mtu: defaultMTU + ethernetHeader, queues: make([]*queue, n.opt.Queues)}
	s.queues[0] = newQueue(s, ch, 0)
	s.steer()
	return s
}

// broken is the end of a channel whose guest broke a rule beyond repair.
func broken(rule, format string, args ...any) error {
	return vmbus.Broken("%s: %s", rule, fmt.Sprintf(format, args...))
}

// report tells a broken rule that the channel survives.
func (s *session) report(rule, format string, args ...any) {
	s.ch.Report("%s: %s", rule, fmt.Sprintf(format, args...))
}

// run serves the primary channel until ctx ends. It returns when the sub-channels do
// not touch the shared buffers any more.
func (s *session) run(ctx context.Context) error {
	err := s.queues[0].run(ctx)
	s.listening.Store(false)
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.nic.close(s)
	s.running.Wait()
	s.revokeReceive()
	s.revokeSend()
	return err
}

// pad makes an NVSP message as long as the version has them.
func (s *session) pad(b []byte) []byte {
	if b == nil {
		return nil
	}
	for len(b) < s.version.MessageSize() {
		b = append(b, 0)
	}
	return b
}

// handle acts on an NVSP message on the primary channel and returns its completion.
func (s *session) handle(t nvsp.Type, p vmbus.Packet) (c completion, err error) {
	if t == nvsp.TypeInit {
		c.payload, err = s.init(p.Payload)
		return c, err
	}
	if s.state == begin {
		return c, broken(RuleOrder, "NVSP message %d before Init", t)
	}
	if len(p.Payload) < s.version.MessageSize() {
		s.report(RuleMessage, "NVSP message %d of %d bytes, version %v has %d", t, len(p.Payload), s.version, s.version.MessageSize())
	}
	if since := introduced(t); s.version < since {
		s.report(RuleVersion, "NVSP message %d needs version %v, agreed is %v", t, since, s.version)
		return completion{payload: nvsp.SendRNDISPacketComplete{Status: nvsp.StatusFailure}.AppendTo(nil)}, nil
	}
	if t == nvsp.TypeSubChannel {
		return s.subChannels(p.Payload)
	}
	c.payload, err = s.message(t, p.Payload)
	return c, err
}

// introduced is the version that brought a message type.
func introduced(t nvsp.Type) nvsp.Version {
	switch t {
	case nvsp.TypeSendNDISConfig:
		return nvsp.Version2
	case nvsp.TypeSwitchDataPath:
		return nvsp.Version4
	case nvsp.TypeSubChannel, nvsp.TypeOIDQueryEx:
		return nvsp.Version5
	}
	return nvsp.Version1
}

// message acts on a message after Init.
func (s *session) message(t nvsp.Type, b []byte) ([]byte, error) {
	switch t {
	case nvsp.TypeSendNDISVersion:
		return nil, s.ndisVersion(b)
	case nvsp.TypeSendNDISConfig:
		return nil, s.ndisConfig(b)
	case nvsp.TypeSendReceiveBuffer:
		return s.shareReceive(b)
	case nvsp.TypeSendSendBuffer:
		return s.shareSend(b)
	case nvsp.TypeRevokeReceiveBuffer, nvsp.TypeRevokeSendBuffer:
		return nil, s.revoke(t, b)
	case nvsp.TypeSwitchDataPath:
		s.report(RuleOrder, "data path switched, there is no virtual function")
		return nvsp.SwitchDataPath{}.AppendTo(nil), nil
	case nvsp.TypeOIDQueryEx:
		return nvsp.OIDQueryExComplete{Status: uint32(rndis.StatusNotSupported)}.AppendTo(nil), nil
	}
	s.report(RuleMessage, "NVSP message of type %d", t)
	return nvsp.SendRNDISPacketComplete{Status: nvsp.StatusFailure}.AppendTo(nil), nil
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/wire/nvsp"
	"github.com/hvgo/hvgo/internal/wire/rndis"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
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

// session is one opened channel.
//
//	run:  reads packets, acts on them, queues completions and answers
//	pump: writes completions, answers and frames to the ring, alone: the reader
//	      must not wait for a guest that waits for the reader
type session struct {
	nic *NIC
	ch  *vmbus.Channel

	// Of run's goroutine.
	state      state
	version    nvsp.Version
	ndis       nvsp.SendNDISVersion
	config     nvsp.SendNDISConfig
	configured bool
	send       *vmbus.GPADL
	taken      int    // packets of the guest's
	scratch    []byte // private copy of a transfer

	done chan completion
	wake chan struct{} // capacity 1: something for pump

	initialized atomic.Bool   // RNDIS is up
	listening   atomic.Bool   // and the packet filter lets frames in
	filter      atomic.Uint32 // rndis.Filter bits

	mu       sync.Mutex // guards all below
	receive  receiveBuffer
	controls [][]byte // RNDIS messages for the guest
	mtu      int      // frame bytes, Ethernet header included
	offload  rndis.Offload
}

// completion answers a packet of the guest's.
type completion struct {
	transaction uint64
	payload     []byte
}

func newSession(n *NIC, ch *vmbus.Channel) *session {
	return &session{
		nic: n, ch: ch, mtu: defaultMTU + ethernetHeader,
		done: make(chan completion, maxCompletions), wake: make(chan struct{}, 1),
	}
}

// broken is the end of a channel whose guest broke a rule beyond repair.
func broken(rule, format string, args ...any) error {
	return vmbus.Broken("%s: %s", rule, fmt.Sprintf(format, args...))
}

// report tells a broken rule that the channel survives.
func (s *session) report(rule, format string, args ...any) {
	s.ch.Report("%s: %s", rule, fmt.Sprintf(format, args...))
}

// run serves the channel until ctx ends.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	pumped := make(chan struct{})
	go func() {
		defer close(pumped)
		if err := s.pump(ctx); err != nil {
			cancel(err)
		}
	}()
	err := s.read(ctx)
	cancel(err)
	<-pumped
	s.listening.Store(false)
	s.revokeReceive()
	s.send.Release()
	return err
}

var errFault = errors.New("netvsp: the card failed, as the test asked")

func (s *session) read(ctx context.Context) error {
	for {
		p, err := s.ch.ReadPacket(ctx)
		if err != nil {
			return err
		}
		if s.taken++; s.taken == s.nic.fault().FailAfter {
			return errFault
		}
		answer, err := s.handle(p)
		if err != nil {
			return err
		}
		if !p.WantsCompletion || p.Type == wire.PacketCompletion {
			continue
		}
		select {
		case s.done <- completion{p.Transaction, s.pad(answer)}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
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

// handle acts on one packet and returns the payload of its completion.
func (s *session) handle(p vmbus.Packet) ([]byte, error) {
	switch p.Type {
	case wire.PacketCompletion:
		return nil, s.completed(p)
	case wire.PacketTransferPage:
		return nil, broken(RuleMessage, "transfer-page packet from the guest")
	}
	t, err := nvsp.DecodeType(p.Payload)
	if err != nil {
		return nil, broken(RuleMessage, "%v", err)
	}
	if t != nvsp.TypeSendRNDISPacket && p.Type == wire.PacketGPADirect {
		return nil, broken(RuleMessage, "NVSP message %d in a GPA-direct packet", t)
	}
	if t == nvsp.TypeInit {
		return s.init(p.Payload)
	}
	if s.state == begin {
		return nil, broken(RuleOrder, "NVSP message %d before Init", t)
	}
	if len(p.Payload) < s.version.MessageSize() && t != nvsp.TypeSendRNDISPacket {
		s.report(RuleMessage, "NVSP message %d of %d bytes, version %v has %d", t, len(p.Payload), s.version, s.version.MessageSize())
	}
	if since := introduced(t); s.version < since {
		s.report(RuleVersion, "NVSP message %d needs version %v, agreed is %v", t, since, s.version)
		return nvsp.SendRNDISPacketComplete{Status: nvsp.StatusFailure}.AppendTo(nil), nil
	}
	return s.message(t, p)
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
func (s *session) message(t nvsp.Type, p vmbus.Packet) ([]byte, error) {
	switch t {
	case nvsp.TypeSendNDISVersion:
		return nil, s.ndisVersion(p.Payload)
	case nvsp.TypeSendNDISConfig:
		return nil, s.ndisConfig(p.Payload)
	case nvsp.TypeSendReceiveBuffer:
		return s.shareReceive(p.Payload)
	case nvsp.TypeSendSendBuffer:
		return s.shareSend(p.Payload)
	case nvsp.TypeRevokeReceiveBuffer, nvsp.TypeRevokeSendBuffer:
		return nil, s.revoke(t, p.Payload)
	case nvsp.TypeSendRNDISPacket:
		return s.transfer(p)
	case nvsp.TypeSwitchDataPath:
		s.report(RuleOrder, "data path switched, there is no virtual function")
		return nvsp.SwitchDataPath{}.AppendTo(nil), nil
	case nvsp.TypeSubChannel: // one queue is all there is
		return nvsp.SubChannel{First: uint32(nvsp.StatusFailure)}.AppendTo(nil), nil
	case nvsp.TypeOIDQueryEx:
		return nvsp.OIDQueryExComplete{Status: uint32(rndis.StatusNotSupported)}.AppendTo(nil), nil
	}
	s.report(RuleMessage, "NVSP message of type %d", t)
	return nvsp.SendRNDISPacketComplete{Status: nvsp.StatusFailure}.AppendTo(nil), nil
}

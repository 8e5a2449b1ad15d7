// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ic

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/hvgo/hvgo/drivers/vmbus"
	wireic "github.com/hvgo/hvgo/internal/wire/ic"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Service is an open integration service.
type Service struct {
	name     string
	kind     wireic.MessageType
	versions []wireic.Version // of its messages
	request  request

	ch        *vmbus.Channel
	log       *slog.Logger
	framework wireic.Version // zero until negotiated
	message   wireic.Version
	out       []byte
	skipped   int
	done      chan struct{}
}

// request acts on a request of the host's, at a negotiated version. It may change
// body, which goes back with the status. after, if not nil, is called once the answer
// is sent.
type request func(version wireic.Version, body []byte) (status wireic.Status, after func())

// ringPages is enough for several messages; the largest that is used, a
// shutdown request, has 2088 bytes.
const ringPages = 5

// open opens the service behind an offer.
func (s *Service) open(bus *vmbus.Bus, offer vmbus.Offer) (*Service, error) {
	var err error
	if s.ch, err = bus.Open(offer.ChannelID, vmbus.OpenOptions{SendPages: ringPages, ReceivePages: ringPages}); err != nil {
		return nil, fmt.Errorf("ic: %s service: %w", s.name, err)
	}
	s.done = make(chan struct{})
	go s.run()
	return s, nil
}

func (s *Service) run() {
	defer close(s.done)
	err := s.ch.Serve(s.packets)
	if cerr := s.ch.Close(); cerr != nil {
		s.log.Warn("ic: closing a service", "service", s.name, "err", cerr)
	}
	if !errors.Is(err, vmbus.ErrClosed) {
		s.log.Warn("ic: service ended", "service", s.name, "err", err)
	}
}

// Done is closed when the service has ended.
func (s *Service) Done() <-chan struct{} { return s.done }

// Close ends the service.
func (s *Service) Close() {
	s.ch.Stop(vmbus.ErrClosed)
	<-s.done
}

func (s *Service) packets(batch []vmbus.Packet) error {
	for i := range batch {
		p := &batch[i]
		if p.Type != wire.PacketInBand {
			s.skip(fmt.Errorf("packet of type %d", p.Type))
			continue
		}
		answer, after, err := s.answer(p.Payload)
		if err != nil {
			s.skip(err)
			continue
		}
		if err := s.ch.SendInBand(answer, p.Transaction, false); err != nil {
			return err
		}
		if after != nil {
			after()
		}
	}
	return nil
}

// skip logs the first messages that are of no use.
func (s *Service) skip(err error) {
	if s.skipped++; s.skipped <= 8 {
		s.log.Warn("ic: message skipped", "service", s.name, "err", err)
	}
}

// answer makes the answer to one pipe packet. after is what to do once it is sent, if
// anything.
func (s *Service) answer(payload []byte) (answer []byte, after func(), err error) {
	pipe, err := wire.DecodePipeHeader(payload)
	if err != nil {
		return nil, nil, err
	}
	if pipe.Type != wire.PipeData {
		return nil, nil, fmt.Errorf("pipe packet of type %d", pipe.Type)
	}
	h, body, err := wireic.DecodeHeader(payload[wire.PipeHeaderSize:][:pipe.Length])
	if err != nil {
		return nil, nil, err
	}
	if h.Flags&wireic.FlagResponse != 0 {
		return nil, nil, fmt.Errorf("answer to nothing, type %d", h.Type)
	}
	// As long as the question, as Linux answers: a shorter answer was never seen on
	// Hyper-V. So what the service puts into body fits.
	body = append([]byte(nil), body...)
	h.Flags = wireic.FlagTransaction | wireic.FlagResponse
	switch {
	case h.Type == wireic.MsgNegotiate:
		n, err := wireic.DecodeNegotiate(body)
		if err != nil {
			return nil, nil, err
		}
		h.Status = wireic.StatusSuccess
		body = s.negotiate(n).AppendTo(nil)
	case h.Type != s.kind:
		h.Status = wireic.StatusNotSupported
	case s.message == wireic.Version{}:
		h.Status = wireic.StatusFail
	default:
		h.Status, after = s.request(s.message, body)
	}
	h.Size = uint16(len(body)) // at most what came
	s.out = wire.PipeHeader{Type: wire.PipeData, Length: pipe.Length}.AppendTo(s.out[:0])
	s.out = append(h.AppendTo(s.out), body...)
	if short := wire.PipeHeaderSize + int(pipe.Length) - len(s.out); short > 0 {
		s.out = append(s.out, make([]byte, short)...)
	}
	return s.out, after, nil
}

// negotiate chooses the newest versions that both know; none is an empty list.
func (s *Service) negotiate(n wireic.Negotiate) (chosen wireic.Negotiate) {
	s.framework, chosen.Frameworks = newest(n.Frameworks, wireic.FrameworkVersions)
	s.message, chosen.Messages = newest(n.Messages, s.versions)
	s.log.Debug("ic: negotiated", "service", s.name, "framework", s.framework, "version", s.message)
	return chosen
}

func newest(theirs, ours []wireic.Version) (best wireic.Version, list []wireic.Version) {
	for _, v := range theirs {
		for _, o := range ours {
			if v == o && v.Number() > best.Number() {
				best, list = v, []wireic.Version{v}
			}
		}
	}
	return best, list
}

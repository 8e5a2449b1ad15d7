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

// Request is what the host asks of the guest.
type Request struct {
	Restart bool // start again afterwards, instead of power-off
	Force   bool // do not wait for programs
	Reason  uint32
	Timeout uint32 // seconds until the host loses patience; 0: not said
	Text    string // for people
}

// Shutdown is an open shutdown service.
type Shutdown struct {
	ch        *vmbus.Channel
	log       *slog.Logger
	handle    func(Request)
	framework wireic.Version // zero until negotiated
	message   wireic.Version
	out       []byte
	skipped   int
	done      chan struct{}
}

// ringPages is enough for several messages; the largest that is used, a
// shutdown request, has 2088 bytes.
const ringPages = 5

// Attach opens the service behind an offer. When the host asks for a shutdown
// that can be followed, it is told yes, and then handle is called in the
// service's goroutine, so it must not block.
func Attach(bus *vmbus.Bus, offer vmbus.Offer, log *slog.Logger, handle func(Request)) (*Shutdown, error) {
	ch, err := bus.Open(offer.ChannelID, vmbus.OpenOptions{SendPages: ringPages, ReceivePages: ringPages})
	if err != nil {
		return nil, fmt.Errorf("ic: shutdown service: %w", err)
	}
	s := &Shutdown{ch: ch, log: log, handle: handle, done: make(chan struct{})}
	go s.run()
	return s, nil
}

func (s *Shutdown) run() {
	defer close(s.done)
	err := s.ch.Serve(s.packets)
	if cerr := s.ch.Close(); cerr != nil {
		s.log.Warn("ic: closing shutdown service", "err", cerr)
	}
	if !errors.Is(err, vmbus.ErrClosed) {
		s.log.Warn("ic: shutdown service ended", "err", err)
	}
}

// Done is closed when the service has ended.
func (s *Shutdown) Done() <-chan struct{} { return s.done }

// Close ends the service.
func (s *Shutdown) Close() {
	s.ch.Stop(vmbus.ErrClosed)
	<-s.done
}

func (s *Shutdown) packets(batch []vmbus.Packet) error {
	for i := range batch {
		p := &batch[i]
		if p.Type != wire.PacketInBand {
			s.skip(fmt.Errorf("packet of type %d", p.Type))
			continue
		}
		answer, act, err := s.answer(p.Payload)
		if err != nil {
			s.skip(err)
			continue
		}
		if err := s.ch.SendInBand(answer, p.Transaction, false); err != nil {
			return err
		}
		if act != nil {
			s.log.Info("ic: host asks for shutdown", "restart", act.Restart, "force", act.Force, "text", act.Text)
			s.handle(*act)
		}
	}
	return nil
}

// skip logs the first messages that are of no use.
func (s *Shutdown) skip(err error) {
	if s.skipped++; s.skipped <= 8 {
		s.log.Warn("ic: message skipped", "err", err)
	}
}

// answer makes the answer to one pipe packet. act is what to do once it is
// sent, if anything.
func (s *Shutdown) answer(payload []byte) (answer []byte, act *Request, err error) {
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
	h.Flags = wireic.FlagTransaction | wireic.FlagResponse
	switch h.Type {
	case wireic.MsgNegotiate:
		n, err := wireic.DecodeNegotiate(body)
		if err != nil {
			return nil, nil, err
		}
		h.Status = wireic.StatusSuccess
		body = s.negotiate(n).AppendTo(nil)
	case wireic.MsgShutdown:
		h.Status, act = s.shutdown(body)
	default:
		h.Status = wireic.StatusNotSupported
	}
	h.Size = uint16(len(body)) // at most what came, so it fits
	// As long as the question, as Linux answers: a shorter answer was never seen on Hyper-V.
	s.out = wire.PipeHeader{Type: wire.PipeData, Length: pipe.Length}.AppendTo(s.out[:0])
	s.out = append(h.AppendTo(s.out), body...)
	if short := wire.PipeHeaderSize + int(pipe.Length) - len(s.out); short > 0 {
		s.out = append(s.out, make([]byte, short)...)
	}
	return s.out, act, nil
}

// negotiate chooses the newest versions that both know; none is an empty list.
func (s *Shutdown) negotiate(n wireic.Negotiate) (chosen wireic.Negotiate) {
	s.framework, chosen.Frameworks = newest(n.Frameworks, wireic.FrameworkVersions)
	s.message, chosen.Messages = newest(n.Messages, wireic.ShutdownVersions)
	s.log.Debug("ic: shutdown service", "framework", s.framework, "version", s.message)
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

// shutdown judges a request: hibernation and flags from the future cannot be
// followed.
func (s *Shutdown) shutdown(body []byte) (wireic.Status, *Request) {
	m, err := wireic.DecodeShutdown(body)
	switch {
	case err != nil || s.message == (wireic.Version{}):
		return wireic.StatusFail, nil
	case m.Flags&wireic.ShutdownHibernate != 0:
		return wireic.StatusNotSupported, nil
	case m.Flags&^(wireic.ShutdownForce|wireic.ShutdownRestart) != 0:
		return wireic.StatusFail, nil
	}
	return wireic.StatusSuccess, &Request{
		Restart: m.Flags&wireic.ShutdownRestart != 0,
		Force:   m.Flags&wireic.ShutdownForce != 0,
		Reason:  m.Reason, Timeout: m.Timeout, Text: m.Text,
	}
}

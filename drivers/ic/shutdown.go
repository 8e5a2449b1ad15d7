// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ic

import (
	"log/slog"

	"github.com/hvgo/hvgo/drivers/vmbus"
	wireic "github.com/hvgo/hvgo/internal/wire/ic"
)

// Request is what the host asks of the guest.
type Request struct {
	Restart bool // start again afterwards, instead of power-off
	Force   bool // do not wait for programs
	Reason  uint32
	Timeout uint32 // seconds until the host loses patience; 0: not said
	Text    string // for people
}

// AttachShutdown opens the shutdown service behind an offer. When the host asks for
// a shutdown that can be followed, it is told yes, and then handle is called in the
// service's goroutine, so it must not block.
func AttachShutdown(bus *vmbus.Bus, offer vmbus.Offer, log *slog.Logger, handle func(Request)) (*Service, error) {
	return newShutdown(log, handle).open(bus, offer)
}

func newShutdown(log *slog.Logger, handle func(Request)) *Service {
	return &Service{
		name: "shutdown", kind: wireic.MsgShutdown, versions: wireic.ShutdownVersions, log: log,
		request: func(_ wireic.Version, body []byte) (wireic.Status, func()) {
			status, r := judge(body)
			if r == nil {
				return status, nil
			}
			return status, func() {
				log.Info("ic: host asks for shutdown", "restart", r.Restart, "force", r.Force, "text", r.Text)
				handle(*r)
			}
		},
	}
}

// judge reads a request: hibernation and flags from the future cannot be followed.
func judge(body []byte) (wireic.Status, *Request) {
	m, err := wireic.DecodeShutdown(body)
	switch {
	case err != nil:
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

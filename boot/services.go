// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"errors"

	"github.com/hvgo/hvgo/drivers/ic"
	"github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/hv"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// attachShutdown opens the service by which the host asks for an end.
func (m *machine) attachShutdown() {
	m.attachService(m.bus.Find(wire.InterfaceShutdown), func(o vmbus.Offer) (*ic.Service, error) {
		return ic.AttachShutdown(m.bus, o, m.log, m.shutDown)
	})
}

// attachServices opens the other integration services.
func (m *machine) attachServices() {
	m.attachService(m.bus.Find(wire.InterfaceHeartbeat), func(o vmbus.Offer) (*ic.Service, error) {
		return ic.AttachHeartbeat(m.bus, o, m.log)
	})
	m.attachService(m.bus.Find(wire.InterfaceTimeSync), func(o vmbus.Offer) (*ic.Service, error) {
		return ic.AttachTimeSync(m.bus, o, m.log, clock{})
	})
}

// attachService opens the first of the services offered of a kind: there is one.
func (m *machine) attachService(offers []vmbus.Offer, attach func(vmbus.Offer) (*ic.Service, error)) {
	for _, o := range offers {
		s, err := attach(o)
		if errors.Is(err, vmbus.ErrClosed) {
			return // the program has ended meanwhile
		}
		if err != nil {
			say("%v", err)
			continue
		}
		m.mu.Lock()
		m.services = append(m.services, s)
		m.mu.Unlock()
		return
	}
}

// clock is the machine's for time synchronisation.
type clock struct{}

func (clock) Reference() int64     { return hv.Now() }
func (clock) Realtime() int64      { return hv.Realtime() }
func (clock) SetRealtime(ns int64) { hv.SetRealtime(ns) }

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmm

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hvgo/hvgo/host/kvm"
)

// PortHandler serves a range of I/O ports on the vCPU's thread. For an input
// access it fills x.Data; what it leaves reads as all ones.
type PortHandler interface {
	PortIO(c *VCPU, x kvm.IO)
}

// PortFunc makes a function a PortHandler.
type PortFunc func(c *VCPU, x kvm.IO)

// PortIO calls f.
func (f PortFunc) PortIO(c *VCPU, x kvm.IO) { f(c, x) }

type portRange struct {
	name        string
	first, last uint16
	h           PortHandler
	exits       atomic.Uint64
}

// ports is the I/O address space. Ranges are added before Run only.
type ports struct {
	ranges  []*portRange
	unknown sync.Map // port number, logged once
}

// HandlePorts gives the ports first to last to h; before Run. name appears in figures.
func (m *VM) HandlePorts(name string, first, last uint16, h PortHandler) error {
	for _, r := range m.ports.ranges {
		if first <= r.last && last >= r.first {
			return fmt.Errorf("I/O ports %#x to %#x (%s) overlap those of %s", first, last, name, r.name)
		}
	}
	m.ports.ranges = append(m.ports.ranges, &portRange{name: name, first: first, last: last, h: h})
	return nil
}

func (m *VM) portIO(c *VCPU, x kvm.IO) {
	if x.In {
		for i := range x.Data {
			x.Data[i] = 0xFF
		}
	}
	for _, r := range m.ports.ranges {
		if x.Port >= r.first && x.Port <= r.last {
			r.exits.Add(1)
			r.h.PortIO(c, x)
			return
		}
	}
	if _, seen := m.ports.unknown.LoadOrStore(x.Port, true); !seen {
		m.Log.Debug("access to an I/O port nobody serves", "port", fmt.Sprintf("%#x", x.Port), "in", x.In)
	}
}

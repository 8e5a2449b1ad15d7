// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmm

import (
	"github.com/hvgo/hvgo/host/kvm"
)

// maxExitReason bounds the table of counters; KVM's reasons are below it.
const maxExitReason = 64

// Figures count how often the guest left to user space.
type Figures struct {
	Exits map[string]uint64 // by kind of exit
	Ports map[string]uint64 // I/O port exits by device
	Total uint64
}

// Counters returns what the kernel counted of all processors so far, by its own names
// ("exits" are all times that the guest left, also those that the kernel served
// itself); empty if the kernel does not count. It may be called until Close.
func (m *VM) Counters() (map[string]uint64, error) {
	sum := map[string]uint64{}
	for _, s := range m.stats {
		if err := s.Read(sum); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

// Figures returns the counters so far. It may be called at any time.
func (m *VM) Figures() Figures {
	f := Figures{Exits: map[string]uint64{}, Ports: map[string]uint64{}}
	for i := range m.counts {
		if n := m.counts[i].Load(); n > 0 {
			f.Exits[kvm.ExitReason(i).String()] = n
			f.Total += n
		}
	}
	for _, r := range m.ports.ranges {
		if n := r.exits.Load(); n > 0 {
			f.Ports[r.name] = n
		}
	}
	return f
}

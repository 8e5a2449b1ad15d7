// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsp

import "github.com/hvgo/hvgo/internal/wire/nvsp"

// Faults are failures put in by a test. The zero value is none.
type Faults struct {
	// Refuse, if not nil, refuses the NVSP versions for which it is true.
	Refuse func(nvsp.Version) bool
	// NoLink makes the cable look unplugged from the start.
	NoLink bool
	// FailAfter makes the card fail when it has taken that many packets of the
	// guest's on one channel, as a provider that crashed does: the guest gets no
	// further answer. 0 is never; to take the offer back too, use
	// vmbus.Server.RemoveDevice.
	FailAfter int
	// RefuseBuffers answers the offered receive or send buffer with a failure.
	RefuseReceiveBuffer, RefuseSendBuffer bool
	// Drop loses the frames for which it is true.
	Drop func(toGuest bool, frame []byte) bool
}

// SetFaults replaces the faults; those of negotiation count from the next opened
// channel on.
func (n *NIC) SetFaults(f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = f
}

func (n *NIC) fault() Faults {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.faults
}

// lose tells whether a test wants the frame lost; otherwise it is recorded.
func (n *NIC) lose(toGuest bool, frame []byte) bool {
	if f := n.fault().Drop; f != nil && f(toGuest, frame) {
		n.stats.lost.Add(1)
		return true
	}
	n.opt.Pcap.write(frame)
	return false
}

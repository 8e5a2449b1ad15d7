// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv

// RaiseSINT raises a SINT's interrupt without a message or an event, as the test
// device does.
func (p *Partition) RaiseSINT(vp uint32, sint uint8) error {
	s, err := p.synic(vp, sint)
	if err != nil {
		return err
	}
	s.raise(sint)
	return nil
}

// VPs is how many virtual processors there are.
func (p *Partition) VPs() uint32 { return uint32(len(p.synics)) }

// WaitingMessages is how many messages wait for the slot of a SINT.
func (p *Partition) WaitingMessages(vp uint32, sint uint8) (int, error) {
	s, err := p.synic(vp, sint)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sints[sint].queue), nil
}

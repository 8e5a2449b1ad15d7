// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv

import (
	"bytes"
	"time"

	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

// Quirks are habits of other hypervisors. The zero value is KVM's.
type Quirks struct {
	// OverlayPages lays pages of the host's over the guest's at SIMP and SIEFP, as QEMU
	// and Hyper-V do: what the guest had there is out of sight while they are enabled,
	// and what was in the host's page is there again when they are enabled anew.
	OverlayPages bool
	// PresetSControl has the SynIC enabled from the start, as on OpenVMM and QEMU.
	PresetSControl bool
	// Repoll looks that often whether a message slot has become free, and does not need
	// EOM for it, as OpenVMM does each ms; 0 is never.
	Repoll time.Duration
	// StartVP has the hypercalls that start a virtual processor, as Hyper-V does.
	StartVP bool
}

// privileges are bits of EBX of leaf 0x40000003.
func (q Quirks) privileges() uint32 {
	if q.StartVP {
		return tlfs.StartVirtualProcessor
	}
	return 0
}

// overlay is a page of the host's over one of the guest's.
type overlay struct {
	own, under []byte // contents of the one that is out of sight
	gpa        uint64
	on         bool
}

// stale is what unused parts of the host's message page hold: a guest looks at a
// message only if there is one.
const stale = 0xA5

// newMessages is a host's message page at the start: no message, but not zero.
func newMessages() overlay {
	page := bytes.Repeat([]byte{stale}, vmm.PageSize)
	for n := 0; n < vmm.PageSize; n += tlfs.MessageSize {
		clear(page[n : n+tlfs.MessagePayloadOffset])
	}
	return overlay{own: page}
}

func newFlags() overlay { return overlay{own: make([]byte, vmm.PageSize)} }

// set follows the guest's register. The pages change places by copying, which the
// guest cannot tell from a mapping: it is in its WRMSR meanwhile.
func (o *overlay) set(mem *vmm.Memory, register uint64) {
	gpa, on := register&tlfs.OverlayAddressMask, register&tlfs.OverlayEnable != 0
	if o.on && (!on || gpa != o.gpa) {
		if page, err := mem.Bytes(o.gpa, vmm.PageSize); err == nil {
			o.own = append(o.own[:0], page...)
			copy(page, o.under)
		}
		o.on = false
	}
	if on && !o.on {
		if page, err := mem.Bytes(gpa, vmm.PageSize); err == nil {
			o.under = append(o.under[:0], page...)
			copy(page, o.own)
			o.gpa, o.on = gpa, true
		}
	}
}

// reset sets SCONTROL, which KVM has at 1 from the start: Hyper-V has not.
func (s *synic) reset(c *vmm.VCPU, preset bool) error {
	if preset {
		s.control = tlfs.SControlEnable
	}
	return c.SetMSRs(kvm.MSR{Index: tlfs.MSRSControl, Data: s.control})
}

// repoll delivers what has room by now, again and again.
func (p *Partition) repoll() {
	tick := time.NewTicker(p.quirks.Repoll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, s := range p.synics {
				s.deliverAll()
			}
		case <-p.closed:
			return
		}
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv

import (
	"fmt"
	"time"

	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

// In strict mode the guest's writes to EOM and to the SINTs, and all accesses to
// synthetic registers that KVM refuses, come to user space. So EOM is told from EOI,
// which KVM takes for one too, and only EOM makes room for the next message.

// filter asks KVM for the accesses that this host looks at: all that strict mode
// needs, and the hypercall page's register with Quirks.StartVP.
func (p *Partition) filter(enforced bool) error {
	var ranges []kvm.MSRRange
	if p.quirks.StartVP {
		ranges = append(ranges, kvm.MSRRange{First: tlfs.MSRHypercall, Count: 1, Write: true})
	}
	if p.strict == nil {
		if len(ranges) == 0 {
			return nil
		}
		return p.vm.KVM.FilterMSRs(ranges, false)
	}
	ranges = append(ranges,
		kvm.MSRRange{First: tlfs.MSREOM, Count: 1, Write: true},
		kvm.MSRRange{First: tlfs.MSRSINT0, Count: tlfs.SINTCount, Write: true})
	for _, r := range privileges {
		if !enforced && p.features.missing(r.first) {
			ranges = append(ranges, kvm.MSRRange{First: r.first, Count: r.count, Read: true, Write: true})
		}
	}
	if !enforced && !p.features.missing(tlfs.MSRStimer0Config) && !p.features.directTimers() {
		for n := range uint32(tlfs.StimerCount) {
			ranges = append(ranges, kvm.MSRRange{First: tlfs.MSRStimer0Config + 2*n, Count: 1, Write: true})
		}
	}
	return p.vm.KVM.FilterMSRs(ranges, true)
}

// isTimerConfig tells the configuration registers of timers from their counts.
func isTimerConfig(msr uint32) bool {
	n := msr - tlfs.MSRStimer0Config
	return n < 2*tlfs.StimerCount && n%2 == 0
}

// isSynthetic tells the hypervisor's registers from the processor's.
func isSynthetic(msr uint32) bool { return msr>>9 == tlfs.MSRGuestOSID>>9 }

// MSR serves an access to a register that KVM refuses, or was asked for.
func (p *Partition) MSR(c *vmm.VCPU, a kvm.MSRAccess) (data uint64, ok bool) {
	if !isSynthetic(a.Index) || int(c.Index) >= len(p.synics) {
		return 0, false // a register that this processor has not: no rule of ours
	}
	what := "RDMSR"
	if a.Write {
		what = "WRMSR"
	}
	switch {
	case p.features.missing(a.Index):
		p.report(RuleMSRPrivilege, "%s %#x", what, a.Index)
		return 0, false
	case isTimerConfig(a.Index) && a.Write && a.Data&tlfs.StimerDirect != 0 && !p.features.directTimers():
		p.report(RuleMSRPrivilege, "%s %#x, direct mode, value %#x", what, a.Index, a.Data)
		return 0, false
	case a.Index-tlfs.MSRSINT0 < tlfs.SINTCount && a.Write:
		if !p.synics[c.Index].checkSINT(a.Index-tlfs.MSRSINT0, a.Data) {
			return 0, false
		}
	case !a.Filtered:
		p.report(RuleMSRValue, "%s %#x, value %#x", what, a.Index, a.Data)
		return 0, false
	}
	if err := c.SetMSRs(kvm.MSR{Index: a.Index, Data: a.Data}); err != nil {
		p.report(RuleMSRValue, "%s %#x, value %#x: %v", what, a.Index, a.Data, err)
		return 0, false
	}
	switch {
	case a.Index == tlfs.MSREOM:
		p.synics[c.Index].deliverAll()
	case a.Index == tlfs.MSRHypercall && p.quirks.StartVP:
		if err := p.writeHypercallPage(c); err != nil {
			p.vm.Fail(fmt.Errorf("virtual processor %d: hypercall page: %w", c.Index, err))
		}
	}
	return 0, true
}

// checkSINT checks a new value of a SINT's register; ok is false if it is refused.
func (s *synic) checkSINT(n uint32, value uint64) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.sints[n]
	vector, masked := value&tlfs.SINTVectorMask, value&tlfs.SINTMasked != 0
	const firstVector = 16 // below are the processor's exceptions (TLFS 11.8.4)
	if vector < firstVector && !masked {
		s.p.report(RuleSINTVector, "VP %d, SINT %d, vector %d", s.vp, n, vector)
		return false
	}
	if q.set && !masked {
		s.p.report(RuleSINTTwice, "VP %d, SINT %d, value %#x", s.vp, n, value)
	}
	q.set = !masked
	return true
}

// deliverAll delivers what waits for the slots that the guest has freed.
func (s *synic) deliverAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range uint8(tlfs.SINTCount) {
		s.deliver(n)
	}
}

// forgotten tells whether a message waits for a free slot: the guest was told that
// one waits, freed the slot, and wrote no EOM since, or this would be delivered.
// Called with mu held.
func (s *synic) forgotten(n uint8) bool {
	if len(s.sints[n].queue) == 0 || s.control&tlfs.SControlEnable == 0 || s.simp&tlfs.OverlayEnable == 0 {
		return false
	}
	slot, err := s.slot(n)
	return err == nil && load32(slot, tlfs.MessageTypeOffset) == tlfs.MessageTypeNone
}

// A guest that runs writes EOM some instructions after it freed the slot, but its
// processor may be kept from running for a while: only a state that lasts counts.
const (
	eomInterval = time.Second
	eomStrikes  = 3
)

// watchForgotten looks for messages that wait for an EOM that does not come. It
// reports them, and delivers as if EOM had come, so that the test goes on.
func (p *Partition) watchForgotten() {
	tick := time.NewTicker(eomInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.checkEOM(eomStrikes)
		case <-p.closed:
			return
		}
	}
}

func (p *Partition) checkEOM(strikes int) {
	for _, s := range p.synics {
		s.mu.Lock()
		for n := range uint8(tlfs.SINTCount) {
			q := &s.sints[n]
			if !s.forgotten(n) {
				q.strikes = 0
				continue
			}
			if q.strikes++; q.strikes < strikes {
				continue
			}
			p.report(RuleEOM, "VP %d, SINT %d: the slot is free, %d messages wait", s.vp, n, len(q.queue))
			q.strikes = 0
			s.deliver(n)
		}
		s.mu.Unlock()
	}
}

// Ended tells that the guest has switched the machine off: what it had to do by
// then is checked at once.
func (p *Partition) Ended() {
	if p.strict != nil {
		p.checkEOM(1)
	}
}

// checkOverlay reports a page that is not zero when it is enabled: a host may read
// it as messages or flags that wait to be handled, and then send none.
func (s *synic) checkOverlay(rule string, old, now uint64) {
	if s.p.strict == nil || now&tlfs.OverlayEnable == 0 || now == old {
		return
	}
	page, err := s.p.vm.Memory().Bytes(now&tlfs.OverlayAddressMask, vmm.PageSize)
	if err != nil {
		s.p.report(rule, "VP %d: %#x is not RAM", s.vp, now&tlfs.OverlayAddressMask)
		return
	}
	for i, b := range page {
		if b != 0 {
			s.p.report(rule, "VP %d: page %#x has %#x at %d", s.vp, now&tlfs.OverlayAddressMask, b, i)
			return
		}
	}
}

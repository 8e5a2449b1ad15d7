// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv

import (
	"encoding/binary"
	"fmt"

	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

// HvCallStartVirtualProcessor and HvCallGetVpIndexFromApicId, which Hyper-V has and KVM
// has not. KVM answers a hypercall that it does not know by itself, so with
// Quirks.StartVP the hypercall page holds code of this host's, which leaves by an I/O
// port for these two (docs/decisions/0019-hypercalls-by-port.md).

// hypercallPort is where the page's code goes for what this host serves itself.
const hypercallPort = 0xE8

// hypercallPage makes the page's code for 64-bit callers around KVM's, which ends with
// its first RET.
func hypercallPage(own []byte) ([]byte, error) {
	const ret = 0xC3
	end := -1
	for i, b := range own[:min(len(own), 32)] {
		if b == ret && i >= 3 { // behind VMCALL (0F 01 C1) or VMMCALL (0F 01 D9)
			end = i + 1
			break
		}
	}
	if end < 0 {
		return nil, fmt.Errorf("KVM's hypercall page is of no known form: % x", own[:min(len(own), 16)])
	}
	var code []byte
	const compare = 7 // bytes of each comparison with its jump
	for i, call := range []uint16{tlfs.HvCallStartVirtualProcessor, tlfs.HvCallGetVpIndexFromApicId} {
		code = append(code, 0x66, 0x81, 0xF9) // CMP CX, call
		code = binary.LittleEndian.AppendUint16(code, call)
		code = append(code, 0x74, byte((1-i)*compare+end)) // JE to the OUT
	}
	code = append(code, own[:end]...)
	return append(code, 0xE7, hypercallPort, ret), nil // OUT port, EAX
}

// serveHypercallsByPort makes ready for the code of the page.
func (p *Partition) serveHypercallsByPort() error {
	return p.vm.HandlePorts("hypercalls", hypercallPort, hypercallPort, vmm.PortFunc(p.hypercallByPort))
}

// writeHypercallPage puts the code into the page that KVM has just filled.
func (p *Partition) writeHypercallPage(c *vmm.VCPU) error {
	v, err := c.MSRs(tlfs.MSRHypercall)
	if err != nil || v[0]&tlfs.OverlayEnable == 0 {
		return err // without a guest OS id KVM leaves it off
	}
	page, err := p.vm.Memory().Bytes(v[0]&tlfs.OverlayAddressMask, vmm.PageSize)
	if err != nil {
		return err
	}
	code, err := hypercallPage(page)
	if err == nil {
		copy(page, code)
	}
	return err
}

// hypercallByPort serves the code's OUT; the guest may also make one itself.
func (p *Partition) hypercallByPort(c *vmm.VCPU, x kvm.IO) {
	if x.In {
		return
	}
	r, err := c.Regs()
	if err == nil {
		p.others.Add(1)
		r.RAX = p.ownHypercall(c, kvm.Hypercall{Input: r.RCX, Param1: r.RDX, Param2: r.R8})
		err = c.SetRegs(r)
	}
	if err != nil {
		p.vm.Fail(fmt.Errorf("virtual processor %d: hypercall: %w", c.Index, err))
	}
}

// ownHypercall returns the result value.
func (p *Partition) ownHypercall(c *vmm.VCPU, h kvm.Hypercall) uint64 {
	switch h.Input & tlfs.HypercallCodeMask {
	case tlfs.HvCallStartVirtualProcessor:
		return uint64(p.startVPCall(c, h))
	case tlfs.HvCallGetVpIndexFromApicId:
		st, reps := p.vpIndexCall(h)
		return uint64(st) | uint64(reps)<<tlfs.HypercallRepCountShift
	}
	return uint64(tlfs.StatusInvalidHypercallCode)
}

func (p *Partition) startVPCall(c *vmm.VCPU, h kvm.Hypercall) tlfs.Status {
	if h.Input != tlfs.HvCallStartVirtualProcessor { // neither fast nor repeated
		p.report(RuleHypercallControl, "StartVirtualProcessor, input value %#x", h.Input)
		return tlfs.StatusInvalidHypercallInput
	}
	var b [tlfs.StartVPInputSize]byte
	if st := p.input(h.Param1, b[:]); st != tlfs.StatusSuccess {
		return st
	}
	in, err := tlfs.DecodeStartVPInput(b[:])
	switch {
	case err != nil || in.TargetVTL != 0 || in.Reserved != [3]uint8{}:
		return tlfs.StatusInvalidParameter
	case in.Partition != tlfs.PartitionSelf:
		return tlfs.StatusInvalidPartitionID
	case in.VPIndex >= uint32(len(p.vm.VCPUs())):
		return tlfs.StatusInvalidVpIndex
	}
	if err := checkContext(&in.Context); err != nil {
		p.log.Debug("StartVirtualProcessor", "vp", in.VPIndex, "error", err)
		return tlfs.StatusInvalidParameter
	}
	other := p.vm.VCPUs()[in.VPIndex]
	status := tlfs.StatusInvalidVpState
	if !c.Ask(other, func() { status = p.startHere(other, &in.Context) }) {
		return tlfs.StatusInvalidVpState // the machine ends: nobody will see it
	}
	return status
}

// startHere sets a processor to its first instruction, on its own thread, if it waits
// for one.
func (p *Partition) startHere(c *vmm.VCPU, x *tlfs.InitialVPContext) tlfs.Status {
	state, err := c.MPState()
	if err == nil && state != kvm.MPUninitialized && state != kvm.MPInitReceived {
		return tlfs.StatusInvalidVpState
	}
	if err == nil {
		err = setContext(c, x)
	}
	if err != nil { // what checkContext let through, and KVM does not
		p.log.Debug("StartVirtualProcessor", "vp", c.Index, "error", err)
		return tlfs.StatusInvalidParameter
	}
	return tlfs.StatusSuccess
}

func setContext(c *vmm.VCPU, x *tlfs.InitialVPContext) error {
	s, err := c.Sregs()
	if err != nil {
		return err
	}
	s.CS, s.DS, s.ES, s.FS, s.GS, s.SS = segment(x.CS), segment(x.DS), segment(x.ES), segment(x.FS), segment(x.GS), segment(x.SS)
	s.TR, s.LDT = segment(x.TR), segment(x.LDTR)
	s.GDT, s.IDT = kvm.Table{Base: x.GDTR.Base, Limit: x.GDTR.Limit}, kvm.Table{Base: x.IDTR.Base, Limit: x.IDTR.Limit}
	s.EFER, s.CR0, s.CR3, s.CR4 = x.EFER, x.CR0, x.CR3, x.CR4
	// KVM changes nothing when it refuses these; what follows it takes.
	if err := c.SetSregs(s); err != nil {
		return err
	}
	if err := c.SetRegs(kvm.Regs{RIP: x.RIP, RSP: x.RSP, RFlags: x.RFlags}); err != nil {
		return err
	}
	const msrPAT = 0x277
	if err := c.SetMSRs(kvm.MSR{Index: msrPAT, Data: x.PAT}); err != nil {
		return err
	}
	return c.SetMPState(kvm.MPRunnable)
}

// segment makes KVM's form of a segment register.
func segment(s tlfs.Segment) kvm.Segment {
	bit := func(n int) uint8 { return uint8(s.Attributes>>n) & 1 }
	return kvm.Segment{
		Base: s.Base, Limit: s.Limit, Selector: s.Selector,
		Type: uint8(s.Attributes) & 0xF, S: bit(4), DPL: uint8(s.Attributes>>5) & 3, Present: bit(7),
		AVL: bit(12), L: bit(13), DB: bit(14), G: bit(15), Unusable: 1 - bit(7),
	}
}

// checkContext refuses what a processor could not have got into, as far as KVM does
// not: it checks the control registers with each other, but not EFER.
func checkContext(x *tlfs.InitialVPContext) error {
	const (
		sce, lme, lma, nxe = 1 << 0, 1 << 8, 1 << 10, 1 << 11
		pg, la57           = 1 << 31, 1 << 12
		fixedFlag          = 1 << 1
		flags              = 0x3D7FD7 // all that RFLAGS has, but virtual-8086 mode
	)
	if x.EFER&^(sce|lme|lma|nxe) != 0 || (x.EFER&lma != 0) != (x.EFER&lme != 0 && x.CR0&pg != 0) {
		return fmt.Errorf("EFER %#x with CR0 %#x", x.EFER, x.CR0)
	}
	if x.RFlags&^flags != 0 || x.RFlags&fixedFlag == 0 {
		return fmt.Errorf("RFLAGS %#x", x.RFlags)
	}
	for i := range 8 {
		if kind := x.PAT >> (8 * i) & 0xFF; kind > 7 || kind == 2 || kind == 3 {
			return fmt.Errorf("PAT %#x", x.PAT)
		}
	}
	shift := 64 - 48
	if x.CR4&la57 != 0 {
		shift = 64 - 57
	}
	for _, address := range []uint64{x.RIP, x.GDTR.Base, x.IDTR.Base, x.TR.Base, x.LDTR.Base, x.FS.Base, x.GS.Base} {
		if uint64(int64(address<<shift)>>shift) != address {
			return fmt.Errorf("address %#x", address)
		}
	}
	return nil
}

// vpIndexCall translates APIC ids, which are VP indices on this host.
func (p *Partition) vpIndexCall(h kvm.Hypercall) (st tlfs.Status, done uint64) {
	count, start := h.Input>>tlfs.HypercallRepCountShift&tlfs.HypercallRepMask, h.Input>>tlfs.HypercallRepStartShift&tlfs.HypercallRepMask
	const allowed = tlfs.HypercallCodeMask | tlfs.HypercallRepMask<<tlfs.HypercallRepCountShift | tlfs.HypercallRepMask<<tlfs.HypercallRepStartShift
	if h.Input&^allowed != 0 || start >= count { // a count of 0 too
		p.report(RuleHypercallControl, "GetVpIndexFromApicId, input value %#x", h.Input)
		return tlfs.StatusInvalidHypercallInput, 0
	}
	const idSize = 4
	var b [vmm.PageSize]byte
	if count*idSize > vmm.PageSize-tlfs.VPIndexInputSize {
		p.report(RuleHypercallInput, "GetVpIndexFromApicId of %d ids", count)
		return tlfs.StatusInvalidHypercallInput, 0
	}
	ids := b[:tlfs.VPIndexInputSize+count*idSize]
	if st := p.input(h.Param1, ids); st != tlfs.StatusSuccess {
		return st, 0
	}
	in, err := tlfs.DecodeVPIndexInput(ids)
	switch {
	case err != nil || in.TargetVTL != 0 || in.Reserved != [7]uint8{}:
		return tlfs.StatusInvalidParameter, 0
	case in.Partition != tlfs.PartitionSelf:
		return tlfs.StatusInvalidPartitionID, 0
	}
	out, st := p.output(h.Param2, int(count)*idSize)
	if st != tlfs.StatusSuccess {
		return st, 0
	}
	for i := start; i < count; i++ {
		id := binary.LittleEndian.Uint32(ids[tlfs.VPIndexInputSize+i*idSize:])
		if id >= uint32(len(p.vm.VCPUs())) {
			return tlfs.StatusInvalidParameter, i
		}
		binary.LittleEndian.PutUint32(out[i*idSize:], id)
	}
	return tlfs.StatusSuccess, count
}

// output gives the memory of a hypercall's output block: 8-byte aligned, within a page.
func (p *Partition) output(gpa uint64, n int) ([]byte, tlfs.Status) {
	if gpa%8 != 0 || gpa%vmm.PageSize+uint64(n) > vmm.PageSize {
		p.report(RuleHypercallInput, "output of %d bytes at %#x", n, gpa)
		return nil, tlfs.StatusInvalidAlignment
	}
	b, err := p.vm.Memory().Bytes(gpa, uint64(n))
	if err != nil {
		p.report(RuleHypercallInput, "output of %d bytes at %#x: %v", n, gpa, err)
		return nil, tlfs.StatusInvalidHypercallInput
	}
	return b, tlfs.StatusSuccess
}

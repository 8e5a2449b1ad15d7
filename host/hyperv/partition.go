// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

// Server answers a guest's hypercalls: package vmbus. Its methods run on the
// thread of the virtual processor that made the call, and may call the
// Partition's methods.
type Server interface {
	PostMessage(connection, msgType uint32, payload []byte) tlfs.Status
	SignalEvent(connection uint32, flag uint16) tlfs.Status
}

// Config says how the hypervisor presents itself.
type Config struct {
	Mask Mask

	// NoEnforce lets the guest use what CPUID does not announce. By default KVM
	// refuses it.
	NoEnforce bool

	// Strict is told about each rule of the interface that the guest breaks (the Rule
	// constants), also where KVM looks away. It is called from any goroutine, with
	// locks held: it must not call the Partition. nil is the leniency of KVM.
	Strict func(rule, detail string)

	// Quirks are habits of other hypervisors.
	Quirks Quirks

	// Server may be set later with SetServer, before the VM runs. Without one no
	// connection exists.
	Server Server

	Log *slog.Logger
}

// Partition is the hypervisor side of one VM. It implements vmm.Hypervisor.
type Partition struct {
	vm     *vmm.VM
	server Server
	log    *slog.Logger
	synics []*synic

	strict   func(rule, detail string) // or nil
	features features
	mask     Mask
	quirks   Quirks
	enforce  bool          // what is not announced is refused
	closed   chan struct{} // ends watchForgotten

	posts, signals, others   atomic.Uint64 // hypercalls of the guest
	messages, events, raised atomic.Uint64 // deliveries to the guest
}

// New prepares the VM's processors: CPUID, SynIC, interrupt routes. Close it
// after the VM has run, before the VM is closed.
func New(vm *vmm.VM, cfg Config) (*Partition, error) {
	p := &Partition{
		vm: vm, server: cfg.Server, log: cfg.Log,
		strict: cfg.Strict, mask: cfg.Mask, quirks: cfg.Quirks, enforce: !cfg.NoEnforce, closed: make(chan struct{}),
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	n := uint32(len(vm.VCPUs()))
	var routes []kvm.Route
	for _, c := range vm.VCPUs() {
		entries, err := cpuid(vm.System, cfg.Mask, c.Index, n, cfg.Quirks.privileges())
		if err != nil {
			return nil, err
		}
		if err := c.SetCPUID(entries); err != nil {
			return nil, err
		}
		p.features = featuresOf(entries)
		// QEMU's emulation of nested SVM does not intercept XSETBV, so KVM
		// would go on with the reset value and undo what the guest set.
		if x := kvm.SupportedXCR0(entries); x != 0 {
			if err := c.SetXCR0(x); err != nil {
				return nil, err
			}
		}
		if cfg.Mask&NoHyperv == 0 {
			if err := c.EnableCap(kvm.CapHypervSynIC2); err != nil {
				return nil, err
			}
			if p.enforceInKVM() {
				if err := c.EnableCap(kvm.CapHypervEnforceCPUID, 1); err != nil {
					return nil, err
				}
			}
			for s := range uint32(tlfs.SINTCount) {
				routes = append(routes, kvm.Route{GSI: gsi(c.Index, s), VP: c.Index, SINT: s})
			}
		}
		s := &synic{p: p, vp: c.Index, messages: newMessages(), flags: newFlags()}
		p.synics = append(p.synics, s)
		if cfg.Mask&NoHyperv == 0 {
			if err := s.reset(c, cfg.Quirks.PresetSControl); err != nil {
				return nil, err
			}
		}
	}
	// The routes name SynICs, which must be enabled by now.
	if err := vm.KVM.SetRoutes(routes); err != nil {
		return nil, err
	}
	vm.SetHypervisor(p)
	if cfg.Mask&NoHyperv == 0 {
		if err := p.serveMSRs(); err != nil {
			return nil, err
		}
	}
	if cfg.Quirks.Repoll > 0 {
		go p.repoll()
	}
	return p, nil
}

// serveMSRs asks for the registers that this host serves with KVM or in its place.
func (p *Partition) serveMSRs() error {
	if err := p.filter(p.enforceInKVM() || !p.enforce); err != nil {
		return err
	}
	if p.strict != nil {
		go p.watchForgotten()
	}
	if p.quirks.StartVP {
		return p.serveHypercallsByPort()
	}
	return nil
}

// enforceInKVM tells whether KVM refuses what CPUID does not announce. Of a hypercall
// it then tells nobody: strict mode refuses the two of VMBus itself.
func (p *Partition) enforceInKVM() bool {
	return p.enforce && (p.strict == nil || p.mask&(NoPostMessages|NoSignalEvents) == 0)
}

func featuresOf(entries []kvm.CPUIDEntry) (f features) {
	for _, e := range entries {
		if e.Function == tlfs.LeafFeatures {
			f = features{e.EAX, e.EBX, e.EDX}
		}
	}
	return f
}

// SetServer sets who answers hypercalls; before the VM runs.
func (p *Partition) SetServer(s Server) { p.server = s }

// Close ends the waiting for EOM. It is called once.
func (p *Partition) Close() error {
	close(p.closed)
	var errs []error
	for _, s := range p.synics {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// Figures count hypercalls of the guest and deliveries to it.
type Figures struct {
	PostMessage, SignalEvent, Other uint64
	Messages, Events, Interrupts    uint64
}

// Figures returns the counters so far.
func (p *Partition) Figures() Figures {
	return Figures{p.posts.Load(), p.signals.Load(), p.others.Load(), p.messages.Load(), p.events.Load(), p.raised.Load()}
}

// Hypercall serves a hypercall KVM does not. What is neither of the two calls of
// VMBus gets HV_STATUS_INVALID_HYPERCALL_CODE.
func (p *Partition) Hypercall(_ *vmm.VCPU, h kvm.Hypercall) uint64 {
	switch h.Input & tlfs.HypercallCodeMask {
	case tlfs.HvCallPostMessage:
		p.posts.Add(1)
		if !p.mayCall(tlfs.PostMessages, "PostMessage") {
			return uint64(tlfs.StatusAccessDenied)
		}
		return uint64(p.postMessageCall(h))
	case tlfs.HvCallSignalEvent:
		p.signals.Add(1)
		if !p.mayCall(tlfs.SignalEvents, "SignalEvent") {
			return uint64(tlfs.StatusAccessDenied)
		}
		return uint64(p.signalEventCall(h))
	}
	p.others.Add(1)
	p.log.Debug("hypercall nobody serves", "input", fmt.Sprintf("%#x", h.Input))
	return uint64(tlfs.StatusInvalidHypercallCode)
}

// mayCall tells whether the guest has the privilege of a hypercall. Without strict
// mode KVM has asked already.
func (p *Partition) mayCall(bit uint32, name string) bool {
	if p.strict == nil || !p.enforce || p.features.ebx&bit != 0 {
		return true
	}
	p.report(RuleHypercallPrivilege, "%s", name)
	return false
}

// input copies the input block of a slow hypercall: 8-byte aligned, within a
// page (TLFS 3.6).
func (p *Partition) input(gpa uint64, b []byte) tlfs.Status {
	if gpa%8 != 0 || gpa%vmm.PageSize+uint64(len(b)) > vmm.PageSize {
		p.report(RuleHypercallInput, "%d bytes at %#x", len(b), gpa)
		return tlfs.StatusInvalidAlignment
	}
	in, err := p.vm.Memory().Bytes(gpa, uint64(len(b)))
	if err != nil {
		p.report(RuleHypercallInput, "%d bytes at %#x: %v", len(b), gpa, err)
		return tlfs.StatusInvalidHypercallInput
	}
	copy(b, in)
	return tlfs.StatusSuccess
}

func (p *Partition) postMessageCall(h kvm.Hypercall) tlfs.Status {
	if h.Input&tlfs.HypercallFast != 0 {
		p.report(RuleHypercallFast, "PostMessage, input value %#x", h.Input)
		return tlfs.StatusInvalidHypercallInput
	}
	if h.Input&^tlfs.HypercallCodeMask != 0 { // not repeated either
		p.report(RuleHypercallControl, "PostMessage, input value %#x", h.Input)
		return tlfs.StatusInvalidHypercallInput
	}
	var b [tlfs.PostMessageInputSize]byte
	if st := p.input(h.Param1, b[:]); st != tlfs.StatusSuccess {
		return st
	}
	m, err := tlfs.DecodePostMessageInput(b[:])
	const hypervisorType = 1 << 31
	if err != nil || m.MessageType == 0 || m.MessageType&hypervisorType != 0 {
		p.report(RuleMessageFormat, "type %#x, %d bytes: %v", m.MessageType, m.PayloadSize, err)
		return tlfs.StatusInvalidParameter
	}
	if reserved := binary.LittleEndian.Uint32(b[4:]); reserved != 0 {
		p.report(RuleMessageFormat, "reserved field %#x", reserved)
	}
	if p.server == nil {
		return tlfs.StatusInvalidConnectionID
	}
	return p.server.PostMessage(m.ConnectionID, m.MessageType, m.Payload[:m.PayloadSize])
}

func (p *Partition) signalEventCall(h kvm.Hypercall) tlfs.Status {
	if h.Input&^tlfs.HypercallCodeMask&^tlfs.HypercallFast != 0 {
		p.report(RuleHypercallControl, "SignalEvent, input value %#x", h.Input)
		return tlfs.StatusInvalidHypercallInput
	}
	// KVM has read the slow form's input block by now, and hands over its content in
	// place of its address (kvm_hvcall_signal_event, Linux 5.14 and later).
	in := tlfs.SignalEventFromWord(h.Param1)
	if p.server == nil {
		return tlfs.StatusInvalidConnectionID
	}
	return p.server.SignalEvent(in.ConnectionID, in.Flag)
}

// maxCrashText bounds the text of a crash report: a page (TLFS 2.5).
const maxCrashText = vmm.PageSize

// Crash reads the crash registers after the guest wrote the control register.
// KVM does not keep the "message" bit, so P3 and P4 count as a text when they
// describe one.
func (p *Partition) Crash(c *vmm.VCPU) vmm.Exit {
	e := vmm.Exit{Kind: vmm.Crash, Detail: c.Describe()}
	v, err := c.MSRs(tlfs.MSRCrashP0, tlfs.MSRCrashP1, tlfs.MSRCrashP2, tlfs.MSRCrashP3, tlfs.MSRCrashP4)
	if err != nil {
		p.log.Warn("the guest reported a crash, but its parameters are unreadable", "error", err)
		return e
	}
	copy(e.Params[:], v)
	gpa, n := v[3], v[4]
	if gpa == 0 || n == 0 || n > maxCrashText {
		return e
	}
	if b, err := p.vm.Memory().Bytes(gpa, n); err == nil {
		e.Message = strings.TrimRight(strings.ToValidUTF8(string(b), "?"), "\x00\n ")
	}
	return e
}

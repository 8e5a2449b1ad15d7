// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package hyperv

import (
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

	posts, signals, others   atomic.Uint64 // hypercalls of the guest
	messages, events, raised atomic.Uint64 // deliveries to the guest
}

// New prepares the VM's processors: CPUID, SynIC, interrupt routes. Close it
// after the VM has run, before the VM is closed.
func New(vm *vmm.VM, cfg Config) (*Partition, error) {
	p := &Partition{vm: vm, server: cfg.Server, log: cfg.Log}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	n := uint32(len(vm.VCPUs()))
	var routes []kvm.Route
	for _, c := range vm.VCPUs() {
		entries, err := cpuid(vm.System, cfg.Mask, c.Index, n)
		if err != nil {
			return nil, err
		}
		if err := c.SetCPUID(entries); err != nil {
			return nil, err
		}
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
			if !cfg.NoEnforce {
				if err := c.EnableCap(kvm.CapHypervEnforceCPUID, 1); err != nil {
					return nil, err
				}
			}
			for s := range uint32(tlfs.SINTCount) {
				routes = append(routes, kvm.Route{GSI: gsi(c.Index, s), VP: c.Index, SINT: s})
			}
		}
		p.synics = append(p.synics, &synic{p: p, vp: c.Index})
	}
	// The routes name SynICs, which must be enabled by now.
	if err := vm.KVM.SetRoutes(routes); err != nil {
		return nil, err
	}
	vm.SetHypervisor(p)
	return p, nil
}

// SetServer sets who answers hypercalls; before the VM runs.
func (p *Partition) SetServer(s Server) { p.server = s }

// Close ends the waiting for EOM.
func (p *Partition) Close() error {
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
		return uint64(p.postMessageCall(h))
	case tlfs.HvCallSignalEvent:
		p.signals.Add(1)
		return uint64(p.signalEventCall(h))
	}
	p.others.Add(1)
	p.log.Debug("hypercall nobody serves", "input", fmt.Sprintf("%#x", h.Input))
	return uint64(tlfs.StatusInvalidHypercallCode)
}

// input copies the input block of a slow hypercall: 8-byte aligned, within a
// page (TLFS 3.6).
func (p *Partition) input(gpa uint64, b []byte) tlfs.Status {
	if gpa%8 != 0 || gpa%vmm.PageSize+uint64(len(b)) > vmm.PageSize {
		return tlfs.StatusInvalidAlignment
	}
	in, err := p.vm.Memory().Bytes(gpa, uint64(len(b)))
	if err != nil {
		return tlfs.StatusInvalidHypercallInput
	}
	copy(b, in)
	return tlfs.StatusSuccess
}

func (p *Partition) postMessageCall(h kvm.Hypercall) tlfs.Status {
	if h.Input&^tlfs.HypercallCodeMask != 0 { // neither fast nor repeated
		return tlfs.StatusInvalidHypercallInput
	}
	var b [tlfs.PostMessageInputSize]byte
	if st := p.input(h.Param1, b[:]); st != tlfs.StatusSuccess {
		return st
	}
	m, err := tlfs.DecodePostMessageInput(b[:])
	const hypervisorType = 1 << 31
	if err != nil || m.MessageType == 0 || m.MessageType&hypervisorType != 0 {
		return tlfs.StatusInvalidParameter
	}
	if p.server == nil {
		return tlfs.StatusInvalidConnectionID
	}
	return p.server.PostMessage(m.ConnectionID, m.MessageType, m.Payload[:m.PayloadSize])
}

func (p *Partition) signalEventCall(h kvm.Hypercall) tlfs.Status {
	if h.Input&^tlfs.HypercallCodeMask&^tlfs.HypercallFast != 0 {
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

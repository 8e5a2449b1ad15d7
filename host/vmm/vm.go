// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/hvgo/hvgo/host/kvm"
)

// MaxVCPUs bounds Config.VCPUs.
const MaxVCPUs = 64

// tssAddr is three pages below the firmware's top that Intel processors need.
const tssAddr = 0xFFFB_D000

// Config describes a VM.
type Config struct {
	Memory    uint64 // bytes of RAM, a multiple of PageSize
	LowMemory uint64 // at most this much of it below 4 GiB; 0 for LowMemoryEnd
	// HugePages backs the RAM with pages of 2 MiB where there are any: for guests that
	// use most of it, as those that use little would keep more than they need.
	HugePages bool
	VCPUs     int // 0 for 1
	Log       *slog.Logger
}

// Hypervisor serves what a guest asks of the hypervisor and KVM does not answer
// itself. Its methods run on the vCPU's thread.
type Hypervisor interface {
	// Hypercall returns the result value for RAX.
	Hypercall(c *VCPU, h kvm.Hypercall) uint64
	// SynIC is called after the guest wrote SCONTROL, SIEFP or SIMP.
	SynIC(c *VCPU, s kvm.SynIC)
	// Crash is called after the guest wrote the crash control register.
	Crash(c *VCPU) Exit
}

// MSRServer is a Hypervisor that has asked KVM for accesses to model-specific
// registers (kvm.VM.FilterMSRs).
type MSRServer interface {
	// MSR returns what the guest reads; if ok is false it gets #GP.
	MSR(c *VCPU, a kvm.MSRAccess) (data uint64, ok bool)
}

// VM is a virtual machine that runs once.
type VM struct {
	System *kvm.System
	KVM    *kvm.VM
	Log    *slog.Logger

	mem   *Memory
	vcpus []*VCPU
	ports ports

	consoles []*console

	hv Hypervisor

	stopping atomic.Bool
	ended    chan struct{} // closed by the first end
	endOnce  sync.Once
	exit     Exit
	err      error

	counts [maxExitReason]atomic.Uint64
	stats  []*kvm.Stats // one for each processor; none if the kernel has none
}

// New makes a VM with memory, interrupt controllers and processors. The caller
// sets the processors up (package hyperv, package firmware), calls Run, then Close.
func New(cfg Config) (_ *VM, err error) {
	if cfg.VCPUs == 0 {
		cfg.VCPUs = 1
	}
	if cfg.VCPUs < 0 || cfg.VCPUs > MaxVCPUs {
		return nil, fmt.Errorf("%d virtual processors: must be from 1 to %d", cfg.VCPUs, MaxVCPUs)
	}
	m := &VM{Log: cfg.Log, ended: make(chan struct{})}
	if m.Log == nil {
		m.Log = slog.New(slog.DiscardHandler)
	}
	defer func() {
		if err != nil {
			m.Close()
		}
	}()
	if m.mem, err = NewMemory(cfg.Memory, cfg.LowMemory); err != nil {
		return nil, err
	}
	if cfg.HugePages {
		m.mem.adviseHuge()
	}
	if m.System, err = kvm.Open(); err != nil {
		return nil, err
	}
	if most, err := m.System.MaxVCPUs(); err != nil {
		return nil, err
	} else if cfg.VCPUs > most {
		return nil, fmt.Errorf("%d virtual processors: the KVM of this machine allows %d", cfg.VCPUs, most)
	}
	if m.KVM, err = m.System.CreateVM(); err != nil {
		return nil, err
	}
	if err := errors.Join(m.KVM.SetTSSAddr(tssAddr), m.KVM.CreateIRQChip()); err != nil {
		return nil, err
	}
	for i, r := range m.mem.Regions() {
		if err := m.KVM.SetMemory(uint32(i), r.GPA, r.Mem); err != nil {
			return nil, err
		}
	}
	for i := range cfg.VCPUs {
		c, err := m.KVM.CreateVCPU(i)
		if err != nil {
			return nil, err
		}
		m.vcpus = append(m.vcpus, &VCPU{VCPU: c, Index: uint32(i), vm: m, asked: make(chan *question, 1)})
		if s, err := c.Stats(); err == nil {
			m.stats = append(m.stats, s)
		}
	}
	return m, nil
}

// Close frees the VM. Run must have returned.
func (m *VM) Close() error {
	var errs []error
	for _, c := range m.consoles {
		c.end() // if it never ran
	}
	for _, s := range m.stats {
		errs = append(errs, s.Close())
	}
	for _, c := range m.vcpus {
		errs = append(errs, c.VCPU.Close())
	}
	if m.KVM != nil {
		errs = append(errs, m.KVM.Close())
	}
	if m.System != nil {
		errs = append(errs, m.System.Close())
	}
	if m.mem != nil {
		errs = append(errs, m.mem.Close())
	}
	return errors.Join(errs...)
}

// Memory returns the RAM.
func (m *VM) Memory() *Memory { return m.mem }

// VCPUs returns the virtual processors; number 0 is the one that boots.
func (m *VM) VCPUs() []*VCPU { return m.vcpus }

// SetHypervisor sets who serves hypercalls and SynIC changes; before Run.
func (m *VM) SetHypervisor(h Hypervisor) { m.hv = h }

// Run runs the guest until it ends, Stop is called or ctx is done. The error is
// for what went wrong in the host; Exit.Kind is then Failed.
func (m *VM) Run(ctx context.Context) (Exit, error) {
	var wg sync.WaitGroup
	for _, c := range m.vcpus {
		c.done = make(chan struct{})
		wg.Go(c.loop)
	}
	select {
	case <-ctx.Done():
		m.end(Exit{Kind: Stopped}, nil)
	case <-m.ended:
	}
	for _, c := range m.consoles {
		c.end()
	}
	for _, c := range m.vcpus {
		c.kick()
	}
	wg.Wait()
	for _, c := range m.consoles {
		c.flush()
	}
	return m.exit, m.err
}

// Stop ends the run from outside.
func (m *VM) Stop() { m.end(Exit{Kind: Stopped}, nil) }

// Done is closed when the run is over, or is about to be: what waits in a handler
// stops waiting.
func (m *VM) Done() <-chan struct{} { return m.ended }

// End ends the run with e; the first end counts. A handler that calls it returns
// soon after: its processor does not enter the guest again.
func (m *VM) End(e Exit) { m.end(e, nil) }

// Fail ends the run with an error.
func (m *VM) Fail(err error) { m.end(Exit{Kind: Failed}, err) }

func (m *VM) end(e Exit, err error) {
	m.endOnce.Do(func() {
		m.exit, m.err = e, err
		m.stopping.Store(true)
		close(m.ended)
	})
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmm

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/hvgo/hvgo/host/kvm"
	"golang.org/x/sys/unix"
)

// VCPU is a virtual processor with the thread that runs it.
type VCPU struct {
	*kvm.VCPU
	Index uint32 // virtual processor index, APIC id

	vm      *VM
	last    kvm.ExitReason // the last exit and where, for reports
	lastRIP uint64

	tid   atomic.Int64
	done  chan struct{}
	asked chan *question // capacity 1
}

// VM returns the machine the processor belongs to.
func (c *VCPU) VM() *VM { return c.vm }

// loop runs the guest on a thread of its own until the VM ends.
func (c *VCPU) loop() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(c.done)
	c.tid.Store(int64(unix.Gettid()))
	for !c.vm.stopping.Load() {
		why, err := c.Run()
		if errors.Is(err, kvm.ErrInterrupted) {
			c.answer() // a signal: ours, or one of the Go runtime
			continue
		}
		if err != nil {
			c.vm.Fail(fmt.Errorf("virtual processor %d: %w\n%s", c.Index, err, c.Describe()))
			return
		}
		if int(why) < len(c.vm.counts) {
			c.vm.counts[why].Add(1)
		}
		if why != kvm.ExitShutdown {
			c.last, c.lastRIP = why, c.LastRIP()
		}
		if err := c.serve(why); err != nil {
			c.vm.Fail(fmt.Errorf("virtual processor %d: %w\n%s", c.Index, err, c.Describe()))
			return
		}
	}
}

// kickInterval is how long kick waits before it sends the signal again: it may
// have come just before KVM_RUN, where it has no effect.
const kickInterval = 10 * time.Millisecond

// kick brings the processor's thread out of KVM_RUN, and waits until it has ended.
func (c *VCPU) kick() {
	for {
		c.interrupt()
		select {
		case <-c.done:
			return
		case <-time.After(kickInterval):
		}
	}
}

// interrupt brings the thread out of KVM_RUN, unless it is just about to enter it.
func (c *VCPU) interrupt() {
	c.RequestExit(true)
	// SIGURG has a handler in every Go program and means nothing to it.
	if tid := int(c.tid.Load()); tid != 0 {
		_ = unix.Tgkill(unix.Getpid(), tid, unix.SIGURG)
	}
}

// serve does what the guest asked for in leaving.
func (c *VCPU) serve(why kvm.ExitReason) error {
	switch why {
	case kvm.ExitIO:
		x, err := c.IO()
		if err != nil {
			return err
		}
		c.vm.portIO(c, x)
	case kvm.ExitMMIO:
		c.serveMMIO(c.MMIO())
	case kvm.ExitHyperv:
		c.serveHyperv()
	case kvm.ExitSystemEvent:
		return c.serveSystemEvent()
	case kvm.ExitRDMSR, kvm.ExitWRMSR:
		data, ok := uint64(0), false
		if h, has := c.vm.hv.(MSRServer); has {
			data, ok = h.MSR(c, c.MSR(why))
		}
		c.AnswerMSR(data, ok)
	case kvm.ExitShutdown:
		c.vm.End(Exit{Kind: TripleFault, Detail: c.describeShutdown()})
	case kvm.ExitIRQWindow, kvm.ExitInterrupted:
	case kvm.ExitFailEntry:
		return fmt.Errorf("the processor refused to enter the guest, reason %#x", c.EntryFailure())
	case kvm.ExitInternalError:
		sub, data := c.InternalError()
		return fmt.Errorf("KVM internal error: %s, data %#x", internalErrorName(sub), data)
	default:
		return fmt.Errorf("unexpected exit: %v", why)
	}
	return nil
}

// describeShutdown describes the processor after a triple fault. With AMD's
// virtualisation nothing is left to describe: KVM resets the processor, for "VMCB
// is undefined after a SHUTDOWN intercept" (arch/x86/kvm/svm/svm.c).
func (c *VCPU) describeShutdown() string {
	const resetVector = 0xFFF0
	where := fmt.Sprintf("the exit before it: %v at RIP %#x", c.last, c.lastRIP)
	if r, err := c.Regs(); err == nil && r.RIP == resetVector && r.RSP == 0 {
		return "the processor's registers are lost (AMD-V resets on a triple fault); " + where
	}
	return where + "\n" + c.Describe()
}

func internalErrorName(sub uint32) string {
	names := [...]string{"", "an instruction it cannot emulate", "simultaneous exceptions", "event delivery failed", "unexpected exit reason"}
	if sub == 0 || int(sub) >= len(names) {
		return fmt.Sprintf("suberror %d", sub)
	}
	return names[sub]
}

// serveMMIO answers as an empty bus does: reads give all ones, writes are lost.
func (c *VCPU) serveMMIO(x kvm.MMIO) {
	if !x.Write {
		for i := range x.Data {
			x.Data[i] = 0xFF
		}
	}
	if _, seen := c.vm.ports.unknown.LoadOrStore(x.GPA, true); !seen {
		c.vm.Log.Debug("access to memory that is not there", "gpa", fmt.Sprintf("%#x", x.GPA), "write", x.Write)
	}
}

func (c *VCPU) serveHyperv() {
	switch c.HypervKind() {
	case kvm.HypervHypercall:
		const invalidCode = 2 // HV_STATUS_INVALID_HYPERCALL_CODE
		result := uint64(invalidCode)
		if c.vm.hv != nil {
			result = c.vm.hv.Hypercall(c, c.Hypercall())
		}
		c.SetHypercallResult(result)
	case kvm.HypervSynIC:
		if c.vm.hv != nil {
			c.vm.hv.SynIC(c, c.SynIC())
		}
	}
}

func (c *VCPU) serveSystemEvent() error {
	switch ev := c.SystemEvent(); ev {
	case kvm.SystemEventShutdown:
		c.vm.End(Exit{Kind: Shutdown})
	case kvm.SystemEventReset:
		c.vm.End(Exit{Kind: Reset})
	case kvm.SystemEventCrash:
		e := Exit{Kind: Crash}
		if c.vm.hv != nil {
			e = c.vm.hv.Crash(c)
		}
		c.vm.End(e)
	default:
		return fmt.Errorf("unexpected system event %d", ev)
	}
	return nil
}

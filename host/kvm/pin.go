// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package kvm

import (
	"errors"
	"io"
)

// pin is a virtual machine that never runs.
type pin struct {
	vm    *VM
	vcpus []*VCPU
}

// Pin holds a virtual machine that never runs, until it is closed.
//
// Linux patches its own code when the first VM comes and when the last one goes
// (the jump label preempt_notifier_key, in the scheduler), and when the first or
// last local APIC is switched off (apic_hw_disabled, apic_sw_disabled). QEMU's
// software emulation with several processors now and then runs the breakpoint of
// such a patch after the patch is done, and the kernel dies of "Oops: int3". While
// this VM with its two switched-off APICs exists, nothing is patched: a kernel
// under emulation that runs VMs wants one from its start to its end.
func Pin() (io.Closer, error) {
	s, err := Open()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	p := &pin{}
	if p.vm, err = s.CreateVM(); err != nil {
		return nil, err
	}
	if err := p.fill(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// fill adds a processor whose APIC waits for its software switch, as all do at
// first, and one whose APIC is off in IA32_APIC_BASE.
func (p *pin) fill() error {
	if err := p.vm.CreateIRQChip(); err != nil {
		return err
	}
	for id := range 2 {
		v, err := p.vm.CreateVCPU(id)
		if err != nil {
			return err
		}
		p.vcpus = append(p.vcpus, v)
	}
	sr, err := p.vcpus[1].Sregs()
	if err != nil {
		return err
	}
	const apicEnable = 1 << 11
	sr.APICBase &^= apicEnable
	return p.vcpus[1].SetSregs(sr)
}

// Close drops the machine.
func (p *pin) Close() error {
	var errs []error
	for _, v := range p.vcpus {
		errs = append(errs, v.Close())
	}
	return errors.Join(append(errs, p.vm.Close())...)
}

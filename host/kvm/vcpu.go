// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package kvm

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// VCPU is a virtual processor. Its methods but RequestExit belong to the one
// thread that runs it ("vcpu ioctls should be issued from the same thread that
// was used to create the vcpu").
type VCPU struct {
	fd  int
	run []byte // struct kvm_run, shared with the kernel; written by it only within KVM_RUN
}

// CreateVCPU adds a virtual processor; id is its APIC id.
func (m *VM) CreateVCPU(id int) (*VCPU, error) {
	fd, err := ioctl(m.fd, ioCreateVCPU, uintptr(id))
	if err != nil {
		return nil, wrap("KVM_CREATE_VCPU", err)
	}
	unix.CloseOnExec(fd)
	mem, err := unix.Mmap(fd, 0, m.runSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("kvm: mmap of struct kvm_run: %w", err)
	}
	binary.LittleEndian.PutUint64(mem[runValidRegs:], m.syncRegs)
	return &VCPU{fd, mem}, nil
}

// Close unmaps and closes the vCPU.
func (v *VCPU) Close() error {
	return errors.Join(unix.Munmap(v.run), unix.Close(v.fd))
}

// Run enters the guest until it does something the kernel does not serve, and
// returns why. ErrInterrupted means that nothing happened in the guest: a signal
// arrived, or RequestExit was called.
func (v *VCPU) Run() (ExitReason, error) {
	switch err := run(v.fd); err {
	case nil:
		return ExitReason(v.u32(8)), nil
	case unix.EINTR, unix.EAGAIN:
		return ExitInterrupted, ErrInterrupted
	default:
		return ExitUnknown, wrap("KVM_RUN", err)
	}
}

// RequestExit makes the next KVM_RUN return at once, after completing the
// operation of the last exit; any thread may call it. A KVM_RUN under way ends
// only by a signal to its thread.
func (v *VCPU) RequestExit(on bool) {
	v.run[1] = 0
	if on {
		v.run[1] = 1
	}
}

// NMI makes an NMI come to the processor when it runs next.
func (v *VCPU) NMI() error {
	_, err := ioctl(v.fd, ioNMI, 0)
	return wrap("KVM_NMI", err)
}

// Regs returns the general registers.
func (v *VCPU) Regs() (r Regs, err error) {
	_, err = ioctlPtr(v.fd, ioGetRegs, &r)
	return r, wrap("KVM_GET_REGS", err)
}

// SetRegs sets the general registers.
func (v *VCPU) SetRegs(r Regs) error {
	_, err := ioctlPtr(v.fd, ioSetRegs, &r)
	return wrap("KVM_SET_REGS", err)
}

// Sregs returns segments, tables and control registers.
func (v *VCPU) Sregs() (s Sregs, err error) {
	_, err = ioctlPtr(v.fd, ioGetSregs, &s)
	return s, wrap("KVM_GET_SREGS", err)
}

// SetSregs sets segments, tables and control registers.
func (v *VCPU) SetSregs(s Sregs) error {
	_, err := ioctlPtr(v.fd, ioSetSregs, &s)
	return wrap("KVM_SET_SREGS", err)
}

// MPState returns what the processor is doing.
func (v *VCPU) MPState() (MPState, error) {
	var s MPState
	_, err := ioctlPtr(v.fd, ioGetMPState, &s)
	return s, wrap("KVM_GET_MP_STATE", err)
}

// SetMPState changes what the processor is doing.
func (v *VCPU) SetMPState(s MPState) error {
	_, err := ioctlPtr(v.fd, ioSetMPState, &s)
	return wrap("KVM_SET_MP_STATE", err)
}

// Translate looks a guest-virtual address up in the guest's present page tables.
func (v *VCPU) Translate(linear uint64) (Translation, error) {
	t := Translation{Linear: linear}
	_, err := ioctlPtr(v.fd, ioTranslate, &t)
	return t, wrap("KVM_TRANSLATE", err)
}

// SetCPUID sets what the CPUID instruction shows.
func (v *VCPU) SetCPUID(e []CPUIDEntry) error {
	if len(e) > maxCPUID {
		return fmt.Errorf("kvm: %d CPUID entries, at most %d", len(e), maxCPUID)
	}
	l := &cpuidList{n: uint32(len(e))}
	copy(l.e[:], e)
	_, err := ioctlPtr(v.fd, ioSetCPUID2, l)
	return wrap("KVM_SET_CPUID2", err)
}

// MSRs reads the registers named, in their order.
func (v *VCPU) MSRs(index ...uint32) ([]uint64, error) {
	if len(index) > maxMSRs {
		return nil, fmt.Errorf("kvm: %d MSRs, at most %d", len(index), maxMSRs)
	}
	l := &msrList{n: uint32(len(index))}
	for i, x := range index {
		l.e[i].Index = x
	}
	n, err := ioctlPtr(v.fd, ioGetMSRs, l)
	if err != nil {
		return nil, wrap("KVM_GET_MSRS", err)
	}
	if n != len(index) {
		return nil, fmt.Errorf("kvm: KVM_GET_MSRS: register %#x is not readable", index[min(max(n, 0), len(index)-1)])
	}
	out := make([]uint64, n)
	for i := range out {
		out[i] = l.e[i].Data
	}
	return out, nil
}

// SetMSRs writes registers.
func (v *VCPU) SetMSRs(regs ...MSR) error {
	if len(regs) > maxMSRs {
		return fmt.Errorf("kvm: %d MSRs, at most %d", len(regs), maxMSRs)
	}
	l := &msrList{n: uint32(len(regs))}
	copy(l.e[:], regs)
	n, err := ioctlPtr(v.fd, ioSetMSRs, l)
	if err == nil && n != len(regs) {
		err = fmt.Errorf("register %#x refused", regs[min(max(n, 0), len(regs)-1)].Index)
	}
	return wrap("KVM_SET_MSRS", err)
}

// EnableCap turns a vCPU capability on.
func (v *VCPU) EnableCap(c Cap, args ...uint64) error {
	e := enableCap{cap: uint32(c)}
	copy(e.args[:], args)
	_, err := ioctlPtr(v.fd, ioEnableCap, &e)
	return wrap("KVM_ENABLE_CAP "+c.String(), err)
}

func (v *VCPU) u32(off int) uint32 { return binary.LittleEndian.Uint32(v.run[off:]) }
func (v *VCPU) u64(off int) uint64 { return binary.LittleEndian.Uint64(v.run[off:]) }

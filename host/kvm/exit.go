// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package kvm

import (
	"encoding/binary"
	"fmt"
)

// struct kvm_run: the union with one member per exit reason starts at byte 32.
const (
	runUnion     = 32
	runValidRegs = runUnion + 256 // which registers the kernel stores on exit
	runRegs      = runValidRegs + 16
	runMinSize   = runRegs + 2048

	syncRegs = 1 << 0 // KVM_SYNC_X86_REGS
)

// LastRIP returns the instruction pointer at the last exit that stored it, without
// a call of the kernel; 0 if KVM does not store registers.
func (v *VCPU) LastRIP() uint64 { return v.u64(runRegs + regsSize - 16) }

// IO is an access to an I/O port; a string instruction makes Count accesses at once.
type IO struct {
	In    bool
	Size  int // bytes of one access: 1, 2 or 4
	Port  uint16
	Count int
	Data  []byte // Size*Count bytes in struct kvm_run; for In the answer is written here
}

// IO decodes ExitIO.
func (v *VCPU) IO() (IO, error) {
	x := IO{
		In:    v.run[runUnion] == 0,
		Size:  int(v.run[runUnion+1]),
		Port:  binary.LittleEndian.Uint16(v.run[runUnion+2:]),
		Count: int(v.u32(runUnion + 4)),
	}
	off := v.u64(runUnion + 8)
	n := uint64(x.Size) * uint64(x.Count)
	if off > uint64(len(v.run)) || n > uint64(len(v.run))-off {
		return IO{}, fmt.Errorf("kvm: I/O data of %d bytes at %d is outside struct kvm_run", n, off)
	}
	x.Data = v.run[off : off+n]
	return x, nil
}

// MMIO is an access to guest-physical memory that is not RAM.
type MMIO struct {
	GPA   uint64
	Write bool
	Data  []byte // 1 to 8 bytes in struct kvm_run; for a read the answer is written here
}

// MMIO decodes ExitMMIO.
func (v *VCPU) MMIO() MMIO {
	n := min(v.u32(runUnion+16), 8)
	return MMIO{
		GPA:   v.u64(runUnion),
		Write: v.run[runUnion+20] != 0,
		Data:  v.run[runUnion+8 : runUnion+8+n],
	}
}

// SynIC is the state of a vCPU's synthetic interrupt controller after the guest
// wrote one of its registers: the values of SCONTROL, SIEFP and SIMP.
type SynIC struct {
	MSR                  uint32
	Control, SIEFP, SIMP uint64
}

// Hypercall is a hypercall KVM leaves to user space. Input is the whole input
// value (RCX); Param1 and Param2 are RDX and R8.
type Hypercall struct {
	Input, Param1, Param2 uint64
}

// HypervKind returns which member of struct kvm_hyperv_exit holds an ExitHyperv.
func (v *VCPU) HypervKind() uint32 { return v.u32(runUnion) }

// SynIC decodes an ExitHyperv of kind HypervSynIC.
func (v *VCPU) SynIC() SynIC {
	const u = runUnion + 8
	return SynIC{MSR: v.u32(u), Control: v.u64(u + 8), SIEFP: v.u64(u + 16), SIMP: v.u64(u + 24)}
}

// Hypercall decodes an ExitHyperv of kind HypervHypercall.
func (v *VCPU) Hypercall() Hypercall {
	const u = runUnion + 8
	return Hypercall{Input: v.u64(u), Param1: v.u64(u + 16), Param2: v.u64(u + 24)}
}

// SetHypercallResult sets what the guest finds in RAX when it runs again.
func (v *VCPU) SetHypercallResult(r uint64) {
	binary.LittleEndian.PutUint64(v.run[runUnion+16:], r)
}

// SystemEvent returns the type of an ExitSystemEvent.
func (v *VCPU) SystemEvent() uint32 { return v.u32(runUnion) }

// EntryFailure returns the processor's reason of an ExitFailEntry.
func (v *VCPU) EntryFailure() uint64 { return v.u64(runUnion) }

// InternalError returns what KVM says about an ExitInternalError: the suberror
// (1 emulation, 2 simultaneous exceptions, 3 event delivery, 4 unexpected exit)
// and its data.
func (v *VCPU) InternalError() (suberror uint32, data []uint64) {
	n := min(v.u32(runUnion+4), 16)
	for i := range n {
		data = append(data, v.u64(runUnion+8+8*int(i)))
	}
	return v.u32(runUnion), data
}

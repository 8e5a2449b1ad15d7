// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package kvm

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ioctl calls with an integer argument and repeats when a signal came first.
func ioctl(fd int, code, arg uintptr) (int, error) {
	for {
		r, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), code, arg)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return 0, e
		}
		return int(r), nil
	}
}

// ioctlPtr calls with a structure the kernel reads or writes. T must hold no Go pointer.
func ioctlPtr[T any](fd int, code uintptr, p *T) (int, error) {
	for {
		r, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), code, uintptr(unsafe.Pointer(p)))
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return 0, e
		}
		return int(r), nil
	}
}

// maxCPUID is room for more CPUID entries than any processor has (KVM's own limit is 256).
const maxCPUID = 256

type cpuidList struct {
	n, _ uint32
	e    [maxCPUID]CPUIDEntry
}

// maxMSRs is how many registers one call of MSRs or SetMSRs takes.
const maxMSRs = 32

type msrList struct {
	n, _ uint32
	e    [maxMSRs]MSR
}

type routingTable struct {
	n, _ uint32
	e    [maxRoutes]routingEntry
}

// run calls KVM_RUN. EINTR is the caller's business: it is how a vCPU is kicked.
func run(fd int) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), ioRun, 0); e != 0 {
		return e
	}
	return nil
}

// SetMemory puts mem at guest-physical address gpa as memory slot number slot.
// mem must be page aligned and stay mapped as long as the VM exists.
func (m *VM) SetMemory(slot uint32, gpa uint64, mem []byte) error {
	if len(mem) == 0 {
		return errors.New("kvm: memory slot of no size")
	}
	r := memoryRegion{slot: slot, gpa: gpa, size: uint64(len(mem)), userAddr: uint64(uintptr(unsafe.Pointer(&mem[0])))}
	_, err := ioctlPtr(m.fd, ioSetUserMemoryRegion, &r)
	return wrap("KVM_SET_USER_MEMORY_REGION", err)
}

// denyAll is a bitmap of registers that are all not allowed.
var denyAll [64]byte

func denyAllAddress() uint64 { return uint64(uintptr(unsafe.Pointer(&denyAll))) }

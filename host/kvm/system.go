// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package kvm

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Path is the device node of KVM.
const Path = "/dev/kvm"

// System is an open /dev/kvm.
type System struct{ fd int }

// Open opens /dev/kvm and checks the API version. The error wraps
// fs.ErrNotExist or fs.ErrPermission where these are the cause.
func Open() (*System, error) {
	fd, err := unix.Open(Path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: Path, Err: err}
	}
	v, err := ioctl(fd, ioGetAPIVersion, 0)
	if err != nil || v != APIVersion {
		unix.Close(fd)
		if err != nil {
			return nil, fmt.Errorf("%s: KVM_GET_API_VERSION: %w", Path, err)
		}
		return nil, fmt.Errorf("%s: API version %d, want %d", Path, v, APIVersion)
	}
	return &System{fd}, nil
}

// Close closes the device. VMs made from it live on.
func (s *System) Close() error { return unix.Close(s.fd) }

// Check returns KVM_CHECK_EXTENSION's answer: 0 for "not there", or a number
// whose meaning depends on the capability.
func (s *System) Check(c Cap) (int, error) {
	n, err := ioctl(s.fd, ioCheckExtension, uintptr(c))
	return n, wrap("KVM_CHECK_EXTENSION", err)
}

// MaxVCPUs returns how many virtual processors, numbered from 0, a VM can have.
func (s *System) MaxVCPUs() (int, error) {
	n, err1 := s.Check(CapMaxVCPUs)
	ids, err2 := s.Check(CapMaxVCPUID) // 0: as many as processors
	if err := errors.Join(err1, err2); err != nil {
		return 0, err
	}
	if ids > 0 {
		n = min(n, ids)
	}
	return n, nil
}

// SupportedCPUID returns the CPUID entries "which are supported by both the
// hardware and kvm in its default configuration".
func (s *System) SupportedCPUID() ([]CPUIDEntry, error) {
	return s.cpuid("KVM_GET_SUPPORTED_CPUID", ioGetSupportedCPUID)
}

// SupportedHvCPUID returns "x86 cpuid features leaves related to Hyper-V
// emulation in KVM", leaves 0x40000000 and up. It needs CapSysHypervCPUID.
func (s *System) SupportedHvCPUID() ([]CPUIDEntry, error) {
	return s.cpuid("KVM_GET_SUPPORTED_HV_CPUID", ioGetSupportedHvCPUID)
}

func (s *System) cpuid(name string, code uintptr) ([]CPUIDEntry, error) {
	l := &cpuidList{n: maxCPUID}
	if _, err := ioctlPtr(s.fd, code, l); err != nil {
		return nil, wrap(name, err)
	}
	if l.n > maxCPUID {
		return nil, fmt.Errorf("kvm: %s: %d entries", name, l.n)
	}
	return append([]CPUIDEntry(nil), l.e[:l.n]...), nil
}

// VM is a virtual machine's file descriptor.
type VM struct {
	fd, runSize int
	syncRegs    uint64 // registers that every exit shall store
}

// CreateVM makes a virtual machine without memory, processors or devices.
func (s *System) CreateVM() (*VM, error) {
	size, err := ioctl(s.fd, ioGetVCPUMmapSize, 0)
	if err != nil {
		return nil, wrap("KVM_GET_VCPU_MMAP_SIZE", err)
	}
	if size < runMinSize {
		return nil, fmt.Errorf("kvm: KVM_GET_VCPU_MMAP_SIZE: %d bytes", size)
	}
	fd, err := ioctl(s.fd, ioCreateVM, 0)
	if err != nil {
		return nil, wrap("KVM_CREATE_VM", err)
	}
	unix.CloseOnExec(fd)
	m := &VM{fd: fd, runSize: size}
	if have, err := s.Check(CapSyncRegs); err == nil && have&syncRegs != 0 {
		m.syncRegs = syncRegs
	}
	return m, nil
}

// Close drops the VM. The kernel frees it once its vCPUs are closed too.
func (m *VM) Close() error { return unix.Close(m.fd) }

// Clock returns the VM's clock in nanoseconds since it was made. The reference time of
// a Hyper-V guest (TLFS 12.4) is this in units of 100 ns.
func (m *VM) Clock() (ns uint64, err error) {
	var c clock
	if _, err := ioctlPtr(m.fd, ioGetClock, &c); err != nil {
		return 0, wrap("KVM_GET_CLOCK", err)
	}
	return c.ns, nil
}

// SetTSSAddr gives Intel processors without unrestricted guest support three
// pages of guest-physical address space of their own.
func (m *VM) SetTSSAddr(gpa uint64) error {
	_, err := ioctl(m.fd, ioSetTSSAddr, uintptr(gpa))
	return wrap("KVM_SET_TSS_ADDR", err)
}

// CreateIRQChip makes the local APICs and the I/O APIC (and a PIC nobody uses)
// in the kernel. vCPUs are created after it.
func (m *VM) CreateIRQChip() error {
	_, err := ioctl(m.fd, ioCreateIRQChip, 0)
	return wrap("KVM_CREATE_IRQCHIP", err)
}

// SetIRQLine sets the level of a GSI. A GSI routed to a SINT fires on level 1.
func (m *VM) SetIRQLine(gsi uint32, level bool) error {
	l := irqLevel{gsi: gsi}
	if level {
		l.level = 1
	}
	_, err := ioctlPtr(m.fd, ioIRQLine, &l)
	return wrap("KVM_IRQ_LINE", err)
}

// maxRoutes bounds the routing table (KVM_MAX_IRQ_ROUTES).
const maxRoutes = 4096

// SetRoutes replaces the GSI routing table: the I/O APIC's pins one to one and
// the given SINTs. The virtual processors named must have their SynIC enabled.
func (m *VM) SetRoutes(sints []Route) error {
	if len(sints) > maxRoutes-IOAPICPins {
		return fmt.Errorf("kvm: %d interrupt routes, at most %d", len(sints), maxRoutes-IOAPICPins)
	}
	t := &routingTable{}
	for pin := range uint32(IOAPICPins) {
		t.e[t.n] = routingEntry{gsi: pin, kind: routeIRQChip, a: irqchipIOAPIC, b: pin}
		t.n++
	}
	for _, r := range sints {
		t.e[t.n] = routingEntry{gsi: r.GSI, kind: routeHvSINT, a: r.VP, b: r.SINT}
		t.n++
	}
	_, err := ioctlPtr(m.fd, ioSetGSIRouting, t)
	return wrap("KVM_SET_GSI_ROUTING", err)
}

// IRQFD lets a write to eventfd trigger raise gsi. When resample is not
// negative "a user space process can be notified when the guest acknowledges":
// for a SINT, when the guest writes EOM or EOI.
func (m *VM) IRQFD(gsi uint32, trigger, resample int) error {
	q := irqfd{fd: uint32(trigger), gsi: gsi}
	if resample >= 0 {
		q.flags, q.resampleFD = irqfdResample, uint32(resample)
	}
	_, err := ioctlPtr(m.fd, ioIRQFD, &q)
	return wrap("KVM_IRQFD", err)
}

func wrap(call string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("kvm: %s: %w", call, err)
}

// ErrInterrupted is what Run returns when a signal or RequestExit stopped it.
var ErrInterrupted = errors.New("kvm: KVM_RUN interrupted")

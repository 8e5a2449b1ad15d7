// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package kvm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// needed are the capabilities the test host cannot do without.
var needed = []Cap{
	CapIRQRouting, CapIRQFD, CapIRQFDResample, CapImmediateExit,
	CapHyperv, CapHypervTime, CapHypervSynIC2, CapHypervVPIndex, CapSysHypervCPUID,
}

// ErrUnusable is wrapped by every error of Usable.
var ErrUnusable = errors.New("KVM with Hyper-V enlightenments is not usable here")

// Usable says what keeps the test host from running a guest on this machine's
// KVM: no /dev/kvm, no permission, a KVM without CONFIG_KVM_HYPERV, or one that
// does not run 64-bit code (some sandboxes have such a device). It runs a guest
// of five instructions to find out, and returns nil when all is well.
func Usable() error {
	s, err := Open()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no %s", ErrUnusable, Path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: no permission to open %s (is the user in group kvm?)", ErrUnusable, Path)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	defer s.Close()
	if missing := s.missing(); len(missing) > 0 {
		return fmt.Errorf("%w: it lacks %s", ErrUnusable, strings.Join(missing, ", "))
	}
	if err := s.tryGuest(); err != nil {
		return fmt.Errorf("%w: a trial guest failed: %w", ErrUnusable, err)
	}
	return nil
}

func (s *System) missing() []string {
	var names []string
	for _, c := range needed {
		if n, err := s.Check(c); err != nil || n == 0 {
			names = append(names, c.String())
		}
	}
	return names
}

const (
	trialPort    = 0xE4
	trialValue   = 0x1122334455667788
	trialTimeout = 10 * time.Second
)

// trialCode reads the Hyper-V register VP_INDEX, loads a 64-bit value and leaves
// through a port. No IDT is set: what the processor refuses is a triple fault.
var trialCode = append(binary.LittleEndian.AppendUint64([]byte{
	0xB9, 0x02, 0x00, 0x00, 0x40, // mov ecx, 0x40000002
	0x0F, 0x32, // rdmsr
	0x48, 0xB8}, trialValue), // mov rax, trialValue
	0xE6, trialPort, // out trialPort, al
	0xF4) // hlt

// tryGuest runs trialCode on a thread of its own. A KVM_RUN that does not come
// back is interrupted by a signal; one that ignores even this keeps the thread.
func (s *System) tryGuest() error {
	done, tid := make(chan error, 1), make(chan int, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		tid <- unix.Gettid()
		done <- s.runTrial()
	}()
	id := <-tid
	select {
	case err := <-done:
		return err
	case <-time.After(trialTimeout):
	}
	// SIGURG has a handler in every Go program and means nothing to it.
	if err := unix.Tgkill(unix.Getpid(), id, unix.SIGURG); err != nil {
		return fmt.Errorf("stop the vCPU: %w", err)
	}
	select {
	case <-done:
	case <-time.After(time.Second):
	}
	return fmt.Errorf("no answer within %v", trialTimeout)
}

func (s *System) runTrial() (err error) {
	m, err := s.CreateVM()
	if err != nil {
		return err
	}
	defer m.Close()
	const size = 64 << 10
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("mmap: %w", err)
	}
	defer unix.Munmap(mem)
	if err := errors.Join(m.SetTSSAddr(0xFFFBD000), m.CreateIRQChip(), m.SetMemory(0, 0, mem)); err != nil {
		return err
	}
	v, err := m.CreateVCPU(0)
	if err != nil {
		return err
	}
	defer v.Close()
	const pml4, pdpt, pd, code = 0x1000, 0x2000, 0x3000, 0x4000
	binary.LittleEndian.PutUint64(mem[pml4:], pdpt|3)
	binary.LittleEndian.PutUint64(mem[pdpt:], pd|3)
	binary.LittleEndian.PutUint64(mem[pd:], 0x83) // one 2 MiB page
	copy(mem[code:], trialCode)
	if err := s.prepareTrial(v, pml4, code); err != nil {
		return err
	}
	return checkTrial(v)
}

func (s *System) prepareTrial(v *VCPU, cr3, rip uint64) error {
	cpuid, err1 := s.SupportedCPUID()
	hv, err2 := s.SupportedHvCPUID()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	all := hv
	for _, e := range cpuid {
		if e.Function>>28 != 4 {
			all = append(all, e)
		}
	}
	if err := errors.Join(v.SetCPUID(all), v.EnableCap(CapHypervSynIC2)); err != nil {
		return err
	}
	sr, err := v.Sregs()
	if err != nil {
		return err
	}
	sr.LongMode(cr3)
	return errors.Join(v.SetSregs(sr), v.SetRegs(Regs{RIP: rip, RFlags: 2}))
}

func checkTrial(v *VCPU) error {
	for {
		why, err := v.Run()
		if errors.Is(err, ErrInterrupted) {
			continue // a signal of the Go runtime
		}
		if err != nil {
			return err
		}
		if why != ExitIO {
			return fmt.Errorf("it ended with %q instead of an I/O port access", why)
		}
		break
	}
	x, err := v.IO()
	if err != nil {
		return err
	}
	r, err := v.Regs()
	if err != nil {
		return err
	}
	if x.Port != trialPort || r.RAX != trialValue {
		return fmt.Errorf("it wrote %#x to port %#x", r.RAX, x.Port)
	}
	return nil
}

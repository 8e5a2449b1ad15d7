// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/hvgo/hvgo/host/direct"
	"github.com/hvgo/hvgo/host/firmware"
	"github.com/hvgo/hvgo/host/hyperv"
	"github.com/hvgo/hvgo/host/testdev"
	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/guid"
)

// Exit is the end of a run; its kinds are those of package vmm.
type Exit = vmm.Exit

// Config describes a machine. The zero value but for Image or BootDisk is a
// machine of one processor and 256 MiB.
type Config struct {
	Memory    uint64 // bytes of RAM, whole pages; 0 for DefaultMemory
	LowMemory uint64 // at most this much of it below 4 GiB; 0 for as much as fits
	HugePages bool   // see vmm.Config
	VCPUs     int    // 0 for 1

	// Image is the UEFI application to start, or an ELF kernel, which is started
	// without firmware. If nil, it is read from BootDisk.
	Image []byte
	// Direct says how an ELF kernel is started. Kernel, UUID and CommandLine are set
	// from this Config's Image, UUID and LoadOptions; NoRNG means NoSeed too.
	Direct direct.Config
	// BootDisk is a disk whose EFI partition holds \EFI\BOOT\BOOTX64.EFI. For the
	// guest to see the disk too, a device for it must be in Devices.
	BootDisk io.ReaderAt
	// BootDiskSize is BootDisk's size in bytes.
	BootDiskSize int64

	// Devices are offered to the guest over VMBus: disks (host/storvsp), network
	// cards (host/netvsp), integration services (host/ic).
	Devices []vmbus.Device
	// VMBus adjusts the VMBus server.
	VMBus vmbus.Options

	// TestDevice adds the device of host/testdev.
	TestDevice bool

	// Console takes what the guest writes to COM1 and, before it leaves the
	// firmware, to ConOut; nil for nowhere. A slow writer holds the guest up, but
	// not the end of the run.
	Console io.Writer

	// Mask takes features out of CPUID; NoEnforce lets the guest use them all the same.
	// Quirks are habits of other hypervisors.
	Mask      hyperv.Mask
	NoEnforce bool
	Quirks    hyperv.Quirks

	// Seed, StaleMapKey, NoRNG, LoadOptions and Initrd are the firmware's, see there.
	Seed        uint64
	StaleMapKey bool
	NoRNG       bool
	LoadOptions string
	Initrd      []byte

	// Strict is told about each rule that the guest breaks, with details; docs/RULES.md
	// lists them. It is called from any goroutine, with locks held. If it is nil, Run's
	// error names the rules. Lenient lets them be broken where a host can look away, as
	// hosts do; then Strict is not called.
	Strict  func(rule, detail string)
	Lenient bool

	UUID guid.GUID // of the machine; zero for a random one
	Log  *slog.Logger
}

// DefaultMemory is the RAM of a machine whose Config does not say, in bytes.
const DefaultMemory = 256 << 20

// Machine is a VM ready to run once.
type Machine struct {
	vm   *vmm.VM
	hv   *hyperv.Partition
	bus  *vmbus.Server
	uart *vmm.UART
	fw   *firmware.Firmware

	broken  broken
	lenient bool
}

// New makes a machine. The caller runs it once and closes it.
func New(cfg Config) (_ *Machine, err error) {
	if cfg.Memory == 0 {
		cfg.Memory = DefaultMemory
	}
	if cfg.UUID.IsZero() {
		cfg.UUID = guid.New()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Image == nil {
		if cfg.BootDisk == nil {
			return nil, errors.New("no image and no disk to boot from")
		}
		if cfg.Image, err = firmware.ReadBootImage(cfg.BootDisk, cfg.BootDiskSize); err != nil {
			return nil, fmt.Errorf("boot disk: %w", err)
		}
	}
	m := &Machine{}
	m.join(&cfg)
	defer func() {
		if err != nil {
			m.Close()
		}
	}()
	if m.vm, err = vmm.New(vmm.Config{Memory: cfg.Memory, LowMemory: cfg.LowMemory, HugePages: cfg.HugePages, VCPUs: cfg.VCPUs, Log: cfg.Log}); err != nil {
		return nil, err
	}
	if m.hv, err = hyperv.New(m.vm, hyperv.Config{Mask: cfg.Mask, NoEnforce: cfg.NoEnforce, Quirks: cfg.Quirks, Strict: cfg.Strict, Log: cfg.Log}); err != nil {
		return nil, err
	}
	if cfg.VMBus.Log == nil {
		cfg.VMBus.Log = cfg.Log
	}
	m.bus = vmbus.New(busVM{m.hv, m.vm.Memory()}, cfg.VMBus)
	m.hv.SetServer(m.bus)
	if cfg.TestDevice {
		d := testdev.New(m.hv, m.bus, cfg.Log)
		if err = m.vm.HandlePorts("test device", testdev.Port, testdev.Port+3, d); err != nil {
			return nil, err
		}
		m.hv.SetServer(d)
	}
	for _, d := range cfg.Devices {
		m.bus.AddDevice(d)
	}
	if cfg.Console != nil {
		cfg.Console = m.vm.Console(cfg.Console)
	}
	if m.uart, err = m.vm.AddCOM1(cfg.Console); err != nil {
		return nil, err
	}
	if err := m.vm.AddRTC(); err != nil {
		return nil, err
	}
	if direct.IsELF(cfg.Image) {
		d := cfg.Direct
		d.Kernel, d.CommandLine, d.UUID, d.NoSeed = cfg.Image, cfg.LoadOptions, cfg.UUID, d.NoSeed || cfg.NoRNG
		if err = direct.Boot(m.vm, d); err != nil {
			return nil, err
		}
		return m, nil
	}
	m.fw, err = firmware.Boot(m.vm, firmware.Config{
		Image: cfg.Image, Seed: cfg.Seed, StaleMapKey: cfg.StaleMapKey, NoRNG: cfg.NoRNG, LoadOptions: cfg.LoadOptions, Initrd: cfg.Initrd,
		Console: cfg.Console, UUID: cfg.UUID, Log: cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Run runs the guest until it ends, Stop is called, or ctx is done. The error is
// for failures of the host, of a guest no machine could go on with, and of one that
// broke rules (ErrRules; the Exit is then still right).
func (m *Machine) Run(ctx context.Context) (Exit, error) {
	e, err := m.vm.Run(ctx)
	m.ended(e)
	return e, errors.Join(err, m.broken.err())
}

// Stop ends a run at once, as pulling the plug does. See host/ic for the clean way.
func (m *Machine) Stop() { m.vm.Stop() }

// NMI interrupts a running guest's processor, of a number below Config.VCPUs, by an NMI:
// a guest that hangs tells by it where it is.
func (m *Machine) NMI(cpu int) error { return m.vm.NMI(cpu) }

// Describe tells what each processor of a running guest is doing: registers, the
// instruction, the top of the stack.
func (m *Machine) Describe() string { return m.vm.Describe() }

// Input is the guest's COM1 from the other end: what is written is input to the
// guest. A write fails when the guest does not read.
func (m *Machine) Input() io.Writer { return m.uart }

// Bus returns the VMBus server, to add and remove devices while the guest runs.
func (m *Machine) Bus() *vmbus.Server { return m.bus }

// ReferenceTime returns the guest's reference time (TLFS 12.4) in units of 100 ns.
func (m *Machine) ReferenceTime() (uint64, error) {
	ns, err := m.vm.KVM.Clock()
	return ns / 100, err
}

// ImageBase returns where the firmware put the image, for reading addresses in
// reports; 0 for a kernel, which lies where it says itself.
func (m *Machine) ImageBase() uint64 {
	if m.fw == nil {
		return 0
	}
	return m.fw.ImageBase()
}

// Close frees the machine after its run: devices first, guest memory last.
func (m *Machine) Close() error {
	var errs []error
	if m.bus != nil {
		m.bus.Close()
	}
	if m.hv != nil {
		errs = append(errs, m.hv.Close())
	}
	if m.vm != nil {
		errs = append(errs, m.vm.Close())
	}
	return errors.Join(errs...)
}

// Figures count what a run cost.
type Figures struct {
	VM     vmm.Figures
	Hyperv hyperv.Figures
}

// Figures returns the counters so far. It may be called at any time before Close.
func (m *Machine) Figures() Figures { return Figures{m.vm.Figures(), m.hv.Figures()} }

// Counters returns what the kernel counted so far, see vmm.VM.
func (m *Machine) Counters() (map[string]uint64, error) { return m.vm.Counters() }

// busVM is what the VMBus server needs of the VM.
type busVM struct {
	*hyperv.Partition
	mem *vmm.Memory
}

// Memory returns the guest's RAM.
func (v busVM) Memory() vmbus.Memory { return v.mem }

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package direct starts a kernel in a VM without firmware, as direct-booting virtual
// machine monitors do: an ELF file whose segments go where they want to be in
// physical memory. It does so by Linux's 64-bit boot protocol, or by PVH
// (internal/wire/direct).
//
//	elf.go     reads and checks the kernel
//	direct.go  memory, tables, processor
//
// Memory below 1 MiB, where kernels must not be loaded:
//
//	0x1000  descriptor table        0x0A000  setup data
//	0x2000  boot_params, or         0x10000  ACPI tables
//	        start info, memory map  0xE0000  RSDP
//	0x3000  command line            0xF0000  SMBIOS
//	0x4000  page tables: 4 GiB, each address itself
//
// The state is as poor as monitors have been seen to leave it: no stack, no interrupt
// descriptors, SSE off, no RSDP in boot_params unless Config asks for it.
package direct

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/hvgo/hvgo/host/firmware"
	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/guid"
	wire "github.com/hvgo/hvgo/internal/wire/direct"
)

var le = binary.LittleEndian

// Protocol is how a kernel is started.
type Protocol int

// The protocols.
const (
	Linux64 Protocol = iota // Linux's 64-bit boot protocol
	PVH
)

// String returns the protocol's name.
func (p Protocol) String() string {
	if p == PVH {
		return "PVH"
	}
	return "Linux 64-bit"
}

// Config says what is started, and with what.
type Config struct {
	Kernel   []byte // an ELF file
	Protocol Protocol

	// CommandLine has MaxCommandLine bytes at most, and no zero byte.
	CommandLine string

	UUID guid.GUID // of the machine, in SMBIOS

	// NoSeed leaves the random bytes out, which Linux64 has and PVH has not.
	NoSeed bool
	// TellRSDP puts the RSDP's address into boot_params; PVH always has it.
	TellRSDP bool
	// MemoryMap, if not nil, is handed over instead of the true one; for tests.
	MemoryMap []wire.Range
}

// MaxCommandLine is what a command line has at most, in bytes.
const MaxCommandLine = 4095

// Places in guest memory, and their ends.
const (
	gdtAt       = 0x1000
	paramsAt    = 0x2000 // boot_params or start info
	memmapAt    = paramsAt + 64
	lineAt      = 0x3000
	tablesAt    = 0x4000
	setupDataAt = 0xA000
	acpiAt      = 0x10000
	acpiEnd     = 0x40000
	rsdpAt      = 0xE0000
	smbiosAt    = 0xF0000
	romEnd      = 0x100000
	videoAt     = 0xA0000

	pageSize = vmm.PageSize
	seedSize = 32
)

// Boot loads the kernel into the VM and sets processor 0 to start it; the VM's Run
// does. The VM must not have run before. Errors about the kernel wrap ErrKernel.
func Boot(vm *vmm.VM, cfg Config) error {
	if len(cfg.CommandLine) > MaxCommandLine || strings.Contains(cfg.CommandLine, "\x00") {
		return fmt.Errorf("a command line of %d bytes: at most %d, none of them zero", len(cfg.CommandLine), MaxCommandLine)
	}
	k, err := readKernel(cfg.Kernel)
	if err != nil {
		return err
	}
	if cfg.Protocol == PVH && k.pvhEntry == 0 {
		return fmt.Errorf("%w: it has no ELF note that names PVH's entry", ErrKernel)
	}
	l := loader{vm: vm, ram: vm.Memory(), cfg: cfg, kernel: k}
	return l.boot()
}

type loader struct {
	vm     *vmm.VM
	ram    *vmm.Memory
	cfg    Config
	kernel *kernel

	memory []wire.Range
}

func (l *loader) boot() error {
	if err := l.load(); err != nil {
		return err
	}
	n, err := firmware.Describe(l.vm, l.cfg.UUID, firmware.Places{RSDP: rsdpAt, ACPI: acpiAt, SMBIOS: smbiosAt})
	if err != nil {
		return err
	}
	if n > acpiEnd-acpiAt {
		return fmt.Errorf("%d bytes of ACPI tables do not fit below 1 MiB", n)
	}
	l.memory = l.cfg.MemoryMap
	if l.memory == nil {
		l.memory = memoryMap(l.ram)
	}
	if err := l.put(lineAt, append([]byte(l.cfg.CommandLine), 0)); err != nil {
		return err
	}
	if l.cfg.Protocol == PVH {
		return l.startPVH()
	}
	return l.startLinux64()
}

// load copies the segments.
func (l *loader) load() error {
	for _, s := range l.kernel.segments {
		b, err := l.ram.Bytes(s.address, s.size)
		if err != nil {
			return fmt.Errorf("%w: the kernel wants %d KiB at %#x", firmware.ErrMemory, s.size>>10, s.address)
		}
		clear(b[copy(b, s.contents):])
	}
	return nil
}

// memoryMap describes the RAM: that below 1 MiB with the ACPI tables and the hole of
// a PC in it, and all above.
func memoryMap(ram *vmm.Memory) []wire.Range {
	m := []wire.Range{
		{Start: 0, Size: acpiAt, Type: wire.RAM},
		{Start: acpiAt, Size: acpiEnd - acpiAt, Type: wire.ACPI},
		{Start: acpiEnd, Size: videoAt - acpiEnd, Type: wire.RAM},
		{Start: rsdpAt, Size: romEnd - rsdpAt, Type: wire.Reserved},
	}
	for _, r := range ram.Regions() {
		start, end := max(r.GPA, romEnd), r.GPA+uint64(len(r.Mem))
		m = append(m, wire.Range{Start: start, Size: end - start, Type: wire.RAM})
	}
	return m
}

func (l *loader) put(at uint64, b []byte) error {
	to, err := l.ram.Bytes(at, uint64(len(b)))
	copy(to, b)
	return err
}

// startLinux64 makes boot_params and the state of the 64-bit entry.
func (l *loader) startLinux64() error {
	p := wire.BootParams{CommandLine: lineAt, E820: l.memory}
	if l.cfg.TellRSDP {
		p.RSDP = rsdpAt
	}
	if len(l.memory) > wire.MaxE820 { // the rest as setup data
		return l.startExtended(p)
	}
	if !l.cfg.NoSeed {
		p.SetupData = setupDataAt
		seed := make([]byte, seedSize)
		if _, err := rand.Read(seed); err != nil {
			return err
		}
		if err := l.put(setupDataAt, append(wire.SetupData{Type: wire.SetupRNGSeed, Length: seedSize}.AppendTo(nil), seed...)); err != nil {
			return err
		}
	}
	if err := l.put(paramsAt, p.AppendTo(nil)); err != nil {
		return err
	}
	return l.setLongMode()
}

// startExtended hands the ranges that boot_params have no room for over as setup
// data, and no seed.
func (l *loader) startExtended(p wire.BootParams) error {
	rest := l.memory[wire.MaxE820:]
	p.SetupData = setupDataAt
	if len(rest)*wire.E820EntrySize > acpiAt-setupDataAt-wire.SetupDataSize {
		return fmt.Errorf("a memory map of %d ranges is too long", len(l.memory))
	}
	b := wire.SetupData{Type: wire.SetupE820, Length: uint32(len(rest) * wire.E820EntrySize)}.AppendTo(nil)
	for _, r := range rest {
		b = r.AppendE820(b)
	}
	if err := errors.Join(l.put(setupDataAt, b), l.put(paramsAt, p.AppendTo(nil))); err != nil {
		return err
	}
	return l.setLongMode()
}

// setLongMode puts processor 0 at the entry: RSI at boot_params.
func (l *loader) setLongMode() error {
	gdt := le.AppendUint64(make([]byte, kvm.CodeSelector), 0x00AF9B000000FFFF)
	gdt = le.AppendUint64(gdt, 0x00CF93000000FFFF)
	if err := errors.Join(l.put(gdtAt, gdt), l.put(tablesAt, pageTables(tablesAt))); err != nil {
		return err
	}
	c := l.vm.VCPUs()[0]
	s, err := c.Sregs()
	if err != nil {
		return err
	}
	s.LongMode(tablesAt)
	const pe, pg, pae, sce, noExecute = 1 << 0, 1 << 31, 1 << 5, 1 << 0, 1 << 11
	s.CR0, s.CR4 = pe|pg, pae
	s.EFER |= sce | noExecute
	s.GDT.Base, s.GDT.Limit = gdtAt, uint16(len(gdt)-1)
	s.IDT.Base, s.IDT.Limit = 0, 0
	return errors.Join(c.SetSregs(s), c.SetRegs(kvm.Regs{RIP: l.kernel.entry, RSI: paramsAt, RFlags: 2}))
}

// pageTables map the first 4 GiB, each address to itself, with pages of 2 MiB.
func pageTables(at uint64) []byte {
	const present, large, giga, mega2 = 1<<1 | 1<<0, 1 << 7, 1 << 30, 2 << 20
	b := make([]byte, 6*pageSize)
	le.PutUint64(b, at+pageSize|present)
	for g := range uint64(4) {
		le.PutUint64(b[pageSize+8*g:], at+(2+g)*pageSize|present)
		for i := range uint64(512) {
			le.PutUint64(b[(2+g)*pageSize+8*i:], g*giga+i*mega2|present|large)
		}
	}
	return b
}

// startPVH makes the start info and puts processor 0 at the entry that the note
// names: protected mode, EBX at the start info.
func (l *loader) startPVH() error {
	info := wire.StartInfo{
		Magic: wire.StartMagic, Version: wire.StartVersion, CommandLine: lineAt, RSDP: rsdpAt,
		Memmap: memmapAt, MemmapCount: uint32(len(l.memory)),
	}
	if l.cfg.CommandLine == "" {
		info.CommandLine = 0
	}
	var ranges []byte
	for _, r := range l.memory {
		ranges = r.AppendMemmap(ranges)
	}
	if len(ranges) > lineAt-memmapAt { // a longer one goes where Linux has page tables
		if info.Memmap = tablesAt; len(ranges) > acpiAt-tablesAt {
			return fmt.Errorf("a memory map of %d ranges is too long", len(l.memory))
		}
	}
	if err := errors.Join(l.put(paramsAt, info.AppendTo(nil)), l.put(info.Memmap, ranges)); err != nil {
		return err
	}
	c := l.vm.VCPUs()[0]
	s, err := c.Sregs()
	if err != nil {
		return err
	}
	s.ProtectedMode()
	s.GDT.Limit, s.IDT.Limit = 0, 0
	return errors.Join(c.SetSregs(s), c.SetRegs(kvm.Regs{RIP: l.kernel.pvhEntry, RBX: paramsAt, RFlags: 2}))
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package firmware

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mrand "math/rand/v2"
	"sync"

	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/guid"
)

// I/O ports of the firmware. A guest has no business with them but through the stubs.
const (
	portBoot      = 0xE4 // boot services and protocols
	portRuntime   = 0xE5 // runtime services
	portException = 0xE6 // the firmware's IDT
	portReturn    = 0xE7 // the application returned

	portSleepControl = 0x400 // ACPI: sleep control, sleep status, reset
	portSleepStatus  = 0x401
	portReset        = 0x402
)

// Config says what the firmware starts and how it behaves.
type Config struct {
	// Image is the PE file to start.
	Image []byte

	// Seed chooses the load address and the shape of the memory map.
	Seed uint64

	// StaleMapKey makes the first ExitBootServices fail with a changed map, as
	// happens on real firmware when a timer event allocates memory.
	StaleMapKey bool

	// NoRNG leaves EFI_RNG_PROTOCOL out.
	NoRNG bool

	// UUID identifies the machine in SMBIOS.
	UUID guid.GUID

	// LoadOptions is the command line of the application.
	LoadOptions string

	// Initrd is offered to Linux's EFI stub by EFI_LOAD_FILE2_PROTOCOL on its
	// vendor media device path, as boot loaders do; nil for none. hvgo's own
	// guests need none: it makes a Linux guest a witness of this host.
	Initrd []byte

	// Console takes what the guest writes to ConOut; nil for nowhere.
	Console io.Writer

	// Random is the source behind EFI_RNG_PROTOCOL; nil for crypto/rand.
	Random io.Reader

	Log *slog.Logger
}

// Firmware serves one guest from its start on.
type Firmware struct {
	cfg  Config
	vm   *vmm.VM
	ram  *vmm.Memory
	cpus int
	log  *slog.Logger
	rng  *mrand.Rand

	mu        sync.Mutex // guards all below; services run on vCPU threads
	mem       *memoryMap
	pools     map[uint64]uint64 // address to size of AllocatePool's memory
	exited    bool              // ExitBootServices has succeeded
	staleOnce bool              // StaleMapKey still has to strike
	tables    tables
	protocols []protocol
	image     loaded
}

type loaded struct {
	base, size, entry uint64
	handle            uint64
}

type protocol struct {
	handle    uint64
	guid      [16]byte
	iface     uint64
	installed string // name, for logs
}

// stackSize is more than the 128 KiB UEFI 2.3.4 promises.
const stackSize = 256 << 10

// ErrMemory is wrapped when the guest has too little memory for the image.
var ErrMemory = errors.New("too little guest memory")

// Boot loads the image into the VM and sets processor 0 to start it; the VM's
// Run does. The VM must not have run before.
func Boot(vm *vmm.VM, cfg Config) (*Firmware, error) {
	f := newFirmware(vm.Memory(), len(vm.VCPUs()), cfg)
	f.vm = vm
	im, err := parseImage(cfg.Image)
	if err != nil {
		return nil, err
	}
	f.shapeMemory()
	for _, step := range []func() error{
		func() error { return f.loadImage(im) }, f.buildSystemTable, f.buildACPI, f.buildSMBIOS, f.handlePorts, f.setMemoryTypes, f.setProcessor,
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("firmware: %w", err)
		}
	}
	f.log.Debug("firmware starts the image", "base", fmt.Sprintf("%#x", f.image.base), "bytes", f.image.size)
	return f, nil
}

// newFirmware makes the state of a firmware that has placed nothing yet.
func newFirmware(ram *vmm.Memory, cpus int, cfg Config) *Firmware {
	f := &Firmware{
		cfg: cfg, ram: ram, cpus: cpus, log: cfg.Log, rng: mrand.New(mrand.NewPCG(cfg.Seed, 0x4856474F)),
		mem: newMemoryMap(ram.Regions()), pools: map[uint64]uint64{}, staleOnce: cfg.StaleMapKey,
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if f.cfg.Random == nil {
		f.cfg.Random = rand.Reader
	}
	if f.cfg.Console == nil {
		f.cfg.Console = io.Discard
	}
	return f
}

// ImageBase returns the address the image was loaded at.
func (f *Firmware) ImageBase() uint64 { return f.image.base }

// shapeMemory takes the stretches of RAM that a PC's firmware keeps: the video
// and ROM window below 1 MiB, and some code of its own in the middle of memory.
func (f *Firmware) shapeMemory() {
	f.mem.set(span{start: 0xA0000, end: 0x100000, kind: memReserved})
	for range 3 {
		size := (1 + f.rng.Uint64N(32)) * pageSize
		if a, ok := f.pick(size, pageSize); ok {
			f.mem.set(span{start: a, end: a + size, kind: []uint32{memBootCode, memBootData, memReserved}[f.rng.IntN(3)]})
		}
	}
}

// pick chooses a place of size bytes in conventional memory above 1 MiB.
func (f *Firmware) pick(size, align uint64) (uint64, bool) {
	type gap struct{ first, places uint64 }
	var gaps []gap
	var total uint64
	for _, s := range f.mem.spans {
		first := (max(s.start, 1<<20) + align - 1) &^ (align - 1)
		if s.kind != memConventional || first > s.end || s.end-first < size {
			continue
		}
		g := gap{first, (s.end-first-size)/align + 1}
		gaps = append(gaps, g)
		total += g.places
	}
	if total == 0 {
		return 0, false
	}
	n := f.rng.Uint64N(total)
	for _, g := range gaps {
		if n < g.places {
			return g.first + n*align, true
		}
		n -= g.places
	}
	return 0, false
}

// place allocates zeroed memory for the firmware and returns its address and bytes.
func (f *Firmware) place(size uint64, kind uint32) (uint64, []byte, error) {
	const anywhere = 1 << 32 // below 4 GiB, as firmware does with its own
	a, err := f.mem.allocate(size, kind, anywhere)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrMemory, err)
	}
	b, err := f.ram.Bytes(a, roundUp(size))
	return a, b, err
}

func (f *Firmware) loadImage(im *image) error {
	a, ok := f.pick(im.size, im.alignment)
	if !ok {
		return fmt.Errorf("%w: no room for an image of %d MiB", ErrMemory, im.size>>20)
	}
	b, err := f.ram.Bytes(a, im.size)
	if err != nil {
		return err
	}
	f.mem.set(span{start: a, end: a + im.size, kind: memLoaderCode})
	f.image = loaded{base: a, size: im.size, entry: a + im.entry}
	return im.load(b, a)
}

// stubSize is the distance of stubs in a stub page.
const stubSize = 16

// placeStubs fills a page with stubs that leave through port.
func (f *Firmware) placeStubs(port uint8, kind uint32) (uint64, error) {
	a, b, err := f.place(pageSize, kind)
	if err != nil {
		return 0, err
	}
	for i := 0; i < pageSize; i += stubSize {
		copy(b[i:], []byte{0xE6, port, 0xC3}) // out port, al; ret
	}
	return a, nil
}

// stubNumber finds which stub of its page an exit came from: RIP is at the OUT
// instruction or just behind it.
func stubNumber(rip uint64) int { return int(rip % pageSize / stubSize) }

// setProcessor puts processor 0 at the image's entry: flat 64-bit mode, identity
// mapping, interrupts on, RCX the image handle, RDX the system table (UEFI 2.3.4).
func (f *Firmware) setProcessor() error {
	c := f.vm.VCPUs()[0]
	s, err := c.Sregs()
	if err != nil {
		return err
	}
	cr3, err := f.buildPageTables()
	if err != nil {
		return err
	}
	s.LongMode(cr3)
	const noExecute = 1 << 11
	s.EFER |= noExecute
	if err := f.buildDescriptorTables(&s); err != nil {
		return err
	}
	back, err := f.placeStubs(portReturn, memBootCode)
	if err != nil {
		return err
	}
	stack, b, err := f.place(stackSize, memBootData)
	if err != nil {
		return err
	}
	const shadow = 32 // room for the four register arguments, above the return address
	top := uint64(stackSize - shadow - 8)
	top -= (top + 8) % 16
	le.PutUint64(b[top:], back)
	const interruptsOn = 1<<9 | 2
	return errors.Join(c.SetSregs(s), c.SetRegs(kvm.Regs{
		RIP: f.image.entry, RSP: stack + top, RFlags: interruptsOn, RCX: f.image.handle, RDX: f.tables.system,
	}))
}

// setMemoryTypes enables the MTRRs of all processors, alike, with write-back for
// everything (Intel SDM, volume 3, "MTRRdefType"), as firmware leaves them: a kernel
// that finds them disabled may do without memory types altogether.
func (f *Firmware) setMemoryTypes() error {
	const defType, enable, writeBack = 0x2FF, 1 << 11, 6
	var errs []error
	for _, c := range f.vm.VCPUs() {
		errs = append(errs, c.SetMSRs(kvm.MSR{Index: defType, Data: enable | writeBack}))
	}
	return errors.Join(errs...)
}

func (f *Firmware) handlePorts() error {
	return errors.Join(
		f.vm.HandlePorts("firmware boot services", portBoot, portBoot, vmm.PortFunc(f.serveBoot)),
		f.vm.HandlePorts("firmware runtime services", portRuntime, portRuntime, vmm.PortFunc(f.serveRuntime)),
		f.vm.HandlePorts("firmware exceptions", portException, portException, vmm.PortFunc(f.serveException)),
		f.vm.HandlePorts("firmware return", portReturn, portReturn, vmm.PortFunc(f.serveReturn)),
		f.handlePower(),
	)
}

// serveReturn ends the run when the application returns to the firmware.
func (f *Firmware) serveReturn(c *vmm.VCPU, _ kvm.IO) {
	r, err := c.Regs()
	if err != nil {
		f.vm.Fail(err)
		return
	}
	f.log.Warn("the application returned to the firmware", "status", fmt.Sprintf("%#x", r.RAX))
	f.vm.End(vmm.Exit{Kind: vmm.Shutdown, Status: r.RAX})
}

// servePower is the hardware-reduced ACPI sleep and reset registers.
func (f *Firmware) servePower(_ *vmm.VCPU, x kvm.IO) {
	if x.In || len(x.Data) == 0 {
		clear(x.Data)
		return
	}
	const sleepEnable = 1 << 5
	switch v := x.Data[0]; {
	case x.Port == portReset && v == resetValue:
		f.vm.End(vmm.Exit{Kind: vmm.Reset})
	case x.Port == portSleepControl && v&sleepEnable != 0 && v>>2&7 == sleepTypeS5:
		f.vm.End(vmm.Exit{Kind: vmm.Shutdown})
	}
}

// Names of exceptions, Intel SDM volume 3, table 6-1.
var exceptions = [...]string{
	"#DE divide error", "#DB debug", "NMI", "#BP breakpoint", "#OF overflow", "#BR bound", "#UD invalid opcode", "#NM no device",
	"#DF double fault", "9", "#TS invalid TSS", "#NP not present", "#SS stack fault", "#GP general protection", "#PF page fault",
	"15", "#MF x87 error", "#AC alignment", "#MC machine check", "#XM SIMD error", "#VE", "#CP control protection",
}

// serveException reports an exception under the firmware's IDT and ends the run:
// it is a fault of the guest from before it set its own.
func (f *Firmware) serveException(c *vmm.VCPU, _ kvm.IO) {
	r, err := c.Regs()
	if err != nil {
		f.vm.Fail(err)
		return
	}
	v := stubNumber(r.RIP)
	name := fmt.Sprintf("interrupt %d", v)
	if v < len(exceptions) {
		name = "exception " + exceptions[v]
	}
	var frame [48]byte // error code (for some), RIP, CS, RFLAGS, RSP, SS
	if err := c.ReadVirtual(r.RSP, frame[:]); err != nil {
		name += fmt.Sprintf(", its frame is unreadable (%v)", err)
	}
	var code uint64
	b := frame[:]
	if hasErrorCode(v) {
		code, b = le.Uint64(b), b[8:]
	}
	rip := le.Uint64(b)
	s, _ := c.Sregs()
	f.vm.End(vmm.Exit{Kind: vmm.TripleFault, Detail: fmt.Sprintf(
		"%s under the firmware's IDT, error code %#x, at RIP %#x (image base %#x + %#x): %s\n%s",
		name, code, rip, f.image.base, rip-f.image.base, c.Instruction(rip, s), c.Describe())})
}

func hasErrorCode(vector int) bool {
	switch vector {
	case 8, 10, 11, 12, 13, 14, 17, 21, 29, 30:
		return true
	}
	return false
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package kvm

// Regs is struct kvm_regs.
type Regs struct {
	RAX, RBX, RCX, RDX uint64
	RSI, RDI, RSP, RBP uint64
	R8, R9, R10, R11   uint64
	R12, R13, R14, R15 uint64
	RIP, RFlags        uint64
}

// Segment is struct kvm_segment. Limit is in bytes whatever G says.
type Segment struct {
	Base                           uint64
	Limit                          uint32
	Selector                       uint16
	Type                           uint8
	Present, DPL, DB, S, L, G, AVL uint8
	Unusable                       uint8
	_                              uint8
}

// Table is struct kvm_dtable: the GDT or IDT register. Limit is in bytes, less one.
type Table struct {
	Base  uint64
	Limit uint16
	_     [3]uint16
}

// Sregs is struct kvm_sregs.
type Sregs struct {
	CS, DS, ES, FS, GS, SS  Segment
	TR, LDT                 Segment
	GDT, IDT                Table
	CR0, CR2, CR3, CR4, CR8 uint64
	EFER                    uint64
	APICBase                uint64
	InterruptBitmap         [4]uint64
}

// CPUIDEntry is struct kvm_cpuid_entry2.
type CPUIDEntry struct {
	Function, Index    uint32
	Flags              uint32
	EAX, EBX, ECX, EDX uint32
	_                  [3]uint32
}

// MSR is struct kvm_msr_entry: a model-specific register and its value.
type MSR struct {
	Index uint32
	_     uint32
	Data  uint64
}

// Translation is struct kvm_translation: a guest-virtual address under the
// vCPU's present page tables.
type Translation struct {
	Linear    uint64
	Physical  uint64
	Valid     uint8
	Writeable uint8
	Usermode  uint8
	_         [5]uint8
}

// Route sends a GSI to a SINT of a virtual processor (KVM_IRQ_ROUTING_HV_SINT).
type Route struct {
	GSI  uint32
	VP   uint32
	SINT uint32
}

type memoryRegion struct {
	slot, _   uint32
	gpa, size uint64
	userAddr  uint64
}

type irqLevel struct{ gsi, level uint32 }

type clock struct {
	ns uint64
	_  uint32   // flags
	_  [36]byte // pad0, realtime, host_tsc, pad
}

type irqfd struct {
	fd, gsi, flags, resampleFD uint32
	_                          [16]byte
}

type enableCap struct {
	cap, _ uint32
	args   [4]uint64
	_      [64]byte
}

// routingEntry is struct kvm_irq_routing_entry. For an I/O APIC a is the chip
// and b the pin; for a SINT a is the virtual processor and b the SINT.
type routingEntry struct {
	gsi, kind, _, _ uint32
	a, b            uint32
	_               [6]uint32
}

// Control register and EFER bits of 64-bit mode (Intel SDM volume 3, 2.5 and 4.1).
const (
	cr0LongMode = 1<<0 | 1<<1 | 1<<4 | 1<<5 | 1<<16 | 1<<31 // PE MP ET NE WP PG
	cr4LongMode = 1<<5 | 1<<9 | 1<<10                       // PAE OSFXSR OSXMMEXCPT
	eferLMode   = 1<<8 | 1<<10                              // LME LMA

	// CodeSelector and DataSelector are the selectors LongMode loads.
	CodeSelector, DataSelector = 0x08, 0x10
)

// LongMode puts s in flat 64-bit mode in ring 0 with the page tables at cr3.
func (s *Sregs) LongMode(cr3 uint64) {
	code := Segment{Limit: 0xFFFFFFFF, Selector: CodeSelector, Type: 11, Present: 1, S: 1, L: 1, G: 1}
	data := Segment{Limit: 0xFFFFFFFF, Selector: DataSelector, Type: 3, Present: 1, S: 1, DB: 1, G: 1}
	s.CS = code
	s.DS, s.ES, s.FS, s.GS, s.SS = data, data, data, data, data
	s.CR0, s.CR3, s.CR4, s.EFER = cr0LongMode, cr3, cr4LongMode, eferLMode
}

// ProtectedMode puts s in flat 32-bit protected mode in ring 0, without paging.
func (s *Sregs) ProtectedMode() {
	code := Segment{Limit: 0xFFFFFFFF, Selector: CodeSelector, Type: 11, Present: 1, S: 1, DB: 1, G: 1}
	data := Segment{Limit: 0xFFFFFFFF, Selector: DataSelector, Type: 3, Present: 1, S: 1, DB: 1, G: 1}
	s.CS = code
	s.DS, s.ES, s.FS, s.GS, s.SS = data, data, data, data, data
	s.TR = Segment{Limit: 0x67, Type: 11, Present: 1}
	const pe, et = 1 << 0, 1 << 4
	s.CR0, s.CR3, s.CR4, s.EFER = pe|et, 0, 0, 0
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"sync/atomic"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// testdata/cpu.S says what is in this file, and in an area.
//
//go:embed testdata/cpu.bin
var code []byte

// The words at the front of code.
const (
	offCall = 4 * iota
	offVectors
	offFaultGP
	offFaultUD
	offEnter
	offReal
	offRealEnd
	offReal64
	offRealFar
	offRealGDTR
	offRealParams
	offUnforeseen
	offOldGP
	offOldUD = offOldGP + 8
	offAreas = offOldUD + 8
)

// An area's layout.
const (
	areaSize  = 16 << 10
	areaFault = 0x10
	areaOp    = 0x20
	areaArgs  = 0x28
	areaOut   = 0x48
	areaState = 0x60
	areaGDT   = 0x80
	areaIDT   = 0x90
	areaTask  = 0xA0
	areaFunc  = 0xB0 // this file's own
	areaEOIs  = 0x200
	areaCount = 0x400
	areaOwn   = 0x1000 // GDT, registers, TSS of the second processor
	areaIRQs  = areaSize
)

// Operations of testdata/cpu.S.
const (
	opReadMSR = iota + 1
	opWriteMSR
	opHypercall
	opOutput
	opInput
	opTables
	opBracket
	opVMBusInterrupt
	opPark
)

// codeVA is where code is mapped, apart from all that the runtime maps.
const codeVA = 0xffff_d100_0000_0000

const (
	firstVector  = 32
	vectorStride = 16
	istOurs      = 4 // the runtime uses 1 to 3
	// vecCommand is of the highest class, so that no interrupt in service holds it back.
	vecCommand = 0xF0
)

var errNoMemory = errors.New("not enough memory for the checks")

// processor is a virtual processor under test.
type processor struct {
	name        string
	index       uint32  // APIC id and VP index
	area        uintptr // where the operations' block is mapped
	remote      bool    // not the one that runs this
	dead        bool    // it did not answer
	simp, siefp uintptr // message and event flag pages, as mapped
	input       uint64  // physical address of a page for hypercall input
}

func word(address uintptr) *uint64 { return (*uint64)(ring0.Pointer(address)) }

func half(address uintptr) *uint32 { return (*uint32)(ring0.Pointer(address)) }

func octet(address uintptr) *byte { return (*byte)(ring0.Pointer(address)) }

func offsetAt(at int) uintptr { return uintptr(binary.LittleEndian.Uint32(code[at:])) }

// frames takes n contiguous pages, zeroed. Interrupts are off while the runtime's
// allocator works, as its rules ask.
func frames(n uint64) (pa uint64, err error) {
	ring0.Cli()
	pa = mem.AllocContig(n)
	ring0.Sti()
	if pa == 0 {
		return 0, errNoMemory
	}
	for at := uintptr(0); at < uintptr(n)*mem.PageSize; at += 8 {
		*word(mem.Phys(pa) + at) = 0
	}
	return pa, nil
}

// takeOver loads the operations and puts this processor's interrupts on them. The
// runtime keeps its exceptions and its own vectors.
func takeOver() (*processor, error) {
	pages := uint64(len(code)+mem.PageSize-1) / mem.PageSize
	text, err := frames(pages)
	if err != nil {
		return nil, err
	}
	block, err := frames(3 * areaSize / mem.PageSize)
	if err != nil {
		return nil, err
	}
	areas := (mem.Phys(block) + areaSize - 1) &^ (areaSize - 1)
	for i, b := range code {
		*octet(mem.Phys(text) + uintptr(i)) = b
	}
	*word(mem.Phys(text) + offAreas) = uint64(areas)
	ring0.Cli()
	mapped := mem.MapKernel(codeVA, text, pages*mem.PageSize, mem.Small)
	ring0.Sti()
	if !mapped {
		return nil, errNoMemory
	}
	p := &processor{name: "vp0", area: areas}
	for _, to := range []*uintptr{&p.simp, &p.siefp} { // the runtime's pages
		msr := uint32(tlfs.MSRSIMP)
		if to == &p.siefp {
			msr = tlfs.MSRSIEFP
		}
		*to = mem.Phys(ring0.Rdmsr(msr) & tlfs.OverlayAddressMask)
	}
	if p.input, err = frames(1); err != nil {
		return nil, err
	}
	return p, p.takeVectors(mem.Phys(text))
}

// takeVectors makes an IDT of 256 gates: the runtime's, but for faults that an
// operation may cause, and for the interrupts that the checks count.
func (p *processor) takeVectors(text uintptr) error {
	p.do(opTables)
	idt := uintptr(*word(p.area + areaIDT + 2))
	gdt := uintptr(*word(p.area + areaGDT + 2))
	pa, err := frames(1)
	if err != nil {
		return err
	}
	table := mem.Phys(pa)
	for v := uintptr(0); v < ring0.NumVectors; v++ {
		*word(table + 16*v), *word(table + 16*v + 8) = *word(idt + 16*v), *word(idt + 16*v + 8)
	}
	*word(text + offOldGP) = gateTarget(idt, ring0.VecProtection)
	*word(text + offOldUD) = gateTarget(idt, ring0.VecInvalidOp)
	ourGates(table)
	for v := uintptr(firstVector); v < ring0.NumVectors; v++ { // the runtime's stay
		*word(table + 16*v), *word(table + 16*v + 8) = *word(idt + 16*v), *word(idt + 16*v + 8)
	}

	// The stack of our vectors: an entry of the runtime's TSS that it leaves free.
	descriptor := gdt + uintptr(*word(p.area + areaTask)&^7)
	low, high := *word(descriptor), *word(descriptor + 8)
	tss := uintptr(low>>16&0xFFFFFF | low>>56<<24 | high<<32)
	setIST(tss, p.area+areaIRQs)
	loadIDT(p.area+areaIDT, table)
	return nil
}

// ourGates sets #GP, #UD and vectors 32 to 255.
func ourGates(table uintptr) {
	for v := uintptr(firstVector); v < 256; v++ {
		setGate(table, v, codeVA+offsetAt(offVectors)+(v-firstVector)*vectorStride, istOurs)
	}
	setGate(table, ring0.VecProtection, codeVA+offsetAt(offFaultGP), 0)
	setGate(table, ring0.VecInvalidOp, codeVA+offsetAt(offFaultUD), 0)
}

// borrowVector counts one of the runtime's vectors until restore is called.
func (p *processor) borrowVector(vector uintptr) (restore func()) {
	table := uintptr(*word(p.area + areaIDT + 2))
	low, high := *word(table + 16*vector), *word(table + 16*vector + 8)
	setGate(table, vector, codeVA+offsetAt(offVectors)+(vector-firstVector)*vectorStride, istOurs)
	return func() { *word(table + 16*vector), *word(table + 16*vector + 8) = low, high }
}

// setGate makes an interrupt gate (Intel SDM volume 3, 6.14.1).
func setGate(table, vector, pc, ist uintptr) {
	at, target := table+16*vector, uint64(pc)
	*word(at) = target&0xFFFF | ring0.SelCode<<16 | uint64(ist)<<32 | 0x8E<<40 | target>>16&0xFFFF<<48
	*word(at + 8) = target >> 32
}

func gateTarget(table, vector uintptr) uint64 {
	low, high := *word(table + 16*vector), *word(table + 16*vector + 8)
	return low&0xFFFF | low>>48<<16 | high<<32
}

// setIST sets entry istOurs of a TSS: 36 bytes and 8 for each entry before it.
func setIST(tss, top uintptr) {
	at := tss + 36 + 8*(istOurs-1)
	*half(at), *half(at + 4) = uint32(top), uint32(top>>32)
}

// loadIDT writes a pseudo-descriptor at register, and loads it.
func loadIDT(register, table uintptr) {
	setRegister(register, table, 256*16-1)
	ring0.Lidt(ring0.Pointer(register))
}

func setRegister(at, base, limit uintptr) {
	*word(at) = uint64(limit) | uint64(base)<<16
	*word(at + 8) = uint64(base) >> 48
}

// do does an operation on the processor. faulted is the vector of the exception
// that it ended in, or -1.
func (p *processor) do(op uint64, args ...uint64) (out uint64, faulted int) {
	for i, a := range args {
		*word(p.area + areaArgs + 8*uintptr(i)) = a
	}
	atomic.StoreUint64(word(p.area+areaOp), op)
	if p.remote {
		if !p.command() {
			return 0, ring0.VecMachine
		}
	} else {
		callArea(p.area)
	}
	return *word(p.area + areaOut), int(*word(p.area + areaFault)) - 1
}

// callArea calls the loaded code as a Go function. A Go function value is the
// address of a word that holds the code's; the area has room for both.
func callArea(area uintptr) {
	*word(area + areaFunc) = codeVA + uint64(offsetAt(offCall))
	*word(area + areaFunc + 8) = uint64(area + areaFunc)
	call := *(*func(uintptr))(ring0.Pointer(area + areaFunc + 8))
	call(area)
}

// result returns a further result of the last operation.
func (p *processor) result(i uintptr) uint64 { return *word(p.area + areaOut + 8*i) }

// rdmsr and wrmsr give ok false for #GP.
func (p *processor) rdmsr(msr uint32) (value uint64, ok bool) {
	value, fault := p.do(opReadMSR, uint64(msr))
	return value, fault < 0
}

func (p *processor) wrmsr(msr uint32, value uint64) (ok bool) {
	_, fault := p.do(opWriteMSR, uint64(msr), value)
	return fault < 0
}

// hypercall makes any hypercall through the host's page. ok is false for an exception.
func (p *processor) hypercall(control, input, output uint64) (status tlfs.Status, ok bool) {
	result, fault := p.do(opHypercall, hv.HypercallVA, control, input, output)
	return tlfs.ResultStatus(result), fault < 0
}

// count is how often a vector came.
func (p *processor) count(vector uint64) uint64 {
	return atomic.LoadUint64(word(p.area + areaCount + 8*uintptr(vector&0xFF)))
}

// inService tells whether a vector waits for its EOI (x2APIC's ISR registers).
func (p *processor) inService(vector uint64) bool {
	const isr = 0x810
	v, _ := p.rdmsr(isr + uint32(vector/32))
	return v>>(vector%32)&1 != 0
}

// eoi ends the interrupt in service, on this processor by the runtime's own way.
func (p *processor) eoi() {
	if !p.remote {
		hv.EOI()
		return
	}
	const apicEOI = 0x80B // x2APIC mode
	if hv.Host.Features&tlfs.AccessApic == 0 {
		p.wrmsr(apicEOI, 0)
		return
	}
	p.wrmsr(tlfs.MSREOI, 0)
}

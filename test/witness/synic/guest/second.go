// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
)

// startPage is where the second processor starts: its content is put back.
const startPage = 0x70000

const (
	secondAPIC = 1
	msrICR     = 0x830 // of x2APIC mode (Intel SDM volume 3, 12.12.9)
	icrInit    = 0x4500
	icrStartup = 0x4600
	icrFixed   = 0x4000

	stateWaits, stateEnded = 1, 2
)

// patience is for a host that does not answer.
const patience = 5 * time.Second

// startSecond brings the processor with APIC id 1 into the loop of testdata/cpu.S.
// The runtime knows nothing of it: it shares the page tables as they are now.
func startSecond(first *processor) (*processor, error) {
	if _, ebx, ecx, _ := ring0.Cpuid(1, 0); ebx>>16&0xFF < 2 {
		return nil, errors.New("the machine has one processor")
	} else if ecx&(1<<21) == 0 {
		return nil, errors.New("the processor has no x2APIC")
	}
	root := ring0.CR3()
	if root >= 1<<32 {
		return nil, errors.New("the page tables lie above 4 GiB")
	}
	if _, _, ok := mem.Walk(mem.Phys(startPage)); !ok {
		return nil, fmt.Errorf("no memory at %#x", startPage)
	}
	p := &processor{name: "vp1", index: secondAPIC, area: first.area + areaSize, remote: true}
	idt, err := frames(1)
	if err != nil {
		return nil, err
	}
	p.tables(mem.Phys(idt))

	low := mem.Phys(startPage)
	var saved [mem.PageSize]byte
	for i := range saved {
		saved[i] = *octet(low + uintptr(i))
	}
	ring0.Cli()
	mapped := mem.Map(startPage, startPage, 0)
	ring0.Sti()
	if !mapped {
		return nil, fmt.Errorf("%#x is mapped already", startPage)
	}
	p.writeStart(low, root)
	first.wrmsr(msrICR, secondAPIC<<32|icrInit)
	spin(10 * time.Millisecond)
	up := false
	for range 2 { // as the MP specification has it: the second is for a lost one
		first.wrmsr(msrICR, secondAPIC<<32|icrStartup|startPage>>mem.PageShift)
		if up = until(func() bool { return p.state() != 0 }, patience); up {
			break
		}
	}
	ring0.Cli()
	mem.Unmap(startPage)
	ring0.Sti()
	for i, b := range saved {
		*octet(low + uintptr(i)) = b
	}
	if !up {
		return nil, errors.New("the second processor does not start")
	}
	if s := p.state(); s != stateWaits {
		return nil, fmt.Errorf("the second processor ended in exception %d", s&0xFF)
	}
	return p, p.startSynIC()
}

// tables makes the second processor's GDT, TSS and IDT.
func (p *processor) tables(idt uintptr) {
	gdt, register, tss := p.area+areaOwn, p.area+areaOwn+0x80, p.area+areaOwn+0x100
	*word(gdt + 8) = 0x00AF9B000000FFFF
	*word(gdt + 16) = 0x00CF93000000FFFF
	at := uint64(tss)
	*word(gdt + 24) = 0x890000000000 | 103 | at&0xFFFFFF<<16 | at>>24&0xFF<<56
	*word(gdt + 32) = at >> 32
	setIST(tss, p.area+areaIRQs)
	setRegister(register, gdt, 39)
	setRegister(register+16, idt, 256*16-1)
	for v := uintptr(0); v < firstVector; v++ {
		setGate(idt, v, codeVA+offsetAt(offUnforeseen)+v*vectorStride, istOurs)
	}
	ourGates(idt)
	*octet(p.area + areaEOIs + vecCommand) = 1
}

// writeStart copies the real-mode code to low memory and fills its addresses in.
func (p *processor) writeStart(low uintptr, root uint64) {
	start, end := offsetAt(offReal), offsetAt(offRealEnd)
	for i := start; i < end; i++ {
		*octet(low + i - start) = code[i]
	}
	gdtr, params := offsetAt(offRealGDTR)-start, offsetAt(offRealParams)-start
	const gdtBytes = 24
	setLow := func(at, v uintptr) {
		for i := range uintptr(4) {
			*octet(low + at + i) = byte(v >> (8 * i))
		}
	}
	setLow(offsetAt(offRealFar)-start, startPage+offsetAt(offReal64)-start)
	setLow(gdtr+2, startPage+params-gdtBytes)
	*word(low + params) = root
	*word(low + params + 8) = uint64(p.area)
	*word(low + params + 16) = codeVA + uint64(offsetAt(offEnter))
}

// state is what the second processor says of itself.
func (p *processor) state() uint64 { return atomic.LoadUint64(word(p.area + areaState)) }

// command wakes the second processor and waits for the operation's end. One that
// does not answer is given up: what is asked of it from then on fails at once.
func (p *processor) command() bool {
	if p.dead {
		return false
	}
	ring0.Wrmsr(msrICR, uint64(p.index)<<32|icrFixed|vecCommand)
	answered := until(func() bool { return atomic.LoadUint64(word(p.area+areaOp)) == 0 || p.state() > stateEnded }, patience)
	p.dead = !answered || p.state() > stateEnded
	if p.dead {
		fmt.Printf("synic: the second processor does not answer, state %#x\n", p.state())
	}
	return !p.dead
}

// startSynIC gives the second processor message and event flag pages.
func (p *processor) startSynIC() error {
	pa, err := frames(3)
	if err != nil {
		return err
	}
	p.simp, p.siefp, p.input = mem.Phys(pa), mem.Phys(pa+mem.PageSize), pa+2*mem.PageSize
	if !p.wrmsr(tlfs.MSRSIMP, pa|tlfs.OverlayEnable) || !p.wrmsr(tlfs.MSRSIEFP, pa+mem.PageSize|tlfs.OverlayEnable) ||
		!p.wrmsr(tlfs.MSRSControl, tlfs.SControlEnable) {
		return errors.New("the second processor's SynIC cannot be enabled")
	}
	return nil
}

// stop turns the second processor's SynIC off and leaves it halted.
func (p *processor) stop() {
	p.wrmsr(tlfs.MSRSControl, 0)
	p.wrmsr(tlfs.MSRSIMP, 0)
	p.wrmsr(tlfs.MSRSIEFP, 0)
	p.do(opPark)
}

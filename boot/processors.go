// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"sync/atomic"
	"unsafe"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/realmode"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/sched"
)

// Each processor has four stacks of the runtime, each between unmapped pages.
const (
	stacksBase  = 0xffff_c800_0000_0000
	stackBytes  = 16 << 10
	stackStride = 64 << 10
	stacksEach  = 4
)

// stacks are upper ends.
type stacks struct {
	fault uintptr // exceptions
	fatal uintptr // double faults, NMI, machine checks; and a processor's first steps
}

// prepare gives a processor, number i, its stacks and its idle loop; false when there is
// no memory.
func prepare(c *ring0.CPU, i uintptr) (s stacks, ok bool) {
	s.fault, s.fatal = stackFor(i*stacksEach), stackFor(i*stacksEach+1)
	idle, interrupts := stackFor(i*stacksEach+2), stackFor(i*stacksEach+3)
	scratch := mem.AllocFrame()
	if s.fault == 0 || s.fatal == 0 || idle == 0 || interrupts == 0 || scratch == 0 {
		return s, false
	}
	c.FPScratch = mem.Phys(scratch)
	return s, sched.AddProcessor(c, idle, interrupts, bootFS())
}

// bootFS is what FS is where no thread of the program's runs: Go code looks for its g at
// -8(FS).
func bootFS() uint64 { return uint64(uintptr(unsafe.Pointer(&bootTLS)) + unsafe.Sizeof(bootTLS[0])) }

// stackFor maps stack i of the runtime and gives its upper end, 0 if there is no memory.
func stackFor(i uintptr) uintptr {
	base := stacksBase + i*stackStride + mem.PageSize
	if !sched.MapStack(base, stackBytes) {
		return 0
	}
	return base + stackBytes
}

// Processors that the machine has and that do not run, for the message of sayLost.
var lost struct {
	silent uint32 // did not start
	more   uint32 // are more than we have room for
	why    string // why all others were left, if so
}

func sayLost() {
	if lost.silent > 0 {
		say("processors that did not start: %d", lost.silent)
	}
	if lost.more > 0 {
		say("processors left alone: %d: %s", lost.more, lost.why)
	}
}

// Bounds of the wait for a processor, in ns. One that has come has some pages to clear
// and MSRs to write; one that has not may have missed its startup interrupt.
const (
	comes    = 500_000_000
	getsDone = 5_000_000_000
)

// startOthers starts all processors of the MADT but ours. It is over before the program
// starts, so that GOMAXPROCS is right by itself.
func startOthers() {
	n := min(Machine.Processors, mostProcessors)
	if Machine.Processors > n {
		leave(Machine.Processors-n, "more than this image is built for")
	}
	if n <= 1 {
		return
	}
	page := lowPages()
	if page != 0 {
		copyRoot(page)
		if !mem.Map(page, uint64(page), 0) {
			leave(n-1, "no memory for page tables")
			return
		}
	} else if !hv.CanStart() {
		leave(n-1, "no free memory below 1 MiB to start them in")
		return
	}
	for i := range n {
		if apic := Machine.APICs[i]; isNew(apic) && !startOne(apic, page) {
			leave(n-i, "no memory")
			break
		}
		if lost.silent > 0 && i+1 < n { // it may still come, and finds all as it was left
			leave(n-i-1, "one did not start")
			break
		}
	}
	if page != 0 && lost.silent == 0 {
		mem.Unmap(page)
	}
}

func leave(n uint32, why string) { lost.more, lost.why = lost.more+n, why }

// isNew tells that a processor does not run yet: a table may name one twice.
func isNew(apic uint32) bool {
	for i := range ring0.NumCPUs() {
		if ring0.CPUAt(i).APIC == apic {
			return false
		}
	}
	return true
}

// startOne starts the processor with that APIC id. It gives false when there is no
// memory for it.
func startOne(apic uint32, page uintptr) bool {
	pa := mem.AllocFrame()
	if pa == 0 {
		return false
	}
	at := mem.Phys(pa)
	for i := uintptr(0); i < mem.PageSize; i += 8 {
		*(*uintptr)(ring0.Pointer(at + i)) = 0
	}
	c := (*ring0.CPU)(ring0.Pointer(at))
	s, ok := prepare(c, uintptr(ring0.NumCPUs()+lost.silent))
	if !ok {
		return false
	}
	c.APIC = apic
	c.State = ring0.CPUStarting
	// The first words that it finds on its stack say who it is.
	first := s.fatal - 4*unsafe.Sizeof(at)
	handed := (*[4]uintptr)(ring0.Pointer(first))
	handed[0], handed[1], handed[2] = at, s.fault, s.fatal
	if !startAt(c, page, first) {
		lost.silent++
	}
	return true
}

// startAt starts processor c on a stack, by hypercall where the host has one for it, and
// waits until it runs.
func startAt(c *ring0.CPU, page, stack uintptr) bool {
	if hv.CanStart() && hv.Start(c.APIC, processorEntry(), stack) == tlfs.StatusSuccess {
		return !gaveUp(c, ring0.CPUStarting, getsDone) && comesOn(c)
	}
	if page == 0 {
		return false
	}
	realmode.Put(mem.Phys(uint64(page)), uint32(page), realmode.Start{
		CR4: uint32(ring0.CR4()), Root: ring0.CR3(), Stack: uint64(stack), Entry: uint64(processorEntry()),
	})
	return await(c, page)
}

// comesOn waits until a processor that has arrived runs.
func comesOn(c *ring0.CPU) bool {
	return !gaveUp(c, ring0.CPUArrived, getsDone) && waitState(c, ring0.CPUEntering, getsDone) && atomic.LoadUint32(&c.State) == ring0.CPUOn
}

// gaveUp waits until the processor has left a state, ns at most, and then takes back that
// it may go on from there.
func gaveUp(c *ring0.CPU, state uint32, ns int64) bool {
	return !waitState(c, state, ns) && atomic.CompareAndSwapUint32(&c.State, state, ring0.CPULost)
}

// await sends the startup interrupt, again if need be, and waits until the processor
// runs.
func await(c *ring0.CPU, page uintptr) bool {
	for again := range 2 {
		hv.Wake(c.APIC, page, again > 0)
		if waitState(c, ring0.CPUStarting, comes) {
			return comesOn(c)
		}
	}
	return !gaveUp(c, ring0.CPUStarting, comes) && comesOn(c)
}

// waitState waits until the processor has left a state, ns at most.
func waitState(c *ring0.CPU, state uint32, ns int64) bool {
	end := hv.Now() + ns
	for spins := uint32(1); atomic.LoadUint32(&c.State) == state; spins++ {
		if hv.Now() > end {
			return false
		}
		ring0.Relax(spins)
	}
	return true
}

// runProcessor is a processor's way from its entry to its idle loop.
//
//lint:ignore U1000 entry_amd64.s calls it
func runProcessor(c *ring0.CPU, fault, fatal uintptr) {
	if !atomic.CompareAndSwapUint32(&c.State, ring0.CPUStarting, ring0.CPUArrived) {
		ring0.StopForever() // too late
	}
	c.Setup(fault, fatal)
	c.Number()
	if hv.InitProcessor() != "" {
		atomic.StoreUint32(&c.State, ring0.CPULost)
		ring0.StopForever()
	}
	if !atomic.CompareAndSwapUint32(&c.State, ring0.CPUArrived, ring0.CPUEntering) {
		ring0.StopForever() // too late
	}
	c.Enter()
	atomic.StoreUint32(&c.State, ring0.CPUOn)
	sched.RunIdle()
}

// processorEntry is where package realmode leads to.
func processorEntry() uintptr

// lowPages finds two adjacent pages of free memory below 640 KiB, the lower one above the
// first page; 0: none.
func lowPages() uintptr {
	const low, high = 0x1000, 0xA0000
	for i := uintptr(0); ; i++ {
		d, ok := entryOf(i)
		if !ok {
			return 0
		}
		if d.typ > 31 || (freeNow|freeSoon)>>d.typ&1 == 0 || d.pages > high>>mem.PageShift {
			continue
		}
		start, end := max(d.start, low), min(d.start+d.pages<<mem.PageShift, high)
		if start < end && end-start >= 2*mem.PageSize {
			return uintptr(end - 2*mem.PageSize)
		}
	}
}

// copyRoot puts the top level of our page tables behind the page, where 32-bit code
// reaches it.
func copyRoot(page uintptr) {
	from, to := table(ring0.CR3()&^(mem.PageSize-1)), table(uint64(page)+mem.PageSize)
	*to = *from
}

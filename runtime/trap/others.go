// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	"sync/atomic"
	"unsafe"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/report"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/serial"
)

// The end of the machine is one processor's work: it stops all others by NMI, which comes
// also where interrupts are off. From then on no lock is waited for.
var (
	ender     atomic.Uint32 // number of that processor, plus one; 0 while there is none
	endAsked  atomic.Uint32 // 1: the first processor is to finish with endStatus
	endStatus uint64
)

// stopWait bounds the wait for the other processors, in ns: one that does not stop is
// left.
const stopWait = 1_000_000_000

// isEnding tells whether some processor ends the machine.
//
//go:nosplit
func isEnding() bool { return ender.Load() != 0 }

// stopOthers makes the caller the only processor that runs. A second one that wants to
// be stays here.
//
//go:nosplit
func stopOthers() {
	me := ring0.This()
	if !ender.CompareAndSwap(0, me.ID+1) {
		if ender.Load() != me.ID+1 {
			ring0.StopForever() // its NMI is on the way
		}
		return
	}
	n := ring0.NumCPUs()
	for i := uint32(0); i < n; i++ {
		if c := ring0.CPUAt(i); c != me {
			hv.StopSignal(c)
		}
	}
	end := hv.Now() + stopWait
	for i := uint32(0); i < n; i++ {
		c := ring0.CPUAt(i)
		for c != me && atomic.LoadUintptr(&c.Stopped) == 0 && hv.Now() < end {
			ring0.Pause()
		}
	}
	ring0.Ending()
}

// stopHere stops this processor for good, wherever it was, because another one ends the
// machine. The first one may have to finish that.
//
//go:nosplit
func stopHere(f *ring0.Frame) {
	c := ring0.This()
	atomic.StoreUintptr(&c.Stopped, uintptr(unsafe.Pointer(f)))
	if c.ID == 0 {
		for endAsked.Load() == 0 {
			ring0.Pause()
		}
		finish(endStatus)
	}
	ring0.StopForever()
}

// othersMost bounds the processors that are printed one by one.
const othersMost = 16

// printOthers prints what the other processors were doing.
func printOthers() {
	idle, printed := 0, 0
	for i := range ring0.NumCPUs() {
		c := ring0.CPUAt(i)
		switch {
		case c == ring0.This():
			continue
		case c.Stopped != 0 && c.Thread == c.IdleThread:
			idle++
			continue
		case printed == othersMost:
			continue
		}
		printed++
		serial.Print("processor ")
		serial.Dec(uint64(i))
		if c.Stopped == 0 {
			serial.Print(": did not answer\n")
			continue
		}
		serial.Print(": ")
		printPlace(uintptr((*ring0.Frame)(ring0.Pointer(c.Stopped)).RIP))
		serial.Print("\n")
	}
	if idle != 0 {
		serial.Print("idle processors: ")
		serial.Dec(uint64(idle))
		serial.Print("\n")
	}
}

func printPlace(pc uintptr) {
	if in := pc - hv.HypercallVA; in < mem.PageSize { // the host's code
		serial.Print("hypercall page+")
		serial.Hex(uint64(in))
		return
	}
	report.Place(pc)
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	"sync/atomic"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/runtime/report"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/serial"
)

// Processors is how many processors run; who starts another one counts it here.
var Processors atomic.Uint32

// stopped says where each processor was when a crash of another one stopped it. Each
// writes its own, and then done.
var stopped [maxStopped]struct {
	done atomic.Uint32
	idle uint32
	f    ring0.Frame
}

// maxStopped bounds how many processors a report tells of.
const maxStopped = 64

// stopWait bounds the wait for the other processors, in ns.
const stopWait = 100_000_000

// stopOthers stops all other processors by NMI, since the one at fault may hold what
// they wait for with interrupts masked.
//
//go:nosplit
func stopOthers() {
	n := min(Processors.Load(), maxStopped)
	if n <= 1 {
		return
	}
	hv.NMIOthers()
	end := hv.Now() + stopWait
	for i := uint32(0); i < n; i++ {
		for i != ring0CPU() && stopped[i%maxStopped].done.Load() == 0 && hv.Now() < end {
			ring0.Pause()
		}
	}
}

// stopHere stops this processor for good, because another one tells of a crash.
//
//go:nosplit
func stopHere(f *ring0.Frame) {
	c := (*ring0.CPU)(ring0.Pointer(ring0.ThisCPU()))
	if s := &stopped[c.ID%maxStopped]; c.ID < maxStopped && s.done.Load() == 0 {
		s.f, s.idle = *f, c.Idle
		s.done.Store(1)
	}
	ring0.StopForever()
}

// othersMost bounds the processors that are printed one by one.
const othersMost = 16

// printOthers prints what the other processors were doing.
func printOthers() {
	idle, printed := 0, 0
	for i := range min(Processors.Load(), maxStopped) {
		s := &stopped[i]
		switch {
		case i == ring0CPU():
			continue
		case s.done.Load() != 0 && s.idle != 0:
			idle++
			continue
		case printed == othersMost:
			continue
		}
		printed++
		serial.Print("processor ")
		serial.Dec(uint64(i))
		if s.done.Load() == 0 {
			serial.Print(": did not answer\n")
			continue
		}
		serial.Print(": ")
		report.Place(uintptr(s.f.RIP))
		serial.Print("\n")
	}
	if idle != 0 {
		serial.Print("idle processors: ")
		serial.Dec(uint64(idle))
		serial.Print("\n")
	}
}

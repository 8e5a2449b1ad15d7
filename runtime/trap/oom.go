// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/sched"
	"github.com/hvgo/hvgo/runtime/serial"
)

// driverPages is how many frames the drivers have for rings and buffers. Guarded by
// the kernel lock.
var driverPages uint64

// outOfMemory ends the machine: a page that the program was promised cannot be had.
//
//go:nosplit
func outOfMemory() {
	stopOthers()
	tellMemory("out of memory")
	powerOff(statusOOM)
}

// toldShort says that tellShort spoke. That two processors may both speak is no harm.
var toldShort bool

// tellShort says once what memory is used for, when a call fails for want of it: the
// Go runtime ends the program then, and does not know.
//
//go:nosplit
func tellShort(why string) {
	if !toldShort && mem.Free() <= 2*mem.PageReserve {
		toldShort = true
		tellMemory(why)
	}
}

// tellMemory says what the machine's memory is used for. The program's part is its
// heap and its stacks, the network's buffers among them.
//
//go:nosplit
func tellMemory(why string) {
	serial.Print("hvgo: ")
	serial.Print(why)
	serial.Print(": the program uses ")
	serial.Dec(mem.Resident() * mem.PageSize >> 20)
	serial.Print(" MiB of ")
	serial.Dec(mem.Total() * mem.PageSize >> 20)
	serial.Print(" MiB; in KiB: files in memory ")
	kib(mem.FilePages())
	serial.Print(", drivers' buffers ")
	kib(driverPages)
	serial.Print(", page tables ")
	var c mem.Counters
	mem.ReadCounters(&c)
	kib(c.Tables)
	serial.Print(", threads ")
	kib(sched.StackPages())
	serial.Print(", given to the host ")
	kib(mem.Ballooned())
	serial.Print(", free ")
	kib(mem.Free())
	serial.Print("; give the machine more\n")
}

//go:nosplit
func kib(pages uint64) { serial.Dec(pages * mem.PageSize >> 10) }

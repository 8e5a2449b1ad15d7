// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	"unsafe"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/sched"
	"github.com/hvgo/hvgo/runtime/serial"
)

// The console as a terminal has it (termios(3), ISIG and ICRNL): what was typed waits
// here to be read, but for the bytes that are signals.
const (
	typeAhead = 4096
	byteIntr  = 0x03 // Ctrl-C
	byteQuit  = 0x1c // Ctrl-\
)

// Guarded by the kernel lock.
var (
	typed                  [typeAhead]byte
	typedFirst, typedCount uintptr
	typedIntr, typedQuit   bool  // that was typed, and nothing done yet
	typedByInterrupt       bool  // COM1 interrupts us when something was typed
	interruptEvent         int32 // eventfd that is told of Ctrl-C, plus one; 0 for none
	interruptAsked         bool  // it was, and its reader has not sent SIGINT yet
)

// RouteConsole makes COM1 interrupt this processor by an input of an I/O APIC. Without
// that it is looked at only while somebody reads it. Boot.
//
//go:nosplit
func RouteConsole(address uint64, pin uint32, low, byLevel bool) {
	if serial.Present() && hv.Route(address, pin, low, byLevel, hv.VecConsole) {
		typedByInterrupt = true
		serial.Listen()
	}
}

// takeTyped takes over what COM1 has received. The line goes low, so that the next
// byte is an edge again, only when all is read. Who calls it calls actOnTyped then.
//
//go:nosplit
func takeTyped() {
	for range typeAhead { // a UART that always has one more does not hold us
		b, ok := serial.ReadByte()
		if !ok {
			return
		}
		switch {
		case b == byteIntr:
			typedIntr = true
		case b == byteQuit:
			typedQuit = true
		case typedCount < typeAhead: // what is typed ahead of that is lost, as on Linux
			if b == '\r' {
				b = '\n'
			}
			typed[(typedFirst+typedCount)%typeAhead] = b
			typedCount++
		}
	}
}

// actOnTyped wakes readers and sends signals. Who reads interruptEvent flushes the disks
// before it sends SIGINT, since that may be the program's end; a second Ctrl-C does not
// wait for that.
//
//go:nosplit
func actOnTyped() {
	if typedCount > 0 {
		sched.WakeTyped()
	}
	if typedQuit {
		typedQuit = false
		signalProgram(sigQuit)
	}
	if !typedIntr {
		return
	}
	typedIntr = false
	if interruptEvent != 0 && !interruptAsked {
		interruptAsked = true
		sched.AddEvent(interruptEvent-1, 1)
		return
	}
	interruptAsked = false
	signalProgram(sigInt)
}

// How often a reader of a console without interrupt looks whether somebody typed, in ns.
const (
	typingSoonest = 10_000_000
	typingLatest  = 100_000_000
)

// readConsole waits for bytes from COM1 and gives those there are; without
// COM1 it is at its end.
//
//go:nosplit
func readConsole(buf uintptr, n uint64) int {
	if !serial.Present() || n == 0 {
		return 0
	}
	if !userRange(buf, uintptr(n)) {
		return eFault
	}
	for pause := int64(typingSoonest); ; pause = min(2*pause, typingLatest) {
		takeTyped() // also where it interrupts: an interrupt that was lost does no harm then
		actOnTyped()
		if typedCount > 0 {
			return copyTyped(buf, n)
		}
		why := uint32(0)
		if typedByInterrupt {
			why = sched.WaitTyped()
		} else {
			why = sched.Sleep(hv.Now() + pause)
		}
		if why == sched.Interrupted {
			return eRestart
		}
	}
}

//go:nosplit
func copyTyped(buf uintptr, n uint64) int {
	got := uintptr(0)
	for uint64(got) < n && typedCount > 0 {
		b := typed[typedFirst%typeAhead]
		if !ring0.CopyUser(buf+got, uintptr(unsafe.Pointer(&b)), 1) {
			return eFault
		}
		typedFirst, typedCount, got = typedFirst+1, typedCount-1, got+1
	}
	return int(got)
}

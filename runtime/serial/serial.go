// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package serial writes to COM1, a 16550 UART that a Generation 2 machine has
// only when its administrator adds one. It is the console of the runtime
// itself and of the program's stdout and stderr. All of it is nosplit and may
// run in any context. Lock keeps lines of several processors apart.
package serial

import (
	"unsafe"

	"github.com/hvgo/hvgo/runtime/ring0"
)

// Registers of a 16550 at COM1, and what hvgo uses of their bits.
const (
	com1     = 0x3f8
	data     = com1 + 0
	intr     = com1 + 1 // interrupt enable
	fifo     = com1 + 2
	line     = com1 + 3 // line control
	modem    = com1 + 4
	status   = com1 + 5 // line status
	scratch  = com1 + 7
	canSend  = 1 << 5
	hasByte  = 1 << 0
	fifoSize = 16
)

// tries bounds the wait for a UART that does not send.
const tries = 1 << 16

var present bool

var lock ring0.Lock

// Lock keeps other processors' lines out until Unlock. Interrupts are off.
//
//go:nosplit
func Lock() { lock.Lock() }

// Unlock is the end of Lock.
//
//go:nosplit
func Unlock() { lock.Unlock() }

// Tail keeps the last bytes written, for the crash report to the host.
var (
	Tail    [16384]byte
	tailLen uint64 // bytes ever written
	marked  bool   // Mark was called
	mark    uint64 // with this tailLen
)

// TextMost is the size of the report's text: a page (TLFS 2.4.10).
const TextMost = 4096

// Init looks for COM1 and sets it up: 115200 baud, 8N1, FIFO, no interrupts.
//
//go:nosplit
func Init() {
	ring0.Out8(scratch, 0x5a)
	if present = ring0.In8(scratch) == 0x5a; !present {
		return
	}
	ring0.Out8(intr, 0)
	ring0.Out8(line, 0x80)
	ring0.Out8(data, 1)
	ring0.Out8(intr, 0)
	ring0.Out8(line, 0x03)
	ring0.Out8(fifo, 0x07)
	ring0.Out8(modem, 0x03)
}

// Write sends n bytes at p, with a carriage return before each newline: as
// many as the FIFO takes for each look at the line status.
//
//go:nosplit
func Write(p, n uintptr) {
	keep(p, n)
	if !present {
		return
	}
	for n > 0 {
		run := uintptr(0)
		for run < n && *(*byte)(ring0.Pointer(p + run)) != '\n' {
			run++
		}
		send(p, run)
		p, n = p+run, n-run
		if n > 0 {
			send(uintptr(unsafe.Pointer(&newline)), 2)
			p, n = p+1, n-1
		}
	}
}

var newline = [2]byte{'\r', '\n'}

//go:nosplit
func send(p, n uintptr) {
	for n > 0 {
		chunk := min(n, fifoSize)
		for i := 0; ring0.In8(status)&canSend == 0; i++ {
			if i == tries {
				present = false // nobody drains it
				return
			}
		}
		ring0.OutBytes(data, ring0.Pointer(p), chunk)
		p, n = p+chunk, n-chunk
	}
}

//go:nosplit
func keep(p, n uintptr) {
	for i := uintptr(0); i < n; i++ {
		Tail[tailLen%uint64(len(Tail))] = *(*byte)(ring0.Pointer(p + i))
		tailLen++
	}
}

// Mark makes what is written from here on the text of the report, also if its end
// then has no room in it; the first call counts.
//
//go:nosplit
func Mark() {
	if !marked {
		marked, mark = true, tailLen
	}
}

// LastText copies the text for the report to dst (TextMost bytes) and gives its
// length: from the mark on, or without one the end of what was written.
//
//go:nosplit
func LastText(dst uintptr) uintptr {
	n := min(tailLen, TextMost)
	from := tailLen - n
	if kept := tailLen - min(tailLen, uint64(len(Tail))); marked {
		from = max(mark, kept)
		n = min(tailLen-from, TextMost)
	}
	for i := uint64(0); i < n; i++ {
		*(*byte)(ring0.Pointer(dst + uintptr(i))) = Tail[(from+i)%uint64(len(Tail))]
	}
	return uintptr(n)
}

// ReadByte takes a byte that was received; ok is false when there is none.
//
//go:nosplit
func ReadByte() (b byte, ok bool) {
	if !present || ring0.In8(status)&hasByte == 0 {
		return 0, false
	}
	return ring0.In8(data), true
}

// Print writes a string.
//
//go:nosplit
func Print(s string) { Write(uintptr(unsafe.Pointer(unsafe.StringData(s))), uintptr(len(s))) }

// Hex writes v in hexadecimal, with its prefix.
//
//go:nosplit
func Hex(v uint64) {
	var b [18]byte
	i := uint(17)
	for {
		d := byte(v & 15)
		if d < 10 {
			d += '0'
		} else {
			d += 'a' - 10
		}
		*(*byte)(unsafe.Add(unsafe.Pointer(&b), i)) = d
		if v >>= 4; v == 0 {
			break
		}
		i--
	}
	p := uintptr(unsafe.Pointer(&b))
	*(*uint16)(ring0.Pointer(p + uintptr(i) - 2)) = 'x'<<8 | '0'
	Write(p+uintptr(i)-2, 20-uintptr(i))
}

// Dec writes v in decimal.
//
//go:nosplit
func Dec(v uint64) {
	var b [20]byte
	i := uintptr(len(b))
	for {
		i--
		*(*byte)(unsafe.Add(unsafe.Pointer(&b), i)) = byte('0' + v%10)
		if v /= 10; v == 0 {
			break
		}
	}
	Write(uintptr(unsafe.Pointer(&b))+i, uintptr(len(b))-i)
}

// Listen makes COM1 interrupt when it has received something.
//
//go:nosplit
func Listen() {
	const (
		received = 1 << 0
		outputs  = 0x0b // DTR, RTS, and OUT2, which lets the interrupt out
	)
	ring0.Out8(modem, outputs)
	ring0.Out8(intr, received)
}

// Present tells whether there is a COM1.
//
//go:nosplit
func Present() bool { return present }

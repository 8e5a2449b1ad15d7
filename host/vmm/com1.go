// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmm

import (
	"io"
	"log/slog"
	"sync"

	"github.com/hvgo/hvgo/host/kvm"
)

// COM1's I/O ports and GSI.
const (
	COM1Port  = 0x3F8
	com1Ports = 8
	com1GSI   = 4
)

// Registers of a 16550 (National Semiconductor PC16550D data sheet, section 8),
// as offsets from the first port, and their bits.
const (
	regData, regIER, regIIR, regLCR, regMCR, regLSR, regMSR, regScratch = 0, 1, 2, 3, 4, 5, 6, 7

	ierReceive, ierTransmit        = 1 << 0, 1 << 1
	iirNone, iirTransmit, iirRecv  = 0x01, 0x02, 0x04
	iirFIFO                        = 0xC0
	lcrDLAB                        = 1 << 7
	mcrOut2, mcrLoop               = 1 << 3, 1 << 4
	lsrData, lsrTHREmpty, lsrEmpty = 1 << 0, 1 << 5, 1 << 6
	msrConnected                   = 0xB0 // carrier, data set ready, clear to send
)

// maxInput bounds the bytes waiting for the guest to read; more are dropped.
const maxInput = 64 << 10

// UART is a 16550 that transmits at once: the guest never waits for it. A string
// output instruction hands over many bytes in one exit.
type UART struct {
	out  io.Writer
	line func(level bool)
	log  *slog.Logger

	mu                           sync.Mutex // guards all below
	input                        []byte
	ier, lcr, mcr, scratch, fifo uint8
	divisor                      [2]uint8
	transmitIRQ                  bool // the transmitter became empty since IIR told so
	level                        bool
	failed                       bool // out returned an error; reported once
}

// AddCOM1 gives the VM its first serial port; before Run. What the guest writes
// goes to out (nil: nowhere) on the processor's thread: see Console.
func (m *VM) AddCOM1(out io.Writer) (*UART, error) {
	if out == nil {
		out = io.Discard
	}
	u := &UART{out: out, log: m.Log}
	u.line = func(level bool) {
		if err := m.KVM.SetIRQLine(com1GSI, level); err != nil {
			m.Log.Warn("COM1 interrupt", "error", err)
		}
	}
	return u, m.HandlePorts("COM1", COM1Port, COM1Port+com1Ports-1, u)
}

// Write hands p to the guest as input and returns how much of it there was room for.
func (u *UART) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := min(len(p), maxInput-len(u.input))
	u.input = append(u.input, p[:n]...)
	u.interrupt()
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// PortIO serves an access of the guest.
func (u *UART) PortIO(_ *VCPU, x kvm.IO) {
	u.mu.Lock()
	defer u.mu.Unlock()
	reg := x.Port - COM1Port
	if !x.In && reg == regData && x.Size == 1 && u.lcr&lcrDLAB == 0 {
		u.transmit(x.Data)
		return
	}
	for i := 0; i < len(x.Data); i += max(x.Size, 1) { // a wider access reaches the first register only
		if x.In {
			x.Data[i] = u.read(reg)
		} else {
			u.write(reg, x.Data[i])
		}
	}
	u.interrupt()
}

func (u *UART) transmit(b []byte) {
	if u.mcr&mcrLoop != 0 {
		u.input = append(u.input, b[:min(len(b), maxInput-len(u.input))]...)
	} else if _, err := u.out.Write(b); err != nil && !u.failed {
		u.failed = true
		u.log.Warn("guest console: output is being lost", "error", err)
	}
	u.transmitIRQ = true
	u.interrupt()
}

func (u *UART) read(reg uint16) uint8 {
	if u.lcr&lcrDLAB != 0 && reg <= 1 {
		return u.divisor[reg]
	}
	switch reg {
	case regData:
		if len(u.input) == 0 {
			return 0
		}
		b := u.input[0]
		u.input = u.input[1:]
		return b
	case regIER:
		return u.ier
	case regIIR:
		cause := u.cause()
		if cause == iirTransmit {
			u.transmitIRQ = false // reading IIR acknowledges it
		}
		return cause | u.fifo
	case regLCR:
		return u.lcr
	case regMCR:
		return u.mcr
	case regLSR:
		s := uint8(lsrTHREmpty | lsrEmpty)
		if len(u.input) > 0 {
			s |= lsrData
		}
		return s
	case regMSR:
		if u.mcr&mcrLoop != 0 { // outputs RTS DTR OUT1 OUT2 come back as CTS DSR RI DCD
			return u.mcr&2<<3 | u.mcr&1<<5 | u.mcr&4<<4 | u.mcr&8<<4
		}
		return msrConnected
	}
	return u.scratch
}

func (u *UART) write(reg uint16, v uint8) {
	if u.lcr&lcrDLAB != 0 && reg <= 1 {
		u.divisor[reg] = v
		return
	}
	switch reg {
	case regData:
		u.transmit([]byte{v})
	case regIER:
		if v&^u.ier&ierTransmit != 0 {
			u.transmitIRQ = true // enabling it while the transmitter is empty raises it
		}
		u.ier = v & 0x0F
	case regIIR: // FIFO control
		u.fifo = 0
		if v&1 != 0 {
			u.fifo = iirFIFO
		}
		if v&2 != 0 {
			u.input = nil
		}
	case regLCR:
		u.lcr = v
	case regMCR:
		u.mcr = v & 0x1F
	case regScratch:
		u.scratch = v
	}
}

func (u *UART) cause() uint8 {
	switch {
	case u.ier&ierReceive != 0 && len(u.input) > 0:
		return iirRecv
	case u.ier&ierTransmit != 0 && u.transmitIRQ:
		return iirTransmit
	}
	return iirNone
}

// interrupt sets the interrupt line as the registers say. OUT2 gates it, as on a PC.
func (u *UART) interrupt() {
	level := u.cause() != iirNone && u.mcr&mcrOut2 != 0 && u.mcr&mcrLoop == 0
	if level != u.level {
		u.level = level
		u.line(level)
	}
}

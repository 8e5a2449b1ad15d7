// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmm

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"testing"

	"github.com/hvgo/hvgo/host/kvm"
)

func TestMemory(t *testing.T) {
	m, err := NewMemory(64<<20, 32<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, c := range []struct {
		gpa, n uint64
		ok     bool
	}{
		{0, 1, true},
		{32<<20 - 1, 1, true},
		{32<<20 - 1, 2, false},
		{32 << 20, 0, true}, // nothing at the end of RAM
		{32 << 20, 1, false},
		{LowMemoryEnd, 4, false},
		{HighMemory - 1, 1, false},
		{HighMemory - 1, 2, false},
		{HighMemory, 32 << 20, true},
		{HighMemory, 32<<20 + 1, false},
		{HighMemory + 32<<20 - 4, 8, false},
		{^uint64(0), 1, false},
		{^uint64(0) - 3, 8, false},
		{8, ^uint64(0), false},
	} {
		b, err := m.Bytes(c.gpa, c.n)
		if (err == nil) != c.ok || err == nil && uint64(len(b)) != c.n || err != nil && !errors.Is(err, ErrNotRAM) {
			t.Errorf("Bytes(%#x, %d): %d bytes, %v", c.gpa, c.n, len(b), err)
		}
	}
	a, _ := m.Bytes(HighMemory, 4)
	copy(a, "high")
	if b, _ := m.Bytes(0, 4); !bytes.Equal(b, make([]byte, 4)) {
		t.Errorf("high memory shows in low memory: %q", b)
	}
	for _, size := range []uint64{0, 1, MinMemory - PageSize, MinMemory + 1, MaxMemory + PageSize, ^uint64(0)} {
		if m, err := NewMemory(size, 0); err == nil {
			m.Close()
			t.Errorf("NewMemory(%d) succeeds", size)
		}
	}
}

// uart returns a UART and a function that reads and one that writes a register.
func uart(out io.Writer) (u *UART, in func(reg uint16) byte, put func(reg uint16, b ...byte)) {
	u = &UART{out: out, log: slog.New(slog.DiscardHandler), line: func(bool) {}}
	in = func(reg uint16) byte {
		b := []byte{0xFF}
		u.PortIO(nil, kvm.IO{In: true, Size: 1, Count: 1, Port: COM1Port + reg, Data: b})
		return b[0]
	}
	put = func(reg uint16, b ...byte) {
		u.PortIO(nil, kvm.IO{Size: 1, Count: len(b), Port: COM1Port + reg, Data: b})
	}
	return u, in, put
}

func TestUARTTransmit(t *testing.T) {
	var out bytes.Buffer
	_, in, put := uart(&out)
	put(regLCR, lcrDLAB|3)
	put(regData, 1) // the divisor, not a character
	put(regIER, 0)
	if in(regData) != 1 {
		t.Error("the divisor is lost")
	}
	put(regLCR, 3)
	put(regData, []byte("many at once")...)
	put(regScratch, 0x5A)
	if out.String() != "many at once" || in(regScratch) != 0x5A || in(regLSR) != lsrTHREmpty|lsrEmpty {
		t.Errorf("wrote %q, LSR %#x", out.String(), in(regLSR))
	}
}

func TestUARTReceive(t *testing.T) {
	u, in, _ := uart(io.Discard)
	if n, err := u.Write([]byte("ab")); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	got := ""
	for in(regLSR)&lsrData != 0 {
		got += string(rune(in(regData)))
	}
	if got != "ab" || in(regData) != 0 {
		t.Errorf("read %q", got)
	}
	n, err := u.Write(make([]byte, 2*maxInput))
	if n != maxInput || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("%d bytes wait, %v", n, err)
	}
}

func TestUARTInterrupts(t *testing.T) {
	u, in, put := uart(io.Discard)
	level := false
	u.line = func(l bool) { level = l }
	put(regMCR, mcrOut2)
	put(regIER, ierTransmit)
	if !level || in(regIIR) != iirTransmit || level {
		t.Error("enabling the transmit interrupt does not raise it once")
	}
	put(regIER, ierReceive)
	u.Write([]byte("x"))
	if !level || in(regIIR) != iirRecv || in(regData) != 'x' || level {
		t.Error("received data does not interrupt until read")
	}
	put(regMCR, mcrOut2|mcrLoop)
	put(regData, 'y')
	if in(regData) != 'y' || in(regMSR)&0xF0 != 0x80 {
		t.Error("no loop-back")
	}
}

func TestUARTOutputFails(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	_, in, put := uart(w)
	put(regData, 'x')
	put(regData, 'y')
	if in(regLSR)&lsrTHREmpty == 0 {
		t.Error("the guest would wait for ever")
	}
}

func TestPorts(t *testing.T) {
	m := &VM{Log: slog.New(slog.DiscardHandler)}
	answer := PortFunc(func(_ *VCPU, x kvm.IO) {
		if x.In {
			x.Data[0] = 7
		}
	})
	if err := m.HandlePorts("one", 0x10, 0x1F, answer); err != nil {
		t.Fatal(err)
	}
	for _, r := range [][2]uint16{{0x1F, 0x20}, {0, 0x10}, {0x12, 0x13}, {0, 0xFFFF}} {
		if m.HandlePorts("two", r[0], r[1], answer) == nil {
			t.Errorf("ports %#x overlap", r)
		}
	}
	for port, want := range map[uint16]byte{0x10: 7, 0x1F: 7, 0x20: 0xFF, 0xF: 0xFF} {
		b := []byte{0}
		m.portIO(nil, kvm.IO{In: true, Size: 1, Count: 1, Port: port, Data: b})
		if b[0] != want {
			t.Errorf("port %#x reads %#x", port, b[0])
		}
	}
	if n := m.Figures().Ports["one"]; n != 2 {
		t.Errorf("%d exits counted", n)
	}
}

func FuzzUART(f *testing.F) {
	f.Add([]byte{3, 0x83, 0, 1, 3, 3, 0, 'x', 0x85, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		u, in, put := uart(io.Discard)
		for ; len(b) > 1; b = b[2:] {
			if b[0]&0x80 != 0 {
				in(uint16(b[0] & 7))
			} else {
				put(uint16(b[0]&7), b[1])
			}
			if len(u.input) > maxInput {
				t.Fatal("input without bound")
			}
		}
	})
}

// A reader that has stopped reading holds the guest up, and lets it go at the end.
func TestConsoleBlocks(t *testing.T) {
	m := &VM{Log: slog.New(slog.DiscardHandler)}
	r, w := io.Pipe()
	defer r.Close()
	c := m.Console(w)
	wrote := make(chan struct{})
	go func() {
		c.Write(make([]byte, 4*consoleBuffer))
		close(wrote)
	}()
	io.ReadFull(r, make([]byte, 10))
	select {
	case <-wrote:
		t.Error("all of it was taken")
	default:
	}
	m.consoles[0].end()
	<-wrote
}

func TestConsoleFlush(t *testing.T) {
	m := &VM{Log: slog.New(slog.DiscardHandler)}
	var out bytes.Buffer
	c := m.Console(&out)
	var want bytes.Buffer
	for i := range 100_000 {
		c.Write([]byte{byte(i)})
		want.WriteByte(byte(i))
	}
	m.consoles[0].end()
	m.consoles[0].flush()
	if !bytes.Equal(out.Bytes(), want.Bytes()) {
		t.Errorf("%d bytes arrived of %d", out.Len(), want.Len())
	}
}

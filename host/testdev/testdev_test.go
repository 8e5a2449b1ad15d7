// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package testdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

// partition writes down what the device does, on two virtual processors.
type partition struct {
	did     []string
	waiting int
}

func (p *partition) WaitingMessages(vp uint32, sint uint8) (int, error) {
	if vp > 1 || sint >= tlfs.SINTCount {
		return 0, errors.New("no such SINT")
	}
	return p.waiting, nil
}

func (p *partition) PostMessage(vp uint32, sint uint8, msgType uint32, payload []byte) error {
	p.did = append(p.did, fmt.Sprintf("message %d/%d type %d %q", vp, sint, msgType, payload))
	return nil
}

func (p *partition) SignalEvent(vp uint32, sint uint8, flag uint16) error {
	p.did = append(p.did, fmt.Sprintf("event %d/%d flag %d", vp, sint, flag))
	return nil
}

func (p *partition) RaiseSINT(vp uint32, sint uint8) error {
	p.did = append(p.did, fmt.Sprintf("raise %d/%d", vp, sint))
	return nil
}

// others serves all connections but the device's.
type others struct{}

func (others) PostMessage(connection, _ uint32, _ []byte) tlfs.Status {
	return tlfs.Status(0x1000 + connection)
}
func (others) SignalEvent(connection uint32, _ uint16) tlfs.Status {
	return tlfs.Status(0x2000 + connection)
}

func (d *Device) write(words ...uint32) {
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	d.PortIO(nil, kvm.IO{Size: 4, Port: Port, Count: len(words), Data: b})
}

func TestOperations(t *testing.T) {
	p := &partition{}
	d := New(p, nil, nil)
	d.write(0x00_03_00_05) // no route yet
	d.write(0x00_01_01_05, 0x00_03_01_05, 0x00_03_00_05, 0x00_02_01_05, 0x00_03_01_05)
	if want := []string{"raise 1/5"}; !slices.Equal(p.did, want) {
		t.Errorf("routes: %q, want %q", p.did, want)
	}

	p.did = nil
	post := func(connection uint32, want tlfs.Status) {
		t.Helper()
		if got := d.PostMessage(connection, 7, []byte("text")); got != want {
			t.Errorf("message on connection %d: %v, want %v", connection, got, want)
		}
	}
	post(9, tlfs.StatusInvalidConnectionID)
	d.write(0x09_04_01_03)
	d.write(0x09_04_00_04) // taken: the first stays
	post(9, tlfs.StatusSuccess)
	p.waiting = 1
	post(9, tlfs.StatusInsufficientBuffers)
	p.waiting = 0
	d.write(0x09_05_00_00)
	post(9, tlfs.StatusInvalidConnectionID)
	if want := []string{`message 1/3 type 7 "text"`}; !slices.Equal(p.did, want) {
		t.Errorf("messages: %q, want %q", p.did, want)
	}

	p.did = nil
	signal := func(connection uint32, flag uint16, want tlfs.Status) {
		t.Helper()
		if got := d.SignalEvent(connection, flag); got != want {
			t.Errorf("signal on connection %d: %v, want %v", connection, got, want)
		}
	}
	d.write(0xFF_06_00_0F)
	signal(0xFF, 0, tlfs.StatusSuccess)
	signal(0xFF, 1, tlfs.StatusInvalidParameter)
	signal(0xFE, 0, tlfs.StatusInvalidConnectionID)
	d.write(0xFF_07_00_00)
	signal(0xFF, 0, tlfs.StatusInvalidConnectionID)
	if want := []string{"event 0/15 flag 255"}; !slices.Equal(p.did, want) {
		t.Errorf("events: %q, want %q", p.did, want)
	}

	d.next = others{}
	post(4, 0x1004)
	signal(4, 0, 0x2004)
}

func TestRead(t *testing.T) {
	b := []byte{1, 2, 3, 4}
	New(&partition{}, nil, nil).PortIO(nil, kvm.IO{In: true, Size: 4, Port: Port, Count: 1, Data: b})
	if !slices.Equal(b, make([]byte, 4)) {
		t.Errorf("a read gave % x", b)
	}
}

// Whatever the guest writes, only SINTs that exist are touched.
func FuzzControl(f *testing.F) {
	f.Add([]byte{5, 1, 1, 0, 5, 1, 3, 0, 5, 1, 2, 0}, byte(4))
	f.Add([]byte{3, 0, 4, 9, 3, 0, 6, 9, 0, 0, 5, 9, 0, 0, 7, 9}, byte(4))
	f.Add([]byte{16, 0, 1, 0, 0, 2, 4, 1}, byte(2))
	f.Fuzz(func(t *testing.T, b []byte, size byte) {
		p := &partition{}
		d := New(p, nil, nil)
		d.PortIO(nil, kvm.IO{Size: int(size), Port: Port, Data: b})
		for c := range uint32(256) {
			d.PostMessage(c, 1, nil)
			d.SignalEvent(c, 0)
		}
		for _, m := range []map[uint32]target{d.messages, d.events} {
			for c, at := range m {
				if c > 255 || at.vp > 1 || at.sint >= tlfs.SINTCount {
					t.Errorf("connection %d leads to %v", c, at)
				}
			}
		}
		if len(d.routes) > 2*tlfs.SINTCount {
			t.Errorf("%d routes", len(d.routes))
		}
	})
}

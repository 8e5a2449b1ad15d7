// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package testdev is a device for tests of the SynIC alone, without VMBus: the
// guest makes connections to it by writes to an I/O port, and gets back what it
// posts and signals there. QEMU has the same device under the name of
// hyperv-testdev, so one test program runs on both hosts.
//
//	32-bit write to port 0x3000:
//	31        24 23        16 15         8 7          0
//	+------------+------------+------------+------------+
//	| connection | operation  | VP index   | SINT       |
//	+------------+------------+------------+------------+
//
//	1 create, 2 destroy a route to a SINT, 3 raise the SINT of a route
//	4 create, 5 destroy a message connection: a message posted there comes back
//	  to the SINT; while one waits for its slot, others are refused
//	6 create, 7 destroy an event connection: a signal sets the event flag of the
//	  connection's number
//
// A read gives zero; where there is no device it gives all ones. Messages and
// events on other connections go to the next server, which is VMBus's.
//
// Source: the behaviour of QEMU's hw/hyperv/hyperv_testdev.c and hyperv.c.
package testdev

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"

	"github.com/hvgo/hvgo/host/kvm"
	"github.com/hvgo/hvgo/host/vmm"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
)

// Port is the first of the device's four I/O ports.
const Port = 0x3000

// Operations, in bits 16 to 23 of what is written to Port.
const (
	opRouteCreate = iota + 1
	opRouteDestroy
	opRouteRaise
	opMessagesCreate
	opMessagesDestroy
	opEventsCreate
	opEventsDestroy
)

// Partition is what the device needs of the hypervisor: *hyperv.Partition.
type Partition interface {
	PostMessage(vp uint32, sint uint8, msgType uint32, payload []byte) error
	SignalEvent(vp uint32, sint uint8, flag uint16) error
	// WaitingMessages is how many messages wait for the slot of a SINT.
	WaitingMessages(vp uint32, sint uint8) (int, error)
	// RaiseSINT raises a SINT without a message or an event.
	RaiseSINT(vp uint32, sint uint8) error
}

// Server is who serves the connections that are not the device's.
type Server interface {
	PostMessage(connection, msgType uint32, payload []byte) tlfs.Status
	SignalEvent(connection uint32, flag uint16) tlfs.Status
}

// target is where a connection or a route leads.
type target struct {
	vp   uint32
	sint uint8
}

// Device is the test device of one VM. It is a vmm.PortHandler and a Server.
type Device struct {
	p    Partition
	next Server
	log  *slog.Logger

	mu       sync.Mutex // guards all below
	routes   map[target]bool
	messages map[uint32]target // by connection
	events   map[uint32]target
}

// New makes a device without connections. next may be nil: no other connection
// exists then.
func New(p Partition, next Server, log *slog.Logger) *Device {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Device{
		p: p, next: next, log: log,
		routes: map[target]bool{}, messages: map[uint32]target{}, events: map[uint32]target{},
	}
}

// PortIO serves the port. What is no operation does nothing, as in QEMU.
func (d *Device) PortIO(_ *vmm.VCPU, x kvm.IO) {
	if x.In {
		clear(x.Data)
		return
	}
	if x.Size != 4 || x.Port != Port {
		return
	}
	for b := x.Data; len(b) >= 4; b = b[4:] {
		word := binary.LittleEndian.Uint32(b)
		if err := d.control(word); err != nil {
			d.log.Warn("test device: the guest asked for what cannot be", "word", fmt.Sprintf("%#x", word), "error", err)
		}
	}
}

// control does what a word written to the port asks for. Where QEMU would end
// itself by a failed assertion, it returns an error and changes nothing.
func (d *Device) control(word uint32) error {
	connection, at := word>>24, target{vp: word >> 8 & 0xFF, sint: uint8(word)}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch op := word >> 16 & 0xFF; op {
	case opRouteCreate:
		if _, err := d.p.WaitingMessages(at.vp, at.sint); err != nil {
			return err
		}
		d.routes[at] = true
	case opRouteDestroy:
		if !d.routes[at] {
			return fmt.Errorf("no route to %v", at)
		}
		delete(d.routes, at)
	case opRouteRaise:
		if !d.routes[at] {
			return fmt.Errorf("no route to %v", at)
		}
		return d.p.RaiseSINT(at.vp, at.sint)
	case opMessagesCreate:
		return d.connect(d.messages, connection, at)
	case opMessagesDestroy:
		return disconnect(d.messages, connection)
	case opEventsCreate:
		return d.connect(d.events, connection, at)
	case opEventsDestroy:
		return disconnect(d.events, connection)
	}
	return nil
}

// connect adds a connection. Called with mu held.
func (d *Device) connect(to map[uint32]target, connection uint32, at target) error {
	if _, err := d.p.WaitingMessages(at.vp, at.sint); err != nil {
		return err
	}
	if old, ok := to[connection]; ok {
		return fmt.Errorf("connection %d leads to %v already", connection, old)
	}
	to[connection] = at
	return nil
}

func disconnect(from map[uint32]target, connection uint32) error {
	if _, ok := from[connection]; !ok {
		return fmt.Errorf("no connection %d", connection)
	}
	delete(from, connection)
	return nil
}

// String names a target in messages.
func (t target) String() string { return fmt.Sprintf("virtual processor %d, SINT %d", t.vp, t.sint) }

func (d *Device) find(in map[uint32]target, connection uint32) (target, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, ok := in[connection]
	return at, ok
}

// PostMessage sends a message back to the SINT of its connection. One message may
// wait for its slot; another is refused with HV_STATUS_INSUFFICIENT_BUFFERS.
func (d *Device) PostMessage(connection, msgType uint32, payload []byte) tlfs.Status {
	at, ok := d.find(d.messages, connection)
	if !ok {
		if d.next == nil {
			return tlfs.StatusInvalidConnectionID
		}
		return d.next.PostMessage(connection, msgType, payload)
	}
	n, err := d.p.WaitingMessages(at.vp, at.sint)
	if err == nil && n > 0 {
		return tlfs.StatusInsufficientBuffers
	}
	if err == nil {
		err = d.p.PostMessage(at.vp, at.sint, msgType, payload)
	}
	if err != nil {
		d.log.Warn("test device: no message", "connection", connection, "error", err)
		return tlfs.StatusInvalidHypercallInput
	}
	return tlfs.StatusSuccess
}

// SignalEvent sets the event flag with the number of the connection. A connection
// has one flag only.
func (d *Device) SignalEvent(connection uint32, flag uint16) tlfs.Status {
	at, ok := d.find(d.events, connection)
	switch {
	case !ok && d.next == nil:
		return tlfs.StatusInvalidConnectionID
	case !ok:
		return d.next.SignalEvent(connection, flag)
	case flag != 0:
		return tlfs.StatusInvalidParameter
	}
	if err := d.p.SignalEvent(at.vp, at.sint, uint16(connection)); err != nil {
		// The signal was made; that it does not arrive is the guest's doing.
		d.log.Warn("test device: no event", "connection", connection, "error", err)
	}
	return tlfs.StatusSuccess
}

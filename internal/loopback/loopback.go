// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package loopback joins the guest's VMBus client (drivers/vmbus) to the host's server
// (host/vmbus) in one process, so that guest drivers and host devices meet in unit
// tests, without a virtual machine and under the race detector:
//
//	drivers/storvsc, netvsc, ic          host/storvsp, netvsp, ic
//	          drivers/vmbus              host/vmbus
//	   Guest (drivers/vmbus.Platform) <-> vm (host/vmbus.VM)
//	               one Go-heap array as guest RAM
//
// It is for tests only. Guest page numbers are above 4 GiB and not adjacent for
// adjacent pages, so that a side that computes one where it must be told it fails.
//
//	m := loopback.New(t, loopback.Options{})
//	m.Server.AddDevice(dev)
//	bus, err := vmbus.Connect(m.Guest, log)
//
// At the end of the test, each rule of the protocol that the guest broke is an error,
// unless Options.AllowBroken says that the test breaks them on purpose.
package loopback

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	guest "github.com/hvgo/hvgo/drivers/vmbus"
	host "github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/wire/tlfs"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Options adjust the machine. The zero value is a well-behaved host of version 6.0.
type Options struct {
	// Host are the server's options: version, connection 4, short answers, connection
	// ids (FarConnections). Its Strict is called after the machine's own.
	Host host.Options
	// Pages of guest RAM for AllocPages, rounded up to a power of two; 0 is 8192 (32 MiB).
	Pages int
	// Busy, if not nil, is asked before each PostMessage of the guest, counted from 0;
	// true answers ErrBusy.
	Busy func(n int) bool
	// Spurious sets every event flag at every signal of either side.
	Spurious bool
	// AllowBroken keeps broken rules from failing the test.
	AllowBroken bool
}

// FarConnections is an Options.Host.EventConnection whose ids have nothing in common
// with the channel's.
func FarConnections(id wire.ChannelID) uint32 { return 0x00C0FFEE ^ uint32(id)<<9 }

// Machine is a guest and a host that share memory.
type Machine struct {
	Server *host.Server
	Guest  *Guest // give this to drivers/vmbus.Connect

	mem *memory

	mu    sync.Mutex
	rules []string // broken, with details
}

// New makes a machine. It is closed when the test ends.
func New(t testing.TB, opt Options) *Machine {
	m := &Machine{mem: newMemory(opt.Pages)}
	m.Guest = newGuest(m, opt)
	strict := opt.Host.Strict
	opt.Host.Strict = func(rule, detail string) {
		m.mu.Lock()
		m.rules = append(m.rules, rule+": "+detail)
		m.mu.Unlock()
		if strict != nil {
			strict(rule, detail)
		}
	}
	m.Server = host.New(vm{m}, opt.Host)
	t.Cleanup(func() {
		m.Guest.Close()
		m.Server.Close()
		if broken := m.Broken(); len(broken) > 0 && !opt.AllowBroken {
			t.Errorf("the guest broke rules:\n%s", strings.Join(broken, "\n"))
		}
	})
	return m
}

// Broken returns the rules that the guest has broken, as "rule: detail".
func (m *Machine) Broken() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.rules)
}

// Memory returns guest RAM as the host sees it.
func (m *Machine) Memory() host.Memory { return m.mem }

// FreePages returns how many pages of guest RAM are not allocated: a test for leaks.
func (m *Machine) FreePages() int { return m.mem.free() }

// vm is the machine as the host sees it.
type vm struct{ m *Machine }

func (v vm) Memory() host.Memory { return v.m.mem }

// VPs is more than any recording has: who gets interrupts makes no difference here.
func (v vm) VPs() uint32 { return 64 }

func (v vm) PostMessage(vp uint32, sint uint8, msgType uint32, payload []byte) error {
	if sint != host.SINT || msgType != 1 || len(payload) > wire.MaxMessageSize {
		return fmt.Errorf("loopback: message of type %d, %d bytes, to SINT %d", msgType, len(payload), sint)
	}
	v.m.Guest.deliver(payload)
	return nil
}

func (v vm) SignalEvent(vp uint32, sint uint8, flag uint16) error {
	if sint != host.SINT || flag >= tlfs.EventFlagsPerSINT {
		return fmt.Errorf("loopback: event flag %d of SINT %d", flag, sint)
	}
	v.m.Guest.signal(flag)
	return nil
}

// Guest is the machine as the guest sees it: a drivers/vmbus.Platform.
type Guest struct {
	m   *Machine
	opt Options

	mu       sync.Mutex
	cond     *sync.Cond
	closed   bool
	posts    int
	messages [][]byte
	events   map[uint16]*event
}

var _ guest.Platform = (*Guest)(nil)

func newGuest(m *Machine, opt Options) *Guest {
	g := &Guest{m: m, opt: opt, events: map[uint16]*event{}}
	g.cond = sync.NewCond(&g.mu)
	return g
}

// Close ends NextMessage and all events, as if the machine were switched off.
func (g *Guest) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.cond.Broadcast()
	for _, e := range g.events {
		e.end()
	}
}

// PostMessage is Platform.PostMessage.
func (g *Guest) PostMessage(connection uint32, payload []byte) error {
	g.mu.Lock()
	n := g.posts
	g.posts++
	g.mu.Unlock()
	if g.opt.Busy != nil && g.opt.Busy(n) {
		return guest.ErrBusy
	}
	return statusError(g.m.Server.PostMessage(connection, 1, payload))
}

// SignalEvent is Platform.SignalEvent.
func (g *Guest) SignalEvent(connection uint32, flag uint16) error {
	if g.opt.Spurious {
		g.signalAll()
	}
	return statusError(g.m.Server.SignalEvent(connection, flag))
}

func statusError(s tlfs.Status) error {
	switch s {
	case tlfs.StatusSuccess:
		return nil
	case tlfs.StatusInsufficientBuffers:
		return guest.ErrBusy
	case tlfs.StatusInvalidConnectionID:
		return guest.ErrNoConnection
	}
	return fmt.Errorf("loopback: %w", s)
}

func (g *Guest) deliver(payload []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.messages = append(g.messages, slices.Clone(payload))
	g.cond.Broadcast()
}

// NextMessage is Platform.NextMessage.
func (g *Guest) NextMessage(buf *[240]byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.messages) == 0 {
		if g.closed {
			return 0, guest.ErrClosed
		}
		g.cond.Wait()
	}
	n := copy(buf[:], g.messages[0])
	g.messages = g.messages[1:]
	return n, nil
}

func (g *Guest) signal(flag uint16) {
	if g.opt.Spurious {
		g.signalAll()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.events[flag]; e != nil { // or nobody listens
		e.set()
	}
}

func (g *Guest) signalAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range g.events {
		e.set()
	}
}

// Listen is Platform.Listen.
func (g *Guest) Listen(flag uint16) (guest.Event, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, guest.ErrClosed
	}
	if flag >= tlfs.EventFlagsPerSINT || g.events[flag] != nil {
		return nil, fmt.Errorf("loopback: event flag %d out of range or taken", flag)
	}
	e := &event{g: g, flag: flag, signalled: make(chan struct{}, 1), ended: make(chan struct{})}
	g.events[flag] = e
	return e, nil
}

// event is an event flag somebody listens to.
type event struct {
	g         *Guest
	flag      uint16
	signalled chan struct{}
	ended     chan struct{}
	once      sync.Once
}

func (e *event) set() {
	select {
	case e.signalled <- struct{}{}:
	default:
	}
}

func (e *event) end() { e.once.Do(func() { close(e.ended) }) }

// Wait is Event.Wait.
func (e *event) Wait() error {
	select {
	case <-e.ended:
		return guest.ErrClosed
	case <-e.signalled:
		return nil
	}
}

// Close is Event.Close.
func (e *event) Close() error {
	e.g.mu.Lock()
	if e.g.events[e.flag] == e {
		delete(e.g.events, e.flag)
	}
	e.g.mu.Unlock()
	e.end()
	return nil
}

// AllocPages is Platform.AllocPages.
func (g *Guest) AllocPages(n int) (*guest.Pages, error) {
	if n <= 0 {
		return nil, fmt.Errorf("loopback: %d pages", n)
	}
	mem, pfns, release := g.m.mem.alloc(n)
	if mem == nil {
		return nil, errors.New("loopback: out of guest memory")
	}
	return &guest.Pages{Mem: mem, PFN: pfns, Release: release}, nil
}

// PFNs is Platform.PFNs. Any memory of the process will do.
func (g *Guest) PFNs(b []byte, dst []uint64) ([]uint64, error) {
	return g.m.mem.pfns(b, dst), nil
}

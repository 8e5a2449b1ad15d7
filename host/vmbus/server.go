// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmbus

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/hvgo/hvgo/internal/wire/tlfs"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
)

// Server is one guest's VMBus host.
//
// Messages are handled one at a time in its own goroutine (run), which is also the
// only one that adds and removes devices, resets and closes. mu guards the state
// against devices and signals that come at the same time; it is never held while
// waiting for a device.
type Server struct {
	vm  VM
	opt Options
	log *slog.Logger

	messages chan message
	calls    chan func()
	stopped  chan struct{}
	stop     context.CancelFunc
	ctx      context.Context // parent of all Serve contexts

	offered atomic.Uint64 // messages of the guest, taken or not

	mu          sync.Mutex
	connections uint64 // ended ones
	conn        connState
	devices     []Device
	ports       map[wire.ChannelID]*port
	gpadls      map[wire.GPADLID]*gpadl

	signalMu sync.RWMutex // guards the following; taken after mu
	byConn   map[uint32]*port
	intPage  []byte // interrupt page of guests below 2.4, or nil

	Stats Stats
}

// Stats counts since the server was made.
type Stats struct {
	MessagesIn, MessagesOut atomic.Uint64 // channel messages from and to the guest
	SignalsIn, SignalsOut   atomic.Uint64 // SignalEvent from and to the guest
	RulesBroken             atomic.Uint64
}

// message is a PostMessage that was not yet handled.
type message struct {
	connection uint32
	size       int
	payload    [wire.MaxMessageSize]byte
}

// connState is what INITIATE_CONTACT agreed upon.
type connState struct {
	connected  bool
	version    wire.Version
	features   wire.Features
	vp         uint32
	connID     uint32 // where the guest shall post
	offersSent bool
	paused     bool
	held       [][]byte // messages for a paused guest
}

// port is an offered channel, from offer to release.
type port struct {
	id       wire.ChannelID
	offer    Offer
	device   Device
	parent   *port // of a sub-channel
	subIndex uint16
	version  wire.Version
	connID   uint32
	flag     uint16
	rescind  bool                    // RESCIND_CHANNEL_OFFER was sent
	channel  atomic.Pointer[Channel] // while open
}

// New makes a server and starts its goroutine; Close ends it.
func New(vm VM, opt Options) *Server {
	if opt.MaxVersion == 0 {
		opt.MaxVersion = wire.Version6_0
	}
	if opt.Features == nil {
		f := DefaultFeatures
		opt.Features = &f
	}
	if opt.MessageConnection == 0 {
		opt.MessageConnection = wire.ConnectionMessages
	}
	if opt.EventConnection == nil {
		opt.EventConnection = func(id wire.ChannelID) uint32 { return SINT<<12 + uint32(id) }
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	s := &Server{
		vm: vm, opt: opt, log: opt.Log,
		messages: make(chan message, maxMessageQueue), calls: make(chan func()), stopped: make(chan struct{}),
		ports: map[wire.ChannelID]*port{}, gpadls: map[wire.GPADLID]*gpadl{}, byConn: map[uint32]*port{},
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	go s.run()
	return s
}

// run handles messages and calls until Close.
func (s *Server) run() {
	defer close(s.stopped)
	for {
		select {
		case m := <-s.messages:
			s.handle(m)
		case f := <-s.calls:
			f()
		case <-s.ctx.Done():
			s.disconnect()
			return
		}
	}
}

// do runs f in the server's goroutine and waits for it. After Close it does nothing.
func (s *Server) do(f func()) {
	done := make(chan struct{})
	select {
	case s.calls <- func() { f(); close(done) }:
		<-done
	case <-s.stopped:
	}
}

// Close closes all channels, waits for the devices, and ends the server.
func (s *Server) Close() {
	s.stop()
	<-s.stopped
}

// Reset is a reset of the VM: the guest's connection is forgotten, without a message.
func (s *Server) Reset() {
	s.do(func() {
		for {
			select {
			case <-s.messages:
				continue
			default:
			}
			break
		}
		s.disconnect()
	})
}

// Ended tells the server that the guest has switched the machine off, or reset it:
// it ought to have said UNLOAD before. Without that, a host may still write to pages
// that the next guest uses for something else.
func (s *Server) Ended() {
	s.do(func() {
		for { // what the guest posted before its end
			select {
			case m := <-s.messages:
				s.handle(m)
				continue
			default:
			}
			break
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.conn.connected {
			s.report(RuleUnload, "connected with version %v", s.conn.version)
		}
	})
}

// AddDevice offers a device: at once if the guest has asked for offers, else when it
// does. It must not be called from Serve.
func (s *Server) AddDevice(d Device) {
	s.do(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.devices = append(s.devices, d)
		if s.conn.offersSent {
			s.offer(d)
		}
	})
}

// RemoveDevice rescinds a device's offer after its channels have stopped. It must not
// be called from Serve.
func (s *Server) RemoveDevice(d Device) {
	s.do(func() {
		s.mu.Lock()
		for i := range s.devices {
			if s.devices[i] == d {
				s.devices = append(s.devices[:i:i], s.devices[i+1:]...)
				break
			}
		}
		var ports []*port
		for _, p := range s.ports {
			if p.parent == nil && p.device == d {
				ports = append(ports, p)
			}
		}
		s.mu.Unlock()
		for _, p := range ports {
			s.rescind(p)
		}
	})
}

// PostMessage is the guest's HvCallPostMessage. It does not wait for the message to be
// handled; it returns StatusInsufficientBuffers while too many wait.
func (s *Server) PostMessage(connection, msgType uint32, payload []byte) tlfs.Status {
	if s.opt.Record != nil {
		return s.recordMessage(connection, msgType, payload)
	}
	return s.postMessage(connection, msgType, payload)
}

func (s *Server) postMessage(connection, msgType uint32, payload []byte) tlfs.Status {
	multi := connection == wire.ConnectionMessagesMulti && !s.opt.NoMultiConnection && s.opt.MaxVersion >= wire.Version5_0
	if connection != wire.ConnectionMessages && connection != s.opt.MessageConnection && !multi {
		return tlfs.StatusInvalidConnectionID
	}
	if msgType != messageTypeVMBus || len(payload) > wire.MaxMessageSize {
		return tlfs.StatusInvalidParameter
	}
	if s.busy() {
		return tlfs.StatusInsufficientBuffers
	}
	m := message{connection: connection, size: len(payload)}
	copy(m.payload[:], payload)
	select {
	case <-s.stopped:
		return tlfs.StatusInvalidConnectionID
	default:
	}
	select {
	case s.messages <- m:
		return tlfs.StatusSuccess
	default:
		return tlfs.StatusInsufficientBuffers
	}
}

// SignalEvent is the guest's HvCallSignalEvent.
func (s *Server) SignalEvent(connection uint32, flag uint16) tlfs.Status {
	if s.opt.Record != nil {
		return s.recordSignal(connection, flag)
	}
	return s.signalEvent(connection, flag)
}

func (s *Server) signalEvent(connection uint32, flag uint16) tlfs.Status {
	s.Stats.SignalsIn.Add(1)
	if flag != 0 {
		s.report(RuleSignalFlag, "connection %#x, flag %d", connection, flag)
		return tlfs.StatusInvalidParameter
	}
	s.signalMu.RLock()
	p, page := s.byConn[connection], s.intPage
	s.signalMu.RUnlock()
	if p == nil && connection == wire.ConnectionSharedEvent {
		s.sharedSignal(page)
		return tlfs.StatusSuccess
	}
	if p == nil {
		return tlfs.StatusInvalidConnectionID
	}
	s.wake(p)
	return tlfs.StatusSuccess
}

// sharedSignal is a signal of a guest below 2.4 on the shared connection: the second
// half of its interrupt page holds one bit for each channel. Without that page it
// means every open channel.
func (s *Server) sharedSignal(page []byte) {
	if page == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, p := range s.ports {
			if c := p.channel.Load(); c != nil {
				c.wake()
			}
		}
		return
	}
	for i := range tlfs.EventFlagsSize / 4 {
		bits := word(page, wire.PageSize/2+i*4).Swap(0)
		for b := range 32 {
			if bits&(1<<b) == 0 {
				continue
			}
			s.mu.Lock()
			p := s.ports[wire.ChannelID(i*32+b)]
			s.mu.Unlock()
			if p != nil {
				s.wake(p)
			}
		}
	}
}

func (s *Server) wake(p *port) {
	if c := p.channel.Load(); c != nil {
		c.wake()
		return
	}
	s.mu.Lock()
	rescinded := p.rescind
	s.mu.Unlock()
	if !rescinded {
		s.report(RuleSignalClosed, "channel %d", p.id)
	}
}

// signalGuest interrupts the guest for a channel.
func (s *Server) signalGuest(vp uint32, p *port) {
	flag := p.flag
	s.signalMu.RLock()
	page := s.intPage
	s.signalMu.RUnlock()
	if p.version < wire.Version2_4 && page != nil {
		word(page, int(p.flag)/32*4).Or(1 << (p.flag % 32))
		flag = 0
	}
	s.Stats.SignalsOut.Add(1)
	if s.opt.Record != nil {
		s.opt.Record.Signal(true, uint32(p.id), vp, flag, tlfs.StatusSuccess)
	}
	if err := s.vm.SignalEvent(vp, SINT, flag); err != nil { // a VP that does not exist
		s.report(RuleTargetVP, "channel %d, VP %d: %v", p.id, vp, err)
	}
}

// send posts a message to the guest, or keeps it while the guest is paused. mu is held.
func (s *Server) send(b []byte) {
	if s.conn.paused && wire.MessageType(b[0]) != wire.MsgPauseResponse {
		if len(s.conn.held) >= maxHeldMessages {
			s.report(RulePaused, "%d messages held", len(s.conn.held))
			return
		}
		s.conn.held = append(s.conn.held, b)
		return
	}
	s.post(s.conn.vp, SINT, b)
}

func (s *Server) post(vp uint32, sint uint8, b []byte) {
	for i := 4; i < wire.HeaderSize; i++ { // the header's second word is reserved
		b[i] = s.garbage()
	}
	if s.opt.Trace != nil {
		s.opt.Trace(true, b)
	}
	if s.opt.Record != nil {
		s.opt.Record.Message(true, vp, sint, b)
	}
	s.Stats.MessagesOut.Add(1)
	if err := s.vm.PostMessage(vp, sint, messageTypeVMBus, b); err != nil {
		s.report(RuleTargetVP, "%v to VP %d, SINT %d: %v", wire.MessageType(b[0]), vp, sint, err)
	}
}

// garbage is what reserved bytes hold: zero, or with Options.Garbage something
// that a guest must not look at.
func (s *Server) garbage() byte {
	if s.opt.Garbage {
		return 0xA5
	}
	return 0
}

// disconnect stops all channels and forgets the connection. Only run's goroutine.
func (s *Server) disconnect() {
	s.mu.Lock()
	var open []*port
	for _, p := range s.ports {
		open = append(open, p)
	}
	s.mu.Unlock()
	for _, p := range open {
		s.stopChannel(p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ports = map[wire.ChannelID]*port{}
	s.gpadls = map[wire.GPADLID]*gpadl{}
	s.conn = connState{}
	s.connections++
	s.signalMu.Lock()
	defer s.signalMu.Unlock()
	s.byConn = map[uint32]*port{}
	s.intPage = nil
}

// stopChannel ends the device's work on a channel and waits for it. Only run's goroutine.
func (s *Server) stopChannel(p *port) {
	c := p.channel.Load()
	if c == nil {
		return
	}
	c.cancel()
	<-c.done
	p.channel.Store(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.gpadls[c.gpadl]; g != nil {
		s.release(g)
	}
}

// serve is the goroutine of an open channel.
func (s *Server) serve(ctx context.Context, p *port, c *Channel) {
	defer close(c.done)
	defer c.finish()
	err := p.device.Serve(ctx, c)
	switch {
	case ctx.Err() != nil || err == nil:
	case errors.Is(err, ErrProtocol):
		s.reportError(err)
	default:
		s.log.Error("VMBus device failed", "device", wire.InterfaceName(p.offer.Interface), "channel", p.id, "err", err)
	}
}

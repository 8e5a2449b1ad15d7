// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package usernet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// Limits.
const (
	maxConnections = 4096 // TCP, both directions, those that wait included
	maxHandshakes  = 512  // of the guest's, under way
	maxSessions    = 512  // UDP
	maxQueries     = 64   // DNS, under way, and connections for them

	dialTimeout = 30 * time.Second // out to the world
	udpIdle     = 60 * time.Second

	probeInterval = 100 * time.Millisecond // between ARP requests
	probes        = 10

	nicID = 1
)

// TCP buffers in bytes, for each connection and direction.
const (
	minBuffer     = 4 << 10
	defaultBuffer = 512 << 10
	maxBuffer     = 4 << 20

	// Ports of ended connections to the guest are free again soon: no packet is
	// older than the memory it lies in.
	timeWait = 2 * time.Second
)

// Zone is the domain of the network's own names: gateway.hvgo.internal and the
// guest's, which is Options.Hostname.
const Zone = "hvgo.internal"

// Card is the network card that the guest's frames come from and go to.
type Card interface {
	// Deliver takes over a frame for the guest; checked says that its checksums are
	// right. False: no room; Network.Room must follow.
	Deliver(frame []byte, checked bool) (queued bool)
	MAC() [6]byte
}

// Options adjust a Network; the zero value is a good one.
type Options struct {
	Prefix   netip.Prefix // zero is 192.168.127.0/24; at most a /30, IPv4
	MTU      int          // bytes of an IP packet; 0 is 1500
	Hostname string       // of the guest, in its lease; empty is "hvgo"
	Lease    time.Duration

	// LeaseWait and ListenWait bound the time that clients of published ports wait
	// for the guest; zero is 3 minutes and 15 s.
	LeaseWait, ListenWait time.Duration

	// NoLoopback keeps the guest from the host's loopback interface: the gateway
	// then has no ports but its own.
	NoLoopback bool

	// FirstByte is told about the first byte that a guest's program sends through
	// each published port.
	FirstByte func(p *Published)

	// Dial opens connections to the world; nil is a net.Dialer. It gets "tcp4" and
	// "udp4".
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolver answers what is not in Zone; nil is the host's.
	Resolver *net.Resolver

	Log *slog.Logger // nil: slog.Default()
}

func (o Options) withDefaults() Options {
	if !o.Prefix.IsValid() {
		o.Prefix = netip.MustParsePrefix("192.168.127.0/24")
	}
	if o.MTU == 0 {
		o.MTU = 1500
	}
	if o.Hostname == "" {
		o.Hostname = "hvgo"
	}
	if o.Lease == 0 {
		o.Lease = 24 * time.Hour
	}
	if o.LeaseWait == 0 {
		o.LeaseWait = 3 * time.Minute
	}
	if o.ListenWait == 0 {
		o.ListenWait = 15 * time.Second
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Resolver == nil {
		o.Resolver = &net.Resolver{PreferGo: true}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// Network is the network of one guest.
type Network struct {
	opt            Options
	log            *slog.Logger
	gateway, guest netip.Addr

	stack *stack.Stack
	link  *link
	stats counters

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // all goroutines but the stack's

	connections chan struct{} // semaphores
	sessions    chan struct{}
	queries     chan struct{}

	leased     chan struct{} // closed with the first lease
	leasedOnce sync.Once

	mu      sync.Mutex // guards the following
	closed  bool
	closers map[interface{ Close() error }]struct{}
}

// New makes a network without a card.
func New(o Options) (*Network, error) {
	o = o.withDefaults()
	if !o.Prefix.Addr().Is4() || o.Prefix.Bits() > 30 || o.Prefix.Bits() < 8 {
		return nil, fmt.Errorf("usernet: network %v: want IPv4 with 8 to 30 bits", o.Prefix)
	}
	if o.MTU < 576 || o.MTU > 65000 {
		return nil, fmt.Errorf("usernet: MTU %d", o.MTU)
	}
	n := &Network{
		opt: o, log: o.Log, gateway: o.Prefix.Masked().Addr().Next(), leased: make(chan struct{}),
		connections: make(chan struct{}, maxConnections), sessions: make(chan struct{}, maxSessions),
		queries: make(chan struct{}, maxQueries), closers: map[interface{ Close() error }]struct{}{},
	}
	n.guest = n.gateway.Next()
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.link = newLink(n, o.MTU)
	if err := n.newStack(); err != nil {
		n.cancel()
		return nil, fmt.Errorf("usernet: %w", err)
	}
	if err := n.serveDNS(); err != nil {
		return nil, errors.Join(fmt.Errorf("usernet: %w", err), n.Close())
	}
	return n, nil
}

// newStack makes the gateway: one interface that takes packets for any address and
// answers in any name.
func (n *Network) newStack() error {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
	})
	n.stack = s
	sack, moderate := tcpip.TCPSACKEnabled(true), tcpip.TCPModerateReceiveBufferOption(true)
	recovery := tcpip.TCPRecovery(0) // RACK stalls uploads in this version of gVisor
	wait := tcpip.TCPTimeWaitTimeoutOption(timeWait)
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: minBuffer, Default: defaultBuffer, Max: maxBuffer}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: minBuffer, Default: defaultBuffer, Max: maxBuffer}
	for _, o := range []tcpip.SettableTransportProtocolOption{&sack, &moderate, &recovery, &wait, &receive, &send} {
		if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return fmt.Errorf("TCP option %T: %v", o, err)
		}
	}
	if err := s.CreateNIC(nicID, n.link); err != nil {
		return fmt.Errorf("interface: %v", err)
	}
	address := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddressWithPrefix{
		Address: tcpip.AddrFrom4(n.gateway.As4()), PrefixLen: n.opt.Prefix.Bits()}}
	if err := s.AddProtocolAddress(nicID, address, stack.AddressProperties{}); err != nil {
		return fmt.Errorf("address %v: %v", n.gateway, err)
	}
	// The guest is near; it may be silent because it is about to take its address.
	nud := stack.DefaultNUDConfigurations()
	nud.RetransmitTimer, nud.MaxMulticastProbes = probeInterval, probes
	if err := s.SetNUDConfigurations(nicID, ipv4.ProtocolNumber, nud); err != nil {
		return fmt.Errorf("neighbours: %v", err)
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nicID}})
	if err := s.SetPromiscuousMode(nicID, true); err != nil {
		return fmt.Errorf("promiscuous mode: %v", err)
	}
	if err := s.SetSpoofing(nicID, true); err != nil {
		return fmt.Errorf("spoofing: %v", err)
	}
	s.SetTransportProtocolHandler(tcp.ProtocolNumber, tcp.NewForwarder(s, 0, maxHandshakes, n.forwardTCP).HandlePacket)
	s.SetTransportProtocolHandler(udp.ProtocolNumber, udp.NewForwarder(s, n.forwardUDP).HandlePacket)
	return nil
}

// Plug connects the guest's card. There is one for each network.
func (n *Network) Plug(c Card) { n.link.plug(c) }

// Gateway is the address of the gateway, and of the host's loopback interface.
func (n *Network) Gateway() netip.Addr { return n.gateway }

// Guest is the address that the guest gets.
func (n *Network) Guest() netip.Addr { return n.guest }

// Leased is closed when the guest has got its first lease.
func (n *Network) Leased() <-chan struct{} { return n.leased }

// Close ends all connections and published ports, and waits for them.
func (n *Network) Close() error {
	n.mu.Lock()
	n.closed = true
	var open []interface{ Close() error }
	for c := range n.closers {
		open = append(open, c)
	}
	n.mu.Unlock()
	n.cancel()
	for _, c := range open {
		c.Close()
	}
	n.wg.Wait()
	n.stack.Destroy()
	return nil
}

// track enters something to be closed by Close; false: Close was called, and c is
// closed.
func (n *Network) track(c interface{ Close() error }) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		c.Close()
		return false
	}
	n.closers[c] = struct{}{}
	return true
}

func (n *Network) untrack(c interface{ Close() error }) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.closers, c)
}

// work runs f in a goroutine that Close waits for; false: Close was called.
func (n *Network) work(f func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.wg.Go(f)
	return true
}

// acquire takes one of a semaphore's places, if there is one.
func acquire(sem chan struct{}) bool {
	select {
	case sem <- struct{}{}:
		return true
	default:
		return false
	}
}

func release(sem chan struct{}) { <-sem }

// Stats counts since the network was made.
type Stats struct {
	FromGuest, ToGuest uint64 // frames
	Ignored            uint64 // frames of the guest's that are for nobody here
	Malformed          uint64 // frames of the guest's that are broken
	Waits              uint64 // times a sender waited for the card
	Dropped            uint64 // frames for the guest that the card had no room for
	ConnectionsOut     uint64 // TCP
	ConnectionsIn      uint64
	Refused            uint64 // connections refused, by the other end or for a limit
	Sessions           uint64 // UDP
	Queries            uint64 // DNS
	Leases             uint64 // DHCP acknowledgements
}

type counters struct {
	fromGuest, toGuest, ignored, malformed, waits, dropped, connectionsOut, connectionsIn, refused, sessions, queries, leases atomic.Uint64
}

// Stats returns the counters.
func (n *Network) Stats() Stats {
	c := &n.stats
	return Stats{
		FromGuest: c.fromGuest.Load(), ToGuest: c.toGuest.Load(), Ignored: c.ignored.Load(), Malformed: c.malformed.Load(),
		Waits: c.waits.Load(), Dropped: c.dropped.Load(), ConnectionsOut: c.connectionsOut.Load(),
		ConnectionsIn: c.connectionsIn.Load(), Refused: c.refused.Load(), Sessions: c.sessions.Load(),
		Queries: c.queries.Load(), Leases: c.leases.Load(),
	}
}

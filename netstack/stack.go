// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"

	gvisor "gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/loopback"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/raw"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// Interfaces of the stack.
const (
	loopbackNIC tcpip.NICID = 1
	ethernetNIC tcpip.NICID = 2
)

// Socket buffers in bytes. They are limits, not reservations: a connection
// holds what is under way. Memory of small VMs is why the default is not larger.
const (
	minBuffer      = 4 << 10
	defaultReceive = 512 << 10
	defaultSend    = 512 << 10
	maxBuffer      = 4 << 20
)

// Options configure a Stack. The zero value is good.
type Options struct {
	Log      *slog.Logger // nil: slog.Default()
	Hostname string       // name to send to the DHCP server; empty: none

	// OnLease is called with each new lease and with nil when one is lost, in
	// the DHCP client's goroutine.
	OnLease func(*Lease)
}

// Stack is the network of the machine. Its method Socket makes sockets.
type Stack struct {
	s   *stack.Stack
	o   Options
	log *slog.Logger

	cancel context.CancelFunc // ends the background work
	ctx    context.Context
	wg     sync.WaitGroup

	mu    sync.Mutex // guards all below
	link  *link      // nil: no card
	lease *Lease     // nil: none
	own   []tcpip.Route

	joined map[tcpip.Address]bool // groups that some socket joined at some time

	meetings meetings // of streams
	udp      udpPorts
}

// New makes a stack with the loopback interface only.
func New(o Options) (*Stack, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	takeGvisorLog.Do(func() { gvisor.SetTarget(gvisorLog{o.Log}) })
	n := &Stack{o: o, log: o.Log}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.s = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocolWithOptions(ipv6.Options{}), arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
		HandleLocal:        true,
		RawFactory:         raw.EndpointFactory{},
	})
	if err := n.configureTCP(); err != nil {
		return nil, err
	}
	if err := n.addLoopback(); err != nil {
		return nil, err
	}
	return n, nil
}

// configureTCP sets what differs from gVisor's defaults.
func (n *Stack) configureTCP() error {
	sack := tcpip.TCPSACKEnabled(true)
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	cubic := tcpip.CongestionControlOption("cubic")
	// RACK stalls uploads in this version of gVisor; SACK-based recovery stays.
	recovery := tcpip.TCPRecovery(0)
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: minBuffer, Default: defaultReceive, Max: maxBuffer}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: minBuffer, Default: defaultSend, Max: maxBuffer}
	for _, o := range []tcpip.SettableTransportProtocolOption{&sack, &moderate, &cubic, &recovery, &receive, &send} {
		if err := n.s.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return fmt.Errorf("netstack: TCP option %T: %v", o, err)
		}
	}
	return nil
}

func (n *Stack) addLoopback() error {
	if err := n.s.CreateNICWithOptions(loopbackNIC, loopback.New(), stack.NICOptions{Name: "lo"}); err != nil {
		return fmt.Errorf("netstack: loopback interface: %v", err)
	}
	for _, a := range []string{"127.0.0.1/8", "::1/128"} {
		p := netip.MustParsePrefix(a)
		if err := n.addAddress(loopbackNIC, p); err != nil {
			return err
		}
		n.own = append(n.own, tcpip.Route{Destination: subnet(p), NIC: loopbackNIC})
	}
	n.s.SetRouteTable(n.own)
	return nil
}

// AttachNIC adds the card and starts the DHCP client, which goes on until
// Close. No network and no DHCP server are no errors: the client keeps trying.
func (n *Stack) AttachNIC(nic NIC) error {
	plugged := make(chan struct{}, 1)
	l, err := n.attach(nic, func(up bool) {
		n.log.Info("network cable", "up", up)
		if up {
			select {
			case plugged <- struct{}{}:
			default:
			}
		}
	})
	if err != nil {
		return err
	}
	d, err := newDHCP(n, l, plugged, dhcpTimeout)
	if err != nil {
		return err
	}
	if err := l.start(); err != nil {
		d.client.Close()
		return fmt.Errorf("netstack: starting the network card: %w", err)
	}
	n.wg.Go(func() { d.run(n.ctx) })
	return nil
}

// attach makes the card an interface of the stack, without an address.
func (n *Stack) attach(nic NIC, changed func(up bool)) (*link, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.link != nil {
		return nil, errors.New("netstack: there is a network card already")
	}
	l := newLink(nic, n.log, changed)
	if err := n.s.CreateNICWithOptions(ethernetNIC, l, stack.NICOptions{Name: "eth0"}); err != nil {
		return nil, fmt.Errorf("netstack: network card: %v", err)
	}
	n.link = l
	return l, nil
}

// Close ends the background work and all connections.
func (n *Stack) Close() {
	n.cancel()
	n.wg.Wait()
	n.s.Destroy()
}

// setAddress replaces the card's address and the routes through it. An invalid
// prefix takes them away.
func (n *Stack) setAddress(old, p netip.Prefix, routes []tcpip.Route) error {
	if old.IsValid() && old != p {
		n.s.RemoveAddress(ethernetNIC, tcpip.AddrFrom4(old.Addr().As4()))
	}
	if p.IsValid() && old != p {
		if err := n.addAddress(ethernetNIC, p); err != nil {
			return err
		}
	}
	n.s.SetRouteTable(append(append([]tcpip.Route(nil), n.own...), routes...))
	return nil
}

func (n *Stack) addAddress(nic tcpip.NICID, p netip.Prefix) error {
	a := tcpip.ProtocolAddress{
		Protocol:          networkProtocol(p.Addr()),
		AddressWithPrefix: tcpip.AddressWithPrefix{Address: tcpip.AddrFromSlice(p.Addr().AsSlice()), PrefixLen: p.Bits()},
	}
	if err := n.s.AddProtocolAddress(nic, a, stack.AddressProperties{}); err != nil {
		return fmt.Errorf("netstack: address %v: %v", p, err)
	}
	return nil
}

func networkProtocol(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}

// subnet is p, without host bits, as the stack wants it.
func subnet(p netip.Prefix) tcpip.Subnet {
	a := tcpip.AddressWithPrefix{Address: tcpip.AddrFromSlice(p.Masked().Addr().AsSlice()), PrefixLen: p.Bits()}
	return a.Subnet()
}

// LinkStats counts what happened between stack and card.
type LinkStats struct {
	Waits     uint64 // times a sender waited for the card
	Refused   uint64 // packets refused with an error to their sender
	Lost      uint64 // queued packets lost because the card went away
	Malformed uint64 // received frames too short
}

// LinkStats returns the counters of the card's link; zero without a card.
func (n *Stack) LinkStats() LinkStats {
	n.mu.Lock()
	l := n.link
	n.mu.Unlock()
	if l == nil {
		return LinkStats{}
	}
	s := &l.stats
	return LinkStats{s.waits.Load(), s.refused.Load(), s.lost.Load(), s.malformed.Load()}
}

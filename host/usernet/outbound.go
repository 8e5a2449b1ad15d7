// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package usernet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// outside is the host's address for what the guest calls to: the gateway's ports are
// those of the loopback interface, unless Options.NoLoopback.
func (n *Network) outside(id stack.TransportEndpointID) (address string, ok bool) {
	ip := netip.AddrFrom4(id.LocalAddress.As4())
	if ip == n.gateway {
		if n.opt.NoLoopback {
			return "", false
		}
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return net.JoinHostPort(ip.String(), strconv.Itoa(int(id.LocalPort))), true
}

// forwardTCP connects the guest to the world. The world is asked first: the guest's
// handshake succeeds if that one did. Whatever goes wrong there is a reset here.
func (n *Network) forwardTCP(r *tcp.ForwarderRequest) {
	address, ok := n.outside(r.ID())
	if !ok {
		n.stats.refused.Add(1)
		r.Complete(true)
		return
	}
	if !acquire(n.connections) {
		n.log.Warn("too many connections of the guest", "limit", maxConnections)
		n.stats.refused.Add(1)
		r.Complete(true)
		return
	}
	if !n.work(func() {
		defer release(n.connections)
		n.connectOut(r, address)
	}) {
		release(n.connections)
		r.Complete(true)
	}
}

func (n *Network) connectOut(r *tcp.ForwarderRequest, address string) {
	ctx, cancel := context.WithTimeout(n.ctx, dialTimeout)
	defer cancel()
	host, err := n.opt.Dial(ctx, "tcp4", address)
	if err != nil {
		n.log.Debug("connection out failed", "address", address, "err", err)
		n.stats.refused.Add(1)
		r.Complete(true)
		return
	}
	g := new(guestConn)
	ep, e := r.CreateEndpoint(&g.queue)
	if e != nil { // the guest gave up
		r.Complete(true)
		host.Close()
		return
	}
	r.Complete(false)
	g.attach(ep)
	n.stats.connectionsOut.Add(1)
	n.relay(host, g, nil)
}

// forwardUDP starts a session for the first datagram between two ports. It runs in the
// goroutine that brings the guest's frames.
func (n *Network) forwardUDP(r *udp.ForwarderRequest) bool {
	address, ok := n.outside(r.ID())
	if !ok {
		n.stats.refused.Add(1)
		return false // the stack answers port unreachable
	}
	if !acquire(n.sessions) {
		n.log.Warn("too many UDP sessions of the guest", "limit", maxSessions)
		n.stats.refused.Add(1)
		return true
	}
	// No packet goes out for this, and no name is resolved: it does not wait.
	host, err := n.opt.Dial(n.ctx, "udp4", address)
	if err != nil {
		release(n.sessions)
		return false
	}
	var queue waiter.Queue
	ep, e := r.CreateEndpoint(&queue)
	if e != nil {
		release(n.sessions)
		host.Close()
		return true
	}
	guest := gonet.NewUDPConn(&queue, ep)
	n.stats.sessions.Add(1)
	if !n.work(func() {
		defer release(n.sessions)
		n.relayUDP(host, guest)
	}) {
		release(n.sessions)
		host.Close()
		guest.Close()
	}
	return true
}

// relayUDP copies datagrams both ways until none came for udpIdle.
func (n *Network) relayUDP(host, guest net.Conn) {
	var last atomic.Int64 // of the last datagram, in Unix nanoseconds
	last.Store(time.Now().UnixNano())
	defer host.Close()
	defer guest.Close()
	if !n.track(host) {
		return
	}
	defer n.untrack(host)
	if !n.track(guest) {
		return
	}
	defer n.untrack(guest)
	done := make(chan struct{})
	go func() {
		defer close(done)
		copyDatagrams(host, guest, &last)
		guest.SetReadDeadline(time.Now())
	}()
	copyDatagrams(guest, host, &last)
	host.SetReadDeadline(time.Now())
	<-done
}

// copyDatagrams copies until an error, or udpIdle without a datagram either way.
func copyDatagrams(from, to net.Conn, last *atomic.Int64) {
	buf := make([]byte, 64<<10)
	for {
		idleAt := time.Unix(0, last.Load()).Add(udpIdle)
		if from.SetReadDeadline(idleAt) != nil {
			return
		}
		k, err := from.Read(buf)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			if time.Since(time.Unix(0, last.Load())) >= udpIdle {
				return
			}
			continue
		case err != nil:
			return
		}
		last.Store(time.Now().UnixNano())
		if _, err := to.Write(buf[:k]); err != nil {
			return
		}
	}
}

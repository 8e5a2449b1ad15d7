// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package usernet

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	relayBuffer   = 64 << 10
	keepAliveIdle = 60 * time.Second
)

// guestConn is the guest's end of a connection. Attach it once its endpoint exists;
// the queue must not move before that.
type guestConn struct {
	*gonet.TCPConn
	queue waiter.Queue
	ep    tcpip.Endpoint
}

func (g *guestConn) attach(ep tcpip.Endpoint) {
	g.ep, g.TCPConn = ep, gonet.NewTCPConn(&g.queue, ep)
	o := ep.SocketOptions()
	o.SetDelayOption(false) // the other end's sender has decided on sizes
	o.SetKeepAlive(true)    // a guest that is gone says nothing
	idle := tcpip.KeepaliveIdleOption(keepAliveIdle)
	ep.SetSockOpt(&idle) // gVisor knows the option
}

// abort closes the connection by a reset.
func (g *guestConn) abort() { g.ep.Abort() }

// errRefused is a reset as the answer to a connection request.
var errRefused = errors.New("connection refused")

// dialGuest connects to a port of the guest's.
func (n *Network) dialGuest(ctx context.Context, port uint16) (*guestConn, error) {
	g := new(guestConn)
	ep, err := n.stack.NewEndpoint(tcp.ProtocolNumber, ipv4.ProtocolNumber, &g.queue)
	if err != nil {
		return nil, errors.New(err.String())
	}
	entry, writable := waiter.NewChannelEntry(waiter.WritableEvents)
	g.queue.EventRegister(&entry)
	defer g.queue.EventUnregister(&entry)
	err = ep.Bind(tcpip.FullAddress{NIC: nicID, Addr: tcpip.AddrFrom4(n.gateway.As4())})
	if err == nil {
		err = ep.Connect(tcpip.FullAddress{NIC: nicID, Addr: tcpip.AddrFrom4(n.guest.As4()), Port: port})
	}
	if _, started := err.(*tcpip.ErrConnectStarted); started {
		select {
		case <-writable:
			err = ep.LastError()
		case <-ctx.Done():
			ep.Abort()
			return nil, context.Cause(ctx)
		}
	}
	switch err.(type) {
	case nil:
		g.attach(ep)
		return g, nil
	case *tcpip.ErrConnectionRefused:
		ep.Close()
		return nil, errRefused
	}
	ep.Close()
	return nil, errors.New(err.String())
}

// halfCloser is a connection whose sending half can be closed.
type halfCloser interface{ CloseWrite() error }

// relay copies between host and guest until both have ended, and closes them. An end
// of stream is passed on as such, an error as a reset. first, if not nil, is called with
// the guest's first byte.
func (n *Network) relay(host net.Conn, g *guestConn, first func()) {
	defer host.Close()
	defer g.Close()
	if !n.track(host) {
		return
	}
	defer n.untrack(host)
	if !n.track(g) {
		return
	}
	defer n.untrack(g)
	var once sync.Once
	reset := func() { once.Do(func() { abortHost(host); g.abort() }) }
	done := make(chan struct{})
	go func() {
		defer close(done)
		if copyStream(host, g, first) != nil {
			reset()
		}
	}()
	if copyStream(g, host, nil) != nil {
		reset()
	}
	<-done
}

// abortHost closes the host's end by a reset.
func abortHost(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}

// copyStream copies from one connection to the other, and then the end of stream.
func copyStream(to, from net.Conn, first func()) error {
	buf := make([]byte, relayBuffer)
	for {
		k, err := from.Read(buf)
		if k > 0 {
			if first != nil {
				first()
				first = nil
			}
			if _, err := to.Write(buf[:k]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			if h, ok := to.(halfCloser); ok {
				err := h.CloseWrite()
				if errors.Is(err, syscall.ENOTCONN) { // reset meanwhile; the other copy tells
					return nil
				}
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// hostPort is a TCP address without the IPv6 form of IPv4.
func hostPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		p := t.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

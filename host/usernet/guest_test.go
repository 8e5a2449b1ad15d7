// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package usernet_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hvgo/hvgo/drivers/netvsc"
	client "github.com/hvgo/hvgo/drivers/vmbus"
	"github.com/hvgo/hvgo/host/netvsp"
	"github.com/hvgo/hvgo/host/usernet"
	"github.com/hvgo/hvgo/host/vmbus"
	"github.com/hvgo/hvgo/internal/loopback"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/netstack"
	"github.com/hvgo/hvgo/runtime/linux"
)

var discard = slog.New(slog.DiscardHandler)

// guest is all of a guest's network in this process, on all of the host's: the sockets
// of the Linux ABI down to the rings, and from there to the host's sockets.
type guest struct {
	t     testing.TB
	net   *usernet.Network
	card  *netvsp.NIC
	m     *loopback.Machine
	nic   *netvsc.NIC
	stack *netstack.Stack
	lease chan *netstack.Lease
}

// newHost makes the host's side, with a guest that has not started.
func newHost(t testing.TB, o usernet.Options, card netvsp.Options) *guest {
	t.Helper()
	g := &guest{t: t, lease: make(chan *netstack.Lease, 16)}
	if o.Log == nil {
		o.Log = discard
	}
	var err error
	if g.net, err = usernet.New(o); err != nil {
		t.Fatal(err)
	}
	card.Network = g.net
	if g.card, err = netvsp.New(card); err != nil {
		t.Fatal(err)
	}
	g.net.Plug(g.card)
	g.m = loopback.New(t, loopback.Options{Host: vmbus.Options{Log: discard}})
	g.m.Server.AddDevice(g.card)
	t.Cleanup(func() {
		if err := g.net.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// start boots the guest and waits for its lease.
func (g *guest) start() *guest {
	g.t.Helper()
	return g.startMTU(0)
}

// startMTU is start with the card's MTU.
func (g *guest) startMTU(mtu int) *guest {
	t := g.t
	t.Helper()
	bus, err := client.Connect(g.m.Guest, discard)
	if err != nil {
		t.Fatal(err)
	}
	offers := bus.Find(wire.InterfaceNetwork)
	if len(offers) != 1 {
		t.Fatalf("%d offers", len(offers))
	}
	if g.nic, err = netvsc.Attach(g.m.Guest, bus, offers[0], netvsc.Options{Log: discard, MTU: mtu}); err != nil {
		t.Fatal(err)
	}
	if g.stack, err = netstack.New(netstack.Options{Log: discard, OnLease: func(l *netstack.Lease) { g.lease <- l }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.stack.Close()
		if err := g.nic.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := g.stack.AttachNIC(g.nic); err != nil {
		t.Fatal(err)
	}
	select {
	case l := <-g.lease:
		g.lease <- l
	case <-time.After(30 * time.Second):
		t.Fatalf("no lease; card %+v, network %+v", g.card.Stats(), g.net.Stats())
	}
	return g
}

// newGuest is a guest with its lease.
func newGuest(t testing.TB, o usernet.Options, card netvsp.Options) *guest {
	t.Helper()
	return newHost(t, o, card).start()
}

func newGuestMTU(t testing.TB, o usernet.Options, card netvsp.Options, mtu int) *guest {
	t.Helper()
	return newHost(t, o, card).startMTU(mtu)
}

// conn is a net.Conn on a socket of the guest's.
type conn struct {
	s      linux.Socket
	ended  chan struct{}
	once   sync.Once
	mu     sync.Mutex // guards change
	change chan struct{}
}

func newConn(s linux.Socket) *conn {
	c := &conn{s: s, ended: make(chan struct{}), change: make(chan struct{})}
	s.Notify(func(uint32) {
		c.mu.Lock()
		defer c.mu.Unlock()
		close(c.change)
		c.change = make(chan struct{})
	})
	return c
}

// retry calls f until it is not EAGAIN.
func (c *conn) retry(f func() error) error {
	for {
		c.mu.Lock()
		change := c.change
		c.mu.Unlock()
		if err := f(); err != syscall.EAGAIN {
			return err
		}
		select {
		case <-change:
		case <-c.ended:
			return net.ErrClosed
		}
	}
}

func (c *conn) Read(p []byte) (n int, err error) {
	err = c.retry(func() (e error) { n, _, _, e = c.s.Recv(p, false); return e })
	if err == nil && n == 0 && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

func (c *conn) Write(p []byte) (done int, err error) {
	for done < len(p) && err == nil {
		var n int
		err = c.retry(func() (e error) { n, e = c.s.Send(p[done:], netip.AddrPort{}); return e })
		done += n
	}
	return done, err
}

func (c *conn) Close() error {
	c.once.Do(func() { close(c.ended) })
	return c.s.Close()
}

func (c *conn) CloseWrite() error                { return c.s.Shutdown(syscall.SHUT_WR) }
func (c *conn) LocalAddr() net.Addr              { return net.TCPAddrFromAddrPort(c.s.LocalAddr()) }
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
func (c *conn) RemoteAddr() net.Addr {
	a, _ := c.s.RemoteAddr()
	return net.TCPAddrFromAddrPort(a)
}

// dial connects a socket of the guest's.
func (g *guest) dial(typ int, to netip.AddrPort) (*conn, error) {
	s, err := g.stack.Socket(syscall.AF_INET, typ, 0)
	if err != nil {
		return nil, err
	}
	c := newConn(s)
	err = s.Connect(to)
	if err == syscall.EINPROGRESS {
		err = c.retry(func() error {
			if s.Ready()&syscall.EPOLLOUT == 0 {
				return syscall.EAGAIN
			}
			if n, _ := s.GetOpt(syscall.SOL_SOCKET, syscall.SO_ERROR); n != 0 {
				return syscall.Errno(n)
			}
			return nil
		})
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return c, nil
}

// DialContext is for http.Transport.
func (g *guest) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	c, err := g.dial(syscall.SOCK_STREAM, to)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// listener is a net.Listener in the guest.
type listener struct{ *conn }

func (g *guest) listen(port uint16) net.Listener {
	g.t.Helper()
	s, err := g.stack.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		err = s.Bind(netip.AddrPortFrom(netip.IPv4Unspecified(), port))
	}
	if err == nil {
		err = s.Listen(128)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	l := listener{newConn(s)}
	g.t.Cleanup(func() { l.Close() })
	return l
}

func (l listener) Accept() (net.Conn, error) {
	var c *conn
	err := l.retry(func() error {
		s, _, err := l.s.Accept()
		if err == nil {
			c = newConn(s)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (l listener) Addr() net.Addr { return l.LocalAddr() }

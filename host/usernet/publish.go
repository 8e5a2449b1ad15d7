// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package usernet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// Before the lease the guest may have an address of its own choice, so it is
	// tried now and then.
	tryWithoutLease = 3 * time.Second
	retryRefused    = 100 * time.Millisecond

	// A request that a guest just about to have its address did not see is sent again
	// after a second only; so the first attempts are short.
	firstAttempt = 250 * time.Millisecond
	longAttempt  = 4 * time.Second
)

// Published is a port of the host's that leads to one of the guest's.
type Published struct {
	n     *Network
	l     net.Listener
	port  uint16
	first sync.Once
	up    atomic.Bool // a connection was answered once
}

// Publish listens at a TCP address of the host's and connects who calls there to a
// port of the guest's. Port 0 takes a free one. Errors are those of listening, among
// them syscall.EADDRINUSE and EACCES.
func (n *Network) Publish(at netip.AddrPort, guestPort uint16) (*Published, error) {
	if guestPort == 0 {
		return nil, errors.New("usernet: port 0 of the guest cannot be published")
	}
	l, err := net.Listen("tcp4", at.String())
	if err != nil {
		return nil, fmt.Errorf("usernet: publish %v: %w", at, err)
	}
	p := &Published{n: n, l: l, port: guestPort}
	if !n.track(l) || !n.work(p.accept) {
		l.Close()
		return nil, fmt.Errorf("usernet: publish %v: %w", at, net.ErrClosed)
	}
	return p, nil
}

// Addr is where the host listens.
func (p *Published) Addr() netip.AddrPort { return hostPort(p.l.Addr()) }

// GuestPort is the guest's port.
func (p *Published) GuestPort() uint16 { return p.port }

// Close stops listening; connections go on.
func (p *Published) Close() error {
	p.n.untrack(p.l)
	return p.l.Close()
}

// accept takes connections until the listener is closed.
func (p *Published) accept() {
	n := p.n
	for {
		c, err := p.l.Accept()
		if errors.Is(err, net.ErrClosed) || n.ctx.Err() != nil {
			return
		}
		if err != nil { // out of file descriptors, or reset before it was accepted
			if !errors.Is(err, syscall.ECONNABORTED) {
				n.log.Warn("published port", "port", p.Addr(), "err", err)
				n.sleep(n.ctx, time.Second)
			}
			continue
		}
		if !acquire(n.connections) {
			n.log.Warn("too many connections", "limit", maxConnections)
			n.stats.refused.Add(1)
			abortHost(c)
			continue
		}
		if !n.work(func() {
			defer release(n.connections)
			p.serve(c)
		}) {
			release(n.connections)
			abortHost(c)
		}
	}
}

// serve connects one client to the guest.
func (p *Published) serve(c net.Conn) {
	n := p.n
	if !n.track(c) {
		return
	}
	g, err := p.connect()
	n.untrack(c)
	if err != nil {
		n.log.Debug("published port refused", "guest", netip.AddrPortFrom(n.guest, p.port), "err", err)
		n.stats.refused.Add(1)
		abortHost(c)
		return
	}
	p.up.Store(true)
	n.stats.connectionsIn.Add(1)
	n.relay(c, g, func() {
		p.first.Do(func() {
			if n.opt.FirstByte != nil {
				n.opt.FirstByte(p)
			}
		})
	})
}

// connect asks the guest for a connection, as long as it may still be booting: see the
// package's comment.
func (p *Published) connect() (*guestConn, error) {
	n := p.n
	ctx, cancel := context.WithTimeout(n.ctx, n.opt.LeaseWait)
	defer cancel()
	for !p.up.Load() {
		tryAt := time.NewTimer(tryWithoutLease)
		leased := false
		select {
		case <-n.leased:
			leased = true
		case <-tryAt.C:
		case <-ctx.Done():
		}
		tryAt.Stop()
		if leased {
			break
		}
		if g, err := p.attempt(ctx, longAttempt); err == nil || ctx.Err() != nil {
			return g, err
		}
	}
	wait, cancel := context.WithTimeout(n.ctx, n.opt.ListenWait)
	defer cancel()
	timeout := firstAttempt
	if p.up.Load() {
		timeout = longAttempt
	}
	for ; ; timeout = min(2*timeout, longAttempt) {
		g, err := p.attempt(wait, timeout)
		if err == nil || wait.Err() != nil || (errors.Is(err, errRefused) && p.up.Load()) {
			return g, err
		}
		n.sleep(wait, retryRefused)
	}
}

// attempt asks once.
func (p *Published) attempt(ctx context.Context, timeout time.Duration) (*guestConn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return p.n.dialGuest(ctx, p.port)
}

func (n *Network) sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package usernet_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hvgo/hvgo/host/netvsp"
	"github.com/hvgo/hvgo/host/usernet"
)

// Clients that call before the guest has started, or before its program listens, are
// answered all the same.
func TestEarlyClient(t *testing.T) {
	g := newHost(t, usernet.Options{}, netvsp.Options{})
	p := g.publish(8080)
	answer := make(chan string, 2)
	get := func() {
		r, err := http.Get(fmt.Sprintf("http://%v/early", p.Addr()))
		if err != nil {
			answer <- err.Error()
			return
		}
		b, _ := io.ReadAll(r.Body)
		answer <- string(b)
	}
	go get()
	g.start()
	go get()
	time.Sleep(50 * time.Millisecond) // a program takes its time to listen
	g.serve(8080)
	for range 2 {
		if a := <-answer; !strings.HasPrefix(a, "hello /early") {
			t.Error(a)
		}
	}
}

// refused tells whether a connection to a published port is reset.
func refused(t *testing.T, at netip.AddrPort) bool {
	t.Helper()
	c, err := net.Dial("tcp4", at.String())
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	_, err = c.Read(make([]byte, 1))
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Logf("read: %v", err)
		return false
	}
	return true
}

// A guest that never comes, a program that never listens, and one that has stopped.
func TestRefused(t *testing.T) {
	short := usernet.Options{LeaseWait: 50 * time.Millisecond, ListenWait: 200 * time.Millisecond}
	g := newHost(t, short, netvsp.Options{})
	p := g.publish(80)
	if !refused(t, p.Addr()) {
		t.Error("no guest: not refused")
	}
	g.start()
	if !refused(t, p.Addr()) {
		t.Error("no program: not refused")
	}
	g = newGuest(t, usernet.Options{}, netvsp.Options{}) // waits for a new program, not for an old one
	l := g.listen(80)
	p = g.publish(80)
	c, err := net.Dial("tcp4", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := l.Accept(); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if !refused(t, p.Addr()) {
		t.Error("ended program: not refused")
	}
}

func TestPublishErrors(t *testing.T) {
	g := newHost(t, usernet.Options{}, netvsp.Options{})
	p := g.publish(80)
	if _, err := g.net.Publish(p.Addr(), 81); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("port in use: %v", err)
	}
	if _, err := g.net.Publish(free, 0); err == nil {
		t.Error("guest port 0")
	}
	if _, err := g.net.Publish(netip.MustParseAddrPort("192.0.2.1:0"), 80); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("foreign address: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if q, err := g.net.Publish(p.Addr(), 80); err != nil || q.Addr() != p.Addr() || q.GuestPort() != 80 {
		t.Errorf("the port is not free again: %v", err)
	}
	g.net.Close()
	if _, err := g.net.Publish(free, 80); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// Each half of a connection ends on its own, in both directions of calling.
func TestHalfClose(t *testing.T) {
	g := newGuest(t, usernet.Options{}, netvsp.Options{})
	shout := func(l net.Listener) { // answers when the other half has ended
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b, _ := io.ReadAll(c)
				io.WriteString(c, strings.ToUpper(string(b)))
			}()
		}
	}
	ask := func(c net.Conn) {
		t.Helper()
		defer c.Close()
		io.WriteString(c, "hello")
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(c); string(b) != "HELLO" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	}
	go shout(g.listen(7))
	in, err := net.Dial("tcp4", g.publish(7).Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ask(in)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go shout(l)
	out, err := g.dial(syscall.SOCK_STREAM, netip.AddrPortFrom(g.net.Gateway(), uint16(l.Addr().(*net.TCPAddr).Port)))
	if err != nil {
		t.Fatal(err)
	}
	ask(out)
}

// A reset on one side is a reset on the other.
func TestReset(t *testing.T) {
	g := newGuest(t, usernet.Options{}, netvsp.Options{})
	l := g.listen(9)
	p := g.publish(9)
	host, err := net.Dial("tcp4", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	inside, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(host, "x")
	if _, err := bufio.NewReader(inside).ReadByte(); err != nil {
		t.Fatal(err)
	}
	host.(*net.TCPConn).SetLinger(0)
	host.Close()
	if _, err := inside.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the guest reads %v", err)
	}
	inside.Close()
	// Nobody listens: a reset at once.
	if _, err := g.dial(syscall.SOCK_STREAM, netip.AddrPortFrom(g.net.Gateway(), 1)); err != syscall.ECONNREFUSED {
		t.Errorf("closed port of the host: %v", err)
	}
}

// Close ends what is open, however it stands.
func TestClose(t *testing.T) {
	g := newHost(t, usernet.Options{}, netvsp.Options{})
	p := g.publish(80)
	waiting, err := net.Dial("tcp4", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	g.start()
	l := g.listen(81)
	q := g.publish(81)
	open, err := net.Dial("tcp4", q.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); err != nil {
		t.Fatal(err)
	}
	g.net.Close()
	for _, c := range []net.Conn{waiting, open} {
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("still open: %v", err)
		}
	}
	if c, err := net.Dial("tcp4", p.Addr().String()); err == nil {
		c.Close()
		t.Error("still listening")
	}
}

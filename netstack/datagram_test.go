// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// udpPair is a sender and a receiver, both bound to 127.0.0.1.
func udpPair(t *testing.T) (n *Stack, from, to *socket) {
	t.Helper()
	n = loopbackStack(t)
	var s [2]*socket
	for i := range s {
		x, err := n.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
		if err == nil {
			err = x.Bind(netip.MustParseAddrPort("127.0.0.1:0"))
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { x.Close() })
		s[i] = x.(*socket)
	}
	return n, s[0], s[1]
}

// TestInbox sends datagrams of many sizes, some by the stack in between: all come, whole
// and in their order, whichever way they went.
func TestInbox(t *testing.T) {
	n, from, to := udpPair(t)
	p, got := make([]byte, maxShort), make([]byte, maxShort)
	next, short := uint32(0), 0
	for i := range uint32(3000) {
		size := 4 + int(i*i%700)
		binary.LittleEndian.PutUint32(p, i)
		n.udp.sniffed.Store(i%7 == 3)
		before := to.in.count.Load()
		if k, err := from.Send(p[:size], to.LocalAddr()); k != size || err != nil {
			t.Fatalf("%d: %d, %v", i, k, err)
		}
		short += int(to.in.count.Load() - before)
		for i+1-next > i%50 {
			k, src, cut, err := to.Recv(got, false)
			if err != nil || cut || src != from.LocalAddr() || k != 4+int(next*next%700) || binary.LittleEndian.Uint32(got) != next {
				t.Fatalf("%d: got %d of %d bytes from %v, %v", next, binary.LittleEndian.Uint32(got), k, src, err)
			}
			next++
		}
	}
	if short < 100 {
		t.Errorf("%d datagrams took the shortcut", short)
	}
}

// TestInboxFull sends more than SO_RCVBUF: what there is no room for is lost, and the
// sender does not hear of it.
func TestInboxFull(t *testing.T) {
	_, from, to := udpPair(t)
	if err := to.SetOpt(syscall.SOL_SOCKET, syscall.SO_RCVBUF, 8<<10); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if n, err := from.Send(make([]byte, 1000), to.LocalAddr()); n != 1000 || err != nil {
			t.Fatal(n, err)
		}
	}
	for range 100_000 { // empty ones take room, too
		if _, err := from.Send(nil, to.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	if n := to.in.count.Load(); n < 8 || n > 20 || cap(to.in.b) > 64<<10 {
		t.Errorf("%d datagrams in %d bytes", n, cap(to.in.b))
	}
	got := 0
	for {
		n, _, _, err := to.Recv(make([]byte, 2000), false)
		if err == syscall.EAGAIN {
			break
		}
		if err != nil || n != 1000 {
			t.Fatal(n, err)
		}
		got++
	}
	if got < 8 || to.Ready()&syscall.EPOLLIN != 0 || to.in.b != nil && cap(to.in.b) > keptBytes {
		t.Errorf("%d datagrams, ready %#x", got, to.Ready())
	}
}

// TestUDPPorts has sockets come and go: nothing stays behind.
func TestUDPPorts(t *testing.T) {
	n, from, to := udpPair(t)
	c, err := n.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.Send([]byte("x"), to.LocalAddr())
	if n.udp.only(c.LocalAddr().Port()) != c {
		t.Error("the first datagram bound a socket, which is not listed")
	}
	for _, s := range []interface{ Close() error }{from, to, c} {
		s.Close()
	}
	if len(n.udp.at) != 0 {
		t.Errorf("%d ports are listed", len(n.udp.at))
	}
	if to.in.put([]byte("x"), from.LocalAddr(), 100, func() bool { return true }) {
		t.Error("a closed socket takes a datagram")
	}
}

// TestDatagramsAtOnce sends, receives, peeks, connects, shuts down and closes at once; the race detector and
// the order of what comes judge it.
func TestDatagramsAtOnce(t *testing.T) {
	n, _, to := udpPair(t)
	var wg sync.WaitGroup
	const senders, each = 4, 500
	ports := make(chan uint16, senders)
	for range senders {
		s, err := n.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Bind(netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
			t.Fatal(err)
		}
		ports <- s.LocalAddr().Port()
		wg.Go(func() {
			defer s.Close()
			p := make([]byte, 100)
			for i := range uint32(each) {
				binary.LittleEndian.PutUint32(p, i)
				if i == each/2 {
					s.Connect(to.LocalAddr())
				}
				if _, err := s.Send(p, to.LocalAddr()); err != nil {
					t.Errorf("datagram %d: %v", i, err)
				}
			}
		})
	}
	wg.Go(func() { // others come and go, one of which shares the port, so that some take the long way
		for range 50 {
			s, err := n.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
			if err != nil {
				t.Error(err)
				return
			}
			s.Bind(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), to.LocalAddr().Port()))
			to.Ready()
			to.Buffered()
			to.Recv(make([]byte, 1), true)
			s.Shutdown(syscall.SHUT_RD)
			s.Close()
		}
	})
	stop := make(chan struct{})
	done := make(chan map[uint16]uint32)
	go func() {
		next := map[uint16]uint32{}
		for p := make([]byte, 200); ; {
			k, from, cut, err := to.Recv(p, false)
			if err == syscall.EAGAIN {
				select {
				case <-stop:
					done <- next
					return
				default:
					runtime.Gosched()
					continue
				}
			}
			i := binary.LittleEndian.Uint32(p)
			if err != nil || k != 100 || cut || i < next[from.Port()] {
				t.Errorf("%d bytes, %v, number %d after %d", k, err, i, next[from.Port()])
			}
			next[from.Port()] = i + 1
		}
	}()
	wg.Wait()
	close(stop)
	next := <-done
	for range senders {
		if p := <-ports; next[p] == 0 {
			t.Errorf("nothing came from port %d", p)
		}
	}
	to.Close()
}

// TestDatagramToClosing closes a socket that datagrams are sent to: what does not arrive is nobody's, and the
// sender may hear of it.
func TestDatagramToClosing(t *testing.T) {
	n, from, _ := udpPair(t)
	for range 50 {
		to, err := n.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := to.Bind(netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
			t.Fatal(err)
		}
		at := to.LocalAddr()
		if err := from.Connect(at); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { to.Close() })
		for range 10 {
			from.Send([]byte("x"), netip.AddrPort{})
		}
		wg.Wait()
		var refused error
		for try := 0; refused == nil && try < 1000; try++ { // the stack tells of 1000 a second, no more
			if _, refused = from.Send([]byte("x"), netip.AddrPort{}); refused == nil {
				time.Sleep(time.Millisecond)
			}
		}
		if refused != syscall.ECONNREFUSED {
			t.Fatalf("after the close: %v", refused)
		}
		if in := to.(*socket).in; in.count.Load() != 0 || in.b != nil {
			t.Fatal("a closed socket holds datagrams")
		}
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
)

// loopbackPair is a connection over the loopback interface, with a channel for each
// side that tells of changes.
func loopbackPair(tb testing.TB) (a, b *side) {
	n, err := New(Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(n.Close)
	must := func(err error) {
		if err != nil && err != syscall.EINPROGRESS {
			tb.Fatal(err)
		}
	}
	l, err := n.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	must(err)
	must(l.Bind(netip.MustParseAddrPort("127.0.0.1:0")))
	must(l.Listen(1))
	ready := make(chan struct{}, 1)
	l.Notify(func(uint32) { tell(ready) })
	c, err := n.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	must(err)
	must(c.Connect(l.LocalAddr()))
	for {
		s, _, err := l.Accept()
		if err == nil {
			return newSide(c.(*socket)), newSide(s.(*socket))
		}
		if err != syscall.EAGAIN {
			tb.Fatal(err)
		}
		<-ready
	}
}

type side struct {
	*socket
	changed chan struct{}
	quit    atomic.Bool
}

func newSide(s *socket) *side {
	b := &side{socket: s, changed: make(chan struct{}, 1)}
	s.Notify(func(uint32) { tell(b.changed) })
	_ = s.SetOpt(syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	return b
}

func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (b *side) recv(p []byte) error {
	for {
		_, _, _, err := b.Recv(p, false)
		if err != syscall.EAGAIN {
			return err
		}
		<-b.changed
	}
}

// BenchmarkLoopbackByte is a byte over a TCP connection to the machine itself and back,
// between two goroutines, without the system calls.
func BenchmarkLoopbackByte(b *testing.B) {
	x, y := loopbackPair(b)
	go func() {
		p := make([]byte, 1)
		for y.recv(p) == nil {
			if _, err := y.Send(p, netip.AddrPort{}); err != nil {
				return
			}
		}
	}()
	p := make([]byte, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.Send(p, netip.AddrPort{}); err != nil {
			b.Fatal(err)
		}
		if err := x.recv(p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoopbackDatagram is a datagram of a byte to the machine itself, sent and
// received by one goroutine, by the shortcut and by the stack.
func BenchmarkLoopbackDatagram(b *testing.B) {
	for _, way := range []string{"shortcut", "stack"} {
		b.Run(way, func(b *testing.B) {
			n, err := New(Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(n.Close)
			n.udp.sniffed.Store(way == "stack")
			s, err := n.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
			if err == nil {
				err = s.Bind(netip.MustParseAddrPort("127.0.0.1:0"))
			}
			if err != nil {
				b.Fatal(err)
			}
			to, p := s.LocalAddr(), make([]byte, 1)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Send(p, to); err != nil {
					b.Fatal(err)
				}
				if _, _, _, err := s.Recv(p, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hvgo/hvgo/runtime/linux"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
)

// pipeNIC is one end of a cable.
type pipeNIC struct {
	mac     [6]byte
	mtu     int
	offload bool // do TX checksums
	peer    *pipeNIC
	in      chan []byte
	roomC   chan struct{}
	linkC   chan bool
	want    atomic.Bool
	free    sync.Pool
	done    chan struct{}
	once    sync.Once
	drop    func(frame []byte) bool
	fulls   atomic.Int64
	gone    atomic.Bool
	hold    sync.Mutex // held: nothing is received
}

func newPipe(t testing.TB, mtu, depth int) (a, b *pipeNIC) {
	mk := func(last byte) *pipeNIC {
		return &pipeNIC{mac: [6]byte{2, 0, 0, 0, 0, last}, mtu: mtu, in: make(chan []byte, depth), roomC: make(chan struct{}, 1),
			linkC: make(chan bool), done: make(chan struct{}), free: sync.Pool{New: func() any { return new([]byte) }}}
	}
	a, b = mk(1), mk(2)
	a.peer, b.peer = b, a
	t.Cleanup(func() { a.stop(); b.stop() })
	return a, b
}

func (n *pipeNIC) stop()            { n.once.Do(func() { close(n.done) }) }
func (n *pipeNIC) MAC() [6]byte     { return n.mac }
func (n *pipeNIC) MTU() int         { return n.mtu }
func (n *pipeNIC) LinkUp() bool     { return true }
func (n *pipeNIC) TxChecksum() bool { return n.offload }
func (n *pipeNIC) Flush() error     { return nil }

func (n *pipeNIC) Start(receive func([]byte, bool), idle, room func(), link func(bool)) error {
	go func() {
		for {
			select {
			case f := <-n.in:
				n.hold.Lock()
				receive(f, n.peer.offload)
				n.hold.Unlock()
				for i := range f { // the memory is somebody else's again
					f[i] = 0xA5
				}
				n.free.Put(&f)
				if n.peer.want.Swap(false) {
					select {
					case n.peer.roomC <- struct{}{}:
					default:
					}
				}
			case <-n.roomC:
				room()
			case up := <-n.linkC:
				link(up)
			case <-n.done:
				return
			}
			idle()
		}
	}()
	return nil
}

var errGone = errors.New("pipe: gone")

func (n *pipeNIC) Transmit(frame [][]byte, csumStart, csumOffset int) (bool, error) {
	if n.gone.Load() {
		return false, errGone
	}
	f := (*n.peer.free.Get().(*[]byte))[:0]
	for _, p := range frame {
		f = append(f, p...)
	}
	if n.drop != nil && n.drop(f) {
		return true, nil
	}
	if csumStart > 0 {
		at := csumStart + csumOffset
		sum := checksum.Checksum(f[csumStart:], 0)
		binary.BigEndian.PutUint16(f[at:], ^sum)
	}
	select {
	case n.peer.in <- f:
		return true, nil
	default:
	}
	n.fulls.Add(1)
	n.want.Store(true)
	select { // it may have been drained since
	case n.peer.in <- f:
		return true, nil
	default:
		return false, nil
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

var (
	addrA = netip.MustParseAddr("10.1.0.1")
	addrB = netip.MustParseAddr("10.1.0.2")
)

// newPair gives two stacks on one cable.
func newPair(t testing.TB, na, nb *pipeNIC) (a, b *Stack) {
	t.Helper()
	mk := func(nic *pipeNIC, ip netip.Addr) *Stack {
		n, err := New(Options{Log: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		l, err := n.attach(nic, func(bool) {})
		if err != nil {
			t.Fatal(err)
		}
		p := netip.PrefixFrom(ip, 24)
		if err := n.setAddress(netip.Prefix{}, p, []tcpip.Route{{Destination: subnet(p), NIC: ethernetNIC}}); err != nil {
			t.Fatal(err)
		}
		if err := l.start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.Close)
		return n
	}
	return mk(na, addrA), mk(nb, addrB)
}

func pair(t testing.TB) (a, b *Stack) {
	na, nb := newPipe(t, 1500, 128)
	return newPair(t, na, nb)
}

// sock is a socket with blocking helpers driven by Notify alone, as epoll is.
type sock struct {
	linux.Socket
	t     testing.TB
	edges chan struct{}
}

func wrap(t testing.TB, s linux.Socket) *sock {
	w := &sock{Socket: s, t: t, edges: make(chan struct{}, 1)}
	s.Notify(func(uint32) {
		select {
		case w.edges <- struct{}{}:
		default:
		}
	})
	t.Cleanup(func() { s.Close() })
	return w
}

func open(t testing.TB, n *Stack, domain, typ int) *sock {
	t.Helper()
	s, err := n.Socket(domain, typ, 0)
	if err != nil {
		t.Fatal(err)
	}
	return wrap(t, s)
}

const patience = 20 * time.Second

// try calls f until it gives no EAGAIN, waiting for an edge in between.
func (s *sock) try(what string, f func() error) error {
	s.t.Helper()
	for {
		if err := f(); err != syscall.EAGAIN {
			return err
		}
		select {
		case <-s.edges:
		case <-time.After(patience):
			s.t.Fatalf("%s: no edge, ready %#x", what, s.Ready())
		}
	}
}

// until waits for all bits of ready.
func (s *sock) until(ready uint32) {
	s.t.Helper()
	s.try("readiness", func() error {
		if s.Ready()&ready == ready {
			return nil
		}
		return syscall.EAGAIN
	})
}

func (s *sock) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *sock) accept() (*sock, netip.AddrPort) {
	s.t.Helper()
	var c linux.Socket
	var from netip.AddrPort
	s.must(s.try("accept", func() (err error) { c, from, err = s.Accept(); return }))
	return wrap(s.t, c), from
}

func (s *sock) sendAll(b []byte) {
	s.t.Helper()
	for len(b) > 0 {
		s.must(s.try("send", func() error {
			n, err := s.Send(b, netip.AddrPort{})
			b = b[n:]
			return err
		}))
	}
}

func (s *sock) recv(b []byte) int {
	s.t.Helper()
	var n int
	s.must(s.try("receive", func() (err error) { n, _, _, err = s.Recv(b, false); return }))
	return n
}

// connect connects as package net does.
func (s *sock) connect(to netip.AddrPort) error {
	s.t.Helper()
	err := s.Connect(to)
	if err != syscall.EINPROGRESS {
		return err
	}
	s.until(syscall.EPOLLOUT)
	n, err := s.GetOpt(syscall.SOL_SOCKET, syscall.SO_ERROR)
	s.must(err)
	if n != 0 {
		return syscall.Errno(n)
	}
	return nil
}

// listen gives a listening socket and its address on ip.
func listen(t testing.TB, n *Stack, domain int, ip netip.Addr, backlog int) (*sock, netip.AddrPort) {
	t.Helper()
	s := open(t, n, domain, syscall.SOCK_STREAM)
	s.must(s.SetOpt(syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
	s.must(s.Bind(netip.AddrPort{}))
	s.must(s.Listen(backlog))
	return s, netip.AddrPortFrom(ip, s.LocalAddr().Port())
}

// connected gives both ends of a connection from a to b.
func connected(t testing.TB, a, b *Stack) (c, s *sock) {
	t.Helper()
	l, addr := listen(t, b, syscall.AF_INET, addrB, 16)
	c = open(t, a, syscall.AF_INET, syscall.SOCK_STREAM)
	c.must(c.connect(addr))
	s, _ = l.accept()
	return c, s
}

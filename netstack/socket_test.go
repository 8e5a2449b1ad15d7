// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

func TestStream(t *testing.T) {
	for _, mtu := range []int{576, 1500, 9000} {
		for _, offload := range []bool{false, true} {
			t.Run(fmt.Sprint(mtu, offload), func(t *testing.T) {
				na, nb := newPipe(t, mtu, 8) // shallow: back-pressure all the time
				na.offload, nb.offload = offload, offload
				a, b := newPair(t, na, nb)
				c, s := connected(t, a, b)
				want := make([]byte, 3<<20)
				for i := range want {
					want[i] = byte(rand.Uint32())
				}
				go func() {
					c.sendAll(want)
					c.Shutdown(syscall.SHUT_WR)
				}()
				var got []byte
				buf := make([]byte, 64<<10)
				for {
					n := s.recv(buf)
					if n == 0 {
						break
					}
					got = append(got, buf[:n]...)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%d bytes came, %d were sent, or they differ", len(got), len(want))
				}
				if na.fulls.Load() == 0 {
					t.Error("the card was never full: back-pressure is not tested")
				}
				if st := a.LinkStats(); st.Refused != 0 || st.Lost != 0 || st.Malformed != 0 {
					t.Errorf("link %+v", st)
				}
			})
		}
	}
}

func TestLoss(t *testing.T) {
	na, nb := newPipe(t, 1500, 64)
	r := rand.New(rand.NewPCG(1, 2))
	na.drop = func(f []byte) bool { return len(f) > 1000 && r.IntN(50) == 0 }
	a, b := newPair(t, na, nb)
	c, s := connected(t, a, b)
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	go c.sendAll(want)
	var got []byte
	for buf := make([]byte, 10000); len(got) < len(want); {
		got = append(got, buf[:s.recv(buf)]...)
	}
	if !bytes.Equal(got, want) {
		t.Error("bytes differ")
	}
}

func TestHalfClose(t *testing.T) {
	a, b := pair(t)
	c, s := connected(t, a, b)
	c.must(c.Shutdown(syscall.SHUT_WR))
	if _, err := c.Send([]byte("x"), netip.AddrPort{}); err != syscall.EPIPE {
		t.Errorf("Send after shutdown = %v", err)
	}
	s.until(syscall.EPOLLIN | syscall.EPOLLRDHUP)
	if s.Ready()&syscall.EPOLLHUP != 0 {
		t.Errorf("HUP on a half-closed connection: %#x", s.Ready())
	}
	if n := s.recv(make([]byte, 10)); n != 0 {
		t.Errorf("Recv = %d bytes", n)
	}
	// The other half still works.
	s.sendAll([]byte("answer"))
	buf := make([]byte, 10)
	if n := c.recv(buf); string(buf[:n]) != "answer" {
		t.Errorf("got %q", buf[:n])
	}
	s.must(s.Close())
	c.until(syscall.EPOLLIN | syscall.EPOLLHUP)
	if n := c.recv(buf); n != 0 {
		t.Errorf("Recv = %d bytes after close", n)
	}
}

func TestConnectErrors(t *testing.T) {
	a, b := pair(t)
	c := open(t, a, syscall.AF_INET, syscall.SOCK_STREAM)
	if err := c.connect(netip.AddrPortFrom(addrB, 9)); err != syscall.ECONNREFUSED {
		t.Errorf("refused: %v", err)
	}
	if c.Ready()&syscall.EPOLLHUP == 0 {
		t.Errorf("ready = %#x", c.Ready())
	}
	if n, _ := c.GetOpt(syscall.SOL_SOCKET, syscall.SO_ERROR); n != 0 {
		t.Errorf("SO_ERROR again = %v", syscall.Errno(n))
	}
	c = open(t, a, syscall.AF_INET, syscall.SOCK_STREAM)
	if err := c.connect(netip.MustParseAddrPort("192.0.2.1:80")); err != syscall.ENETUNREACH {
		t.Errorf("no route: %v", err)
	}
	c = open(t, a, syscall.AF_INET, syscall.SOCK_STREAM)
	if err := c.connect(netip.MustParseAddrPort("10.1.0.77:80")); err != syscall.EHOSTUNREACH {
		t.Errorf("nobody answers ARP: %v", err)
	}
	c = open(t, a, syscall.AF_INET, syscall.SOCK_STREAM)
	if err := c.Connect(netip.MustParseAddrPort("[2001:db8::1]:80")); err != syscall.EAFNOSUPPORT {
		t.Errorf("IPv6 address on AF_INET: %v", err)
	}
	if _, err := c.RemoteAddr(); err != syscall.ENOTCONN {
		t.Errorf("RemoteAddr: %v", err)
	}
	if _, _, _, err := c.Recv(make([]byte, 1), false); err != syscall.ENOTCONN {
		t.Errorf("Recv: %v", err)
	}
	// Twice, and again once connected.
	l, addr := listen(t, b, syscall.AF_INET, addrB, 1)
	c = open(t, a, syscall.AF_INET, syscall.SOCK_STREAM)
	if err := c.Connect(addr); err != syscall.EINPROGRESS {
		t.Errorf("Connect: %v", err)
	}
	if err := c.Connect(addr); err != syscall.EALREADY && err != nil {
		t.Errorf("Connect while connecting: %v", err)
	}
	l.accept()
	c.until(syscall.EPOLLOUT)
	c.Connect(addr)
	if err := c.Connect(addr); err != syscall.EISCONN {
		t.Errorf("Connect when connected: %v", err)
	}
}

func TestReset(t *testing.T) {
	a, b := pair(t)
	c, s := connected(t, a, b)
	c.must(c.SetOpt(syscall.SOL_SOCKET, syscall.SO_LINGER, 0))
	if v, _ := c.GetOpt(syscall.SOL_SOCKET, syscall.SO_LINGER); v != 0 {
		t.Errorf("linger = %d", v)
	}
	c.Close()
	s.until(syscall.EPOLLERR | syscall.EPOLLHUP | syscall.EPOLLIN)
	if _, _, _, err := s.Recv(make([]byte, 1), false); err != syscall.ECONNRESET {
		t.Errorf("Recv = %v", err)
	}
}

func TestWouldBlock(t *testing.T) {
	a, b := pair(t)
	l, addr := listen(t, b, syscall.AF_INET, addrB, 4)
	if _, _, err := l.Accept(); err != syscall.EAGAIN {
		t.Errorf("Accept = %v", err)
	}
	if l.Ready()&syscall.EPOLLIN != 0 {
		t.Errorf("listener ready %#x", l.Ready())
	}
	c := open(t, a, syscall.AF_INET, syscall.SOCK_STREAM)
	c.must(c.connect(addr))
	l.until(syscall.EPOLLIN)
	s, from := l.accept()
	if got, _ := s.RemoteAddr(); got != from || from != c.LocalAddr() || from.Addr() != addrA {
		t.Errorf("peer %v, %v, local %v", got, from, c.LocalAddr())
	}
	if r, _ := c.RemoteAddr(); r != addr || s.LocalAddr() != addr {
		t.Errorf("remote %v, local %v", r, s.LocalAddr())
	}
	if _, _, _, err := s.Recv(make([]byte, 1), false); err != syscall.EAGAIN {
		t.Errorf("Recv = %v", err)
	}
	// Fill all buffers: EAGAIN, no EPOLLOUT; room again when the peer reads.
	c.must(c.SetOpt(syscall.SOL_SOCKET, syscall.SO_SNDBUF, 64<<10))
	sent := 0
	for {
		n, err := c.Send(make([]byte, 32<<10), netip.AddrPort{})
		sent += n
		if err == syscall.EAGAIN {
			time.Sleep(20 * time.Millisecond) // what is under way arrives
			if c.Ready()&syscall.EPOLLOUT == 0 {
				break
			}
			continue
		}
		c.must(err)
	}
	if in, _ := s.Socket.(*socket).Buffered(); in == 0 {
		t.Error("nothing buffered")
	}
	for got := 0; got < sent; {
		got += s.recv(make([]byte, 256<<10))
	}
	c.until(syscall.EPOLLOUT)
}

func TestPeek(t *testing.T) {
	a, b := pair(t)
	c, s := connected(t, a, b)
	c.sendAll([]byte("hello"))
	s.until(syscall.EPOLLIN)
	buf := make([]byte, 3)
	for range 2 {
		if n, _, _, err := s.Recv(buf, true); err != nil || string(buf[:n]) != "hel" {
			t.Errorf("peek %q, %v", buf[:n], err)
		}
	}
	if n := s.recv(buf); string(buf[:n]) != "hel" {
		t.Errorf("read %q", buf[:n])
	}
	if n := s.recv(buf); string(buf[:n]) != "lo" {
		t.Errorf("read %q", buf[:n])
	}
}

func TestBacklog(t *testing.T) {
	a, b := pair(t)
	l, addr := listen(t, b, syscall.AF_INET, addrB, 1)
	var clients []*sock
	for range 2 { // backlog and one more, as on Linux
		c := open(t, a, syscall.AF_INET, syscall.SOCK_STREAM)
		c.must(c.connect(addr))
		clients = append(clients, c)
	}
	late := open(t, a, syscall.AF_INET, syscall.SOCK_STREAM)
	if err := late.Connect(addr); err != syscall.EINPROGRESS {
		t.Fatal(err)
	}
	for range clients {
		l.accept()
	}
	s, _ := l.accept() // the third comes once there is room
	if s.RemoteAddr(); s.LocalAddr() != addr {
		t.Error(s.LocalAddr())
	}
}

// Go's net.Listen(":8080") is an AF_INET6 socket that also takes IPv4.
func TestDualStack(t *testing.T) {
	a, b := pair(t)
	l := open(t, b, syscall.AF_INET6, syscall.SOCK_STREAM)
	l.must(l.SetOpt(syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 0))
	l.must(l.Bind(netip.AddrPortFrom(netip.IPv6Unspecified(), 8080)))
	l.must(l.Listen(16))
	if l.LocalAddr() != netip.MustParseAddrPort("[::]:8080") {
		t.Errorf("local %v", l.LocalAddr())
	}
	c := open(t, a, syscall.AF_INET, syscall.SOCK_STREAM)
	c.must(c.connect(netip.AddrPortFrom(addrB, 8080)))
	s, from := l.accept()
	if from != netip.AddrPortFrom(netip.MustParseAddr("::ffff:10.1.0.1"), c.LocalAddr().Port()) {
		t.Errorf("from %v", from)
	}
	if s.LocalAddr() != netip.MustParseAddrPort("[::ffff:10.1.0.2]:8080") {
		t.Errorf("local %v", s.LocalAddr())
	}
	// IPv4 by a mapped address out of an AF_INET6 socket, and IPv6 on loopback.
	c6 := open(t, a, syscall.AF_INET6, syscall.SOCK_STREAM)
	c6.must(c6.connect(netip.MustParseAddrPort("[::ffff:10.1.0.2]:8080")))
	l.accept()
	for _, to := range []string{"[::1]:8080", "127.0.0.1:8080", "0.0.0.0:8080", "[::]:8080", "10.1.0.2:8080"} {
		ap := netip.MustParseAddrPort(to)
		domain := syscall.AF_INET6
		if ap.Addr().Is4() {
			domain = syscall.AF_INET
		}
		own := open(t, b, domain, syscall.SOCK_STREAM)
		if err := own.connect(ap); err != nil {
			t.Errorf("%s: %v", to, err)
			continue
		}
		l.accept()
	}
	// IPv6-only refuses IPv4.
	only := open(t, b, syscall.AF_INET6, syscall.SOCK_STREAM)
	only.must(only.SetOpt(syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 1))
	only.must(only.Bind(netip.MustParseAddrPort("[::]:8081")))
	only.must(only.Listen(1))
	c = open(t, a, syscall.AF_INET, syscall.SOCK_STREAM)
	if err := c.connect(netip.AddrPortFrom(addrB, 8081)); err != syscall.ECONNREFUSED {
		t.Errorf("IPV6_V6ONLY: %v", err)
	}
}

func TestBindErrors(t *testing.T) {
	_, b := pair(t)
	l, addr := listen(t, b, syscall.AF_INET, addrB, 1)
	s := open(t, b, syscall.AF_INET, syscall.SOCK_STREAM)
	if err := s.Bind(netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())); err != syscall.EADDRINUSE {
		t.Errorf("port in use: %v", err)
	}
	if err := s.Bind(netip.MustParseAddrPort("192.0.2.9:80")); err != syscall.EADDRNOTAVAIL {
		t.Errorf("not our address: %v", err)
	}
	if err := l.Bind(addr); err != syscall.EINVAL {
		t.Errorf("bound twice: %v", err)
	}
	// With SO_REUSEADDR the port of a closed connection is free at once.
	c := open(t, b, syscall.AF_INET, syscall.SOCK_STREAM)
	c.must(c.connect(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), addr.Port())))
	srv, _ := l.accept()
	srv.Close()
	l.Close()
	again := open(t, b, syscall.AF_INET, syscall.SOCK_STREAM)
	again.must(again.SetOpt(syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
	if err := again.try("bind", func() error { return again.Bind(netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())) }); err != nil {
		t.Errorf("reuse: %v", err)
	}
	for _, tt := range []struct {
		domain, typ, proto int
		want               error
	}{
		{syscall.AF_UNIX, syscall.SOCK_STREAM, 0, syscall.EAFNOSUPPORT},
		{syscall.AF_INET, syscall.SOCK_RAW, 0, syscall.EPROTONOSUPPORT},
		{syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_ICMPV6, syscall.EPROTONOSUPPORT},
		{syscall.AF_INET, syscall.SOCK_RDM, 0, syscall.ESOCKTNOSUPPORT},
		{syscall.AF_INET, syscall.SOCK_STREAM, syscall.IPPROTO_UDP, syscall.EPROTONOSUPPORT},
		{syscall.AF_INET6, syscall.SOCK_STREAM, 262, syscall.EPROTONOSUPPORT},
	} {
		if _, err := b.Socket(tt.domain, tt.typ, tt.proto); err != tt.want {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

func TestDatagram(t *testing.T) {
	a, b := pair(t)
	s := open(t, b, syscall.AF_INET6, syscall.SOCK_DGRAM)
	s.must(s.Bind(netip.AddrPortFrom(netip.IPv6Unspecified(), 53)))
	c := open(t, a, syscall.AF_INET, syscall.SOCK_DGRAM)
	if _, err := c.Send([]byte("x"), netip.AddrPort{}); err != syscall.EDESTADDRREQ {
		t.Errorf("no destination: %v", err)
	}
	if c.Ready() != syscall.EPOLLOUT {
		t.Errorf("ready %#x", c.Ready())
	}
	if _, err := c.Send([]byte("question"), netip.AddrPortFrom(addrB, 53)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4)
	var from netip.AddrPort
	var cut bool
	s.must(s.try("receive", func() (err error) { _, from, cut, err = s.Recv(buf, true); return }))
	if string(buf) != "ques" || !cut || from.Addr() != netip.MustParseAddr("::ffff:10.1.0.1") {
		t.Errorf("%q from %v, cut %v", buf, from, cut)
	}
	if _, _, cut, err := s.Recv(buf, false); !cut || err != nil {
		t.Errorf("cut %v, %v", cut, err)
	}
	if _, _, _, err := s.Recv(buf, false); err != syscall.EAGAIN {
		t.Errorf("the rest of a datagram is still there: %v", err)
	}
	if _, err := s.Send([]byte("answer"), from); err != nil {
		t.Fatal(err)
	}
	big := make([]byte, 100)
	if n := c.recv(big); string(big[:n]) != "answer" {
		t.Errorf("got %q", big[:n])
	}
	// An empty datagram is one, too.
	c.Send(nil, netip.AddrPortFrom(addrB, 53))
	if n := s.recv(big); n != 0 {
		t.Errorf("empty datagram: %d bytes", n)
	}
	// Fragmented in both directions, with and without checksum offload.
	c.must(c.Connect(netip.AddrPortFrom(addrB, 53)))
	long := bytes.Repeat([]byte("long"), 5000)
	if _, err := c.Send(long, netip.AddrPort{}); err != nil {
		t.Fatal(err)
	}
	room := make([]byte, 1<<16)
	if n := s.recv(room); !bytes.Equal(room[:n], long) {
		t.Errorf("%d bytes of %d", n, len(long))
	}
	if _, err := c.Send(make([]byte, 70000), netip.AddrPort{}); err != syscall.EMSGSIZE {
		t.Errorf("too long: %v", err)
	}
	if r, err := c.RemoteAddr(); err != nil || r != netip.AddrPortFrom(addrB, 53) {
		t.Errorf("peer %v, %v", r, err)
	}
	// Nobody there: the ICMP error comes back.
	s.Close()
	c.Send([]byte("x"), netip.AddrPort{})
	c.until(syscall.EPOLLERR)
	if _, _, _, err := c.Recv(big, false); err != syscall.ECONNREFUSED {
		t.Errorf("nobody there: %v", err)
	}
	c.must(c.Connect(netip.AddrPort{}))
	if _, err := c.RemoteAddr(); err != syscall.ENOTCONN {
		t.Errorf("after dissolving: %v", err)
	}
}

func TestFragmentsWithOffload(t *testing.T) {
	na, nb := newPipe(t, 1500, 64)
	na.offload, nb.offload = true, true
	a, b := newPair(t, na, nb)
	s := open(t, b, syscall.AF_INET, syscall.SOCK_DGRAM)
	s.must(s.Bind(netip.AddrPortFrom(netip.IPv4Unspecified(), 53)))
	c := open(t, a, syscall.AF_INET, syscall.SOCK_DGRAM)
	for _, size := range []int{0, 1, 1472, 1473, 9000, 60000} {
		want := bytes.Repeat([]byte{byte(size)}, size)
		if _, err := c.Send(want, netip.AddrPortFrom(addrB, 53)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 1<<16)
		if n := s.recv(got); !bytes.Equal(got[:n], want) {
			t.Errorf("%d bytes of %d", n, size)
		}
	}
}

func TestBroadcast(t *testing.T) {
	a, b := pair(t)
	s := open(t, b, syscall.AF_INET, syscall.SOCK_DGRAM)
	s.must(s.Bind(netip.AddrPortFrom(netip.IPv4Unspecified(), 5000)))
	c := open(t, a, syscall.AF_INET, syscall.SOCK_DGRAM)
	all := netip.MustParseAddrPort("10.1.0.255:5000")
	if _, err := c.Send([]byte("x"), all); err != syscall.EACCES {
		t.Errorf("without SO_BROADCAST: %v", err)
	}
	c.must(c.SetOpt(syscall.SOL_SOCKET, syscall.SO_BROADCAST, 1))
	if _, err := c.Send([]byte("all"), all); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 9)
	if n := s.recv(buf); string(buf[:n]) != "all" {
		t.Errorf("got %q", buf[:n])
	}
}

func TestOptions(t *testing.T) {
	_, b := pair(t)
	s := open(t, b, syscall.AF_INET6, syscall.SOCK_STREAM)
	for _, tt := range []struct{ level, name, set, want int }{
		{syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1, 1},
		{syscall.SOL_SOCKET, soReusePort, 1, 1},
		{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 5, 1},
		{syscall.SOL_SOCKET, syscall.SO_BROADCAST, 1, 1},
		{syscall.SOL_SOCKET, syscall.SO_SNDBUF, 100000, 200000},
		{syscall.SOL_SOCKET, syscall.SO_RCVBUF, 100000, 200000},
		{syscall.SOL_SOCKET, syscall.SO_SNDBUF, 1, minBuffer},
		{syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1 << 30, maxBuffer},
		{syscall.SOL_SOCKET, syscall.SO_SNDBUF, -1, minBuffer},
		{syscall.SOL_SOCKET, syscall.SO_LINGER, 7, 7},
		{syscall.SOL_SOCKET, syscall.SO_LINGER, -1, -1},
		{syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1, 1},
		{syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 0, 0},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 15, 15},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 16, 16},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 9, 9},
		{syscall.IPPROTO_TCP, tcpUserTimeout, 1500, 1500},
		{syscall.IPPROTO_IP, syscall.IP_TOS, 0x10, 0x10},
		{syscall.IPPROTO_IP, syscall.IP_TTL, 9, 9},
		{syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 1, 1},
		{syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 0, 0},
		{syscall.IPPROTO_IPV6, syscall.IPV6_UNICAST_HOPS, 9, 9},
	} {
		if err := s.SetOpt(tt.level, tt.name, tt.set); err != nil {
			t.Errorf("set %+v: %v", tt, err)
		}
		if v, err := s.GetOpt(tt.level, tt.name); err != nil || v != tt.want {
			t.Errorf("get %+v: %d, %v", tt, v, err)
		}
	}
	for _, tt := range []struct{ level, name int }{{syscall.SOL_SOCKET, 9999}, {syscall.IPPROTO_TCP, 9999}, {syscall.IPPROTO_IP, 9999}, {syscall.IPPROTO_IPV6, 9999}, {77, 1}} {
		if err := s.SetOpt(tt.level, tt.name, 1); err != syscall.ENOPROTOOPT {
			t.Errorf("set %+v: %v", tt, err)
		}
		if _, err := s.GetOpt(tt.level, tt.name); err != syscall.ENOPROTOOPT {
			t.Errorf("get %+v: %v", tt, err)
		}
	}
	for _, tt := range []struct{ name, v int }{{syscall.TCP_KEEPIDLE, 0}, {syscall.TCP_KEEPINTVL, 1 << 20}, {syscall.TCP_KEEPCNT, -1}} {
		if err := s.SetOpt(syscall.IPPROTO_TCP, tt.name, tt.v); err != syscall.EINVAL {
			t.Errorf("%+v: %v", tt, err)
		}
	}
	if v, _ := s.GetOpt(syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN); v != 0 {
		t.Error("SO_ACCEPTCONN before Listen")
	}
	s.must(s.Listen(0))
	if v, _ := s.GetOpt(syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN); v != 1 {
		t.Error("no SO_ACCEPTCONN")
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// A card that takes nothing makes the sender wait, and nothing is lost.
func TestSenderWaits(t *testing.T) {
	na, nb := newPipe(t, 1500, 4)
	a, b := newPair(t, na, nb)
	s := open(t, b, syscall.AF_INET, syscall.SOCK_DGRAM)
	to := netip.AddrPortFrom(addrB, 7)
	s.must(s.Bind(netip.AddrPortFrom(netip.IPv4Unspecified(), 7)))
	c := open(t, a, syscall.AF_INET, syscall.SOCK_DGRAM)
	c.must(c.Connect(to))
	buf := make([]byte, 10)
	send := func(i int) {
		if _, err := c.Send([]byte(fmt.Sprint(i)), netip.AddrPort{}); err != nil {
			t.Errorf("send %d: %v", i, err)
		}
	}
	send(0)
	s.recv(buf) // both know each other's Ethernet address
	nb.hold.Lock()
	const count = queueSoft + 100
	go func() {
		for i := range count {
			send(i)
		}
	}()
	deadline := time.Now().Add(patience)
	for a.LinkStats().Waits == 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	nb.hold.Unlock()
	for i := range count {
		if n := s.recv(buf); string(buf[:n]) != fmt.Sprint(i) {
			t.Fatalf("datagram %d is %q", i, buf[:n])
		}
	}
	if st := a.LinkStats(); st.Waits == 0 || st.Refused != 0 {
		t.Errorf("link %+v", st)
	}
}

// The card goes away: senders get an error, nothing hangs.
func TestCardGone(t *testing.T) {
	na, nb := newPipe(t, 1500, 4)
	a, b := newPair(t, na, nb)
	c, _ := connected(t, a, b)
	na.gone.Store(true)
	u := open(t, a, syscall.AF_INET, syscall.SOCK_DGRAM)
	if _, err := u.Send([]byte("x"), netip.AddrPortFrom(addrB, 1)); err != syscall.ENETUNREACH {
		t.Errorf("Send = %v", err)
	}
	if _, err := c.Send([]byte("x"), netip.AddrPort{}); err != nil && err != syscall.ENETUNREACH {
		t.Errorf("stream Send = %v", err)
	}
}

func TestLoopbackOnly(t *testing.T) {
	n, err := New(Options{Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	l, addr := listen(t, n, syscall.AF_INET6, netip.MustParseAddr("127.0.0.1"), 1)
	c := open(t, n, syscall.AF_INET, syscall.SOCK_STREAM)
	c.must(c.connect(addr))
	s, _ := l.accept()
	s.sendAll([]byte("hi"))
	buf := make([]byte, 5)
	if k := c.recv(buf); string(buf[:k]) != "hi" {
		t.Errorf("got %q", buf[:k])
	}
	if n.ResolvConf() != "" || n.Hostname() != "" || n.Lease() != nil {
		t.Error("lease without a card")
	}
}

// Every error of the stack has a number.
func TestErrno(t *testing.T) {
	if errno(nil) != nil {
		t.Error("nil")
	}
	for _, tt := range []struct {
		err  tcpip.Error
		want syscall.Errno
	}{
		{&tcpip.ErrWouldBlock{}, syscall.EAGAIN}, {&tcpip.ErrConnectStarted{}, syscall.EINPROGRESS}, {&tcpip.ErrTimeout{}, syscall.ETIMEDOUT},
		{&tcpip.ErrAlreadyBound{}, syscall.EINVAL}, {&tcpip.ErrHostUnreachable{}, syscall.EHOSTUNREACH}, {&tcpip.ErrNoBufferSpace{}, syscall.ENOBUFS},
	} {
		if got := errno(tt.err); got != tt.want {
			t.Errorf("%s = %v, want %v", tt.err, got, tt.want)
		}
	}
}

func BenchmarkStream(bm *testing.B) {
	for _, mtu := range []int{1500, 9000} {
		for _, offload := range []bool{false, true} {
			bm.Run(fmt.Sprintf("mtu=%d/offload=%v", mtu, offload), func(bm *testing.B) {
				na, nb := newPipe(bm, mtu, 512)
				na.offload, nb.offload = offload, offload
				a, b := newPair(bm, na, nb)
				c, s := connected(bm, a, b)
				buf := []byte(strings.Repeat("x", 64<<10))
				bm.SetBytes(int64(len(buf)))
				bm.ReportAllocs()
				bm.ResetTimer()
				go func() {
					for range bm.N {
						c.sendAll(buf)
					}
				}()
				in := make([]byte, 256<<10)
				for got := 0; got < bm.N*len(buf); {
					got += s.recv(in)
				}
				bm.ReportMetric(float64(na.fulls.Load())/float64(bm.N), "fulls/op")
			})
		}
	}
}

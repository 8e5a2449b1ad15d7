// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"
)

// send sends all of p, and waits for room.
func (b *side) send(p []byte) error {
	for len(p) > 0 {
		n, err := b.Send(p, netip.AddrPort{})
		if errors.Is(err, syscall.EAGAIN) {
			<-b.changed
			continue
		}
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// recvAll receives to the end of the stream, in pieces of all sizes.
func (b *side) recvAll() ([]byte, error) {
	var all []byte
	p := make([]byte, 5000)
	for {
		n, _, _, err := b.Recv(p[:1+rand.IntN(len(p))], false)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			<-b.changed
		case err != nil || n == 0:
			return all, err
		}
		all = append(all, p[:n]...)
	}
}

// unmet is a client's end of a connection that nobody has accepted yet.
func unmet(t *testing.T) (n *Stack, listener *socket, client *side) {
	t.Helper()
	n, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	l, err1 := n.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	c, err2 := n.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err := errors.Join(err1, err2, l.Bind(netip.MustParseAddrPort("127.0.0.1:0")), l.Listen(4)); err != nil {
		t.Fatal(err)
	}
	client = newSide(c.(*socket))
	if err := c.Connect(l.LocalAddr()); err != syscall.EINPROGRESS {
		t.Fatal(err)
	}
	for c.Ready()&syscall.EPOLLOUT == 0 {
		<-client.changed
	}
	return n, l.(*socket), client
}

func accept(t *testing.T, l *socket) *side {
	t.Helper()
	for {
		c, _, err := l.Accept()
		if err == nil {
			return newSide(c.(*socket))
		}
		if err != syscall.EAGAIN {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

func (n *Stack) waiting() int {
	n.meetings.mu.Lock()
	defer n.meetings.mu.Unlock()
	return len(n.meetings.at)
}

// TestShortcut sends both ways at once, also before the connection is accepted: all
// arrives, in its order, and then the end.
func TestShortcut(t *testing.T) {
	n, l, x := unmet(t)
	data := make([]byte, 3<<20)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	const early = 100_000
	if err := x.send(data[:early]); err != nil {
		t.Fatal(err)
	}
	y := accept(t, l)
	if x.local.path.Load() == nil || y.local.path.Load() == nil {
		t.Fatal("the sockets did not meet")
	}
	var wg sync.WaitGroup
	for _, way := range []struct {
		from  *side
		first int
	}{{x, early}, {y, 0}} {
		wg.Go(func() {
			for p := data[way.first:]; len(p) > 0; {
				k := min(len(p), 1+rand.IntN(100_000))
				if err := way.from.send(p[:k]); err != nil {
					t.Error(err)
					return
				}
				p = p[k:]
			}
			if err := way.from.Shutdown(syscall.SHUT_WR); err != nil {
				t.Error(err)
			}
			if _, err := way.from.Send([]byte{1}, netip.AddrPort{}); err != syscall.EPIPE {
				t.Errorf("sending after shutdown: %v", err)
			}
		})
	}
	// One goroutine is told of a side's changes, so each direction is received while the
	// other's sender may wait: they share the token.
	wg.Go(func() { relay(x) })
	wg.Go(func() { relay(y) })
	var got [2][]byte
	var errs [2]error
	var rg sync.WaitGroup
	rg.Go(func() { got[0], errs[0] = y.recvAll() })
	rg.Go(func() { got[1], errs[1] = x.recvAll() })
	rg.Wait()
	x.quit.Store(true)
	y.quit.Store(true)
	wg.Wait()
	for i := range got {
		if errs[i] != nil || !bytes.Equal(got[i], data) {
			t.Errorf("direction %d: %d bytes of %d, %v", i, len(got[i]), len(data), errs[i])
		}
	}
	x.Close()
	y.Close()
	l.Close()
	if w := n.waiting(); w != 0 {
		t.Errorf("%d sockets wait to meet one that was", w)
	}
}

// relay wakes whoever waits for changes now and then: two goroutines wait for one token.
func relay(b *side) {
	for !b.quit.Load() {
		time.Sleep(time.Millisecond)
		tell(b.changed)
	}
}

// TestShortcutFull fills a lane: then there is no room, until half of it is received.
func TestShortcutFull(t *testing.T) {
	x, y := loopbackPair(t)
	p := make([]byte, 64<<10)
	sent := 0
	for {
		n, err := x.Send(p, netip.AddrPort{})
		sent += n
		if err == syscall.EAGAIN {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if sent != laneBytes || x.Ready()&syscall.EPOLLOUT != 0 {
		t.Errorf("sent %d bytes, ready %#x", sent, x.Ready())
	}
	if in, _ := y.Buffered(); in != laneBytes || y.Ready()&syscall.EPOLLIN == 0 {
		t.Errorf("%d bytes wait, ready %#x", in, y.Ready())
	}
	if n, _, _, err := y.Recv(p[:1], true); n != 1 || err != nil {
		t.Errorf("peek: %d, %v", n, err)
	}
	for left := sent; left > laneBytes/2; {
		n, _, _, err := y.Recv(p, false)
		if err != nil {
			t.Fatal(err)
		}
		left -= n
	}
	select {
	case <-x.changed:
	case <-time.After(10 * time.Second):
		t.Error("nobody told that there is room")
	}
	if x.Ready()&syscall.EPOLLOUT == 0 {
		t.Errorf("ready %#x", x.Ready())
	}
}

// TestShortcutEnds closes connections with bytes under way: what was sent is received
// before the end, and a side that closes on bytes resets.
func TestShortcutEnds(t *testing.T) {
	x, y := loopbackPair(t)
	if err := x.send([]byte("the last words")); err != nil {
		t.Fatal(err)
	}
	x.Close()
	if b, err := y.recvAll(); string(b) != "the last words" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	var err error
	for range 100 {
		if _, err = y.Send([]byte{1}, netip.AddrPort{}); err != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err != syscall.EPIPE && err != syscall.ECONNRESET {
		t.Errorf("sending to a closed socket: %v", err)
	}
	y.Close()

	x, y = loopbackPair(t)
	if err := x.send([]byte("not wanted")); err != nil {
		t.Fatal(err)
	}
	y.Close()
	if _, err := x.recvAll(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the other side closed on bytes: %v", err)
	}
}

// TestShortcutNeverMet has clients close before they are accepted, and listeners before
// they accept: nothing stays behind.
func TestShortcutNeverMet(t *testing.T) {
	n, l, x := unmet(t)
	x.Close()
	y := accept(t, l)
	if b, err := y.recvAll(); len(b) != 0 || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	y.Close()
	l.Close()
	if w := n.waiting(); w != 0 {
		t.Errorf("%d sockets wait", w)
	}
	n, l, x = unmet(t)
	l.Close()
	if _, err := x.recvAll(); err != syscall.ECONNRESET {
		t.Errorf("the listener closed: %v", err)
	}
	x.Close()
	if w := n.waiting(); w != 0 {
		t.Errorf("%d sockets wait", w)
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netvsc

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/hvgo/hvgo/internal/wire/nvsp"
	"github.com/hvgo/hvgo/netstack"
	"github.com/hvgo/hvgo/runtime/linux"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// A virtual switch between two fake hosts that answers DHCP by itself.
type port struct {
	h    *fakeHost
	ip   net.IP
	out  chan []byte // from the guest
	peer *port
}

func (p *port) run(done <-chan struct{}) {
	for {
		select {
		case f := <-p.out:
			if r := dhcpAnswer(f, p.ip); r != nil {
				p.give(r)
			} else {
				p.peer.give(f)
			}
		case <-done:
			return
		}
	}
}

// give delivers a frame to the guest, or drops it if the guest has not returned
// any slot, as hosts do.
func (p *port) give(f []byte) {
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	if p.h.closed || p.h.nextSlot-len(p.h.returned) >= len(p.h.recv.Bytes)/1806 {
		return
	}
	p.h.push(p.h.place(nvsp.ChannelData, packetMessage(f, nil)))
}

// dhcpAnswer is the frame that answers f with address ip, nil if f is no DHCP
// message.
func dhcpAnswer(f []byte, ip net.IP) []byte {
	const headers = 14 + 20 + 8
	if len(f) < headers || binary.BigEndian.Uint16(f[12:]) != 0x0800 || f[23] != 17 || binary.BigEndian.Uint16(f[36:]) != 67 {
		return nil
	}
	m, err := dhcpv4.FromBytes(f[headers:])
	if err != nil {
		return nil
	}
	typ := dhcpv4.MessageTypeOffer
	if m.MessageType() == dhcpv4.MessageTypeRequest {
		typ = dhcpv4.MessageTypeAck
	}
	r, err := dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(typ), dhcpv4.WithYourIP(ip), dhcpv4.WithNetmask(net.CIDRMask(24, 32)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 2, 0, 254))), dhcpv4.WithLeaseTime(3600))
	if err != nil {
		return nil
	}
	b := r.ToBytes()
	out := append([]byte(nil), 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 0, 0xFE, 8, 0)
	out = append(out, 0x45, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(28+len(b)))
	out = append(out, 0, 0, 0, 0, 64, 17, 0, 0, 10, 2, 0, 254, 255, 255, 255, 255)
	sum := uint32(0)
	for i := 14; i < 34; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(out[i:]))
	}
	binary.BigEndian.PutUint16(out[24:], ^uint16(sum>>16+sum&0xFFFF))
	out = append(out, 0, 67, 0, 68)
	out = binary.BigEndian.AppendUint16(out, uint16(8+len(b)))
	return append(append(out, 0, 0), b...) // UDP checksum 0: none
}

// guestStack is a network stack on a NIC on a fake host.
func guestStack(t *testing.T, p *port, last byte) *netstack.Stack {
	t.Helper()
	p.h.mac[5] = last
	p.h.onFrame = func(f []byte) {
		select {
		case p.out <- f:
		default: // a switch drops when it is overrun
		}
	}
	n := open(t, p.h, Options{SendBuffer: 16 * 6144, DirectSlots: 2})
	leased := make(chan *netstack.Lease, 1)
	s, err := netstack.New(netstack.Options{Log: quiet(), OnLease: func(l *netstack.Lease) { leased <- l }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.AttachNIC(n); err != nil {
		t.Fatal(err)
	}
	select {
	case l := <-leased:
		if !l.Address.Addr().Is4() || !net.IP(l.Address.Addr().AsSlice()).Equal(p.ip) {
			t.Fatalf("lease %+v", l)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no lease")
	}
	return s
}

// poll calls f until it succeeds; false: it never will.
func poll(t *testing.T, what string, f func() error) bool {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Microsecond) {
		err := f()
		switch {
		case err == nil:
			return true
		case err != syscall.EAGAIN && err != syscall.EINPROGRESS && err != syscall.EALREADY:
			t.Errorf("%s: %v", what, err)
			return false
		case time.Now().After(end):
			t.Errorf("%s: takes too long", what)
			return false
		}
	}
}

// Socket to socket through two stacks and two cards, both ways at once, with so
// few sections that both cards are full again and again.
func TestStackOnCard(t *testing.T) {
	a := &port{h: newFakeHost(), ip: net.IPv4(10, 2, 0, 1), out: make(chan []byte, 1000)}
	b := &port{h: newFakeHost(), ip: net.IPv4(10, 2, 0, 2), out: make(chan []byte, 1000), peer: a}
	a.peer = b
	done := make(chan struct{})
	defer close(done)
	go a.run(done)
	go b.run(done)
	sa, sb := guestStack(t, a, 0xA), guestStack(t, b, 0xB)

	l, err := sb.Socket(syscall.AF_INET6, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	to := netip.MustParseAddrPort("10.2.0.2:80")
	if err := l.Bind(netip.AddrPortFrom(netip.IPv6Unspecified(), 80)); err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(1); err != nil {
		t.Fatal(err)
	}
	c, err := sa.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	var s linux.Socket
	if !poll(t, "connect", func() error { return c.Connect(to) }) ||
		!poll(t, "accept", func() (err error) { s, _, err = l.Accept(); return }) {
		return
	}

	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	finished := make(chan struct{}, 2)
	for _, pair := range [][2]linux.Socket{{c, s}, {s, c}} {
		go func() {
			p := want
			for ok := true; ok && len(p) > 0; {
				ok = poll(t, "send", func() error {
					k, err := pair[0].Send(p, netip.AddrPort{})
					p = p[k:]
					return err
				})
			}
		}()
		go func() {
			defer func() { finished <- struct{}{} }()
			var got []byte
			buf := make([]byte, 64<<10)
			for ok := true; ok && len(got) < len(want); {
				ok = poll(t, "receive", func() error {
					k, _, _, err := pair[1].Recv(buf, false)
					got = append(got, buf[:k]...)
					return err
				})
			}
			if !bytes.Equal(got, want) {
				t.Error("bytes differ")
			}
		}()
	}
	<-finished
	<-finished
	st := sa.LinkStats()
	if st.Lost != 0 || st.Malformed != 0 {
		t.Errorf("link %+v", st)
	}
	t.Logf("link %+v", st)
}

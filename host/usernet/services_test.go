// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package usernet_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/hvgo/hvgo/host/netvsp"
	"github.com/hvgo/hvgo/host/usernet"
)

// upstream is a DNS server on the host, and a resolver that asks it.
func upstream(t testing.TB) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		records := map[string]string{
			"example.org. A":                "example.org. 60 IN A 192.0.2.7",
			"example.org. MX":               "example.org. 60 IN MX 5 mail.example.org.",
			"example.org. TXT":              "example.org. 60 IN TXT \"hello\"",
			"7.2.0.192.in-addr.arpa. PTR":   "7.2.0.192.in-addr.arpa. 60 IN PTR example.org.",
			"_http._tcp.example.org. SRV":   "_http._tcp.example.org. 60 IN SRV 1 2 80 example.org.",
			"example.org. NS":               "example.org. 60 IN NS ns.example.org.",
			"www.example.org. A":            "www.example.org. 60 IN CNAME example.org.",
			"other.zone.example.invalid. A": "",
		}
		text, ok := records[strings.ToLower(q.Question[0].Name)+" "+dns.TypeToString[q.Question[0].Qtype]]
		switch {
		case strings.HasPrefix(q.Question[0].Name, "fail."):
			m.Rcode = dns.RcodeServerFailure
		case !ok && !strings.HasSuffix(q.Question[0].Name, "example.org."):
			m.Rcode = dns.RcodeNameError
		case text != "":
			rr, err := dns.NewRR(text)
			if err != nil {
				panic(err)
			}
			m.Answer = append(m.Answer, rr)
			if strings.HasPrefix(text, "www.") {
				a, _ := dns.NewRR(records["example.org. A"])
				m.Answer = append(m.Answer, a)
			}
		}
		w.WriteMsg(m)
	})}
	go s.ActivateAndServe()
	t.Cleanup(func() { s.Shutdown() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp4", pc.LocalAddr().String())
	}}
}

// ask sends a query from the guest, by UDP or TCP.
func (g *guest) ask(typ int, q *dns.Msg) *dns.Msg {
	g.t.Helper()
	c, err := g.dial(typ, netip.AddrPortFrom(g.net.Gateway(), 53))
	if err != nil {
		g.t.Fatal(err)
	}
	defer c.Close()
	b, err := q.Pack()
	if err != nil {
		g.t.Fatal(err)
	}
	if typ == syscall.SOCK_STREAM {
		b = append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
	}
	if _, err := c.Write(b); err != nil {
		g.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if typ == syscall.SOCK_STREAM {
		for err == nil && (n < 2 || n < 2+int(binary.BigEndian.Uint16(buf))) {
			var k int
			k, err = c.Read(buf[n:])
			n += k
		}
		buf, n = buf[2:], n-2
	}
	if err != nil {
		g.t.Fatal(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(buf[:n]); err != nil || m.Id != q.Id {
		g.t.Fatalf("answer %x: %v", buf[:n], err)
	}
	return m
}

func TestDNS(t *testing.T) {
	g := newGuest(t, usernet.Options{Hostname: "hello", Resolver: upstream(t)}, netvsp.Options{})
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string // the last answer's data, or the code
	}{
		{"gateway.hvgo.internal.", dns.TypeA, "192.168.127.1"},
		{"HELLO.hvgo.internal.", dns.TypeA, "192.168.127.2"},
		{"gateway.hvgo.internal.", dns.TypeAAAA, "NOERROR"},
		{"other.hvgo.internal.", dns.TypeA, "NXDOMAIN"},
		{"hvgo.internal.", dns.TypeA, "NOERROR"},
		{"1.127.168.192.in-addr.arpa.", dns.TypePTR, "gateway.hvgo.internal."},
		{"9.127.168.192.in-addr.arpa.", dns.TypePTR, "NXDOMAIN"},
		{"example.org.", dns.TypeA, "192.0.2.7"},
		{"example.org.", dns.TypeAAAA, "NOERROR"},
		{"www.example.org.", dns.TypeA, "192.0.2.7"},
		{"www.example.org.", dns.TypeCNAME, "example.org."},
		{"example.org.", dns.TypeMX, "5 mail.example.org."},
		{"example.org.", dns.TypeNS, "ns.example.org."},
		{"example.org.", dns.TypeTXT, `"hello"`},
		{"_http._tcp.example.org.", dns.TypeSRV, "1 2 80 example.org."},
		{"7.2.0.192.in-addr.arpa.", dns.TypePTR, "example.org."},
		{"none.example.", dns.TypeA, "NXDOMAIN"},
		{"fail.example.", dns.TypeA, "SERVFAIL"},
		{"example.org.", dns.TypeCAA, "NOTIMP"},
	} {
		for _, typ := range []int{syscall.SOCK_DGRAM, syscall.SOCK_STREAM} {
			q := new(dns.Msg)
			q.SetQuestion(c.name, c.qtype)
			m := g.ask(typ, q)
			got := dns.RcodeToString[m.Rcode]
			if len(m.Answer) > 0 {
				rr := m.Answer[len(m.Answer)-1]
				got = strings.TrimPrefix(rr.String(), rr.Header().String())
				if rr.Header().Name != c.name {
					t.Errorf("answer for %s", rr.Header().Name)
				}
			}
			if got != c.want {
				t.Errorf("%s %s: %q, want %q", c.name, dns.TypeToString[c.qtype], got, c.want)
			}
		}
	}
}

// Without a resolver the guest is told so, and soon.
func TestNoResolver(t *testing.T) {
	dead := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no network")
	}}
	g := newGuest(t, usernet.Options{Resolver: dead}, netvsp.Options{})
	q := new(dns.Msg)
	q.SetQuestion("example.org.", dns.TypeA)
	if m := g.ask(syscall.SOCK_DGRAM, q); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("%v", m)
	}
}

// Datagrams to a service on the host, and to a port where there is none.
func TestUDP(t *testing.T) {
	g := newGuest(t, usernet.Options{}, netvsp.Options{})
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			pc.WriteTo([]byte(strings.ToUpper(string(buf[:n]))), from)
		}
	}()
	c, err := g.dial(syscall.SOCK_DGRAM, netip.AddrPortFrom(g.net.Gateway(), uint16(pc.LocalAddr().(*net.UDPAddr).Port)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 64<<10)
	for _, size := range []int{0, 1, 1000, 1472, 5000, 30000} { // fragments too
		text := fmt.Sprint(size) + strings.Repeat("x", size)
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(buf); err != nil || string(buf[:n]) != strings.ToUpper(text) {
			t.Errorf("%d bytes: %d came back, %v", size, n, err)
		}
	}
	if s := g.net.Stats(); s.Sessions != 1 {
		t.Errorf("%+v", s)
	}
	pc.Close()
}

// A guest that keeps DNS connections open does not get any number of them.
func TestDNSConnections(t *testing.T) {
	g := newGuest(t, usernet.Options{Resolver: upstream(t)}, netvsp.Options{})
	closed := 0
	for range 70 {
		c, err := g.dial(syscall.SOCK_STREAM, netip.AddrPortFrom(g.net.Gateway(), 53))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		q := new(dns.Msg)
		q.SetQuestion("gateway.hvgo.internal.", dns.TypeA)
		b, _ := q.Pack()
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)); err != nil {
			closed++
		} else if _, err := c.Read(make([]byte, 512)); err != nil {
			closed++
		}
	}
	if closed != 70-64 {
		t.Errorf("%d of 70 connections are closed", closed)
	}
}

func TestNoLoopback(t *testing.T) {
	g := newGuest(t, usernet.Options{NoLoopback: true}, netvsp.Options{})
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	to := netip.AddrPortFrom(g.net.Gateway(), uint16(l.Addr().(*net.TCPAddr).Port))
	if _, err := g.dial(syscall.SOCK_STREAM, to); err != syscall.ECONNREFUSED {
		t.Errorf("TCP: %v", err)
	}
	c, err := g.dial(syscall.SOCK_DGRAM, to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("x"))
	if _, err := c.Read(make([]byte, 1)); err != syscall.ECONNREFUSED {
		t.Errorf("UDP: %v", err)
	}
}

// tap is a card that keeps frames.
type tap struct{ frames chan []byte }

func (c tap) MAC() [6]byte { return [6]byte{2, 0, 0, 0, 0, 5} }
func (c tap) Deliver(f []byte, checked bool) bool {
	select {
	case c.frames <- f:
	default:
	}
	return true
}

// offline is a network that reaches nothing of the host's.
func offline(t testing.TB) (*usernet.Network, tap) {
	t.Helper()
	no := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("offline") }
	n, err := usernet.New(usernet.Options{Dial: no, Resolver: &net.Resolver{PreferGo: true, Dial: no}, Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	c := tap{make(chan []byte, 100)}
	n.Plug(c)
	return n, c
}

// ping is a frame with an ICMP echo request.
func ping(src, dst netip.Addr) []byte {
	f := []byte{2, 0, 'h', 'v', 'g', 'o', 2, 0, 0, 0, 0, 5, 8, 0}
	ip := make([]byte, header.IPv4MinimumSize+header.ICMPv4MinimumSize+4)
	header.IPv4(ip).Encode(&header.IPv4Fields{TotalLength: uint16(len(ip)), TTL: 64, Protocol: uint8(header.ICMPv4ProtocolNumber)})
	copy(ip[12:], src.AsSlice())
	copy(ip[16:], dst.AsSlice())
	header.IPv4(ip).SetChecksum(^header.IPv4(ip).CalculateChecksum())
	echo := header.ICMPv4(ip[header.IPv4MinimumSize:])
	echo.SetType(header.ICMPv4Echo)
	copy(echo[header.ICMPv4MinimumSize:], "ping")
	echo.SetChecksum(^checksum.Checksum(echo, 0))
	return append(f, ip...)
}

// arp is a frame with an ARP request.
func arp(src, dst netip.Addr) []byte {
	f := []byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 0, 5, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 5}
	f = append(append(f, src.AsSlice()...), 0, 0, 0, 0, 0, 0)
	return append(f, dst.AsSlice()...)
}

// The gateway answers for itself and for nobody else.
func TestARPAndEcho(t *testing.T) {
	n, c := offline(t)
	other := netip.MustParseAddr("192.168.127.77")
	far := netip.MustParseAddr("192.0.2.1")
	n.Transmit(arp(n.Guest(), n.Guest())) // address probe: nobody else has it
	n.Transmit(arp(n.Guest(), other))
	n.Transmit(arp(n.Guest(), n.Gateway()))
	f := <-c.frames
	if a := header.ARP(f[14:]); a.Op() != header.ARPReply || string(a.ProtocolAddressSender()) != string(n.Gateway().AsSlice()) || string(f[:6]) != "\x02\x00\x00\x00\x00\x05" {
		t.Errorf("%x", f)
	}
	n.Transmit(ping(n.Guest(), far))
	n.Transmit(ping(n.Guest(), other))
	n.Transmit(ping(n.Gateway(), n.Gateway()))
	n.Transmit(ping(n.Guest(), n.Gateway()))
	select {
	case f = <-c.frames:
	case <-time.After(20 * time.Second):
		t.Fatal("no echo")
	}
	ip := header.IPv4(f[14:])
	if echo := header.ICMPv4(ip.Payload()); ip.TransportProtocol() != header.ICMPv4ProtocolNumber || echo.Type() != header.ICMPv4EchoReply ||
		string(echo[8:]) != "ping" || string(f[30:34]) != string(n.Guest().AsSlice()) {
		t.Errorf("%x", f)
	}
	if s := n.Stats(); s.Ignored != 5 || len(c.frames) != 0 {
		t.Errorf("%d frames more, %+v", len(c.frames), s)
	}
}

// Frames that are for nobody here, or broken.
func TestIgnored(t *testing.T) {
	n, c := offline(t)
	f := ping(n.Guest(), n.Gateway())
	for name, change := range map[string]func(f []byte) []byte{
		"nothing":       func([]byte) []byte { return nil },
		"short":         func(f []byte) []byte { return f[:13] },
		"other station": func(f []byte) []byte { f[5]++; return f },
		"IPv6":          func(f []byte) []byte { f[12], f[13] = 0x86, 0xDD; return f },
		"cut":           func(f []byte) []byte { return f[:30] },
		"total length":  func(f []byte) []byte { f[16] = 9; return f },
		"header length": func(f []byte) []byte { f[14] = 0x4F; return f },
		"short ARP":     func(f []byte) []byte { return append(f[:12:12], 8, 6, 0, 1) },
		"from outside":  func(f []byte) []byte { f[26] = 8; return f },
		"to multicast":  func(f []byte) []byte { f[30] = 224; return f },
		"to loopback":   func(f []byte) []byte { f[30] = 127; return f },
		"to nobody":     func(f []byte) []byte { copy(f[30:], []byte{0, 0, 0, 0}); return f },
	} {
		before := n.Stats()
		n.Transmit(change(append([]byte(nil), f...)))
		if s := n.Stats(); s.Ignored+s.Malformed != before.Ignored+before.Malformed+1 || len(c.frames) != 0 {
			t.Errorf("%s: %+v, %d frames", name, s, len(c.frames))
		}
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []usernet.Options{
		{Prefix: netip.MustParsePrefix("fd00::/64")}, {Prefix: netip.MustParsePrefix("10.0.0.0/31")}, {MTU: 100}, {MTU: 1 << 16},
	} {
		if n, err := usernet.New(o); err == nil {
			n.Close()
			t.Errorf("%+v is taken", o)
		}
	}
	n, err := usernet.New(usernet.Options{Prefix: netip.MustParsePrefix("10.9.8.7/16")})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if n.Gateway().String() != "10.9.0.1" || n.Guest().String() != "10.9.0.2" {
		t.Errorf("%v, %v", n.Gateway(), n.Guest())
	}
}

// FuzzTransmit gives the network a guest's frames; it reaches nothing of the host's.
func FuzzTransmit(f *testing.F) {
	n, _ := offline(f)
	f.Add(ping(n.Guest(), n.Gateway()))
	f.Add(arp(n.Guest(), n.Gateway()))
	f.Add(discover())
	f.Fuzz(func(t *testing.T, b []byte) {
		n.Transmit(b)
		// With a header that passes, to get deeper.
		frame := append(ping(n.Guest(), n.Gateway())[:34], b...)
		for _, protocol := range []byte{1, 6, 17} {
			frame[23] = protocol
			binary.BigEndian.PutUint16(frame[16:], uint16(min(len(frame)-14, 0xFFFF)))
			ip := header.IPv4(frame[14:])
			ip.SetChecksum(0)
			ip.SetChecksum(^ip.CalculateChecksum())
			n.Transmit(frame)
		}
	})
}

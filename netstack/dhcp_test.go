// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/rfc1035label"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// dhcpServer answers on a stack of its own.
type dhcpServer struct {
	mu       sync.Mutex
	address  net.IP
	lifetime time.Duration
	options  []dhcpv4.Modifier
	silent   bool // to everything
	nak      bool // to requests
	seen     []seen
}

type seen struct {
	typ     dhcpv4.MessageType
	unicast bool
	host    string
}

// serve gives a stack with a DHCP server at the other end of nic's cable.
func (d *dhcpServer) serve(t *testing.T, nic *pipeNIC) *Stack {
	t.Helper()
	n, err := New(Options{Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := n.attach(nic, func(bool) {})
	if err != nil {
		t.Fatal(err)
	}
	p := netip.MustParsePrefix("10.9.0.1/24")
	all := netip.MustParsePrefix("0.0.0.0/0")
	if err := n.setAddress(netip.Prefix{}, p, []tcpip.Route{{Destination: subnet(p), NIC: ethernetNIC}, {Destination: subnet(all), NIC: ethernetNIC}}); err != nil {
		t.Fatal(err)
	}
	l.start()
	t.Cleanup(n.Close)
	s := open(t, n, syscall.AF_INET, syscall.SOCK_DGRAM)
	s.must(s.Bind(netip.AddrPortFrom(netip.IPv4Unspecified(), 67)))
	s.must(s.SetOpt(syscall.SOL_SOCKET, syscall.SO_BROADCAST, 1))
	go func() {
		b := make([]byte, 2000)
		for t.Context().Err() == nil {
			k, from, _, err := s.Recv(b, false)
			if err != nil {
				select {
				case <-s.edges:
				case <-t.Context().Done():
				}
				continue
			}
			if r := d.answer(b[:k], from); r != nil {
				to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), 68)
				if !from.Addr().IsUnspecified() {
					to = from
				}
				s.Send(r.ToBytes(), to)
			}
		}
	}()
	return n
}

func (d *dhcpServer) answer(b []byte, from netip.AddrPort) *dhcpv4.DHCPv4 {
	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = append(d.seen, seen{m.MessageType(), !from.Addr().IsUnspecified(), m.HostName()})
	if d.silent {
		return nil
	}
	typ := dhcpv4.MessageTypeOffer
	if m.MessageType() == dhcpv4.MessageTypeRequest {
		if typ = dhcpv4.MessageTypeAck; d.nak {
			typ = dhcpv4.MessageTypeNak
		}
	}
	o := append([]dhcpv4.Modifier{dhcpv4.WithMessageType(typ), dhcpv4.WithServerIP(net.IPv4(10, 9, 0, 1)), dhcpv4.WithYourIP(d.address),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 9, 0, 1))),
		dhcpv4.WithOption(dhcpv4.OptIPAddressLeaseTime(d.lifetime)), dhcpv4.WithNetmask(net.CIDRMask(24, 32))}, d.options...)
	r, err := dhcpv4.NewReplyFromRequest(m, o...)
	if err != nil {
		return nil
	}
	return r
}

func (d *dhcpServer) set(f func()) {
	d.mu.Lock()
	f()
	d.seen = nil
	d.mu.Unlock()
}

func (d *dhcpServer) saw(s seen) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.seen, func(x seen) bool { x.host = ""; return x == s })
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// client starts a DHCP client with short times.
func client(t *testing.T, nic *pipeNIC, o Options) *Stack {
	t.Helper()
	o.Log = quiet()
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	plugged := make(chan struct{}, 1)
	l, err := n.attach(nic, func(up bool) {
		if up {
			plugged <- struct{}{}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDHCP(n, l, plugged, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	d.minLifetime, d.minWait, d.maxWait = time.Second, 10*time.Millisecond, 100*time.Millisecond
	if err := l.start(); err != nil {
		t.Fatal(err)
	}
	n.wg.Go(func() { d.run(n.ctx) })
	t.Cleanup(n.Close)
	return n
}

func TestDHCP(t *testing.T) {
	na, nb := newPipe(t, 1500, 64)
	srv := &dhcpServer{address: net.IPv4(10, 9, 0, 50), lifetime: time.Hour, options: []dhcpv4.Modifier{
		dhcpv4.WithRouter(net.IPv4(10, 9, 0, 1)), dhcpv4.WithDNS(net.IPv4(10, 9, 0, 2), net.IPv4(10, 9, 0, 3)),
		dhcpv4.WithOption(dhcpv4.OptHostName("guest7")), dhcpv4.WithOption(dhcpv4.OptDomainName("example.com")),
		dhcpv4.WithGeneric(dhcpv4.OptionInterfaceMTU, []byte{0x05, 0x78})}}
	leases := make(chan *Lease, 10)
	n := client(t, na, Options{Hostname: "svc", OnLease: func(l *Lease) { leases <- l }})
	// No server yet: the client keeps trying.
	time.Sleep(100 * time.Millisecond)
	b := srv.serve(t, nb)
	l := <-leases
	if l.Address != netip.MustParsePrefix("10.9.0.50/24") || l.Gateway != netip.MustParseAddr("10.9.0.1") || l.Lifetime != time.Hour ||
		l.Renew != time.Hour/2 || l.Rebind != time.Hour*7/8 || l.MTU != 1400 {
		t.Errorf("lease %+v", l)
	}
	if got := n.ResolvConf(); got != "nameserver 10.9.0.2\nnameserver 10.9.0.3\nsearch example.com\n" {
		t.Errorf("resolv.conf %q", got)
	}
	if n.Hostname() != "guest7" || n.link.MTU() != 1400 {
		t.Errorf("host name %q, MTU %d", n.Hostname(), n.link.MTU())
	}
	srv.set(func() {
		if !slices.Contains(srv.seen, seen{dhcpv4.MessageTypeRequest, false, "svc"}) {
			t.Errorf("server saw %+v", srv.seen)
		}
	})
	// The address works, through the default route too.
	srvSock, addr := listen(t, b, syscall.AF_INET, netip.MustParseAddr("10.9.0.1"), 1)
	c := open(t, n, syscall.AF_INET, syscall.SOCK_STREAM)
	c.must(c.connect(addr))
	srvSock.accept()
	if r, err := n.s.FindRoute(0, tcpip.Address{}, tcpip.AddrFrom4([4]byte{8, 8, 8, 8}), header.IPv4ProtocolNumber, false); err != nil {
		t.Errorf("no default route: %v", err)
	} else {
		r.Release()
	}
	// The cable is replugged: the lease is confirmed at once.
	srv.set(func() {})
	na.linkC <- true
	eventually(t, "confirmation", func() bool { return srv.saw(seen{typ: dhcpv4.MessageTypeRequest, unicast: true}) })
}

func TestDHCPRenewal(t *testing.T) {
	na, nb := newPipe(t, 1500, 64)
	srv := &dhcpServer{address: net.IPv4(10, 9, 0, 50), lifetime: time.Second}
	srv.serve(t, nb)
	leases := make(chan *Lease, 100)
	n := client(t, na, Options{OnLease: func(l *Lease) { leases <- l }})
	first := <-leases
	again := <-leases
	if again == nil || again.Address != first.Address || !again.Obtained.After(first.Obtained) {
		t.Fatalf("renewal %+v", again)
	}
	if !srv.saw(seen{typ: dhcpv4.MessageTypeRequest, unicast: true}) {
		t.Error("no unicast renewal")
	}
	// The server says no: the address goes, and another comes.
	srv.set(func() { srv.nak = true })
	for l := <-leases; l != nil; l = <-leases {
	}
	if n.Lease() != nil || n.ResolvConf() != "" {
		t.Error("lease after NAK")
	}
	srv.set(func() { srv.nak, srv.address = false, net.IPv4(10, 9, 0, 51) })
	l := <-leases
	if l == nil || l.Address.Addr() != netip.MustParseAddr("10.9.0.51") {
		t.Fatalf("new lease %+v", l)
	}
	// The server falls silent: rebinding by broadcast, then the lease ends.
	srv.set(func() { srv.silent = true })
	for l := <-leases; l != nil; l = <-leases {
	}
	eventually(t, "discovery starts again", func() bool { return srv.saw(seen{typ: dhcpv4.MessageTypeDiscover, unicast: false}) })
	srv.set(func() { srv.silent = false })
	if l := <-leases; l == nil {
		t.Error("no lease again")
	}
}

func TestDHCPHostile(t *testing.T) {
	d := &dhcp{minLifetime: 10 * time.Second}
	build := func(m ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
		r, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithYourIP(net.IPv4(10, 0, 0, 5)),
			dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 0, 0, 1)))}, m...)...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, m := range map[string]dhcpv4.Modifier{
		"no address":       dhcpv4.WithYourIP(net.IPv4zero),
		"broadcast":        dhcpv4.WithYourIP(net.IPv4bcast),
		"multicast":        dhcpv4.WithYourIP(net.IPv4(224, 0, 0, 1)),
		"loopback":         dhcpv4.WithYourIP(net.IPv4(127, 0, 0, 1)),
		"mask with holes":  dhcpv4.WithNetmask(net.IPMask{255, 0, 255, 0}),
		"empty mask":       dhcpv4.WithNetmask(net.IPMask{0, 0, 0, 0}),
		"server multicast": dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(224, 0, 0, 1))),
	} {
		if l, err := d.read(build(m), nil); err == nil {
			t.Errorf("%s: %+v", name, l)
		}
	}
	l, err := d.read(build(
		dhcpv4.WithOption(dhcpv4.OptIPAddressLeaseTime(0)),
		dhcpv4.WithOption(dhcpv4.OptRenewTimeValue(time.Hour)),
		dhcpv4.WithOption(dhcpv4.OptRebindingTimeValue(time.Nanosecond)),
		dhcpv4.WithOption(dhcpv4.OptHostName("evil\nname")),
		dhcpv4.WithOption(dhcpv4.OptDomainName("a b\nnameserver 6.6.6.6")),
		dhcpv4.WithOption(dhcpv4.OptDomainSearch(&rfc1035label.Labels{Labels: []string{"ok.example", "-bad", "x;y", ""}})),
		dhcpv4.WithDNS(net.IPv4zero, net.IPv4(1, 1, 1, 1), net.IPv4(224, 0, 0, 1), net.IPv4(2, 2, 2, 2), net.IPv4(3, 3, 3, 3), net.IPv4(4, 4, 4, 4)),
		dhcpv4.WithRouter(net.IPv4zero, net.IPv4(10, 0, 0, 1)),
		dhcpv4.WithGeneric(dhcpv4.OptionInterfaceMTU, []byte{0, 10}),
		dhcpv4.WithGeneric(dhcpv4.OptionClasslessStaticRoute, []byte{32, 169, 254, 169, 254, 10, 0, 0, 9, 0, 10, 0, 0, 7}),
	), nil)
	if err != nil {
		t.Fatal(err)
	}
	if l.Lifetime != 10*time.Second || l.Renew != 5*time.Second || l.Rebind <= l.Renew || l.Rebind >= l.Lifetime {
		t.Errorf("times %v %v %v", l.Renew, l.Rebind, l.Lifetime)
	}
	if l.Hostname != "" || !slices.Equal(l.Search, []string{"ok.example"}) || l.MTU != 0 || len(l.DNS) != 3 || l.DNS[0] != netip.MustParseAddr("1.1.1.1") {
		t.Errorf("lease %+v", l)
	}
	r := l.routes()
	if len(r) != 3 || r[0].Destination.Prefix() != 32 || r[1].Destination.Prefix() != 24 || r[2].Destination.Prefix() != 0 || r[2].Gateway != tcpip.AddrFrom4([4]byte{10, 0, 0, 7}) {
		t.Errorf("routes %+v", r)
	}
}

func FuzzLease(f *testing.F) {
	m, _ := dhcpv4.New(dhcpv4.WithYourIP(net.IPv4(10, 0, 0, 5)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 0, 0, 1))),
		dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithDNS(net.IPv4(1, 1, 1, 1)), dhcpv4.WithOption(dhcpv4.OptDomainName("a.b")))
	f.Add(m.ToBytes())
	d := &dhcp{minLifetime: 10 * time.Second}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := dhcpv4.FromBytes(b)
		if err != nil {
			return
		}
		l, err := d.read(m, nil)
		if err != nil {
			return
		}
		l.routes()
		if l.Renew <= 0 || l.Renew >= l.Rebind || l.Rebind >= l.Lifetime {
			t.Errorf("times %v %v %v", l.Renew, l.Rebind, l.Lifetime)
		}
		n := &Stack{lease: l}
		for _, c := range n.ResolvConf() {
			if c != '\n' && (c < ' ' || c > '~') {
				t.Errorf("resolv.conf holds %q", c)
			}
		}
	})
}

// FuzzReceive feeds frames to a stack with a DHCP client listening.
func FuzzReceive(f *testing.F) {
	n, err := New(Options{Log: quiet()})
	if err != nil {
		f.Fatal(err)
	}
	na, _ := newPipe(f, 1500, 1)
	na.drop = func([]byte) bool { return true }
	l, err := n.attach(na, func(bool) {})
	if err != nil {
		f.Fatal(err)
	}
	c := newDHCPConn(n.s, l, func() netip.Addr { return netip.Addr{} })
	defer c.Close()
	p := netip.MustParsePrefix("10.1.0.1/24")
	n.setAddress(netip.Prefix{}, p, []tcpip.Route{{Destination: subnet(p), NIC: ethernetNIC}})
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x02\x08\x00E\x00\x00\x1c\x00\x00\x00\x00@\x11\x00\x00\x0a\x01\x00\x02\x0a\x01\x00\x01\x00C\x00D\x00\x08\x00\x00"), true)
	f.Fuzz(func(t *testing.T, frame []byte, checked bool) {
		l.receive(frame, checked)
		select {
		case <-c.replies:
		default:
		}
	})
}

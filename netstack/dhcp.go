// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"gvisor.dev/gvisor/pkg/tcpip"
)

// Lease is what a DHCP server gave us, checked.
type Lease struct {
	Address  netip.Prefix
	Server   netip.Addr
	Gateway  netip.Addr // invalid: none
	Routes   []Route    // classless static routes; with any, Gateway is not used (RFC 3442)
	DNS      []netip.Addr
	Search   []string
	Hostname string
	MTU      int // bytes, 0: not given

	Obtained        time.Time
	Renew, Rebind   time.Duration // after Obtained
	Lifetime        time.Duration // after Obtained
	acknowledgement *dhcpv4.DHCPv4
}

// Route is one static route. An invalid Via means on-link.
type Route struct {
	To  netip.Prefix
	Via netip.Addr
}

// Limits of what is taken from a server.
const (
	maxDNS    = 3 // resolvers look at no more
	maxSearch = 6
	maxRoutes = 32

	dhcpTimeout     = 2 * time.Second // for the first answer
	defaultLifetime = time.Hour       // if the server names none
	maxLifetime     = 365 * 24 * time.Hour
)

// dhcp is the client (RFC 2131, figure 5).
//
//	INIT -> SELECTING -> REQUESTING -> BOUND -T1-> RENEWING -T2-> REBINDING
//	 ^                                   ^------------'ACK------------'|
//	 '----------------- NAK, or the lease ends ------------------------'
type dhcp struct {
	n       *Stack
	l       *link
	log     *slog.Logger
	conn    *dhcpConn
	client  *nclient4.Client
	plugged <-chan struct{} // the cable was plugged in (again)

	minLifetime time.Duration // shorter leases are stretched to this
	minWait     time.Duration // between attempts
	maxWait     time.Duration // between attempts without a lease
}

// newDHCP makes a client that waits for an answer for the time given, then
// twice and four times as long, before an attempt has failed.
func newDHCP(n *Stack, l *link, plugged <-chan struct{}, timeout time.Duration) (*dhcp, error) {
	d := &dhcp{n: n, l: l, log: n.log, plugged: plugged, minLifetime: 10 * time.Second, minWait: time.Second, maxWait: 30 * time.Second}
	d.conn = newDHCPConn(n.s, l, func() netip.Addr {
		if lease := n.Lease(); lease != nil {
			return lease.Address.Addr()
		}
		return netip.Addr{}
	})
	c, err := nclient4.NewWithConn(d.conn, net.HardwareAddr(l.mac), nclient4.WithTimeout(timeout), nclient4.WithRetry(3))
	if err != nil {
		return nil, fmt.Errorf("DHCP client: %w", err)
	}
	d.client = c
	return d, nil
}

// run keeps a lease until ctx ends.
func (d *dhcp) run(ctx context.Context) {
	defer d.client.Close()
	for ctx.Err() == nil {
		if err := d.obtain(ctx); err != nil {
			return // ctx ended
		}
		d.keep(ctx)
		if ctx.Err() == nil {
			d.bind(nil)
		}
	}
}

// obtain tries for ever to get a lease.
func (d *dhcp) obtain(ctx context.Context) error {
	for wait := d.minWait; ; wait = min(2*wait, d.maxWait) {
		got, err := d.client.Request(ctx, d.options()...)
		var lease *Lease
		if err == nil {
			lease, err = d.read(got.ACK, nil)
		}
		if err == nil {
			if err = d.bind(lease); err == nil {
				return nil
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.log.Warn("no DHCP lease yet, trying again", "err", err, "in", wait)
		if !d.sleep(ctx, wait+rand.N(wait/4+1)) {
			wait = d.minWait // the cable was plugged in
		}
	}
}

// sleep waits for the time given and is true, unless ctx ends or the cable is
// plugged in before.
func (d *dhcp) sleep(ctx context.Context, t time.Duration) bool {
	timer := time.NewTimer(max(t, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-d.plugged:
	case <-ctx.Done():
	}
	return false
}

// keep renews the lease until it is lost.
func (d *dhcp) keep(ctx context.Context) {
	for ctx.Err() == nil {
		l := d.n.Lease()
		if d.sleep(ctx, time.Until(l.Obtained.Add(l.Renew))) || ctx.Err() != nil {
			if !d.renew(ctx, l, false) {
				return
			}
			continue
		}
		// Another network, perhaps: ask everybody at once.
		d.log.Info("network changed, confirming the DHCP lease")
		if !d.renew(ctx, l, true) {
			return
		}
	}
}

// renew asks our server, after T2 (or at once) any server, until one
// acknowledges; false: the lease is lost.
func (d *dhcp) renew(ctx context.Context, l *Lease, any bool) bool {
	rebind, end := l.Obtained.Add(l.Rebind), l.Obtained.Add(l.Lifetime)
	for ctx.Err() == nil && time.Now().Before(end) {
		broadcast := any || !time.Now().Before(rebind)
		fresh, err := d.extend(ctx, l, broadcast)
		if err == nil {
			if err = d.bind(fresh); err == nil {
				return true
			}
		}
		var nak *nclient4.ErrNak
		if errors.As(err, &nak) {
			d.log.Warn("DHCP server takes the lease back", "address", l.Address)
			return false
		}
		next := end
		if time.Now().Before(rebind) {
			next = rebind
		}
		// Half the time left, but not too often (RFC 2131, 4.4.5).
		wait := min(max(time.Until(next)/2, d.minWait), time.Until(end))
		d.log.Warn("DHCP lease not renewed, trying again", "err", err, "in", wait, "ends", end)
		d.sleep(ctx, wait)
	}
	return false
}

// extend asks for more time once.
func (d *dhcp) extend(ctx context.Context, l *Lease, broadcast bool) (*Lease, error) {
	to := nclient4.DefaultServers
	if !broadcast {
		to = &net.UDPAddr{IP: l.Server.AsSlice(), Port: dhcpServerPort}
	}
	req, err := dhcpv4.NewRenewFromAck(l.acknowledgement, d.options()...)
	if err != nil {
		return nil, fmt.Errorf("DHCP renewal: %w", err)
	}
	ctx, cancel := context.WithDeadline(ctx, l.Obtained.Add(l.Lifetime))
	defer cancel()
	ack, err := d.client.SendAndRead(ctx, to, req, nclient4.IsMessageType(dhcpv4.MessageTypeAck, dhcpv4.MessageTypeNak))
	if err != nil {
		return nil, err
	}
	if ack.MessageType() == dhcpv4.MessageTypeNak {
		return nil, &nclient4.ErrNak{Nak: ack}
	}
	return d.read(ack, l)
}

// options are added to all our messages.
func (d *dhcp) options() []dhcpv4.Modifier {
	m := []dhcpv4.Modifier{dhcpv4.WithRequestedOptions(
		dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer, dhcpv4.OptionDomainName,
		dhcpv4.OptionHostName, dhcpv4.OptionInterfaceMTU, dhcpv4.OptionDNSDomainSearchList, dhcpv4.OptionClasslessStaticRoute)}
	if h := cleanName(d.n.o.Hostname); h != "" {
		m = append(m, dhcpv4.WithOption(dhcpv4.OptHostName(h)))
	}
	return m
}

// bind makes the machine use lease; nil: no address any more.
func (d *dhcp) bind(lease *Lease) error {
	n := d.n
	n.mu.Lock()
	old := n.lease
	n.mu.Unlock()
	var was, is netip.Prefix
	var routes []tcpip.Route
	if old != nil {
		was = old.Address
	}
	if lease != nil {
		is, routes = lease.Address, lease.routes()
	}
	if err := n.setAddress(was, is, routes); err != nil {
		return err
	}
	n.mu.Lock()
	n.lease = lease
	n.mu.Unlock()
	switch {
	case lease == nil:
		d.log.Warn("DHCP lease lost", "address", was)
	case was != is:
		d.log.Info("DHCP lease", "address", is, "gateway", lease.Gateway, "dns", lease.DNS, "for", lease.Lifetime)
	}
	mtu := d.l.nic.MTU()
	if lease != nil && lease.MTU > 0 {
		mtu = lease.MTU
	}
	d.l.SetMTU(uint32(mtu))
	if n.o.OnLease != nil && (lease != nil || old != nil) {
		n.o.OnLease(lease)
	}
	return nil
}

// routes are the stack's routes of a lease, longest prefix first: the stack
// takes the first that fits.
func (l *Lease) routes() []tcpip.Route {
	r := []tcpip.Route{{Destination: subnet(l.Address), NIC: ethernetNIC}}
	for _, s := range l.Routes {
		t := tcpip.Route{Destination: subnet(s.To), NIC: ethernetNIC}
		if s.Via.IsValid() {
			t.Gateway = tcpip.AddrFrom4(s.Via.As4())
		}
		r = append(r, t)
	}
	if len(l.Routes) == 0 && l.Gateway.IsValid() {
		all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		r = append(r, tcpip.Route{Destination: subnet(all), Gateway: tcpip.AddrFrom4(l.Gateway.As4()), NIC: ethernetNIC})
	}
	slices.SortStableFunc(r, func(a, b tcpip.Route) int { return b.Destination.Prefix() - a.Destination.Prefix() })
	return r
}

var errBadLease = errors.New("DHCP server's answer makes no sense")

// read checks a server's acknowledgement. before is the lease being renewed,
// nil for a new one: some servers leave out of a renewal what they said first.
func (d *dhcp) read(ack *dhcpv4.DHCPv4, before *Lease) (*Lease, error) {
	addr, ok := unicast4(ack.YourIPAddr)
	if !ok {
		return nil, fmt.Errorf("%w: address %v", errBadLease, ack.YourIPAddr)
	}
	l := &Lease{Obtained: time.Now(), acknowledgement: ack}
	bits := 24
	if before != nil {
		bits = before.Address.Bits()
	}
	if m := ack.SubnetMask(); len(m) == 4 {
		ones, size := m.Size()
		if size != 32 || ones < 1 {
			return nil, fmt.Errorf("%w: mask %v", errBadLease, m)
		}
		bits = ones
	}
	l.Address = netip.PrefixFrom(addr, bits)
	if l.Server, ok = unicast4(ack.ServerIdentifier()); !ok {
		return nil, fmt.Errorf("%w: server %v", errBadLease, ack.ServerIdentifier())
	}
	for _, ip := range ack.Router() {
		if a, ok := unicast4(ip); ok && a != addr {
			l.Gateway = a
			break
		}
	}
	l.Routes = readRoutes(ack)
	for _, ip := range ack.DNS() {
		if a, ok := netip.AddrFromSlice(ip); ok && len(l.DNS) < maxDNS && !a.Unmap().IsUnspecified() && !a.Unmap().IsMulticast() {
			l.DNS = append(l.DNS, a.Unmap())
		}
	}
	l.Search = readSearch(ack)
	l.Hostname = cleanName(ack.HostName())
	if mtu, err := dhcpv4.GetUint16(dhcpv4.OptionInterfaceMTU, ack.Options); err == nil && mtu >= 576 {
		l.MTU = int(mtu)
	}
	if before != nil {
		l.inherit(before)
	}
	d.readTimes(l, ack)
	return l, nil
}

// inherit takes over what a renewal did not repeat.
func (l *Lease) inherit(before *Lease) {
	if !l.Gateway.IsValid() && len(l.Routes) == 0 {
		l.Gateway, l.Routes = before.Gateway, before.Routes
	}
	if len(l.DNS) == 0 {
		l.DNS = before.DNS
	}
	if len(l.Search) == 0 {
		l.Search = before.Search
	}
	if l.Hostname == "" {
		l.Hostname = before.Hostname
	}
}

// readTimes sets lifetime, T1 and T2 with 0 < T1 < T2 < lifetime.
func (d *dhcp) readTimes(l *Lease, ack *dhcpv4.DHCPv4) {
	l.Lifetime = min(max(ack.IPAddressLeaseTime(defaultLifetime), d.minLifetime), maxLifetime)
	l.Renew = ack.IPAddressRenewalTime(l.Lifetime / 2)
	if l.Renew <= 0 || l.Renew >= l.Lifetime {
		l.Renew = l.Lifetime / 2
	}
	l.Rebind = ack.IPAddressRebindingTime(l.Lifetime * 7 / 8)
	if l.Rebind <= l.Renew || l.Rebind >= l.Lifetime {
		l.Rebind = l.Renew + (l.Lifetime-l.Renew)*3/4
	}
}

func readRoutes(ack *dhcpv4.DHCPv4) (routes []Route) {
	for _, r := range ack.ClasslessStaticRoute() {
		if r == nil || r.Dest == nil || len(routes) == maxRoutes {
			continue
		}
		to, ok := netip.AddrFromSlice(r.Dest.IP)
		ones, size := r.Dest.Mask.Size()
		if to = to.Unmap(); !ok || !to.Is4() || size != 32 {
			continue
		}
		via, ok := netip.AddrFromSlice(r.Router)
		if via = via.Unmap(); !ok || !via.Is4() {
			continue
		}
		if via.IsUnspecified() { // on-link
			via = netip.Addr{}
		}
		routes = append(routes, Route{netip.PrefixFrom(to, ones).Masked(), via})
	}
	return routes
}

func readSearch(ack *dhcpv4.DHCPv4) (search []string) {
	names := []string{ack.DomainName()}
	if s := ack.DomainSearch(); s != nil && len(s.Labels) > 0 {
		names = s.Labels
	}
	for _, s := range names {
		if s = cleanName(s); s != "" && len(search) < maxSearch {
			search = append(search, s)
		}
	}
	return search
}

// unicast4 is ip as an address that a station can have.
func unicast4(ip net.IP) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(ip)
	a = a.Unmap()
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	return a, ok && a.Is4() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && a != broadcast
}

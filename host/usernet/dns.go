// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package usernet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
)

const (
	dnsPort    = 53
	dnsTTL     = 30 // seconds: the host's resolver does not tell the real one
	dnsTimeout = 4 * time.Second
	dnsMaxTCP  = 64 // queries in one connection
)

// serveDNS answers queries at the gateway, by UDP and TCP.
func (n *Network) serveDNS() error {
	at := tcpip.FullAddress{NIC: nicID, Addr: tcpip.AddrFrom4(n.gateway.As4()), Port: dnsPort}
	pc, err := gonet.DialUDP(n.stack, &at, nil, ipv4.ProtocolNumber)
	if err != nil {
		return fmt.Errorf("DNS: %w", err)
	}
	l, err := gonet.ListenTCP(n.stack, at, ipv4.ProtocolNumber)
	if err != nil {
		pc.Close()
		return fmt.Errorf("DNS: %w", err)
	}
	for _, s := range []*dns.Server{{PacketConn: pc, UDPSize: dns.DefaultMsgSize}, {Listener: newLimited(l, maxQueries), MaxTCPQueries: dnsMaxTCP}} {
		s.Handler = dns.HandlerFunc(n.answerDNS)
		if s.PacketConn != nil {
			n.track(s.PacketConn)
		} else {
			n.track(s.Listener)
		}
		n.work(func() {
			if err := s.ActivateAndServe(); err != nil && n.ctx.Err() == nil {
				n.log.Warn("DNS server of the guest's network ended", "err", err)
			}
		})
	}
	return nil
}

// limited is a listener with a bound on the connections that are open.
type limited struct {
	net.Listener
	open chan struct{}
}

func newLimited(l net.Listener, n int) *limited { return &limited{l, make(chan struct{}, n)} }

// Accept closes connections beyond the limit at once.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if acquire(l.open) {
			return &limitedConn{Conn: c, l: l}, nil
		}
		c.Close()
	}
}

type limitedConn struct {
	net.Conn
	l    *limited
	once sync.Once
}

// Close is net.Conn.
func (c *limitedConn) Close() error {
	c.once.Do(func() { release(c.l.open) })
	return c.Conn.Close()
}

// answerDNS answers one query.
func (n *Network) answerDNS(w dns.ResponseWriter, q *dns.Msg) {
	n.stats.queries.Add(1)
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	switch {
	case len(q.Question) != 1 || q.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
	case !acquire(n.queries):
		m.Rcode = dns.RcodeServerFailure
	default:
		ctx, cancel := context.WithTimeout(n.ctx, dnsTimeout)
		m.Answer, m.Rcode = n.resolve(ctx, q.Question[0])
		cancel()
		release(n.queries)
	}
	size := dns.MinMsgSize
	if o := q.IsEdns0(); o != nil {
		m.SetEdns0(dns.DefaultMsgSize, false)
		size = max(size, min(int(o.UDPSize()), dns.DefaultMsgSize))
	}
	if w.LocalAddr().Network() == "tcp" {
		size = dns.MaxMsgSize
	}
	m.Truncate(size)
	if err := w.WriteMsg(m); err != nil {
		n.log.Debug("DNS answer not sent", "err", err)
	}
}

// resolve answers one question: names of ours here, all others by the host.
func (n *Network) resolve(ctx context.Context, q dns.Question) ([]dns.RR, int) {
	if q.Qclass != dns.ClassINET && q.Qclass != dns.ClassANY {
		return nil, dns.RcodeNotImplemented
	}
	name := strings.ToLower(strings.TrimSuffix(q.Name, "."))
	if name == Zone || strings.HasSuffix(name, "."+Zone) {
		return n.resolveZone(q, name)
	}
	if q.Qtype == dns.TypePTR {
		if ip, ok := reverse(name); ok && n.opt.Prefix.Contains(ip) {
			return n.resolveOwnAddress(q, ip)
		}
	}
	rrs, err := n.lookup(ctx, q, name)
	if err == nil {
		return rrs, dns.RcodeSuccess
	}
	var e *net.DNSError
	switch {
	case errors.Is(err, errType):
		return nil, dns.RcodeNotImplemented
	case errors.As(err, &e) && e.IsNotFound:
		return nil, dns.RcodeNameError
	}
	n.log.Debug("name not resolved", "name", name, "type", dns.TypeToString[q.Qtype], "err", err)
	return nil, dns.RcodeServerFailure
}

// resolveZone answers for Zone.
func (n *Network) resolveZone(q dns.Question, name string) ([]dns.RR, int) {
	var ip netip.Addr
	switch name {
	case Zone:
		return nil, dns.RcodeSuccess
	case "gateway." + Zone:
		ip = n.gateway
	case strings.ToLower(n.opt.Hostname) + "." + Zone:
		ip = n.guest
	default:
		return nil, dns.RcodeNameError
	}
	if q.Qtype != dns.TypeA && q.Qtype != dns.TypeANY {
		return nil, dns.RcodeSuccess
	}
	return []dns.RR{&dns.A{Hdr: rrHeader(q, dns.TypeA), A: ip.AsSlice()}}, dns.RcodeSuccess
}

func (n *Network) resolveOwnAddress(q dns.Question, ip netip.Addr) ([]dns.RR, int) {
	name := "gateway"
	switch ip {
	case n.gateway:
	case n.guest:
		name = n.opt.Hostname
	default:
		return nil, dns.RcodeNameError
	}
	return []dns.RR{&dns.PTR{Hdr: rrHeader(q, dns.TypePTR), Ptr: name + "." + Zone + "."}}, dns.RcodeSuccess
}

func rrHeader(q dns.Question, t uint16) dns.RR_Header {
	return dns.RR_Header{Name: q.Name, Rrtype: t, Class: dns.ClassINET, Ttl: dnsTTL}
}

// errType is a question that net.Resolver cannot ask.
var errType = errors.New("type of record not supported")

// lookup asks the host's resolver. The network has no IPv6, so a name's IPv6 addresses
// are left out.
func (n *Network) lookup(ctx context.Context, q dns.Question, name string) (rrs []dns.RR, err error) {
	r := n.opt.Resolver
	absolute := name + "." // no search domains of the host's
	h := rrHeader(q, q.Qtype)
	switch q.Qtype {
	case dns.TypeA, dns.TypeAAAA:
		ips, err := r.LookupNetIP(ctx, "ip4", absolute)
		for _, ip := range ips {
			if ip = ip.Unmap(); ip.Is4() && q.Qtype == dns.TypeA {
				rrs = append(rrs, &dns.A{Hdr: h, A: ip.AsSlice()})
			}
		}
		return rrs, err
	case dns.TypeCNAME:
		cname, err := r.LookupCNAME(ctx, absolute)
		if err != nil || strings.EqualFold(cname, absolute) {
			return nil, err
		}
		return []dns.RR{&dns.CNAME{Hdr: h, Target: cname}}, nil
	case dns.TypeMX:
		list, err := r.LookupMX(ctx, absolute)
		for _, v := range list {
			rrs = append(rrs, &dns.MX{Hdr: h, Preference: v.Pref, Mx: v.Host})
		}
		return rrs, err
	case dns.TypeNS:
		list, err := r.LookupNS(ctx, absolute)
		for _, v := range list {
			rrs = append(rrs, &dns.NS{Hdr: h, Ns: v.Host})
		}
		return rrs, err
	case dns.TypeSRV:
		_, list, err := r.LookupSRV(ctx, "", "", absolute)
		for _, v := range list {
			rrs = append(rrs, &dns.SRV{Hdr: h, Priority: v.Priority, Weight: v.Weight, Port: v.Port, Target: v.Target})
		}
		return rrs, err
	case dns.TypeTXT:
		list, err := r.LookupTXT(ctx, absolute)
		for _, v := range list {
			rrs = append(rrs, &dns.TXT{Hdr: h, Txt: split(v)})
		}
		return rrs, err
	case dns.TypePTR:
		return n.lookupPTR(ctx, h, name)
	}
	return nil, errType
}

func (n *Network) lookupPTR(ctx context.Context, h dns.RR_Header, name string) (rrs []dns.RR, err error) {
	ip, ok := reverse(name)
	if !ok {
		return nil, &net.DNSError{Name: name, IsNotFound: true}
	}
	list, err := n.opt.Resolver.LookupAddr(ctx, ip.String())
	for _, v := range list {
		rrs = append(rrs, &dns.PTR{Hdr: h, Ptr: dns.Fqdn(v)})
	}
	return rrs, err
}

// split cuts a text into strings of 255 bytes, the most that DNS has.
func split(s string) (parts []string) {
	for len(s) > 255 {
		parts, s = append(parts, s[:255]), s[255:]
	}
	return append(parts, s)
}

// reverse reads an IPv4 address out of its name in in-addr.arpa.
func reverse(name string) (netip.Addr, bool) {
	digits, ok := strings.CutSuffix(name, ".in-addr.arpa")
	parts := strings.Split(digits, ".")
	if !ok || len(parts) != 4 {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(parts[3] + "." + parts[2] + "." + parts[1] + "." + parts[0])
	return ip, err == nil
}

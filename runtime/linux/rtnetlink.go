// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// request is one message of the program's to rtnetlink(7).
type request struct {
	typ, flags uint16
	seq        uint32
	whole      []byte // header and payload
	port       uint32 // who asks
}

func (r *request) payload() []byte { return r.whole[nlmsgHeader:] }

// serve answers all the messages in b. s.mu is held.
func (s *netlinkSocket) serve(b []byte) {
	for len(b) >= nlmsgHeader {
		length := le.Uint32(b)
		if length < nlmsgHeader || uint64(length) > uint64(len(b)) {
			return // as Linux: what follows has no beginning
		}
		r := request{le.Uint16(b[4:]), le.Uint16(b[6:]), le.Uint32(b[8:]), b[:length], s.port}
		b = b[min(len(b), int(length+3)&^3):]
		var e syscall.Errno
		dumped := false
		if r.flags&unix.NLM_F_REQUEST != 0 && r.typ >= unix.NLMSG_MIN_TYPE {
			dumped, e = s.serveOne(&r)
		}
		if e != 0 || r.flags&unix.NLM_F_ACK != 0 && !dumped {
			s.answer(r.result(e))
		}
	}
}

// result is the message NLMSG_ERROR, which says no error too.
func (r *request) result(e syscall.Errno) []byte {
	shown := r.whole
	if e == 0 {
		shown = shown[:nlmsgHeader]
	}
	m := r.message(unix.NLMSG_ERROR, 0)
	m.u32(uint32(-int32(e)))
	m.b = append(m.b, shown...)
	return m.done()
}

// serveOne answers one message; dumped says that the answer has an end of its own.
func (s *netlinkSocket) serveOne(r *request) (dumped bool, e syscall.Errno) {
	if len(r.payload()) < 1 { // struct rtgenmsg: the family
		return false, 0
	}
	family := r.payload()[0]
	if r.flags&unix.NLM_F_DUMP != unix.NLM_F_DUMP {
		if r.typ == unix.RTM_GETLINK {
			return false, s.serveLink(r)
		}
		return false, syscall.EOPNOTSUPP
	}
	var parts [][]byte
	switch r.typ {
	case unix.RTM_GETLINK:
		for _, i := range interfaces() {
			parts = append(parts, r.link(&i, unix.NLM_F_MULTI))
		}
	case unix.RTM_GETADDR:
		parts = r.addresses(family)
	case unix.RTM_GETROUTE:
		parts = r.routes(family)
	default:
		return false, syscall.EOPNOTSUPP
	}
	var piece []byte
	for _, p := range parts {
		if len(piece)+len(p) > nlmsgPiece {
			s.answer(piece)
			piece = nil
		}
		piece = append(piece, p...)
	}
	if len(piece) > 0 {
		s.answer(piece)
	}
	end := r.message(unix.NLMSG_DONE, unix.NLM_F_MULTI)
	end.u32(0)
	s.answer(end.done())
	return true, 0
}

// serveLink answers the question for one interface, by its index or its name. s.mu is held.
func (s *netlinkSocket) serveLink(r *request) syscall.Errno {
	const ifinfomsg = 16 // struct ifinfomsg
	p := r.payload()
	if len(p) < ifinfomsg {
		return syscall.EINVAL
	}
	index, name := int(int32(le.Uint32(p[4:]))), ""
	for p = p[ifinfomsg:]; len(p) >= 4; {
		n := int(le.Uint16(p))
		if n < 4 || n > len(p) {
			break
		}
		if le.Uint16(p[2:]) == unix.IFLA_IFNAME {
			name = unix.ByteSliceToString(p[4:n])
		}
		p = p[min(len(p), (n+3)&^3):]
	}
	if index <= 0 && name == "" {
		return syscall.EINVAL
	}
	for _, i := range interfaces() {
		if i.Index == index || index <= 0 && i.Name == name {
			s.answer(r.link(&i, 0))
			return 0
		}
	}
	return syscall.ENODEV
}

// nlMessage is an answer in the making.
type nlMessage struct{ b []byte }

func (r *request) message(typ, flags uint16) *nlMessage {
	m := &nlMessage{make([]byte, 4, 128)}
	m.b = le.AppendUint16(m.b, typ)
	m.b = le.AppendUint16(m.b, flags)
	m.u32(r.seq)
	m.u32(r.port)
	return m
}

func (m *nlMessage) u32(v uint32) { m.b = le.AppendUint32(m.b, v) }

// attr appends an attribute (struct rtattr), padded to 4 bytes.
func (m *nlMessage) attr(typ uint16, v ...byte) {
	m.b = le.AppendUint16(m.b, uint16(4+len(v)))
	m.b = le.AppendUint16(m.b, typ)
	m.b = append(m.b, v...)
	m.b = append(m.b, make([]byte, -len(v)&3)...)
}

func (m *nlMessage) attr32(typ uint16, v uint32) { m.attr(typ, le.AppendUint32(nil, v)...) }

func (m *nlMessage) done() []byte {
	le.PutUint32(m.b, uint32(len(m.b)))
	return m.b
}

// States of an interface (IF_OPER_, RFC 2863).
const (
	operUnknown = 0
	operDown    = 2
	operUp      = 6
)

const txQueueLen = 1000 // as Linux says of each

// link is RTM_NEWLINK: struct ifinfomsg and attributes.
func (r *request) link(i *Interface, flags uint16) []byte {
	m := r.message(unix.RTM_NEWLINK, flags)
	arp, oper, carrier := uint16(unix.ARPHRD_ETHER), byte(operUp), byte(1)
	broadcast := []byte{255, 255, 255, 255, 255, 255}
	if i.Loopback {
		arp, oper, broadcast = unix.ARPHRD_LOOPBACK, operUnknown, make([]byte, 6)
	} else if !i.Running {
		oper, carrier = operDown, 0
	}
	m.b = append(m.b, unix.AF_UNSPEC, 0)
	m.b = le.AppendUint16(m.b, arp)
	m.u32(uint32(i.Index))
	m.u32(i.flags())
	m.u32(0) // ifi_change
	m.attr(unix.IFLA_IFNAME, append([]byte(i.Name), 0)...)
	m.attr32(unix.IFLA_TXQLEN, txQueueLen)
	m.attr(unix.IFLA_OPERSTATE, oper)
	m.attr(unix.IFLA_LINKMODE, 0)
	m.attr32(unix.IFLA_MTU, uint32(i.MTU))
	m.attr(unix.IFLA_CARRIER, carrier)
	m.attr(unix.IFLA_ADDRESS, i.Hardware[:]...)
	m.attr(unix.IFLA_BROADCAST, broadcast...)
	return m.done()
}

// addresses are RTM_NEWADDR, of IPv4 and then of IPv6.
func (r *request) addresses(family byte) (parts [][]byte) {
	for _, four := range []bool{true, false} {
		if four && family == syscall.AF_INET6 || !four && family == syscall.AF_INET {
			continue
		}
		for _, i := range interfaces() {
			for _, p := range i.Addrs {
				if p.Addr().Is4() == four {
					parts = append(parts, r.address(&i, p))
				}
			}
		}
	}
	return parts
}

// familyOf is the family of an address.
func familyOf(a netip.Addr) byte {
	if a.Is4() {
		return syscall.AF_INET
	}
	return syscall.AF_INET6
}

// address is RTM_NEWADDR: struct ifaddrmsg and attributes.
func (r *request) address(i *Interface, p netip.Prefix) []byte {
	m := r.message(unix.RTM_NEWADDR, unix.NLM_F_MULTI)
	m.b = append(m.b, familyOf(p.Addr()), byte(p.Bits()), ifaPermanent, scope(p.Addr()))
	m.u32(uint32(i.Index))
	m.attr(unix.IFA_ADDRESS, p.Addr().AsSlice()...)
	if p.Addr().Is4() {
		m.attr(unix.IFA_LOCAL, p.Addr().AsSlice()...)
		if b, ok := broadcast(p); ok && !i.Loopback {
			m.attr(unix.IFA_BROADCAST, b[:]...)
		}
		m.attr(unix.IFA_LABEL, append([]byte(i.Name), 0)...)
	}
	m.attr32(unix.IFA_FLAGS, ifaPermanent)
	return m.done()
}

// routes are RTM_NEWROUTE: struct rtmsg and attributes.
func (r *request) routes(family byte) (parts [][]byte) {
	loopback := make(map[int]bool)
	for _, i := range interfaces() {
		loopback[i.Index] = i.Loopback
	}
	for _, t := range routes() {
		f := familyOf(t.To.Addr())
		if (family == syscall.AF_INET || family == syscall.AF_INET6) && family != f {
			continue
		}
		table, reach, kind := byte(unix.RT_TABLE_MAIN), byte(unix.RT_SCOPE_UNIVERSE), byte(unix.RTN_UNICAST)
		if loopback[t.Index] {
			table, reach, kind = unix.RT_TABLE_LOCAL, unix.RT_SCOPE_HOST, unix.RTN_LOCAL
		} else if !t.Via.IsValid() {
			reach = unix.RT_SCOPE_LINK
		}
		m := r.message(unix.RTM_NEWROUTE, unix.NLM_F_MULTI)
		m.b = append(m.b, f, byte(t.To.Bits()), 0, 0, table, unix.RTPROT_BOOT, reach, kind)
		m.u32(0)
		m.attr32(unix.RTA_TABLE, uint32(table))
		if t.To.Bits() > 0 {
			m.attr(unix.RTA_DST, t.To.Masked().Addr().AsSlice()...)
		}
		if t.Via.IsValid() {
			m.attr(unix.RTA_GATEWAY, t.Via.AsSlice()...)
		}
		m.attr32(unix.RTA_OIF, uint32(t.Index))
		parts = append(parts, m.done())
	}
	return parts
}

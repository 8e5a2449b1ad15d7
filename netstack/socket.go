// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package netstack

import (
	"bytes"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hvgo/hvgo/runtime/linux"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

var (
	_ linux.Network        = (*Stack)(nil)
	_ linux.Socket         = (*socket)(nil)
	_ linux.SocketBuffered = (*socket)(nil)
)

// maxBacklog is Linux's default for net.core.somaxconn.
const maxBacklog = 4096

// socket is an endpoint of the stack's as linux.Socket. Its methods may be
// called from several goroutines: the endpoint locks.
type socket struct {
	n      *Stack
	ep     tcpip.Endpoint
	wq     *waiter.Queue
	domain int // AF_INET or AF_INET6
	stream bool
	entry  waiter.Entry
	notify atomic.Pointer[func(uint32)]
	once   sync.Once // Close
	local  local     // of streams
	in     *inbox    // of UDP; nil for others

	errorTaken atomic.Bool // SO_ERROR gave the error that ended the stream
}

// failed tells whether an error ended the stream.
func (s *socket) failed() bool {
	return s.stream && tcp.EndpointState(s.ep.State()) == tcp.StateError
}

// Socket makes a socket; see linux.Network.
func (n *Stack) Socket(domain, typ, proto int) (linux.Socket, error) {
	var network tcpip.NetworkProtocolNumber
	switch domain {
	case syscall.AF_INET:
		network = ipv4.ProtocolNumber
	case syscall.AF_INET6:
		network = ipv6.ProtocolNumber
	default:
		return nil, syscall.EAFNOSUPPORT
	}
	if typ == syscall.SOCK_RAW {
		return n.rawSocket(domain, network, proto)
	}
	var transport tcpip.TransportProtocolNumber
	switch {
	case typ == syscall.SOCK_STREAM && (proto == 0 || proto == syscall.IPPROTO_TCP):
		transport = tcp.ProtocolNumber
	case typ == syscall.SOCK_DGRAM && (proto == 0 || proto == syscall.IPPROTO_UDP):
		transport = udp.ProtocolNumber
	case typ != syscall.SOCK_STREAM && typ != syscall.SOCK_DGRAM:
		return nil, syscall.ESOCKTNOSUPPORT
	default:
		return nil, syscall.EPROTONOSUPPORT // IPPROTO_MPTCP, which package net tries, too
	}
	wq := new(waiter.Queue)
	ep, err := n.s.NewEndpoint(transport, network, wq)
	if err != nil {
		return nil, errno(err)
	}
	s := n.newSocket(ep, wq, domain, typ == syscall.SOCK_STREAM)
	if !s.stream {
		s.in = new(inbox)
	}
	return s, nil
}

// rawSocket makes a socket for packets of a protocol. Of IPv4 the program also gets
// the headers (raw(7)).
func (n *Stack) rawSocket(domain int, network tcpip.NetworkProtocolNumber, proto int) (linux.Socket, error) {
	wq := new(waiter.Queue)
	if proto == syscall.IPPROTO_ICMPV6 && domain == syscall.AF_INET || proto == syscall.IPPROTO_ICMP && domain == syscall.AF_INET6 {
		return nil, syscall.EPROTONOSUPPORT
	}
	// Packets of IPPROTO_RAW are only sent, and have headers.
	associated := proto != syscall.IPPROTO_RAW
	ep, err := n.s.NewRawEndpoint(tcpip.TransportProtocolNumber(proto), network, wq, associated)
	if err != nil {
		return nil, errno(err)
	}
	ep.SocketOptions().SetHeaderIncluded(!associated)
	if proto == syscall.IPPROTO_UDP {
		n.udp.sniffed.Store(true)
	}
	return n.newSocket(ep, wq, domain, false), nil
}

func (n *Stack) newSocket(ep tcpip.Endpoint, wq *waiter.Queue, domain int, stream bool) *socket {
	s := &socket{n: n, ep: ep, wq: wq, domain: domain, stream: stream}
	s.entry.Init(s, waiter.AllEvents)
	wq.EventRegister(&s.entry)
	return s
}

// NotifyEvent implements waiter.EventListener. The stack calls it after it
// released the locks that Ready takes.
func (s *socket) NotifyEvent(mask waiter.EventMask) {
	if f := s.notify.Load(); f != nil {
		(*f)(s.Ready())
	}
}

// Notify implements linux.Socket.
func (s *socket) Notify(f func(ready uint32)) {
	if f == nil {
		s.notify.Store(nil)
		return
	}
	s.notify.Store(&f)
}

// Ready implements linux.Socket.
func (s *socket) Ready() uint32 {
	m := s.ep.Readiness(waiter.AllEvents)
	var r uint32
	if s.stream {
		// For endpoints that are closed the stack claims all events.
		switch state := tcp.EndpointState(s.ep.State()); state {
		case tcp.StateInitial, tcp.StateBound:
			return syscall.EPOLLOUT | syscall.EPOLLHUP
		case tcp.StateError:
			return syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
		case tcp.StateClose, tcp.StateTimeWait:
			return syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | syscall.EPOLLHUP
		case tcp.StateCloseWait, tcp.StateLastAck, tcp.StateClosing:
			r |= syscall.EPOLLRDHUP // the peer's FIN has come
		}
	}
	if m&waiter.ReadableEvents != 0 {
		r |= syscall.EPOLLIN
	}
	if m&waiter.WritableEvents != 0 {
		r |= syscall.EPOLLOUT
	}
	if m&waiter.EventRdHUp != 0 {
		r |= syscall.EPOLLRDHUP
	}
	if m&waiter.EventHUp != 0 {
		r |= syscall.EPOLLHUP
	}
	if m&waiter.EventErr != 0 {
		r |= syscall.EPOLLERR
	}
	if s.stream {
		r = s.readyShortcut(r)
	}
	if s.in != nil && s.in.count.Load() > 0 {
		r |= syscall.EPOLLIN
	}
	return r
}

// Bind implements linux.Socket.
func (s *socket) Bind(local netip.AddrPort) error {
	f, err := s.full(local)
	if err != nil {
		return err
	}
	err1 := s.ep.Bind(f)
	if s.in != nil {
		if f.Addr.Len() == 16 && local.Addr().Unmap().IsUnspecified() {
			s.in.far.Store(true) // IPv4 only, which the stack knows alone
		}
		s.n.udp.note(s)
	}
	return errno(err1)
}

// Connect implements linux.Socket.
func (s *socket) Connect(remote netip.AddrPort) error {
	if !remote.Addr().IsValid() {
		err := s.ep.Disconnect()
		if s.in != nil {
			s.n.udp.note(s)
		}
		return errno(err)
	}
	f, err := s.peer(remote)
	if err != nil {
		return err
	}
	err1 := s.ep.Connect(f)
	if s.stream {
		s.n.meet(s, f, false)
	}
	if s.in != nil {
		s.n.udp.note(s)
	}
	return errno(err1)
}

// Listen implements linux.Socket.
func (s *socket) Listen(backlog int) error {
	if !s.stream {
		return syscall.EOPNOTSUPP
	}
	if backlog < 0 || backlog > maxBacklog {
		backlog = maxBacklog
	}
	// Linux takes one more connection than the backlog says, and the stack
	// refuses a backlog of zero.
	return errno(s.ep.Listen(backlog + 1))
}

// Accept implements linux.Socket.
func (s *socket) Accept() (linux.Socket, netip.AddrPort, error) {
	if !s.stream {
		return nil, netip.AddrPort{}, syscall.EOPNOTSUPP
	}
	var peer tcpip.FullAddress
	ep, wq, err := s.ep.Accept(&peer)
	if err != nil {
		return nil, netip.AddrPort{}, errno(err)
	}
	conn := s.n.newSocket(ep, wq, s.domain, true)
	s.n.meet(conn, peer, true)
	return conn, s.addrPort(peer), nil
}

// readers and writers are kept because the stack takes interfaces.
var (
	readers = sync.Pool{New: func() any { return new(bytes.Reader) }}
	writers = sync.Pool{New: func() any { return new(tcpip.SliceWriter) }}
)

// Send implements linux.Socket.
func (s *socket) Send(p []byte, to netip.AddrPort) (int, error) {
	switch {
	case s.stream:
		return s.sendStream(p)
	case s.in != nil:
		return s.sendDatagram(p, to)
	}
	var o tcpip.WriteOptions
	if to.Addr().IsValid() {
		f, err := s.peer(to)
		if err != nil {
			return 0, err
		}
		o.To = &f
	}
	return s.sendStack(p, o)
}

func (s *socket) sendStack(p []byte, o tcpip.WriteOptions) (int, error) {
	r := readers.Get().(*bytes.Reader)
	r.Reset(p)
	n, err := s.ep.Write(r, o)
	r.Reset(nil)
	readers.Put(r)
	if err != nil {
		return 0, errno(err)
	}
	return int(n), nil
}

// Recv implements linux.Socket.
func (s *socket) Recv(p []byte, peek bool) (int, netip.AddrPort, bool, error) {
	if s.in != nil {
		return s.recvDatagram(p, peek)
	}
	if s.stream && len(p) == 0 {
		return 0, netip.AddrPort{}, false, nil
	}
	if s.stream {
		if n := s.recvShortcut(p, peek); n > 0 {
			return n, netip.AddrPort{}, false, nil
		}
	}
	return s.recvStack(p, peek)
}

func (s *socket) recvStack(p []byte, peek bool) (int, netip.AddrPort, bool, error) {
	w := writers.Get().(*tcpip.SliceWriter)
	*w = p
	res, err := s.ep.Read(w, tcpip.ReadOptions{Peek: peek, NeedRemoteAddr: !s.stream})
	*w = nil
	writers.Put(w)
	if err != nil && s.stream {
		// The end of the stream is told behind what came by the shortcut.
		if n := s.recvShortcut(p, peek); n > 0 {
			return n, netip.AddrPort{}, false, nil
		}
	}
	switch err.(type) {
	case nil:
	case *tcpip.ErrClosedForReceive:
		return 0, netip.AddrPort{}, false, nil
	case *tcpip.ErrBadBuffer:
		if !s.stream && len(p) == 0 { // a datagram into nothing
			return 0, s.addrPort(res.RemoteAddr), true, nil
		}
		return 0, netip.AddrPort{}, false, syscall.EFAULT
	default:
		return 0, netip.AddrPort{}, false, errno(err)
	}
	if s.stream {
		if !peek {
			s.local.got.Add(int64(res.Count))
			s.ep.ModerateRecvBuf(res.Count)
		}
		return res.Count, netip.AddrPort{}, false, nil
	}
	return res.Count, s.addrPort(res.RemoteAddr), res.Count < res.Total, nil
}

// Shutdown implements linux.Socket.
func (s *socket) Shutdown(how int) error {
	var f tcpip.ShutdownFlags
	switch how {
	case syscall.SHUT_RD:
		f = tcpip.ShutdownRead
	case syscall.SHUT_WR:
		f = tcpip.ShutdownWrite
	case syscall.SHUT_RDWR:
		f = tcpip.ShutdownRead | tcpip.ShutdownWrite
	default:
		return syscall.EINVAL
	}
	if s.in != nil {
		s.in.far.Store(true)
	}
	return errno(s.ep.Shutdown(f))
}

// LocalAddr implements linux.Socket.
func (s *socket) LocalAddr() netip.AddrPort {
	f, err := s.ep.GetLocalAddress()
	if err != nil {
		f = tcpip.FullAddress{}
	}
	return s.addrPort(f)
}

// RemoteAddr implements linux.Socket.
func (s *socket) RemoteAddr() (netip.AddrPort, error) {
	f, err := s.ep.GetRemoteAddress()
	if err != nil {
		return netip.AddrPort{}, errno(err)
	}
	return s.addrPort(f), nil
}

// Buffered implements linux.SocketBuffered.
func (s *socket) Buffered() (in, out int) {
	if v, err := s.ep.GetSockOptInt(tcpip.ReceiveQueueSizeOption); err == nil {
		in = v
	}
	if v, err := s.ep.GetSockOptInt(tcpip.SendQueueSizeOption); err == nil {
		out = v
	}
	if c := s.local.path.Load(); c != nil {
		in += c.in.length()
	}
	if s.in != nil {
		if n, ok := s.in.length(); ok {
			in = n
		}
	}
	return in, out
}

// Close implements linux.Socket.
func (s *socket) Close() error {
	s.once.Do(func() {
		s.notify.Store(nil)
		s.wq.EventUnregister(&s.entry)
		if s.stream {
			s.closeShortcut()
		}
		if s.in != nil {
			s.closeInbox()
		}
		s.ep.Close()
	})
	return nil
}

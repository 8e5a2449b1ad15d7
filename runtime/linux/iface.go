// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"io"
	"net/netip"
)

// Socket is one socket of a network stack. No method blocks: an operation that cannot go on returns
// EAGAIN and readiness is told through Notify. Errors are syscall.Errno; any other error counts as
// EIO. Methods may be called from several goroutines at once.
//
// Addresses of an AF_INET6 socket may be IPv4 ones, plain or mapped (::ffff:1.2.3.4): they arrive as the
// program gave them and are shown to it as mapped ones, whichever form is returned. A zone is the
// interface's number in decimal.
type Socket interface {
	// Bind gives the socket its local address. An invalid (zero) address stands for the unspecified
	// one of the socket's domain, port 0 for any free port.
	Bind(local netip.AddrPort) error

	// Connect starts a connection (stream: EINPROGRESS, then EPOLLOUT readiness and SO_ERROR; EALREADY
	// while it lasts, nil once when it is there, EISCONN afterwards) or sets the default peer (datagram). The zero AddrPort
	// dissolves the association of a datagram socket.
	Connect(remote netip.AddrPort) error

	// Listen makes a stream socket accept connections.
	Listen(backlog int) error

	// Accept takes the next established connection and its peer's address.
	Accept() (Socket, netip.AddrPort, error)

	// Send sends p, or for streams the part of p there is room for. The zero AddrPort means the
	// connected peer. It does not keep p. EPIPE after a shutdown for writing.
	Send(p []byte, to netip.AddrPort) (n int, err error)

	// Recv takes received bytes, or looks at them without taking them (peek). n = 0 with a nil error is
	// the end of a stream (or an empty datagram). truncated says that a datagram was longer than p.
	// It does not keep p.
	Recv(p []byte, peek bool) (n int, from netip.AddrPort, truncated bool, err error)

	// Shutdown ends one or both directions: syscall.SHUT_RD, SHUT_WR, SHUT_RDWR.
	Shutdown(how int) error

	// LocalAddr is the bound address; unspecified address and port 0 before that.
	LocalAddr() netip.AddrPort

	// RemoteAddr is the connected peer's address, or ENOTCONN.
	RemoteAddr() (netip.AddrPort, error)

	// GetOpt and SetOpt serve integer options by Linux's level and name. SO_LINGER is seconds, or -1
	// for off. SO_ERROR returns the pending errno and clears it. SO_TYPE, SO_DOMAIN, SO_PROTOCOL,
	// SO_RCVTIMEO and SO_SNDTIMEO are served above and do not arrive. Unknown options: ENOPROTOOPT.
	GetOpt(level, name int) (int, error)
	SetOpt(level, name, value int) error

	// Ready is the readiness now: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR.
	Ready() uint32

	// Notify registers the function to call after every change of readiness with the readiness at that
	// time, also when more arrives while EPOLLIN is already set (an edge). It is called from any
	// goroutine, may be called with the stack's own locks held, and neither blocks nor calls back into
	// the socket. nil unregisters.
	Notify(func(ready uint32))

	// Close releases the socket; a stream goes on sending what was accepted by Send.
	Close() error
}

// Network makes sockets. The domain is AF_INET or AF_INET6, the type SOCK_STREAM, SOCK_DGRAM or SOCK_RAW
// without SOCK_NONBLOCK and SOCK_CLOEXEC; proto 0 is the type's usual protocol, and not given for SOCK_RAW.
// Errors: EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT.
type Network interface {
	Socket(domain, typ, proto int) (Socket, error)
}

// SocketBuffered is implemented by sockets that know how much is waiting: FIONREAD (bytes a read would
// return; for datagrams the size of the first) and TIOCOUTQ (bytes not yet sent and acknowledged).
type SocketBuffered interface {
	Buffered() (in, out int)
}

// SocketMulticast is implemented by datagram sockets that can be members of multicast groups. An interface
// is named by its number, or where that is 0 by an address that it has, or where that is invalid too it is
// the one that the routing table says.
type SocketMulticast interface {
	// SetGroup joins (or leaves) a group. EADDRINUSE for a member, EADDRNOTAVAIL for none, ENODEV.
	SetGroup(join bool, group netip.Addr, index int, local netip.Addr) error

	// SetMulticastInterface says where datagrams to groups go out; MulticastInterface tells it.
	SetMulticastInterface(index int, local netip.Addr) error
	MulticastInterface() (index int, local netip.Addr)
}

// File is an open file other than a socket or a pipe: a device, a /proc file, a regular file. The
// offset of read and write is kept above it. Errors are syscall.Errno; io.EOF is the end of the file;
// any other error counts as EIO. Methods may be called from several goroutines at once.
type File interface {
	io.ReaderAt // may return fewer bytes than asked with a nil error
	io.WriterAt

	// Size is the length in bytes that SEEK_END counts from.
	Size() int64

	// Truncate sets the length in bytes; EINVAL where there is none to set.
	Truncate(size int64) error

	// Sync makes everything written before durable.
	Sync() error

	// Close is called once, when the last descriptor is gone and no call is under way.
	Close() error
}

// BlockDevice is a disk. ReadAt and WriteAt are called with offset and length in whole blocks, inside
// Size, and any memory alignment; the buffer is the caller's own memory. Errors that are or wrap a
// syscall.Errno are passed on, others count as EIO. Methods may be called from several goroutines at
// once.
type BlockDevice interface {
	io.ReaderAt
	io.WriterAt
	Size() int64    // bytes, a multiple of BlockSize
	BlockSize() int // bytes, a power of two from 512 to 65536
	Flush() error   // makes completed writes durable
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"net/netip"
	"syscall"
)

// endpoint is a socket of one family, beneath what the calls of all families share: inet.go, unixsock.go,
// netlink.go. No method blocks: EAGAIN now, and a change of readiness later. Errors are syscall.Errno.
type endpoint interface {
	bind(a *sockaddr) error
	connect(a *sockaddr) error // EINPROGRESS as Socket.Connect; EAGAIN: to be tried again
	listen(backlog int) error
	accept() (endpoint, address, error)

	// destination checks the address that comes with a message. The zero address stands for the peer.
	// By value, since a pointer given to an interface's method makes an allocation of it.
	destination(a sockaddr) (address, syscall.Errno)

	// send sends b, or of a stream as much as there is room for. It takes ctl over when it sends anything.
	send(b []byte, to address, ctl *control) (int, error)

	// recv takes a datagram, or what is there of a stream. flags are those of recvmsg; of MSG_WAITALL and
	// MSG_DONTWAIT the caller takes care.
	recv(b []byte, flags int) (received, error)

	shutdown(how int) error
	localAddr() address
	remoteAddr() (address, error)
	option(level, name int) (int, error)
	setOption(level, name, value int) error
	ready() uint32
	notify(func(ready uint32))
	buffered() (in, out int)
	close()
}

// address is a socket's address: of IP, or the bytes of another family's sockaddr.
type address struct {
	ip  netip.AddrPort
	raw string
}

// given says whether it is an address at all.
func (a address) given() bool { return a.raw != "" || a.ip.IsValid() }

// received is what came in.
type received struct {
	n         int // bytes of the message; more than fitted, if the caller asked for that (MSG_TRUNC)
	from      address
	truncated bool
	ctl       *control // what came with it, to be released
}

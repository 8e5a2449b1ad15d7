// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"net"
)

// Echo sends datagrams back to where they come from.
type Echo struct{ c *net.UDPConn }

// NewEcho begins, at a free port of the loopback interface.
func NewEcho() (*Echo, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	go echo(c)
	return &Echo{c}, nil
}

// Port is where it listens.
func (e *Echo) Port() int { return e.c.LocalAddr().(*net.UDPAddr).Port }

// Close ends it.
func (e *Echo) Close() error { return e.c.Close() }

func echo(c *net.UDPConn) {
	b := make([]byte, 64<<10)
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = c.WriteToUDPAddrPort(b[:n], from) // it counts as lost
		}
	}
}

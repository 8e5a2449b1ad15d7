// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
)

// Ceiling measures the load itself: requests per second against a peer in the same
// place that does next to nothing, one goroutine for each connection, which answers
// with n bytes. What a guest does at half of that or more says more of the load than
// of the guest.
func Ceiling(ctx context.Context, connections, requests, n int) (float64, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	answer := []byte(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("x", n)))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveRaw(c, answer)
		}
	}()
	r, err := HTTP{Address: l.Addr().String(), Path: "/", Connections: connections, Requests: requests}.Run(ctx)
	return r.Rate(), err
}

// serveRaw answers at each empty line, until the client closes.
func serveRaw(c net.Conn, answer []byte) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(line) > 2 {
			continue
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

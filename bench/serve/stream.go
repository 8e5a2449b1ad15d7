// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

// Each connection begins with 9 bytes from the client: a direction, and a number of
// bytes, big-endian. The program sends as many ('r', the client reads), or takes as
// many ('w') and answers with their number.
const (
	clientReads  = 'r'
	clientWrites = 'w'
	headBytes    = 9
	streamBuffer = 256 << 10
)

func serveStreams(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			_ = stream(c) // the client sees that it ends early
		}()
	}
}

func stream(c net.Conn) error {
	var head [headBytes]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint64(head[1:])
	if n > 1<<50 {
		return fmt.Errorf("%d bytes", n)
	}
	b := make([]byte, streamBuffer)
	switch head[0] {
	case clientReads:
		for n > 0 {
			w, err := c.Write(b[:min(n, streamBuffer)])
			if err != nil {
				return err
			}
			n -= uint64(w)
		}
		return nil
	case clientWrites:
		for left := n; left > 0; {
			r, err := c.Read(b[:min(left, streamBuffer)])
			if err != nil {
				return err
			}
			left -= uint64(r)
		}
		_, err := c.Write(binary.BigEndian.AppendUint64(nil, n))
		return err
	}
	return fmt.Errorf("direction %q", head[0])
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Stream is a load of TCP alone, to the port of bench/serve's stream.go.
type Stream struct {
	Address string
	Streams int
	Bytes   int64 // each
	Upload  bool  // to the guest
	Timeout time.Duration
}

const streamBuffer = 256 << 10

// Run moves the bytes and returns what that took, from the first byte on.
func (l Stream) Run(ctx context.Context) (time.Duration, error) {
	if l.Streams < 1 || l.Bytes < 1 {
		return 0, fmt.Errorf("load: %d streams of %d bytes", l.Streams, l.Bytes)
	}
	if l.Timeout == 0 {
		l.Timeout = defaultTimeout
	}
	conns := make([]net.Conn, l.Streams)
	for i := range conns {
		c, err := (&net.Dialer{Timeout: l.Timeout}).DialContext(ctx, "tcp", l.Address)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		stop := context.AfterFunc(ctx, func() { c.Close() })
		defer stop()
		conns[i] = c
	}
	begin := time.Now()
	errs := make([]error, l.Streams)
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() { errs[i] = l.move(c) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return time.Since(begin), nil
}

func (l Stream) move(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(l.Timeout)); err != nil {
		return err
	}
	b := make([]byte, streamBuffer)
	head := append([]byte{'r'}, binary.BigEndian.AppendUint64(nil, uint64(l.Bytes))...)
	if !l.Upload {
		if _, err := c.Write(head); err != nil {
			return err
		}
		for left := l.Bytes; left > 0; {
			n, err := c.Read(b[:min(left, streamBuffer)])
			if left -= int64(n); err != nil && left > 0 {
				return fmt.Errorf("%d bytes before the end: %w", left, err)
			}
		}
		return nil
	}
	head[0] = 'w'
	if _, err := c.Write(head); err != nil {
		return err
	}
	for left := l.Bytes; left > 0; {
		n, err := c.Write(b[:min(left, streamBuffer)])
		if err != nil {
			return err
		}
		left -= int64(n)
	}
	var count [8]byte
	if _, err := io.ReadFull(c, count[:]); err != nil {
		return err
	}
	if got := binary.BigEndian.Uint64(count[:]); got != uint64(l.Bytes) {
		return fmt.Errorf("the guest took %d of %d bytes", got, l.Bytes)
	}
	return nil
}

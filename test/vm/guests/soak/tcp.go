// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// loopback makes connections to itself, sends both ways at once, and closes them in
// each way there is.
func loopback(ctx context.Context, r *random) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var accepted group
	accepted.start(func() error {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			if err != nil {
				return err
			}
			accepted.start(func() error { return answer(c.(*net.TCPConn)) })
		}
	})
	var g group
	for range 6 {
		r := r.child()
		g.start(func() error { return call(r, l.Addr().String()) })
	}
	err = g.wait()
	return errors.Join(err, l.Close(), accepted.wait())
}

// answer sends back what comes, and behind it the sum. Clients may go away.
func answer(c *net.TCPConn) error {
	defer c.Close()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(c, h), c); err != nil {
		return nil // checked at the client's end
	}
	_, _ = c.Write(h.Sum(nil))
	return nil
}

// call is the client's end of a connection.
func call(r *random, address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	c := conn.(*net.TCPConn)
	defer c.Close()
	data := filled(r.size(64<<10), r.Int64())
	var g group
	g.start(func() error {
		for rest := data; len(rest) > 0; {
			n := min(1+r.IntN(32<<10), len(rest))
			if _, err := c.Write(rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	})
	got := make([]byte, len(data)+sha256.Size)
	if _, err := io.ReadFull(c, got[:len(data)]); err != nil {
		return errors.Join(fmt.Errorf("read: %w", err), g.wait())
	}
	if err := g.wait(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := same("tcp", got[:len(data)], data); err != nil {
		return err
	}
	return hangUp(r, c, got[len(data):], data)
}

// hangUp ends a connection: in order, by reset, by a deadline, or at once.
func hangUp(r *random, c *net.TCPConn, rest, data []byte) error {
	switch r.IntN(4) {
	case 0:
		return c.SetLinger(0)
	case 1:
		if err := c.SetReadDeadline(time.Now().Add(time.Duration(r.IntN(5000)) * time.Microsecond)); err != nil {
			return err
		}
		if n, err := c.Read(rest); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("a read beyond its deadline gave %d bytes, %v", n, err)
		}
		return nil
	case 2:
		return nil
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, rest); err != nil {
		return fmt.Errorf("the sum: %w", err)
	}
	want := sha256.Sum256(data)
	if err := same("tcp", rest, want[:]); err != nil {
		return err
	}
	if n, err := c.Read(rest); n != 0 || err != io.EOF {
		return fmt.Errorf("behind the end %d bytes, %v", n, err)
	}
	return nil
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

// Package load loads a guest from outside, and measures what comes back. It is a closed
// loop: each connection sends its next request when the answer is there, as wrk does,
// so that latencies are those at the rate that the guest could keep.
//
//	http.go     HTTP/1.1 on connections that stay open, or one for each request
//	stream.go   TCP alone, one or more streams in a direction
//	echo.go     echoes UDP datagrams, which the guest sends
//	ceiling.go  what this load could do at most, here and now
package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hvgo/hvgo/bench/histogram"
)

// HTTP is a load of GET requests.
type HTTP struct {
	Address     string // host:port
	Path        string
	Connections int
	Requests    int           // in all; 0: as many as Duration lets
	Duration    time.Duration // 0: as long as Requests takes

	TLS       *tls.Config // nil: none
	Handshake bool        // a connection for each request
	Timeout   time.Duration
}

// Result is what a load measured.
type Result struct {
	Requests int
	Bytes    int64 // of bodies
	Elapsed  time.Duration
	Latency  *histogram.Histogram // of a request, with its connection if it has its own
}

// Rate is requests per second.
func (r Result) Rate() float64 { return float64(r.Requests) / r.Elapsed.Seconds() }

// defaultTimeout is for one request.
const defaultTimeout = 60 * time.Second

// Run does the load. Any request that fails is an error, and ends it.
func (l HTTP) Run(ctx context.Context) (r Result, err error) {
	if l.Connections < 1 || l.Requests < 0 || l.Duration < 0 || l.Requests == 0 && l.Duration == 0 {
		return r, fmt.Errorf("load: %d connections, %d requests, %v", l.Connections, l.Requests, l.Duration)
	}
	if l.Timeout == 0 {
		l.Timeout = defaultTimeout
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clients := make([]*client, l.Connections)
	for i := range clients { // connected before the clock runs
		clients[i] = &client{load: &l}
		defer clients[i].close()
		if !l.Handshake {
			if err := clients[i].connect(ctx); err != nil {
				return r, err
			}
		}
	}
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	begin := time.Now()
	more := func() bool {
		return ctx.Err() == nil && (l.Requests == 0 || next.Add(1) <= int64(l.Requests)) &&
			(l.Duration == 0 || time.Since(begin) < l.Duration)
	}
	for _, c := range clients {
		wg.Go(func() {
			for more() {
				if err := c.request(ctx); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	r.Elapsed = time.Since(begin)
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	r.Latency = new(histogram.Histogram)
	for _, c := range clients {
		r.Latency.Add(&c.times)
		r.Bytes += c.bytes
	}
	r.Requests = int(r.Latency.Count())
	return r, nil
}

// client is a connection.
type client struct {
	load  *HTTP
	conn  net.Conn
	stop  func() bool // closing it with the context
	in    *bufio.Reader
	ask   []byte
	times histogram.Histogram
	bytes int64
}

// connect opens the connection, until close or the whole load ends.
func (c *client) connect(whole context.Context) (err error) {
	ctx, cancel := context.WithTimeout(whole, c.load.Timeout)
	defer cancel()
	if c.conn, err = new(net.Dialer).DialContext(ctx, "tcp", c.load.Address); err != nil {
		return err
	}
	conn := c.conn // which another may replace
	c.stop = context.AfterFunc(whole, func() { conn.Close() })
	if c.load.TLS != nil {
		t := tls.Client(c.conn, c.load.TLS)
		c.conn = t
		if err := t.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("TLS handshake: %w", err)
		}
	}
	if c.in == nil {
		c.in = bufio.NewReaderSize(nil, 64<<10)
		end := "\r\n\r\n"
		if c.load.Handshake {
			end = "\r\nConnection: close" + end
		}
		c.ask = []byte("GET " + c.load.Path + " HTTP/1.1\r\nHost: " + c.load.Address + end)
	}
	c.in.Reset(c.conn)
	return nil
}

func (c *client) close() {
	if c.conn != nil {
		c.stop()
		_ = c.conn.Close() // all answers are there
		c.conn = nil
	}
}

func (c *client) request(ctx context.Context) error {
	begin := time.Now()
	if c.load.Handshake {
		defer c.close()
		if err := c.connect(ctx); err != nil {
			return err
		}
	}
	if err := c.conn.SetDeadline(begin.Add(c.load.Timeout)); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.ask); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	n, err := readAnswer(c.in)
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	c.bytes += n
	c.times.Record(time.Since(begin))
	return nil
}

// Limits of an answer.
const (
	maxHeaders = 64
	maxBody    = 1 << 30
)

var (
	errHead   = errors.New("no status line of HTTP/1.1")
	errLength = errors.New("no Content-Length that is a number")
	okLine    = []byte("HTTP/1.1 200 ")
)

// readAnswer takes a whole answer with a Content-Length, and returns its body's size.
// Any status but 200 is an error.
func readAnswer(in *bufio.Reader) (body int64, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if !bytes.HasPrefix(line, okLine) {
		if !bytes.HasPrefix(line, []byte("HTTP/1.")) {
			return 0, errHead
		}
		return 0, fmt.Errorf("status %q", bytes.TrimSpace(line))
	}
	body = -1
	for range maxHeaders {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return discard(in, body)
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if body, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil || body < 0 || body > maxBody {
				return 0, errLength
			}
		}
	}
	return 0, errors.New("too many header lines")
}

func discard(in *bufio.Reader, n int64) (int64, error) {
	if n < 0 {
		return 0, errLength
	}
	_, err := in.Discard(int(n))
	return n, err
}

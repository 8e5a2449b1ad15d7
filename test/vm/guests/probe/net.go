// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// local is where the checks listen: any free port.
const local = "127.0.0.1:0"

// loopback asks an HTTP server in the program itself.
func loopback([]string) (string, error) {
	l, err := net.Listen("tcp", local)
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if http.NewResponseController(w).EnableFullDuplex() == nil {
			_, _ = io.Copy(w, r.Body) // the client notices
		}
	})}
	go s.Serve(l)
	defer s.Close()
	body := bytes.Repeat([]byte("hello, "), 20000)
	err = parallel(8, func(int) error {
		for range 5 {
			resp, err := http.Post("http://"+l.Addr().String(), "text/plain", bytes.NewReader(body))
			if err != nil {
				return err
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || !bytes.Equal(got, body) {
				return fmt.Errorf("%d bytes of %d came back: %w", len(got), len(body), err)
			}
		}
		return nil
	})
	http.DefaultClient.CloseIdleConnections()
	return "40 requests", err
}

// udp sends datagrams of all sizes to and fro.
func udp([]string) (string, error) {
	s, err := net.ListenPacket("udp", local)
	if err != nil {
		return "", err
	}
	defer s.Close()
	go echoPackets(s)
	return "datagrams came back", exchange(s.LocalAddr().String(), 60000)
}

// udpTo ADDRESS exchanges datagrams with an echo service elsewhere.
func udpTo(args []string) (string, error) {
	return "datagrams came back", exchange(strings.Join(args, ""), 1400)
}

func echoPackets(s net.PacketConn) {
	b := make([]byte, 65536)
	for {
		n, from, err := s.ReadFrom(b)
		if err != nil {
			return
		}
		_, _ = s.WriteTo(b[:n], from) // a lost datagram is noticed by the other end
	}
}

func exchange(address string, largest int) error {
	c, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	b := make([]byte, 65536)
	for n := 0; n <= largest; n = n*3 + 1 {
		p := bytes.Repeat([]byte{byte(n)}, n)
		for try := 0; ; try++ { // UDP may lose some
			if _, err := c.Write(p); err != nil {
				return fmt.Errorf("%d bytes: %w", n, err)
			}
			if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				return err
			}
			got, err := c.Read(b)
			if errors.Is(err, os.ErrDeadlineExceeded) && try < 3 {
				continue
			}
			if err != nil || !bytes.Equal(b[:got], p) {
				return fmt.Errorf("%d bytes came back of %d: %w", got, n, err)
			}
			break
		}
	}
	return nil
}

// manySockets holds hundreds of connections at once, then uses each.
func manySockets([]string) (string, error) {
	const n = 300
	l, err := net.Listen("tcp", local)
	if err != nil {
		return "", err
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // the other end notices
			}()
		}
	}()
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return "", fmt.Errorf("connection %d: %w", i, err)
		}
		defer c.Close()
		conns[i] = c
	}
	err = parallel(n, func(i int) error {
		text := fmt.Sprintf("connection %d", i)
		if _, err := io.WriteString(conns[i], text); err != nil {
			return err
		}
		b := make([]byte, len(text))
		if _, err := io.ReadFull(conns[i], b); err != nil || string(b) != text {
			return fmt.Errorf("%q for %q: %w", b, text, err)
		}
		return nil
	})
	return fmt.Sprintf("%d connections", n), err
}

// halfClose ends one direction of a connection and goes on with the other.
func halfClose([]string) (string, error) {
	l, err := net.Listen("tcp", local)
	if err != nil {
		return "", err
	}
	defer l.Close()
	const reply = 200_000
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		defer c.Close()
		b, err := io.ReadAll(c) // until the client's half is closed
		if err == nil && string(b) != "question" {
			err = fmt.Errorf("the server got %q", b)
		}
		if err == nil {
			_, err = c.Write(make([]byte, reply))
		}
		served <- err
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, "question"); err != nil {
		return "", err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return "", err
	}
	if _, err := c.Write([]byte("x")); err == nil {
		return "", errors.New("write to the closed half succeeds")
	}
	n, err := io.Copy(io.Discard, c)
	if err == nil && n != reply {
		err = fmt.Errorf("%d bytes of %d", n, reply)
	}
	return fmt.Sprintf("%d bytes after the close", n), errors.Join(err, <-served)
}

// deadlines gives up waiting on sockets, and tries what is refused.
func deadlines([]string) (string, error) {
	l, err := net.Listen("tcp", local)
	if err != nil {
		return "", err
	}
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
		return "", err
	}
	if _, err := l.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		return "", fmt.Errorf("accept: %v", err)
	}
	if _, err := net.Listen("tcp", l.Addr().String()); err == nil {
		return "", errors.New("two listen on one port")
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return "", err
	}
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
		return "", err
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		return "", fmt.Errorf("read: %v", err)
	}
	if err := errors.Join(c.Close(), l.Close()); err != nil {
		return "", err
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		c.Close()
		return "", errors.New("nobody listens, and somebody answers")
	}
	return "given up", nil
}

// lookUp NAME asks the standard resolver.
func lookUp(args []string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, strings.Join(args, ""))
	return strings.Join(addrs, " "), err
}

// dial ADDRESS connects to an echo service and compares 1 MiB.
func dial(args []string) (string, error) {
	c, err := net.DialTimeout("tcp", strings.Join(args, ""), time.Minute)
	if err != nil {
		return "", err
	}
	defer c.Close()
	text := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(text)
		sent <- errors.Join(err, c.(*net.TCPConn).CloseWrite())
	}()
	got, err := io.ReadAll(c)
	if err = errors.Join(err, <-sent); err == nil && !bytes.Equal(got, text) {
		err = fmt.Errorf("%d bytes of %d came back", len(got), len(text))
	}
	return fmt.Sprintf("from %v", c.LocalAddr()), err
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// withPipe makes a pipe whose ends do not block, for n operations of f.
func withPipe(n int, f func(n, r, w int) error) error {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	return f(n, p[0], p[1])
}

func withSocketpair(n int, f func(n, r, w int) error) error {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	return f(n, p[0], p[1])
}

// byteThrough writes a byte and reads it on the other side: two calls, no waiting.
func byteThrough(n, r, w int) error {
	b := make([]byte, 1)
	for range n {
		if _, err := unix.Write(w, b); err != nil {
			return err
		}
		if _, err := unix.Read(r, b); err != nil {
			return err
		}
	}
	return nil
}

func readNothing(n, r, _ int) error {
	b := make([]byte, 1)
	for range n {
		if _, err := unix.Read(r, b); !errors.Is(err, unix.EAGAIN) {
			return fmt.Errorf("an empty pipe gives %v", err)
		}
	}
	return nil
}

// echo sends n bytes through a and waits for each to come back from who serves b.
func echo(n int, a, b io.ReadWriter) error {
	served := make(chan error, 1)
	go func() {
		_, err := io.CopyN(onlyWriter{b}, onlyReader{b}, int64(n))
		served <- err
	}()
	p := make([]byte, 1)
	for range n {
		if _, err := a.Write(p); err != nil {
			return err
		}
		if _, err := io.ReadFull(a, p); err != nil {
			return err
		}
	}
	return <-served
}

// onlyReader and onlyWriter hide ReadFrom and WriteTo, which might copy in the kernel.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

type twoWay struct {
	io.Reader
	io.Writer
}

func pipePingPong(n int) error {
	r1, w1, err1 := os.Pipe()
	r2, w2, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	for _, f := range []*os.File{r1, w1, r2, w2} {
		defer f.Close()
	}
	return echo(n, twoWay{r2, w1}, twoWay{r1, w2})
}

func unixPingPong(n int) error { return socketPingPong(n, "unix", "@hvgo-bench") }
func tcpPingPong(n int) error  { return socketPingPong(n, "tcp", "127.0.0.1:0") }

func socketPingPong(n int, network, address string) error {
	l, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	defer l.Close()
	a, err := net.Dial(network, l.Addr().String())
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := l.Accept()
	if err != nil {
		return err
	}
	defer b.Close()
	return echo(n, a, b)
}

// file is made for the rows of files, and emptied by none.
func file() (string, error) {
	name := filepath.Join(os.TempDir(), "hvgo-bench-file")
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	return name, os.WriteFile(name, make([]byte, 64<<10), 0o600)
}

func openReadClose(n int) error {
	name, err := file()
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	for range n {
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		_, err = unix.Read(fd, b)
		if err := errors.Join(err, unix.Close(fd)); err != nil {
			return err
		}
	}
	return nil
}

func withFile(n int, f func(n, fd int) error) error {
	name, err := file()
	if err != nil {
		return err
	}
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return f(n, fd)
}

func pread(n, fd int) error {
	b := make([]byte, pageSize)
	for i := range n {
		if _, err := unix.Pread(fd, b, int64(i%16)*pageSize); err != nil {
			return err
		}
	}
	return nil
}

func pwrite(n, fd int) error {
	b := make([]byte, pageSize)
	for i := range n {
		if _, err := unix.Pwrite(fd, b, int64(i%16)*pageSize); err != nil {
			return err
		}
	}
	return nil
}

func fstat(n, fd int) error {
	st := new(unix.Stat_t)
	for range n {
		if err := unix.Fstat(fd, st); err != nil {
			return err
		}
	}
	return nil
}

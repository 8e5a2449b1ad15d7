// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const unixPath = "/tmp/probe.sock"

// unixSockets talks to itself through Unix sockets of all kinds, and passes a file through one.
func unixSockets([]string) (string, error) {
	for _, f := range []func() error{unixStreams, unixDatagrams, unixPackets, passFile, brokenPipe} {
		if err := f(); err != nil {
			return "", err
		}
	}
	if _, err := os.Stat(unixPath); !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("the socket's name is still there: %v", err)
	}
	if _, err := net.Dial("unix", unixPath); !errors.Is(err, syscall.ENOENT) {
		return "", fmt.Errorf("dial without a listener: %v", err)
	}
	return "streams, datagrams and packets came back, a file was passed, a broken pipe noticed", nil
}

// unixStreams sends more than the queues hold through eight connections at once.
func unixStreams() error {
	for _, name := range []string{unixPath, "@probe"} {
		l, err := net.Listen("unix", name)
		if err != nil {
			return err
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
		err = parallel(8, func(i int) error {
			c, err := net.Dial("unix", name)
			if err != nil {
				return err
			}
			defer c.Close()
			sent := bytes.Repeat([]byte{byte(i), 1, 2, 3}, 256<<10)
			go func() {
				_, _ = c.Write(sent) // likewise
				_ = c.(*net.UnixConn).CloseWrite()
			}()
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, sent) {
				return fmt.Errorf("%d bytes of %d came back: %w", len(got), len(sent), err)
			}
			return nil
		})
		if err != nil {
			return err
		}
		l.Close()
	}
	return nil
}

// unixDatagrams sends to a reader that is slower.
func unixDatagrams() error {
	s, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: unixPath, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer os.Remove(unixPath)
	defer s.Close()
	c, err := net.Dial("unixgram", unixPath)
	if err != nil {
		return err
	}
	defer c.Close()
	const count = 200
	go func() {
		for i := range count {
			_, _ = c.Write(bytes.Repeat([]byte{byte(i)}, 100*i)) // the reader counts
		}
	}()
	b := make([]byte, 64<<10)
	for i := range count {
		if err := s.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			return err
		}
		n, _, err := s.ReadFrom(b)
		if err != nil || n != 100*i {
			return fmt.Errorf("datagram %d has %d bytes: %w", i, n, err)
		}
	}
	_ = s.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, _, err := s.ReadFrom(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("read of nothing: %v", err)
	}
	return nil
}

func unixPackets() error {
	l, err := net.Listen("unixpacket", unixPath)
	if err != nil {
		return err
	}
	defer l.Close()
	c, err := net.Dial("unixpacket", unixPath)
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		return err
	}
	defer s.Close()
	b := make([]byte, 100)
	for _, p := range []string{"one", "and two"} {
		if _, err := c.Write([]byte(p)); err != nil {
			return err
		}
	}
	for _, p := range []string{"one", "and two"} {
		if n, err := s.Read(b); err != nil || string(b[:n]) != p {
			return fmt.Errorf("packet %q: %w", b[:n], err)
		}
	}
	return nil
}

// passFile sends a descriptor, and reads the file through the one that came.
func passFile() error {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "end")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			return err
		}
		defer c.Close()
		ends[i] = c.(*net.UnixConn)
	}
	f, err := os.Open("/proc/sys/kernel/ostype")
	if err != nil {
		return err
	}
	_, _, err = ends[0].WriteMsgUnix([]byte("here"), syscall.UnixRights(int(f.Fd())), nil)
	f.Close()
	if err != nil {
		return err
	}
	b, oob := make([]byte, 100), make([]byte, 100)
	n, oobn, _, _, err := ends[1].ReadMsgUnix(b, oob)
	if err != nil || string(b[:n]) != "here" {
		return fmt.Errorf("message %q: %w", b[:n], err)
	}
	ms, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(ms) != 1 {
		return fmt.Errorf("%d control messages: %w", len(ms), err)
	}
	got, err := syscall.ParseUnixRights(&ms[0])
	if err != nil || len(got) != 1 {
		return fmt.Errorf("descriptors %v: %w", got, err)
	}
	passed := os.NewFile(uintptr(got[0]), "passed")
	defer passed.Close()
	if text, err := io.ReadAll(passed); err != nil || string(text) != "Linux\n" {
		return fmt.Errorf("the file has %q: %w", text, err)
	}
	return nil
}

// brokenPipe writes where nobody reads: an error, and a signal for who asks.
func brokenPipe() error {
	for _, asked := range []bool{false, true} {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		defer w.Close()
		r.Close()
		raised := make(chan os.Signal, 1)
		if asked {
			signal.Notify(raised, syscall.SIGPIPE)
			defer signal.Stop(raised)
		}
		if _, err := w.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			return fmt.Errorf("write without a reader: %v", err)
		}
		if !asked {
			continue
		}
		select {
		case <-raised:
		case <-time.After(time.Minute):
			return errors.New("no SIGPIPE")
		}
	}
	return nil
}

// interfaces WORD... lists the interfaces, and wants each of the words in the list.
func interfaces(words []string) (string, error) {
	is, err := net.Interfaces()
	if err != nil {
		return "", err
	}
	var all []string
	for _, i := range is {
		addrs, err := i.Addrs()
		if err != nil {
			return "", err
		}
		if _, err := i.MulticastAddrs(); err != nil {
			return "", err
		}
		again, err := net.InterfaceByName(i.Name)
		if err != nil || again.Index != i.Index {
			return "", fmt.Errorf("%s by its name: %w", i.Name, err)
		}
		all = append(all, fmt.Sprintf("%s %v %s mtu=%d %v", i.Name, i.HardwareAddr, i.Flags, i.MTU, addrs))
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	found := false
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			return "", err
		}
		found = found || p.Addr().IsLoopback()
	}
	list := strings.Join(all, "; ")
	if !found {
		return "", fmt.Errorf("no loopback address: %v", addrs)
	}
	for _, w := range words {
		if !strings.Contains(list, w) {
			return "", fmt.Errorf("no %q in %s", w, list)
		}
	}
	return list, nil
}

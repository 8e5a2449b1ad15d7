// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// pipes sends through what connects parts of a program: pipes, UNIX sockets, eventfds.
func pipes(_ context.Context, r *random) error {
	var g group
	for range 2 {
		a, b, c := r.child(), r.child(), r.child()
		g.start(func() error { return pipe(a) })
		g.start(func() error { return unixSocket(b) })
		g.start(func() error { return events(c) })
	}
	return g.wait()
}

// through writes data to one end and checks what comes out at the other.
func through(r *random, w io.WriteCloser, from io.Reader) error {
	data := filled(r.size(64<<10), r.Int64())
	var g group
	g.start(func() error {
		_, err := w.Write(data)
		return errors.Join(err, w.Close())
	})
	got, err := io.ReadAll(from)
	if err := errors.Join(err, g.wait()); err != nil {
		return err
	}
	return same("pipes", got, data)
}

func pipe(r *random) error {
	from, to, err := os.Pipe()
	if err != nil {
		return err
	}
	return errors.Join(through(r, to, from), from.Close())
}

func unixSocket(r *random) error {
	name := filepath.Join(filesDir(), fmt.Sprintf("soak-%d", r.Uint64()))
	l, err := net.Listen("unix", name)
	if err != nil {
		return err
	}
	defer l.Close()
	to, err := net.Dial("unix", name)
	if err != nil {
		return err
	}
	from, err := l.Accept()
	if err != nil {
		return errors.Join(err, to.Close())
	}
	return errors.Join(through(r, to, from), from.Close())
}

// events has a thread wait by an epoll of its own for eventfds that another writes, each
// time only after the one before was seen: a wake-up that is lost hangs it.
func events(r *random) (err error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(ep)) }()
	var fds [4]int
	for i := range fds {
		if fds[i], err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
			return err
		}
		defer unix.Close(fds[i])
		e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if r.IntN(2) == 0 {
			e.Events |= unix.EPOLLET
		}
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fds[i], &e); err != nil {
			return err
		}
	}
	const turns = 20
	seen := make(chan int)
	var g group
	g.start(func() error { return waitEvents(ep, fds[:], turns, seen) })
	for range turns {
		i := r.IntN(len(fds))
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		if _, err := unix.Write(fds[i], one[:]); err != nil {
			return fmt.Errorf("eventfd: %w", err)
		}
		if got := <-seen; got != i {
			return fmt.Errorf("eventfd %d was written, %d ready", i, got)
		}
	}
	return g.wait()
}

func waitEvents(ep int, fds []int, turns int, seen chan<- int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(seen)
	for n := 0; n < turns; {
		var ready [4]unix.EpollEvent
		k, err := unix.EpollWait(ep, ready[:], -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil || k != 1 {
			return fmt.Errorf("epoll_wait: %d descriptors, %v", k, err)
		}
		var value [8]byte
		if _, err := unix.Read(fds[ready[0].Fd], value[:]); err != nil || binary.NativeEndian.Uint64(value[:]) != 1 {
			return fmt.Errorf("an eventfd holds %x, %v", value, err)
		}
		n++
		seen <- int(ready[0].Fd)
	}
	return nil
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package abi

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func epoll(t *testing.T) int {
	t.Helper()
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func watch(t *testing.T, ep, fd int, events uint32) {
	t.Helper()
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		t.Fatal(err)
	}
}

// reported waits for an event and gives what it says of fd; 0 when none comes in time.
func reported(t *testing.T, ep, fd int, patience time.Duration) uint32 {
	t.Helper()
	var events [8]unix.EpollEvent
	for {
		n, err := unix.EpollWait(ep, events[:], int(patience/time.Millisecond))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events[:n] {
			if int(e.Fd) == fd {
				return e.Events
			}
		}
		return 0
	}
}

const long = 20 * time.Second

func pipe(t *testing.T) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

// A level-triggered registration says ready as long as there is something, and no longer.
func TestLevel(t *testing.T) {
	r, w := pipe(t)
	ep := epoll(t)
	watch(t, ep, r, unix.EPOLLIN)
	if e := reported(t, ep, r, 0); e != 0 {
		t.Errorf("an empty pipe reports %#x", e)
	}
	unix.Write(w, []byte("abcd"))
	b := make([]byte, 2)
	for range 2 {
		if e := reported(t, ep, r, long); e != unix.EPOLLIN {
			t.Errorf("a pipe with something in it reports %#x", e)
		}
		unix.Read(r, b)
	}
	if e := reported(t, ep, r, 0); e != 0 {
		t.Errorf("a pipe that was read to its end reports %#x", e)
	}
	unix.Close(w)
	if e := reported(t, ep, r, long); e&unix.EPOLLHUP == 0 {
		t.Errorf("a pipe without a writer reports %#x", e)
	}
}

// The same descriptor in two epolls, one inside the other, beside Go's own.
func TestNested(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	raw, err := s.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	inner, outer := epoll(t), epoll(t)
	var fd int
	raw.Control(func(f uintptr) { fd = int(f) })
	watch(t, inner, fd, unix.EPOLLIN)
	watch(t, outer, inner, unix.EPOLLIN)
	if e := reported(t, outer, inner, 0); e != 0 {
		t.Errorf("at first the outer epoll reports %#x", e)
	}
	woken := make(chan uint32)
	go func() { woken <- reported(t, outer, inner, long) }()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if e := <-woken; e != unix.EPOLLIN {
		t.Errorf("the outer epoll reports %#x", e)
	}
	if e := reported(t, inner, fd, long); e != unix.EPOLLIN {
		t.Errorf("the inner epoll reports %#x", e)
	}
	b := make([]byte, 10)
	if n, err := s.Read(b); string(b[:n]) != "hello" {
		t.Errorf("Go's own reading got %q, %v", b[:n], err)
	}
	if e := reported(t, outer, inner, 0); e != 0 {
		t.Errorf("after the reading the outer epoll reports %#x", e)
	}
}

// Two epolls watch a duplicate each; an eventfd's counter is one.
func TestDuplicates(t *testing.T) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	dup, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dup)
	a, b := epoll(t), epoll(t)
	watch(t, a, fd, unix.EPOLLIN)
	watch(t, b, dup, unix.EPOLLIN|unix.EPOLLET)
	unix.Write(dup, []byte{7, 0, 0, 0, 0, 0, 0, 0})
	if x, y := reported(t, a, fd, long), reported(t, b, dup, long); x != unix.EPOLLIN || y != unix.EPOLLIN {
		t.Errorf("reported %#x and %#x", x, y)
	}
	var v [8]byte
	if n, err := unix.Read(fd, v[:]); n != 8 || v[0] != 7 {
		t.Errorf("read %v, %v", v, err)
	}
	unix.Close(fd)
	if _, err := unix.Write(dup, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Error(err)
	}
	// A duplicate takes the place of a descriptor of the other leaf, and back.
	r, w := pipe(t)
	if err := unix.Dup3(dup, r, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Read(r, v[:]); n != 8 || v[0] != 1 {
		t.Errorf("read %v, %v", v, err)
	}
	if _, err := unix.Write(w, []byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a write to a pipe whose reader was replaced: %v", err)
	}
}

// Reads of pipes and sockets at the same time as epoll_ctl and close on other descriptors.
func TestChurn(t *testing.T) {
	ep := epoll(t)
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 300 {
				var p [2]int
				if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
					t.Error(err)
					return
				}
				ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: int32(p[0])}
				if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, p[0], &ev); err != nil {
					t.Error(err)
				}
				unix.Write(p[1], []byte("x"))
				unix.EpollCtl(ep, unix.EPOLL_CTL_MOD, p[0], &ev)
				unix.Close(p[0])
				unix.Close(p[1])
			}
		}()
	}
	events := make([]unix.EpollEvent, 64)
	for left := 4; left > 0; {
		if _, err := unix.EpollWait(ep, events, 1); err != nil && !errors.Is(err, unix.EINTR) {
			t.Fatal(err)
		}
		select {
		case <-done:
			left--
		default:
		}
	}
	if n, _ := unix.EpollWait(ep, events, 0); n != 0 {
		t.Errorf("%d events of descriptors that are closed", n)
	}
}

func TestLimit(t *testing.T) {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if was.Cur < 1200 {
		t.Errorf("%d descriptors", was.Cur)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &was)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 100, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	var files []*os.File
	var err error
	for len(files) < 200 && err == nil {
		var f *os.File
		if f, err = os.Open(os.DevNull); err == nil {
			files = append(files, f)
		}
	}
	if !errors.Is(err, syscall.EMFILE) || files[len(files)-1].Fd() != 99 {
		t.Errorf("after %d files: %v", len(files), err)
	}
	if _, err := unix.Eventfd(0, 0); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("eventfd: %v", err)
	}
	for _, f := range files {
		f.Close()
	}
}

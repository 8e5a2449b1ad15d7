// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A program whose network is closed under it waits, whatever it is doing.
func TestStopNetwork(t *testing.T) {
	n, err := otherNetwork()
	if err != nil {
		t.Fatal(err)
	}
	RegisterNetwork(n)
	defer RegisterNetwork(newFakeNetwork())
	defer stopped.Store(false)
	k := &kernel{t: t, name: "door", raw: Door}
	l := k.socket(unix.AF_INET, unix.SOCK_STREAM)
	k.do("bind", unix.SYS_BIND, l, sockaddrOf(0), 16)
	k.do("listen", unix.SYS_LISTEN, l, 1)
	a := k.socket(unix.AF_INET, unix.SOCK_STREAM)
	k.do("connect", unix.SYS_CONNECT, a, sockaddrOf(k.port(l)), 16)
	u := k.socket(unix.AF_INET, unix.SOCK_DGRAM)
	k.do("bind", unix.SYS_BIND, u, sockaddrOf(0), 16)
	ended := make(chan string, 3)
	for what, c := range map[string][]any{
		"accept":        {uintptr(unix.SYS_ACCEPT), l, nil, nil},
		"read":          {uintptr(unix.SYS_READ), a, make([]byte, 10), 10},
		"read datagram": {uintptr(unix.SYS_READ), u, make([]byte, 10), 10},
	} {
		if what == "accept" { // the one that is in the queue
			k.do("accept", unix.SYS_ACCEPT, l, nil, nil)
		}
		go func() {
			r, e := k.call(c[0].(uintptr), c[1:]...)
			t.Logf("%s = %d, %v", what, r, e)
			ended <- what
		}()
	}
	time.Sleep(20 * time.Millisecond)
	StopNetwork()
	n.(interface{ Close() }).Close()
	select {
	case what := <-ended:
		t.Errorf("%s came back", what)
	case <-time.After(50 * time.Millisecond):
	}
	if ready, _ := Ready(l); ready != 0 {
		t.Errorf("ready %#x", ready)
	}
	if _, e := k.call(unix.SYS_ACCEPT4, k.nonblock(l), nil, nil, 0); e != syscall.EAGAIN {
		t.Errorf("accept without waiting: %v", e)
	}
	s := k.socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK)
	if _, e := k.call(unix.SYS_CONNECT, s, sockaddrOf(9), 16); e != syscall.EINPROGRESS {
		t.Errorf("connect: %v", e)
	}
}

// nonblock makes a descriptor one that does not block.
func (k *kernel) nonblock(fd int) int {
	k.call(unix.SYS_FCNTL, fd, unix.F_SETFL, unix.O_NONBLOCK)
	return fd
}

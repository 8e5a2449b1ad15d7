// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestConformSIGPIPE: which EPIPE comes with a signal.
func TestConformSIGPIPE(t *testing.T) {
	raised := make(chan os.Signal, 10)
	signal.Notify(raised, syscall.SIGPIPE)
	defer signal.Stop(raised)
	defer func(f func(int)) { Raise = f }(Raise)
	Raise = func(sig int) { raised <- syscall.Signal(sig) }
	conform(t, func(k *kernel) {
		b := []byte("x")
		iov := unix.Iovec{Base: &b[0], Len: 1}
		msg := unix.Msghdr{Iov: &iov, Iovlen: 1}
		call := func(what string, wanted bool, nr uintptr, args ...any) {
			k.do(what, nr, args...)
			wait := 20 * time.Millisecond
			if wanted {
				wait = time.Minute
			}
			select {
			case s := <-raised:
				k.note("%v", s)
			case <-time.After(wait):
				k.note("no signal")
			}
		}
		r, w := k.pipe(0)
		k.call(unix.SYS_CLOSE, r)
		call("write to a pipe", true, unix.SYS_WRITE, w, b, 1)
		call("writev to a pipe", true, unix.SYS_WRITEV, w, unsafe.Pointer(&iov), 1)
		for _, typ := range []int{unix.SOCK_STREAM, unix.SOCK_SEQPACKET, unix.SOCK_DGRAM} {
			s, _ := k.un2(typ)
			stream := typ == unix.SOCK_STREAM
			k.do("shutdown", unix.SYS_SHUTDOWN, s, unix.SHUT_WR)
			call("write", stream, unix.SYS_WRITE, s, b, 1)
			call("send", stream, unix.SYS_SENDTO, s, b, 1, 0, 0, 0)
			call("send without signal", false, unix.SYS_SENDTO, s, b, 1, unix.MSG_NOSIGNAL, 0, 0)
			call("sendmsg", stream, unix.SYS_SENDMSG, s, unsafe.Pointer(&msg), 0)
			call("sendmsg without signal", false, unix.SYS_SENDMSG, s, unsafe.Pointer(&msg), unix.MSG_NOSIGNAL)
		}
		a, _ := k.pair(0)
		k.do("shutdown", unix.SYS_SHUTDOWN, a, unix.SHUT_WR)
		call("write to TCP", true, unix.SYS_WRITE, a, b, 1)
		call("send without signal", false, unix.SYS_SENDTO, a, b, 1, unix.MSG_NOSIGNAL, 0, 0)
	})
}

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
		call := func(what string, nr uintptr, args ...any) {
			k.do(what, nr, args...)
			select {
			case s := <-raised:
				k.note("%v", s)
			case <-time.After(50 * time.Millisecond):
				k.note("no signal")
			}
		}
		r, w := k.pipe(0)
		k.call(unix.SYS_CLOSE, r)
		call("write to a pipe", unix.SYS_WRITE, w, b, 1)
		call("writev to a pipe", unix.SYS_WRITEV, w, unsafe.Pointer(&iov), 1)
		for _, typ := range []int{unix.SOCK_STREAM, unix.SOCK_SEQPACKET, unix.SOCK_DGRAM} {
			s, _ := k.un2(typ)
			k.do("shutdown", unix.SYS_SHUTDOWN, s, unix.SHUT_WR)
			call("write", unix.SYS_WRITE, s, b, 1)
			call("send", unix.SYS_SENDTO, s, b, 1, 0, 0, 0)
			call("send without signal", unix.SYS_SENDTO, s, b, 1, unix.MSG_NOSIGNAL, 0, 0)
			call("sendmsg", unix.SYS_SENDMSG, s, unsafe.Pointer(&msg), 0)
			call("sendmsg without signal", unix.SYS_SENDMSG, s, unsafe.Pointer(&msg), unix.MSG_NOSIGNAL)
		}
		a, _ := k.pair(0)
		k.do("shutdown", unix.SYS_SHUTDOWN, a, unix.SHUT_WR)
		call("write to TCP", unix.SYS_WRITE, a, b, 1)
		call("send without signal", unix.SYS_SENDTO, a, b, 1, unix.MSG_NOSIGNAL, 0, 0)
	})
}

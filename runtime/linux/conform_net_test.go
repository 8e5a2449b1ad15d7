// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bytes"
	"encoding/binary"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestConformPipe(t *testing.T) {
	conform(t, func(k *kernel) {
		k.do("flags", unix.SYS_PIPE2, make([]byte, 8), 1)
		k.do("bad", unix.SYS_PIPE2, badPage, 0)
		r, w := k.pipe(unix.O_NONBLOCK | unix.O_CLOEXEC)
		b := make([]byte, 1<<17)
		k.do("getfl", unix.SYS_FCNTL, r, unix.F_GETFL, 0)
		k.do("getfl", unix.SYS_FCNTL, w, unix.F_GETFL, 0)
		k.do("getfd", unix.SYS_FCNTL, w, unix.F_GETFD, 0)
		k.do("read", unix.SYS_READ, r, b, 10)
		k.do("read nothing", unix.SYS_READ, r, b, 0)
		k.do("read wrong end", unix.SYS_READ, w, b, 10)
		k.do("write wrong end", unix.SYS_WRITE, r, b, 10)
		k.do("pread", unix.SYS_PREAD64, r, b, 10, 0)
		k.do("pwrite wrong end", unix.SYS_PWRITE64, r, b, 10, 0)
		k.do("lseek", unix.SYS_LSEEK, r, 0, 0)
		k.do("ftruncate", unix.SYS_FTRUNCATE, w, 0)
		k.do("fsync", unix.SYS_FSYNC, w)
		k.do("getdents", unix.SYS_GETDENTS64, r, b, 100)
		k.do("tcgets", unix.SYS_IOCTL, r, unix.TCGETS, b)
		k.do("fchdir", unix.SYS_FCHDIR, r)
		k.do("openat", unix.SYS_OPENAT, r, "x", 0, 0)
		k.do("fallocate", unix.SYS_FALLOCATE, w, 0, 0, 1)
		k.do("fadvise", unix.SYS_FADVISE64, w, 0, 0, 0)
		k.do("listen", unix.SYS_LISTEN, w, 0)
		k.do("size", unix.SYS_FCNTL, r, unix.F_GETPIPE_SZ, 0)
		k.do("write", unix.SYS_WRITE, w, []byte("pipe data"), 9)
		k.do("fionread", unix.SYS_IOCTL, r, fionread, b)
		k.note("%d", le.Uint32(b))
		k.do("read", unix.SYS_READ, r, b, 4)
		k.do("read", unix.SYS_READ, r, b, 400)
		k.note("%q", b[:5])
		k.do("fill", unix.SYS_WRITE, w, b, len(b))
		k.do("full", unix.SYS_WRITE, w, b, 1)
		k.do("read", unix.SYS_READ, r, b, 4096)
		k.do("refill", unix.SYS_WRITE, w, b, 5000)
		k.do("empty", unix.SYS_READ, r, b, len(b))
		iov := []unix.Iovec{{Base: &b[0], Len: 3}, {Base: &b[9], Len: 4}}
		k.do("writev", unix.SYS_WRITEV, w, unsafe.Pointer(&iov[0]), 2)
		k.do("readv", unix.SYS_READV, r, unsafe.Pointer(&iov[0]), 2)
		k.do("grow", unix.SYS_FCNTL, w, unix.F_SETPIPE_SZ, 70000)
		k.do("size", unix.SYS_FCNTL, r, unix.F_GETPIPE_SZ, 0)
		var s unix.Stat_t
		k.do("fstat", unix.SYS_FSTAT, r, unsafe.Pointer(&s))
		k.note("%#o", s.Mode)
		k.do("write", unix.SYS_WRITE, w, []byte("last"), 4)
		k.do("close", unix.SYS_CLOSE, w)
		k.do("read", unix.SYS_READ, r, b, 10)
		k.do("end", unix.SYS_READ, r, b, 10)
		r, w = k.pipe(0)
		k.do("close", unix.SYS_CLOSE, r)
		k.do("broken", unix.SYS_WRITE, w, b, 1)
	})
}

// pipe makes a pipe: the reading and the writing end.
func (k *kernel) pipe(flags int) (r, w int) {
	fds := make([]byte, 8)
	k.do("pipe2", unix.SYS_PIPE2, fds, flags)
	r, w = int(le.Uint32(fds)), int(le.Uint32(fds[4:]))
	k.t.Cleanup(func() { k.call(unix.SYS_CLOSE, r); k.call(unix.SYS_CLOSE, w) })
	return r, w
}

func TestConformPipeBlocking(t *testing.T) {
	conform(t, func(k *kernel) {
		r, w := k.pipe(0)
		const size = 1 << 20
		sent := bytes.Repeat([]byte("0123456789abcdef"), size/16)
		done := make(chan struct{})
		go func() {
			n, e := k.call(unix.SYS_WRITE, w, sent, size)
			k.call(unix.SYS_CLOSE, w)
			k.result("write", n, e)
			close(done)
		}()
		var got []byte
		b := make([]byte, 10000)
		for {
			n, e := k.call(unix.SYS_READ, r, b, len(b))
			if n == 0 || e != 0 {
				break
			}
			got = append(got, b[:n]...)
		}
		<-done
		k.note("equal: %v", bytes.Equal(sent, got))
	})
}

func sockaddrOf(port int) []byte {
	b := make([]byte, 16)
	le.PutUint16(b, unix.AF_INET)
	binary.BigEndian.PutUint16(b[2:], uint16(port))
	copy(b[4:], []byte{127, 0, 0, 1})
	return b
}

// port is the local port of a socket.
func (k *kernel) port(fd int) int {
	b, n := make([]byte, 28), []byte{28, 0, 0, 0}
	k.do("getsockname", unix.SYS_GETSOCKNAME, fd, b, n)
	k.note("family %d length %d", le.Uint16(b), le.Uint32(n))
	return int(binary.BigEndian.Uint16(b[2:]))
}

func (k *kernel) socket(domain, typ int) int {
	return k.fd("socket", unix.SYS_SOCKET, domain, typ, 0)
}

// pair is two connected stream sockets.
func (k *kernel) pair(flags int) (a, b int) {
	l := k.socket(unix.AF_INET, unix.SOCK_STREAM)
	k.do("bind", unix.SYS_BIND, l, sockaddrOf(0), 16)
	k.do("listen", unix.SYS_LISTEN, l, 5)
	a = k.socket(unix.AF_INET, unix.SOCK_STREAM)
	k.do("connect", unix.SYS_CONNECT, a, sockaddrOf(k.port(l)), 16)
	b = k.fd("accept", unix.SYS_ACCEPT4, l, 0, 0, flags)
	k.do("setfl", unix.SYS_FCNTL, a, unix.F_SETFL, flags&unix.O_NONBLOCK)
	return a, b
}

// otherNetwork makes a real network stack; netstack_test.go sets it from outside, for the stack imports
// this package.
var otherNetwork func() (Network, error)

// SetOtherNetwork is for netstack_test.go.
func SetOtherNetwork(f func() (Network, error)) { otherNetwork = f }

// conformOnNetworks compares with Linux first the door alone, on a network made for it, then the door with
// the stack that a guest has.
func conformOnNetworks(t *testing.T, script func(k *kernel)) {
	t.Run("fake", func(t *testing.T) { conform(t, script) })
	t.Run("netstack", func(t *testing.T) {
		n, err := otherNetwork()
		if err != nil {
			t.Fatal(err)
		}
		defer RegisterNetwork(*network.Load())
		RegisterNetwork(n)
		conform(t, script)
	})
}

func TestConformSocketErrors(t *testing.T) {
	conformOnNetworks(t, func(k *kernel) {
		k.do("family", unix.SYS_SOCKET, 99, 1, 0)
		k.do("family negative", unix.SYS_SOCKET, -1, 1, 0)
		k.do("type", unix.SYS_SOCKET, unix.AF_INET, 12, 0)
		k.do("type 0", unix.SYS_SOCKET, unix.AF_INET, 0, 0)
		k.do("type flags", unix.SYS_SOCKET, unix.AF_INET, 1|1<<8, 0)
		k.do("seqpacket", unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_SEQPACKET, 0)
		k.do("raw", unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_RAW, 0)
		k.do("protocol", unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_UDP)
		k.do("protocol", unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 1000)
		k.do("socketpair", unix.SYS_SOCKETPAIR, unix.AF_INET, unix.SOCK_STREAM, 0, make([]byte, 8))

		s := k.socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		b := make([]byte, 128)
		k.do("getfl", unix.SYS_FCNTL, s, unix.F_GETFL, 0)
		k.do("getfd", unix.SYS_FCNTL, s, unix.F_GETFD, 0)
		k.do("bind short", unix.SYS_BIND, s, sockaddrOf(0), 15)
		k.do("bind long", unix.SYS_BIND, s, b, 129)
		k.do("bind negative", unix.SYS_BIND, s, b, -1)
		k.do("bind bad", unix.SYS_BIND, s, badPage, 16)
		v6 := make([]byte, 28)
		v6[0] = unix.AF_INET6
		k.do("bind family", unix.SYS_BIND, s, v6, 28)
		k.do("connect short", unix.SYS_CONNECT, s, sockaddrOf(1), 15)
		k.do("connect 1", unix.SYS_CONNECT, s, sockaddrOf(1), 1)
		k.do("connect family", unix.SYS_CONNECT, s, v6, 28)
		k.do("accept not listening", unix.SYS_ACCEPT4, s, 0, 0, 0)
		k.do("getpeername", unix.SYS_GETPEERNAME, s, b, []byte{16, 0, 0, 0})
		k.do("getsockname negative", unix.SYS_GETSOCKNAME, s, b, []byte{255, 255, 255, 255})
		k.do("getsockname short", unix.SYS_GETSOCKNAME, s, b, []byte{2, 0, 0, 0})
		k.do("getsockname bad", unix.SYS_GETSOCKNAME, s, badPage, []byte{16, 0, 0, 0})
		k.do("shutdown unconnected", unix.SYS_SHUTDOWN, s, 1)
		k.do("shutdown how", unix.SYS_SHUTDOWN, s, 3)
		k.do("read unconnected", unix.SYS_READ, s, b, 10)
		k.do("write unconnected", unix.SYS_SENDTO, s, b, 10, unix.MSG_NOSIGNAL, 0, 0)
		k.do("lseek", unix.SYS_LSEEK, s, 0, 0)
		k.do("pread", unix.SYS_PREAD64, s, b, 10, 0)
		k.do("fsync", unix.SYS_FSYNC, s)
		k.do("ftruncate", unix.SYS_FTRUNCATE, s, 0)
		k.do("getdents", unix.SYS_GETDENTS64, s, b, 100)
		k.do("tcgets", unix.SYS_IOCTL, s, unix.TCGETS, b)
		k.do("fchdir", unix.SYS_FCHDIR, s)

		u := k.socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK)
		k.do("udp listen", unix.SYS_LISTEN, u, 1)
		k.do("udp accept", unix.SYS_ACCEPT4, u, 0, 0, 0)
		k.do("udp read", unix.SYS_READ, u, b, 10)
		k.do("udp write unconnected", unix.SYS_WRITE, u, b, 10)
		k.do("udp sendto port 0", unix.SYS_SENDTO, u, b, 10, 0, sockaddrOf(0), 16)
		k.do("udp sendto short", unix.SYS_SENDTO, u, b, 10, 0, sockaddrOf(9), 10)
		k.do("udp sendto family", unix.SYS_SENDTO, u, b, 10, 0, v6, 28)
		k.do("udp sendto bad", unix.SYS_SENDTO, u, badPage, 10, 0, sockaddrOf(9), 16)
		k.do("udp oob", unix.SYS_SENDTO, u, b, 10, unix.MSG_OOB, sockaddrOf(9), 16)
		k.do("udp too long", unix.SYS_SENDTO, u, make([]byte, 70000), 70000, 0, sockaddrOf(9), 16)

		six := k.socket(unix.AF_INET6, unix.SOCK_STREAM)
		k.do("v6 bind short", unix.SYS_BIND, six, v6, 23)
		k.do("v6 bind family", unix.SYS_BIND, six, sockaddrOf(0), 16)
		k.do("v6 bind v4 in v6's length", unix.SYS_BIND, six, append(sockaddrOf(0), make([]byte, 12)...), 28)
		k.do("v6 connect short", unix.SYS_CONNECT, six, v6, 23)
	})
}

func TestConformSocketOptions(t *testing.T) {
	conformOnNetworks(t, func(k *kernel) {
		s := k.socket(unix.AF_INET, unix.SOCK_STREAM)
		get := func(what string, level, name, room int) {
			b, n := make([]byte, 32), make([]byte, 4)
			le.PutUint32(n, uint32(room))
			k.do("get "+what, unix.SYS_GETSOCKOPT, s, level, name, b, n)
			k.note("%d: % x", le.Uint32(n), b[:16])
		}
		set := func(what string, level, name int, value []byte, length int) {
			k.do("set "+what, unix.SYS_SETSOCKOPT, s, level, name, value, length)
		}
		one := []byte{1, 0, 0, 0}
		get("type", unix.SOL_SOCKET, unix.SO_TYPE, 4)
		get("type short", unix.SOL_SOCKET, unix.SO_TYPE, 2)
		get("type long", unix.SOL_SOCKET, unix.SO_TYPE, 32)
		get("type negative", unix.SOL_SOCKET, unix.SO_TYPE, -1)
		get("domain", unix.SOL_SOCKET, unix.SO_DOMAIN, 4)
		get("protocol", unix.SOL_SOCKET, unix.SO_PROTOCOL, 4)
		get("error", unix.SOL_SOCKET, unix.SO_ERROR, 4)
		get("acceptconn", unix.SOL_SOCKET, unix.SO_ACCEPTCONN, 4)
		get("linger", unix.SOL_SOCKET, unix.SO_LINGER, 8)
		set("linger", unix.SOL_SOCKET, unix.SO_LINGER, []byte{1, 0, 0, 0, 9, 0, 0, 0}, 8)
		get("linger", unix.SOL_SOCKET, unix.SO_LINGER, 8)
		set("linger short", unix.SOL_SOCKET, unix.SO_LINGER, one, 4)
		set("type", unix.SOL_SOCKET, unix.SO_TYPE, one, 4)
		set("error", unix.SOL_SOCKET, unix.SO_ERROR, one, 4)
		set("reuse", unix.SOL_SOCKET, unix.SO_REUSEADDR, one, 4)
		get("reuse", unix.SOL_SOCKET, unix.SO_REUSEADDR, 4)
		set("reuse short", unix.SOL_SOCKET, unix.SO_REUSEADDR, one, 3)
		set("nodelay", unix.IPPROTO_TCP, unix.TCP_NODELAY, one, 4)
		get("nodelay", unix.IPPROTO_TCP, unix.TCP_NODELAY, 4)
		get("unknown", unix.SOL_SOCKET, 5000, 4)
		set("unknown", unix.SOL_SOCKET, 5000, one, 4)
		get("rcvtimeo", unix.SOL_SOCKET, unix.SO_RCVTIMEO, 16)
		set("rcvtimeo", unix.SOL_SOCKET, unix.SO_RCVTIMEO, timespecs(1, 500000), 16)
		get("rcvtimeo", unix.SOL_SOCKET, unix.SO_RCVTIMEO, 16)
		set("rcvtimeo range", unix.SOL_SOCKET, unix.SO_RCVTIMEO, timespecs(1, 1e6), 16)
		set("rcvtimeo short", unix.SOL_SOCKET, unix.SO_RCVTIMEO, timespecs(1, 1), 15)
		k.do("set bad", unix.SYS_SETSOCKOPT, s, unix.SOL_SOCKET, unix.SO_REUSEADDR, badPage, 4)
		k.do("get bad", unix.SYS_GETSOCKOPT, s, unix.SOL_SOCKET, unix.SO_REUSEADDR, one, badPage)
		k.do("get bad value", unix.SYS_GETSOCKOPT, s, unix.SOL_SOCKET, unix.SO_TYPE, badPage, one)
	})
}

func TestConformStream(t *testing.T) {
	conformOnNetworks(t, func(k *kernel) {
		a, b := k.pair(unix.SOCK_NONBLOCK)
		buf := make([]byte, 4096)
		k.do("nothing yet", unix.SYS_READ, b, buf, 100)
		k.do("read 0", unix.SYS_READ, b, buf, 0)
		k.do("write", unix.SYS_WRITE, a, []byte("stream of bytes"), 15)
		k.do("write 0", unix.SYS_WRITE, a, buf, 0)
		k.settle(b)
		k.do("read bad", unix.SYS_RECVFROM, b, badPage, 7, 0, 0, 0)
		k.do("peek", unix.SYS_RECVFROM, b, buf, 6, unix.MSG_PEEK, 0, 0)
		k.note("%q", buf[:6])
		name, n := make([]byte, 16), []byte{16, 0, 0, 0}
		k.do("recvfrom", unix.SYS_RECVFROM, b, buf, 7, 0, name, n)
		k.note("%q name length %d", buf[:7], le.Uint32(n))
		iov := []unix.Iovec{{Base: &buf[0], Len: 2}, {Base: &buf[100], Len: 50}}
		k.do("readv", unix.SYS_READV, b, unsafe.Pointer(&iov[0]), 2)
		k.note("%q", buf[100:106])
		k.do("recvfrom oob", unix.SYS_RECVFROM, b, buf, 7, unix.MSG_OOB, 0, 0)
		k.do("errqueue", unix.SYS_RECVFROM, b, buf, 7, unix.MSG_ERRQUEUE, 0, 0)
		k.do("connect again", unix.SYS_CONNECT, a, sockaddrOf(9), 16)
		k.do("accept", unix.SYS_ACCEPT4, a, 0, 0, 0)
		msg := unix.Msghdr{Iov: &iov[0], Iovlen: 2}
		copy(buf, "he")
		copy(buf[100:], "llo")
		iov[1].Len = 3
		k.do("sendmsg", unix.SYS_SENDMSG, a, unsafe.Pointer(&msg), 0)
		k.settle(b)
		clear(buf)
		got := unix.Msghdr{Iov: &iov[0], Iovlen: 2, Name: &name[0], Namelen: 16, Flags: 77}
		k.do("recvmsg", unix.SYS_RECVMSG, b, unsafe.Pointer(&got), 0)
		k.note("%q %q flags %d name length %d", buf[:2], buf[100:103], got.Flags, got.Namelen)
		msg.Iovlen = 2000
		k.do("sendmsg too many", unix.SYS_SENDMSG, a, unsafe.Pointer(&msg), 0)
		k.do("recvmsg too many", unix.SYS_RECVMSG, b, unsafe.Pointer(&msg), 0)
		k.do("sendmsg bad", unix.SYS_SENDMSG, a, badPage, 0)

		file := k.open("f", unix.O_RDWR|unix.O_CREAT)
		k.do("file", unix.SYS_WRITE, file, []byte("from a file"), 11)
		off := timespecs(5)
		k.do("sendfile", unix.SYS_SENDFILE, a, file, off, 100)
		k.note("offset %d", le.Uint64(off))
		k.do("sendfile at end", unix.SYS_SENDFILE, a, file, 0, 100)
		k.do("lseek", unix.SYS_LSEEK, file, 5, 0)
		k.do("sendfile", unix.SYS_SENDFILE, a, file, 0, 4)
		k.do("lseek", unix.SYS_LSEEK, file, 0, 1)
		k.do("sendfile from socket", unix.SYS_SENDFILE, a, b, 0, 4)
		k.note("%q", k.readFull(b, 10)) // two segments, which need not come at once

		k.do("shutdown", unix.SYS_SHUTDOWN, a, unix.SHUT_WR)
		k.do("write after", unix.SYS_SENDTO, a, buf, 1, unix.MSG_NOSIGNAL, 0, 0)
		k.settle(b)
		k.do("end", unix.SYS_READ, b, buf, 100)
		k.do("other way", unix.SYS_WRITE, b, []byte("back"), 4)
		k.settle(a)
		k.do("read", unix.SYS_READ, a, buf, 100)
		k.do("close", unix.SYS_CLOSE, b)
		k.settle(a)
		k.do("end", unix.SYS_READ, a, buf, 100)
	})
}

// settle waits until a socket has something to read: loopback may be another context.
func (k *kernel) settle(fd int) {
	if k.name == "linux" {
		unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 5000)
		return
	}
	waitFor(k.t, "data", func() bool {
		ready, _ := Ready(fd)
		return ready&unix.EPOLLIN != 0
	})
}

// readFull reads n bytes from a socket that does not block.
func (k *kernel) readFull(fd, n int) []byte {
	var all []byte
	for len(all) < n {
		k.settle(fd)
		b := make([]byte, n-len(all))
		r, e := k.call(unix.SYS_READ, fd, b, len(b))
		if r == 0 || e != 0 {
			break
		}
		all = append(all, b[:r]...)
	}
	return all
}

func TestConformStreamBlocking(t *testing.T) {
	conformOnNetworks(t, func(k *kernel) {
		a, b := k.pair(0)
		const size = 4 << 20
		sent := bytes.Repeat([]byte("0123456789abcdef"), size/16)
		done := make(chan struct{})
		go func() {
			n, e := k.call(unix.SYS_WRITE, a, sent, size)
			k.call(unix.SYS_SHUTDOWN, a, unix.SHUT_WR)
			k.result("write", n, e)
			close(done)
		}()
		got := make([]byte, size+1)
		n, e := k.call(unix.SYS_RECVFROM, b, got, size+1, unix.MSG_WAITALL, 0, 0)
		<-done
		k.result("waitall", n, e)
		k.note("equal: %v", bytes.Equal(sent, got[:n]))
		k.do("rcvtimeo", unix.SYS_SETSOCKOPT, a, unix.SOL_SOCKET, unix.SO_RCVTIMEO, timespecs(0, 20000), 16)
		k.do("read in vain", unix.SYS_READ, a, got, 1)
		k.do("dontwait", unix.SYS_RECVFROM, a, got, 1, unix.MSG_DONTWAIT, 0, 0)
		k.do("refused", unix.SYS_CONNECT, k.socket(unix.AF_INET, unix.SOCK_STREAM), sockaddrOf(1), 16)
	})
}

func TestConformDatagram(t *testing.T) {
	conformOnNetworks(t, func(k *kernel) {
		a := k.socket(unix.AF_INET, unix.SOCK_DGRAM)
		b := k.socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK)
		k.do("bind", unix.SYS_BIND, b, sockaddrOf(0), 16)
		k.do("bind again", unix.SYS_BIND, b, sockaddrOf(0), 16)
		to := sockaddrOf(k.port(b))
		k.do("in use", unix.SYS_BIND, a, to, 16)
		buf := make([]byte, 4096)
		send := func(s string) {
			k.do("sendto", unix.SYS_SENDTO, a, []byte(s), len(s), 0, to, 16)
			k.settle(b)
		}
		send("datagram")
		name, n := make([]byte, 28), []byte{28, 0, 0, 0}
		k.do("recvfrom short", unix.SYS_RECVFROM, b, buf, 4, 0, name, n)
		k.note("%q family %d from %v length %d", buf[:5], name[0], name[4:8], le.Uint32(n))
		k.do("the rest is gone", unix.SYS_READ, b, buf, 10)
		send("datagram")
		k.do("peek, whole length", unix.SYS_RECVFROM, b, buf, 3, unix.MSG_PEEK|unix.MSG_TRUNC, 0, 0)
		k.do("whole length", unix.SYS_RECVFROM, b, buf, 3, unix.MSG_TRUNC, 0, 0)
		send("")
		k.do("empty", unix.SYS_RECVFROM, b, buf, 3, 0, 0, 0)
		send("scatter")
		iov := []unix.Iovec{{Base: &buf[0], Len: 2}, {Base: &buf[100], Len: 3}}
		m := unix.Msghdr{Iov: &iov[0], Iovlen: 2, Name: &name[0], Namelen: 28}
		k.do("recvmsg", unix.SYS_RECVMSG, b, unsafe.Pointer(&m), 0)
		k.note("%q %q flags %#x name length %d", buf[:2], buf[100:103], m.Flags, m.Namelen)
		send("scatter")
		k.do("readv", unix.SYS_READV, b, unsafe.Pointer(&iov[0]), 2)
		k.do("connect", unix.SYS_CONNECT, a, to, 16)
		k.do("writev", unix.SYS_WRITEV, a, unsafe.Pointer(&iov[0]), 2)
		k.settle(b)
		k.do("read", unix.SYS_READ, b, buf, 100)
		k.note("%q", buf[:5])
		iov[1].Len = 70000
		big := make([]byte, 70000)
		iov[1].Base = &big[0]
		k.do("writev too long", unix.SYS_WRITEV, a, unsafe.Pointer(&iov[0]), 2)
		iov[1].Len = 3
		k.do("write empty", unix.SYS_WRITE, a, buf, 0)
		k.settle(b)
		k.do("recv empty", unix.SYS_RECVFROM, b, buf, 100, 0, 0, 0)
		k.do("nothing", unix.SYS_RECVFROM, b, buf, 100, 0, 0, 0)
		none := unix.Msghdr{}
		k.do("sendmsg of nothing", unix.SYS_SENDMSG, a, unsafe.Pointer(&none), 0)
		k.settle(b)
		k.do("recv empty", unix.SYS_RECVFROM, b, buf, 100, 0, 0, 0)
		var hdrs [3][64]byte
		for i := range hdrs {
			*(*unix.Msghdr)(unsafe.Pointer(&hdrs[i])) = unix.Msghdr{Iov: &iov[0], Iovlen: 1}
		}
		k.do("sendmmsg", unix.SYS_SENDMMSG, a, unsafe.Pointer(&hdrs), 3, 0)
		k.note("%d %d", le.Uint32(hdrs[0][56:]), le.Uint32(hdrs[2][56:]))
		k.settle(b)
		k.do("recvmmsg", unix.SYS_RECVMMSG, b, unsafe.Pointer(&hdrs), 3, unix.MSG_WAITFORONE, 0)
		k.do("disconnect", unix.SYS_CONNECT, a, make([]byte, 16), 16)
		k.do("write", unix.SYS_WRITE, a, buf, 1)
	})
}

func TestConformSixSocket(t *testing.T) {
	conformOnNetworks(t, func(k *kernel) {
		s := k.socket(unix.AF_INET6, unix.SOCK_DGRAM)
		k.port(s)
		any6 := make([]byte, 28)
		any6[0] = unix.AF_INET6
		k.do("bind", unix.SYS_BIND, s, any6, 24)
		b, n := make([]byte, 28), []byte{28, 0, 0, 0}
		k.do("getsockname", unix.SYS_GETSOCKNAME, s, b, n)
		b[2], b[3] = 0, 0
		k.note("% x", b)
		four := k.socket(unix.AF_INET, unix.SOCK_DGRAM)
		k.do("sendto", unix.SYS_SENDTO, four, []byte("four"), 4, 0, sockaddrOf(k.port(s)), 16)
		k.do("recvfrom", unix.SYS_RECVFROM, s, make([]byte, 9), 9, 0, b, n)
		b[2], b[3] = 0, 0
		k.note("% x", b)
	})
}

// Closing the only descriptor while another goroutine reads leaves the reader to its end.
func TestCloseWhileReading(t *testing.T) {
	k := &kernel{t: t, name: "door", raw: Door}
	r, w := k.pipe(0)
	got := make(chan string)
	go func() {
		b := make([]byte, 16)
		n, e := k.call(unix.SYS_READ, r, b, 16)
		got <- string(b[:n]) + e.Error()
	}()
	waitFor(t, "a reader", func() bool {
		d, _ := lookup(uintptr(r))
		defer d.put()
		d.readiness.mu.Lock()
		defer d.readiness.mu.Unlock()
		return len(d.readiness.waiters) == 1
	})
	k.call(unix.SYS_CLOSE, r)
	if _, e := k.call(unix.SYS_READ, r, make([]byte, 1), 1); e != syscall.EBADF {
		t.Errorf("read of the closed descriptor: %v, want EBADF", e)
	}
	k.call(unix.SYS_WRITE, w, []byte("late"), 4)
	if s := <-got; !strings.HasPrefix(s, "late") {
		t.Errorf("reader got %q, want what was written after the close", s)
	}
	if _, e := k.call(unix.SYS_WRITE, w, []byte("x"), 1); e != syscall.EPIPE {
		t.Errorf("write after the last reader: %v, want EPIPE", e)
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 10000 {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s: never", what)
}

// Epoll hears of every change: of edges, and of the level that is left.
func TestReadinessToldToEpoll(t *testing.T) {
	k := &kernel{t: t, name: "door", raw: Door}
	r, w := k.pipe(unix.O_NONBLOCK)
	level := func(fd int) uint32 {
		fakeFDs.Lock()
		defer fakeFDs.Unlock()
		return fakeFDs.level[fd]
	}
	edges := func(fd int) int {
		fakeFDs.Lock()
		defer fakeFDs.Unlock()
		return len(fakeFDs.edges[fd])
	}
	if level(r) != 0 || level(w) != unix.EPOLLOUT {
		t.Errorf("new pipe: %#x and %#x, want 0 and EPOLLOUT", level(r), level(w))
	}
	dup, _ := k.call(unix.SYS_DUP, r)
	k.call(unix.SYS_WRITE, w, []byte("a"), 1)
	k.call(unix.SYS_WRITE, w, []byte("b"), 1)
	if level(r) != unix.EPOLLIN || level(dup) != unix.EPOLLIN || edges(r) != 2 {
		t.Errorf("after two writes: %#x, %#x, %d edges, want EPOLLIN on both and 2", level(r), level(dup), edges(r))
	}
	b := make([]byte, 1<<17)
	k.call(unix.SYS_READ, r, b, 10)
	k.call(unix.SYS_READ, r, b, 10)
	if level(r) != 0 || edges(r) != 2 {
		t.Errorf("drained: %#x, %d edges, want 0 and no new edge", level(r), edges(r))
	}
	k.call(unix.SYS_WRITE, w, b, len(b))
	k.call(unix.SYS_WRITE, w, b, 1)
	if level(w) != 0 {
		t.Errorf("full: %#x, want 0", level(w))
	}
	k.call(unix.SYS_READ, r, b, len(b))
	if level(w) != unix.EPOLLOUT {
		t.Errorf("room again: %#x, want EPOLLOUT", level(w))
	}
	k.call(unix.SYS_READ, r, b, len(b))
	k.call(unix.SYS_CLOSE, w)
	if level(r) != unix.EPOLLHUP {
		t.Errorf("writer gone: %#x, want EPOLLHUP", level(r))
	}
	k.call(unix.SYS_CLOSE, dup)
}

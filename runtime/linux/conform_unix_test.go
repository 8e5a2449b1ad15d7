// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockaddrUn is a Unix address: a path, or with a leading @ an abstract name.
func sockaddrUn(name string) []byte {
	b := append([]byte{unix.AF_UNIX, 0}, name...)
	if strings.HasPrefix(name, "@") {
		b[2] = 0
		return b
	}
	return append(b, 0)
}

func (k *kernel) isDoor() bool { return k.name == "door" }

func (k *kernel) un(typ int) int { return k.socket(unix.AF_UNIX, typ) }

// un2 is a pair of Unix sockets.
func (k *kernel) un2(typ int) (a, b int) {
	k.t.Helper()
	fds := make([]byte, 8)
	k.do("socketpair", unix.SYS_SOCKETPAIR, unix.AF_UNIX, typ, 0, fds)
	a, b = int(le.Uint32(fds)), int(le.Uint32(fds[4:]))
	k.t.Cleanup(func() { k.call(unix.SYS_CLOSE, a); k.call(unix.SYS_CLOSE, b) })
	return a, b
}

// at makes a call with an address as its last arguments.
func (k *kernel) at(what string, nr uintptr, fd int, addr []byte) {
	k.t.Helper()
	k.do(what, nr, fd, addr, len(addr))
}

// name notes an address, without the directory, which differs.
func (k *kernel) showName(what string, b []byte, n uint32) {
	s := string(b[:min(int(n), len(b))])
	s = strings.ReplaceAll(s, k.dir, "DIR")
	k.note("%s: %q, length %d", what, s, int(n)-strings.Count(string(b[:min(int(n), len(b))]), k.dir)*len(k.dir))
}

func (k *kernel) names(fd int) {
	for _, nr := range []uintptr{unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME} {
		b, n := make([]byte, 128), []byte{128, 0, 0, 0}
		k.do(CallName[nr], nr, fd, b, n)
		k.showName(CallName[nr], b, le.Uint32(n))
	}
}

// state notes what poll tells.
func (k *kernel) state(what string, fd int) {
	const all = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	if !k.isDoor() {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT | unix.POLLRDHUP}}
		unix.Poll(p, 0)
		k.note("%s: ready %#x", what, uint32(uint16(p[0].Revents))&all)
		return
	}
	r, _ := Ready(fd)
	k.note("%s: ready %#x", what, r&all)
}

func (k *kernel) send(what string, fd int, s string) {
	k.t.Helper()
	k.do("send "+what, unix.SYS_SENDTO, fd, []byte(s), len(s), unix.MSG_NOSIGNAL, 0, 0)
}

func (k *kernel) sendTo(what string, fd int, s string, addr []byte) {
	k.t.Helper()
	k.do("sendto "+what, unix.SYS_SENDTO, fd, []byte(s), len(s), unix.MSG_NOSIGNAL, addr, len(addr))
}

// recv notes what is received, and from where.
func (k *kernel) recv(what string, fd, n, flags int) {
	k.t.Helper()
	b, name, size := make([]byte, 4096), make([]byte, 128), []byte{128, 0, 0, 0}
	r, e := k.call(unix.SYS_RECVFROM, fd, b, n, flags, name, size)
	k.result("recv "+what, r, e)
	if e == 0 {
		k.showName(fmt.Sprintf("%q from", b[:min(r, n)]), name, le.Uint32(size))
	}
}

var unixTypes = map[string]int{"stream": unix.SOCK_STREAM, "datagram": unix.SOCK_DGRAM, "seqpacket": unix.SOCK_SEQPACKET}

func eachUnixType(t *testing.T, script func(k *kernel, typ int)) {
	for name, typ := range unixTypes {
		t.Run(name, func(t *testing.T) { conform(t, func(k *kernel) { script(k, typ) }) })
	}
}

func TestConformUnixErrors(t *testing.T) {
	eachUnixType(t, func(k *kernel, typ int) {
		k.do("protocol", unix.SYS_SOCKET, unix.AF_UNIX, typ, 7)
		k.do("protocol 1", unix.SYS_CLOSE, k.do2(unix.SYS_SOCKET, unix.AF_UNIX, typ, 1))
		k.do("type", unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_RDM, 0)
		k.do("pair protocol", unix.SYS_SOCKETPAIR, unix.AF_UNIX, typ, 7, make([]byte, 8))
		k.do("pair bad", unix.SYS_SOCKETPAIR, unix.AF_UNIX, typ, 0, badPage)
		k.do("pair flags", unix.SYS_SOCKETPAIR, unix.AF_UNIX, typ|1<<8, 0, make([]byte, 8))
		k.do("pair type", unix.SYS_SOCKETPAIR, unix.AF_UNIX, 12, 0, make([]byte, 8))
		k.do("pair family", unix.SYS_SOCKETPAIR, unix.AF_INET, typ, 0, make([]byte, 8))
		k.do("pair family 99", unix.SYS_SOCKETPAIR, 99, typ, 0, make([]byte, 8))
		s := k.un(typ | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC)
		k.do("getfl", unix.SYS_FCNTL, s, unix.F_GETFL, 0)
		k.do("getfd", unix.SYS_FCNTL, s, unix.F_GETFD, 0)
		k.state("new", s)
		k.names(s)
		long := bytes.Repeat([]byte("x"), 200)
		long[0], long[1] = unix.AF_UNIX, 0
		for _, nr := range []uintptr{unix.SYS_BIND, unix.SYS_CONNECT} {
			for _, n := range []int{-1, 0, 1, 3, 111, 128, 129} {
				a := append([]byte(nil), long...)
				if n == 3 {
					a[0] = unix.AF_INET
				}
				k.do(fmt.Sprint(CallName[nr], " length ", n), nr, s, a, n)
			}
			k.do(CallName[nr]+" bad", nr, s, badPage, 16)
			k.do(CallName[nr]+" family", nr, s, sockaddrOf(1), 16)
			k.at(CallName[nr]+" no directory", nr, s, sockaddrUn(k.path("none/x")))
			k.at(CallName[nr]+" in a file", nr, s, sockaddrUn("/dev/null/x"))
			k.at(CallName[nr]+" directory", nr, s, sockaddrUn(k.dir))
			k.at(CallName[nr]+" device", nr, s, sockaddrUn("/dev/null"))
			k.at(CallName[nr]+" slash", nr, s, sockaddrUn(k.path("x/")))
		}
		k.at("connect nothing there", unix.SYS_CONNECT, s, sockaddrUn(k.path("none")))
		k.at("connect abstract", unix.SYS_CONNECT, s, sockaddrUn("@hvgo none"))
		k.do("connect unspec", unix.SYS_CONNECT, s, make([]byte, 16), 16)
		k.do("listen unbound", unix.SYS_LISTEN, s, 1)
		k.do("accept", unix.SYS_ACCEPT4, s, 0, 0, 0)
		k.do("accept flags", unix.SYS_ACCEPT4, s, 0, 0, 1)
		k.send("unconnected", s, "x")
		k.sendTo("nowhere", s, "x", sockaddrUn(k.path("none")))
		k.sendTo("nobody", s, "x", sockaddrUn("@hvgo none"))
		k.sendTo("family", s, "x", sockaddrOf(1))
		k.recv("unconnected", s, 10, 0)
		k.do("read nothing", unix.SYS_READ, s, long, 0)
		k.do("shutdown unconnected", unix.SYS_SHUTDOWN, s, 1)
		k.do("shutdown how", unix.SYS_SHUTDOWN, s, 3)
		k.do("lseek", unix.SYS_LSEEK, s, 0, 0)
		k.do("pread", unix.SYS_PREAD64, s, long, 1, 0)
		k.do("fsync", unix.SYS_FSYNC, s)
		k.do("tcgets", unix.SYS_IOCTL, s, unix.TCGETS, long)
		b := k.un(typ)
		k.at("bind", unix.SYS_BIND, b, sockaddrUn(k.path("s")))
		k.names(b)
		k.at("bind again", unix.SYS_BIND, b, sockaddrUn(k.path("s2")))
		k.at("bind abstract too", unix.SYS_BIND, b, sockaddrUn("@hvgo again"))
		k.at("bind in use", unix.SYS_BIND, k.un(typ), sockaddrUn(k.path("s")))
		k.do("open", unix.SYS_OPENAT, unix.AT_FDCWD, k.path("s"), unix.O_RDWR, 0)
		k.do("truncate", unix.SYS_TRUNCATE, k.path("s"), 0)
		var st unix.Stat_t
		k.do("stat", unix.SYS_STAT, k.path("s"), unsafe.Pointer(&st))
		k.note("mode %#o", st.Mode)
		other := unix.SOCK_STREAM
		if typ == other {
			other = unix.SOCK_DGRAM
		}
		k.at("connect other type", unix.SYS_CONNECT, k.un(other), sockaddrUn(k.path("s")))
		k.at("connect not listening", unix.SYS_CONNECT, k.un(unix.SOCK_STREAM), sockaddrUn(k.path("s")))
		k.do("close", unix.SYS_CLOSE, b)
		k.at("connect closed", unix.SYS_CONNECT, k.un(typ), sockaddrUn(k.path("s")))
		k.at("bind where one was", unix.SYS_BIND, k.un(typ), sockaddrUn(k.path("s")))
		k.do("unlink", unix.SYS_UNLINKAT, unix.AT_FDCWD, k.path("s"), 0)
		k.at("bind after unlink", unix.SYS_BIND, k.un(typ), sockaddrUn(k.path("s")))
		k.do("mkdir", unix.SYS_MKDIRAT, unix.AT_FDCWD, k.path("d"), 0o755)
		k.at("bind to a dead link", unix.SYS_BIND, k.un(typ), sockaddrUn(k.path("d/")))
		auto := k.un(typ)
		k.do("autobind", unix.SYS_BIND, auto, sockaddrUn("")[:2], 2)
		n := []byte{110, 0, 0, 0}
		k.do("getsockname", unix.SYS_GETSOCKNAME, auto, long, n)
		k.note("length %d, % x", le.Uint32(n), long[:3])
		k.do("autobind again", unix.SYS_BIND, auto, sockaddrUn("")[:2], 2)
	})
}

// do2 is call without a note, for a result that differs.
func (k *kernel) do2(nr uintptr, args ...any) int { r, _ := k.call(nr, args...); return r }

func TestConformUnixConnection(t *testing.T) {
	for name, typ := range unixTypes {
		if typ == unix.SOCK_DGRAM {
			continue
		}
		for _, addr := range []string{"path", "@hvgo connection " + name} {
			t.Run(name, func(t *testing.T) {
				conform(t, func(k *kernel) {
					where := sockaddrUn(addr)
					if addr == "path" {
						where = sockaddrUn(k.path("s"))
					}
					l := k.un(typ | unix.SOCK_NONBLOCK)
					k.at("bind", unix.SYS_BIND, l, where)
					k.at("connect too early", unix.SYS_CONNECT, k.un(typ), where)
					k.do("listen", unix.SYS_LISTEN, l, 1)
					k.do("listen again", unix.SYS_LISTEN, l, 0)
					k.state("listener", l)
					k.at("connect a listener", unix.SYS_CONNECT, l, where)
					k.do("accept", unix.SYS_ACCEPT4, l, 0, 0, 0)
					a := k.un(typ | unix.SOCK_NONBLOCK)
					k.at("connect", unix.SYS_CONNECT, a, where)
					k.state("listener", l)
					k.at("connect again", unix.SYS_CONNECT, a, where)
					k.do("listen connected", unix.SYS_LISTEN, a, 1)
					late := k.un(typ | unix.SOCK_NONBLOCK)
					k.at("backlog full", unix.SYS_CONNECT, late, where)
					k.send("before accept", a, "early")
					from, n := make([]byte, 128), []byte{128, 0, 0, 0}
					b := k.fd("accept", unix.SYS_ACCEPT4, l, from, n, unix.SOCK_NONBLOCK)
					k.showName("accepted", from, le.Uint32(n))
					k.at("room in the backlog", unix.SYS_CONNECT, late, where)
					k.names(a)
					k.names(b)
					k.state("connected", a)
					k.state("accepted", b)
					k.recv("early", b, 100, 0)
					k.recv("nothing", b, 100, 0)
					k.sendTo("with an address", b, "hello", where)
					k.recv("hello", a, 100, 0)
					k.state("connected", a)
					cred, size := make([]byte, 12), []byte{12, 0, 0, 0}
					k.do("peercred", unix.SYS_GETSOCKOPT, l, unix.SOL_SOCKET, unix.SO_PEERCRED, cred, size)
					k.note("uid % x", cred[4:])
					k.do("close with data", unix.SYS_CLOSE, b)
					k.state("peer closed", a)
					k.recv("end", a, 100, 0)
					k.send("to a closed peer", a, "x")
					k.do("close listener", unix.SYS_CLOSE, l)
					k.state("never accepted", late)
					k.recv("never accepted", late, 100, 0)
					k.state("never accepted", late)
					k.recv("never accepted", late, 100, 0)
					k.at("connect after close", unix.SYS_CONNECT, k.un(typ), where)
				})
			})
		}
	}
}

func TestConformUnixPair(t *testing.T) {
	eachUnixType(t, func(k *kernel, typ int) {
		a, b := k.un2(typ | unix.SOCK_NONBLOCK)
		k.names(a)
		k.state("new", a)
		k.send("first", a, "first message")
		k.send("second", a, "second")
		k.state("sent", b)
		n := make([]byte, 4)
		k.do("fionread", unix.SYS_IOCTL, b, fionread, n)
		k.note("%d", le.Uint32(n))
		k.recv("peek", b, 8, unix.MSG_PEEK)
		k.recv("peek whole", b, 8, unix.MSG_PEEK|unix.MSG_TRUNC)
		k.recv("whole length", b, 8, unix.MSG_TRUNC)
		k.recv("rest", b, 100, 0)
		k.recv("rest", b, 100, 0)
		k.recv("nothing", b, 100, 0)
		k.recv("errqueue", b, 100, unix.MSG_ERRQUEUE)
		k.send("empty", a, "")
		k.recv("empty", b, 100, 0)
		k.do("write", unix.SYS_WRITE, a, []byte("written"), 7)
		k.do("write nothing", unix.SYS_WRITE, a, []byte("written"), 0)
		buf := make([]byte, 100)
		k.do("read", unix.SYS_READ, b, buf, 100)
		k.note("%q", buf[:8])
		k.recv("written nothing", b, 100, 0)
		k.do("send bad", unix.SYS_SENDTO, a, badPage, 5, 0, 0, 0)
		k.send("for a bad buffer", a, "x")
		k.do("recv bad", unix.SYS_RECVFROM, b, badPage, 5, 0, 0, 0)
		k.call(unix.SYS_READ, b, buf, 100) // Linux has thrown a datagram away, but not a stream's byte
		iov := []unix.Iovec{{Base: &buf[0], Len: 3}, {Base: &buf[50], Len: 4}}
		k.do("writev", unix.SYS_WRITEV, a, unsafe.Pointer(&iov[0]), 2)
		k.send("more", a, "more")
		k.do("readv", unix.SYS_READV, b, unsafe.Pointer(&iov[0]), 2)
		k.recv("rest", b, 100, 0)
		k.recv("rest", b, 100, 0)
		k.send("before shutdown", a, "last")
		k.do("shutdown", unix.SYS_SHUTDOWN, a, unix.SHUT_WR)
		k.state("shut", a)
		k.state("peer", b)
		k.send("after shutdown", a, "x")
		k.recv("last", b, 100, 0)
		k.recv("end", b, 100, 0)
		k.send("other way", b, "back")
		k.recv("other way", a, 100, 0)
		k.do("shutdown read", unix.SYS_SHUTDOWN, a, unix.SHUT_RD)
		k.send("to one that does not read", b, "x")
		k.state("shut both", a)
		k.state("peer", b)
		a, b = k.un2(typ | unix.SOCK_NONBLOCK)
		k.send("unread", a, "unread")
		k.do("close", unix.SYS_CLOSE, b)
		k.state("peer closed", a)
		k.send("to a closed peer", a, "x")
		k.recv("from a closed peer", a, 100, 0)
		k.recv("from a closed peer", a, 100, 0)
		k.send("to a closed peer", a, "x")
		k.names(a)
		k.state("peer closed", a)
	})
}

func TestConformUnixDatagram(t *testing.T) {
	conform(t, func(k *kernel) {
		a, b, c := k.un(unix.SOCK_DGRAM|unix.SOCK_NONBLOCK), k.un(unix.SOCK_DGRAM|unix.SOCK_NONBLOCK), k.un(unix.SOCK_DGRAM)
		to, back := sockaddrUn(k.path("b")), sockaddrUn("@hvgo datagram a")
		k.at("bind", unix.SYS_BIND, b, to)
		k.sendTo("nameless", a, "nameless", to)
		k.recv("nameless", b, 100, 0)
		k.at("bind", unix.SYS_BIND, a, back)
		k.sendTo("named", a, "named", to)
		k.recv("named", b, 3, 0)
		k.recv("the rest is gone", b, 3, 0)
		k.at("connect", unix.SYS_CONNECT, a, to)
		k.send("connected", a, "connected")
		k.recv("connected", b, 100, 0)
		k.at("connect back to another", unix.SYS_CONNECT, b, back)
		k.sendTo("from a stranger", c, "x", to)
		k.at("stranger connects", unix.SYS_CONNECT, c, to)
		k.do("disconnect", unix.SYS_CONNECT, b, make([]byte, 16), 16)
		k.sendTo("from a stranger", c, "x", to)
		k.recv("from a stranger", b, 100, 0)
		k.names(a)
		k.do("too long", unix.SYS_SENDTO, a, make([]byte, 300000), 300000, 0, 0, 0)
		k.do("long", unix.SYS_SENDTO, a, make([]byte, 100000), 100000, 0, 0, 0)
		k.recv("long", b, 10, unix.MSG_TRUNC)
		full := 0
		for range 100 {
			_, e := k.call(unix.SYS_SENDTO, a, []byte("x"), 1, 0, 0, 0)
			if full++; e != 0 {
				k.note("%v after %d", e, full)
				break
			}
		}
		k.state("full", a)
		k.recv("one", b, 1, 0)
		k.state("room again", a)
		k.do("shutdown reading", unix.SYS_SHUTDOWN, b, unix.SHUT_RD)
		k.send("shut", a, "x")
		k.do("close", unix.SYS_CLOSE, b)
		k.send("refused", a, "x")
		k.send("refused", a, "x")
		k.sendTo("refused", a, "x", to)
		k.names(a)
	})
}

// cmsg is a control message.
func cmsg(level, typ int, data ...uint32) []byte {
	b := le.AppendUint64(nil, uint64(cmsgHeader+4*len(data)))
	b = le.AppendUint32(le.AppendUint32(b, uint32(level)), uint32(typ))
	for _, v := range data {
		b = le.AppendUint32(b, v)
	}
	return append(b, make([]byte, -len(b)&7)...)
}

func (k *kernel) sendControl(what string, fd int, s string, control []byte) {
	k.t.Helper()
	data := []byte(s + "\x00")
	iov := unix.Iovec{Base: &data[0], Len: uint64(len(s))}
	m := unix.Msghdr{Iov: &iov, Iovlen: 1}
	if len(control) > 0 {
		m.Control, m.Controllen = &control[0], uint64(len(control))
	}
	k.do("sendmsg "+what, unix.SYS_SENDMSG, fd, unsafe.Pointer(&m), unix.MSG_NOSIGNAL)
}

// recvControl notes what came and returns the descriptors.
func (k *kernel) recvControl(what string, fd, room, flags int) (fds []int) {
	k.t.Helper()
	data, control := make([]byte, 100), make([]byte, room+1)
	iov := unix.Iovec{Base: &data[0], Len: 100}
	m := unix.Msghdr{Iov: &iov, Iovlen: 1, Control: &control[0], Controllen: uint64(room)}
	r, e := k.call(unix.SYS_RECVMSG, fd, unsafe.Pointer(&m), flags)
	k.result("recvmsg "+what, r, e)
	if e != 0 {
		return nil
	}
	k.note("%q flags %#x control %d", data[:r], m.Flags, m.Controllen)
	for b := control[:m.Controllen]; len(b) >= cmsgHeader; {
		n, typ := int(le.Uint64(b)), le.Uint32(b[12:])
		k.note("control length %d level %d type %d", n, le.Uint32(b[8:]), typ)
		for x := b[cmsgHeader:n]; len(x) >= 4; x = x[4:] {
			if typ == scmRights {
				fds = append(fds, int(le.Uint32(x)))
			}
		}
		if typ == scmCreds && n == cmsgHeader+credSize {
			k.note("uid and gid % x", b[cmsgHeader+4:n])
		}
		b = b[min(len(b), (n+7)&^7):]
	}
	k.t.Cleanup(func() {
		for _, fd := range fds {
			k.call(unix.SYS_CLOSE, fd)
		}
	})
	return fds
}

func TestConformUnixRights(t *testing.T) {
	eachUnixType(t, func(k *kernel, typ int) {
		a, b := k.un2(typ | unix.SOCK_NONBLOCK)
		r, w := k.pipe(unix.O_NONBLOCK)
		k.sendControl("bad descriptor", a, "x", cmsg(1, scmRights, 900))
		k.sendControl("bad type", a, "x", cmsg(1, 99, 0))
		k.sendControl("other level", a, "other level", cmsg(41, 99, 0))
		k.recvControl("other level", b, 100, 0)
		k.sendControl("too many", a, "x", cmsg(1, scmRights, make([]uint32, 254)...))
		short := cmsg(1, scmRights, uint32(r))
		short[0] = 15
		k.sendControl("short", a, "x", short)
		short[0] = 30
		k.sendControl("long", a, "x", short)
		k.sendControl("header cut", a, "cut", short[:15])
		k.recvControl("header cut", b, 100, 0)
		k.sendControl("none", a, "none", cmsg(1, scmRights))
		k.recvControl("none", b, 100, 0)
		k.send("before", a, "before,")
		k.sendControl("two", a, "two", cmsg(1, scmRights, uint32(r), uint32(w)))
		k.send("after", a, ", after")
		k.recvControl("before", b, 100, 0)
		fds := k.recvControl("two", b, 100, unix.MSG_CMSG_CLOEXEC)
		if typ == unix.SOCK_STREAM {
			k.recvControl("after", b, 100, 0)
		}
		if len(fds) == 2 {
			k.do("cloexec", unix.SYS_FCNTL, fds[0], unix.F_GETFD, 0)
		}
		k.recvControl("rest", b, 100, 0)
		k.recvControl("rest", b, 100, 0)
		k.sendControl("one", a, "one", cmsg(1, scmRights, uint32(w)))
		k.do("close", unix.SYS_CLOSE, w)
		k.recvControl("peek", b, 100, unix.MSG_PEEK)
		got := k.recvControl("one", b, 100, 0)
		if len(got) == 1 {
			k.do("write to it", unix.SYS_WRITE, got[0], []byte("passed"), 6)
			buf := make([]byte, 10)
			k.do("read", unix.SYS_READ, r, buf, 10)
			k.note("%q", buf)
		}
		for _, room := range []int{0, 8, 15, 16, 19, 20, 23, 24, 27} {
			k.sendControl("two", a, "two", cmsg(1, scmRights, uint32(r), uint32(r)))
			k.recvControl(fmt.Sprint("room ", room), b, room, 0)
		}
		k.sendControl("read by recvfrom", a, "lost", cmsg(1, scmRights, uint32(r)))
		k.recv("lost", b, 100, 0)
		k.sendControl("read by read", a, "lost", cmsg(1, scmRights, uint32(r)))
		k.do("read", unix.SYS_READ, b, make([]byte, 9), 9)
		k.sendControl("in a piece", a, "piece", cmsg(1, scmRights, uint32(r)))
		k.recv("p", b, 1, 0)
		k.recvControl("iece", b, 100, 0)
		k.sendControl("without data", a, "", cmsg(1, scmRights, uint32(r)))
		k.recvControl("without data", b, 100, 0)

		rights := cmsg(1, scmRights, uint32(r))
		for count := range uint64(3) {
			iov := [2]unix.Iovec{}
			m := unix.Msghdr{Iov: &iov[0], Iovlen: count, Control: &rights[0], Controllen: uint64(len(rights))}
			k.do("sendmsg of empty vectors", unix.SYS_SENDMSG, a, unsafe.Pointer(&m), 0)
			k.recvControl("empty vectors", b, 100, 0)
		}

		k.do("passcred", unix.SYS_SETSOCKOPT, b, unix.SOL_SOCKET, unix.SO_PASSCRED, []byte{1, 0, 0, 0}, 4)
		k.send("creds", a, "creds")
		k.recvControl("creds", b, 100, 0)
		for _, room := range []int{0, 15, 16, 20, 28, 32, 48, 56} {
			k.sendControl("creds and rights", a, "both", cmsg(1, scmRights, uint32(r)))
			k.recvControl(fmt.Sprint("both, room ", room), b, room, 0)
		}
		pid := uint32(syscall.Getpid())
		if k.isDoor() {
			pid = thePID
		}
		k.sendControl("own creds", a, "own", cmsg(1, scmCreds, pid, 0, 0))
		k.recvControl("own creds", b, 100, 0)
		k.sendControl("no such process", a, "own", cmsg(1, scmCreds, 1<<30, 0, 0))
		k.sendControl("no user", a, "own", cmsg(1, scmCreds, pid, 1<<32-1, 0))
		k.sendControl("creds too short", a, "own", cmsg(1, scmCreds, pid, 0))
	})
	if n := rightsInFlight.Load(); n != 0 {
		t.Errorf("%d descriptors are still on their way", n)
	}
}

func TestConformUnixBlocking(t *testing.T) {
	conform(t, func(k *kernel) {
		a, b := k.un2(unix.SOCK_STREAM)
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

		l := k.un(unix.SOCK_STREAM)
		where := sockaddrUn(k.path("s"))
		k.at("bind", unix.SYS_BIND, l, where)
		k.do("listen", unix.SYS_LISTEN, l, 0)
		k.at("connect", unix.SYS_CONNECT, k.un(unix.SOCK_STREAM), where)
		late := k.un(unix.SOCK_STREAM)
		k.do("sndtimeo", unix.SYS_SETSOCKOPT, late, unix.SOL_SOCKET, unix.SO_SNDTIMEO, timespecs(0, 20000), 16)
		k.at("connect in vain", unix.SYS_CONNECT, late, where)
		late = k.un(unix.SOCK_STREAM)
		connected := make(chan syscall.Errno)
		go func() {
			_, e := k.call(unix.SYS_CONNECT, late, where, len(where))
			connected <- e
		}()
		k.fd("accept", unix.SYS_ACCEPT4, l, 0, 0, 0)
		k.fd("accept", unix.SYS_ACCEPT4, l, 0, 0, 0)
		k.result("connect", 0, <-connected)

		d, e2 := k.un2(unix.SOCK_DGRAM)
		go func() {
			for i := range 2000 {
				msg := bytes.Repeat([]byte{byte(i)}, 1000)
				k.call(unix.SYS_SENDTO, d, msg, len(msg), 0, 0, 0)
			}
		}()
		wrong := 0
		for i := range 2000 {
			msg := make([]byte, 2000)
			if n, _ := k.call(unix.SYS_READ, e2, msg, len(msg)); n != 1000 || msg[0] != byte(i) || msg[999] != byte(i) {
				wrong++
			}
		}
		k.note("%d datagrams wrong", wrong)
	})
}

func TestConformUnixOptions(t *testing.T) {
	conform(t, func(k *kernel) {
		s, _ := k.un2(unix.SOCK_STREAM)
		for _, name := range []int{unix.SO_TYPE, unix.SO_DOMAIN, unix.SO_PROTOCOL, unix.SO_ERROR, unix.SO_ACCEPTCONN, unix.SO_LINGER, unix.SO_SNDBUF,
			unix.SO_RCVBUF, unix.SO_PASSCRED, unix.SO_REUSEADDR, unix.SO_KEEPALIVE, unix.SO_BROADCAST, unix.SO_RCVLOWAT, 5000} {
			get := func() {
				b, n := make([]byte, 16), []byte{16, 0, 0, 0}
				k.do(fmt.Sprint("get ", name), unix.SYS_GETSOCKOPT, s, unix.SOL_SOCKET, name, b, n)
				k.note("%d: % x", le.Uint32(n), b)
			}
			get()
			k.do(fmt.Sprint("set ", name), unix.SYS_SETSOCKOPT, s, unix.SOL_SOCKET, name, []byte{1, 0, 0, 0, 5, 0, 0, 0}, 8)
			get()
		}
		k.do("snd", unix.SYS_SETSOCKOPT, s, unix.SOL_SOCKET, unix.SO_SNDBUF, []byte{0, 0, 2, 0}, 4)
		b, n := make([]byte, 16), []byte{16, 0, 0, 0}
		k.do("get", unix.SYS_GETSOCKOPT, s, unix.SOL_SOCKET, unix.SO_SNDBUF, b, n)
		k.note("% x", b[:4])
		k.do("nodelay", unix.SYS_SETSOCKOPT, s, unix.IPPROTO_TCP, unix.TCP_NODELAY, b, 4)
		k.do("get nodelay", unix.SYS_GETSOCKOPT, s, unix.IPPROTO_TCP, unix.TCP_NODELAY, b, n)
		k.do("set peercred", unix.SYS_SETSOCKOPT, s, unix.SOL_SOCKET, unix.SO_PEERCRED, b, 12)
		k.do("peercred", unix.SYS_GETSOCKOPT, s, unix.SOL_SOCKET, unix.SO_PEERCRED, b, n)
		k.note("%d: uid % x", le.Uint32(n), b[4:12])
		k.do("peercred of nobody", unix.SYS_GETSOCKOPT, k.un(unix.SOCK_STREAM), unix.SOL_SOCKET, unix.SO_PEERCRED, b, n)
		k.note("% x", b[:12])
		k.do("peercred of inet", unix.SYS_GETSOCKOPT, k.socket(unix.AF_INET, unix.SOCK_STREAM), unix.SOL_SOCKET, unix.SO_PEERCRED, b, n)
		k.note("% x", b[:12])
	})
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// FuzzPath opens any path with any flags. Whatever opens leads back to a name that can be looked up.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"/", "/tmp/../dev/null", "//etc//hosts", "tmp/./x/", "/proc/self/fd/1", "/proc/self/cwd/..", strings.Repeat("a/", 3000)} {
		f.Add(p, uint32(0))
		f.Add(p, uint32(unix.O_CREAT|unix.O_RDWR))
	}
	f.Fuzz(func(t *testing.T, path string, flags uint32) {
		k := &kernel{t: t, raw: Door}
		fd, e := k.call(unix.SYS_OPENAT, unix.AT_FDCWD, path, int(flags), 0o644)
		if e != 0 {
			return
		}
		defer k.call(unix.SYS_CLOSE, fd)
		tree.mu.RLock()
		defer tree.mu.RUnlock()
		d, e := lookup(uintptr(fd))
		if e != 0 {
			t.Fatal(e)
		}
		if p, e := walk(tree.root, d.path, slashLinks); e != 0 || p.node == nil {
			t.Errorf("%q opened as %q, which is not there: %v", path, d.path, e)
		}
		d.refs.Add(-1)
	})
}

// FuzzSockaddr decodes any address for any socket, and encodes what came out.
func FuzzSockaddr(f *testing.F) {
	f.Add(sockaddrOf(80), true, true, 0)
	f.Add(append([]byte{unix.AF_INET6, 0, 1, 2}, make([]byte, 24)...), false, false, 1)
	f.Fuzz(func(t *testing.T, raw []byte, v4, stream bool, u int) {
		domain, typ := syscall.AF_INET6, syscall.SOCK_DGRAM
		if v4 {
			domain = syscall.AF_INET
		}
		if stream {
			typ = syscall.SOCK_STREAM
		}
		raw = append(raw, 0)
		inHeap = raw
		a, e := loadSockaddr(ref{v: uintptr(unsafe.Pointer(&raw[0]))}, len(raw)-1)
		if e != 0 {
			return
		}
		addr, e := a.addrPort(domain, typ, use(u&3))
		if e != 0 {
			return
		}
		if _, n := encodeSockaddr(domain, addr); n > sockaddrIn6 || !addr.IsValid() {
			t.Errorf("% x: %v, %d bytes", raw, addr, n)
		}
	})
}

// FuzzDoor makes any calls with any arguments: they may fail, but neither panic nor reach memory that is
// not the program's.
func FuzzDoor(f *testing.F) {
	f.Add([]byte{0, 3, 0, 0, 0, 0, 0, 1, 4, 4, 4, 4, 4, 4})
	f.Add([]byte{46, 5, 4, 0, 0, 0, 0, 47, 6, 4, 0, 0, 0, 0})
	f.Add([]byte{unix.SYS_SENDTO, 0, 16, 4, 7, 0, 0, 0, unix.SYS_RECVFROM, 0, 17, 4, 7, 0, 4, 8})
	f.Add([]byte{unix.SYS_BIND, 0, 19, 4, 7, 0, 0, 0, unix.SYS_LISTEN, 0, 19, 1, 0, 0, 0, 0})
	f.Add(append([]byte{unix.SYS_SENDMSG, 0, 16, 4, 0, 0, 0, 0, unix.SYS_RECVMSG, 0, 17, 4, 0, 0, 0, 0}, cmsg(1, scmRights, 1, 2)...))
	f.Add(append([]byte{unix.SYS_SENDTO, 0, 20, 8, 7, 0, 0, 0}, nlRequest(unix.RTM_GETLINK, dump, 0)...))
	f.Fuzz(func(t *testing.T, script []byte) {
		k := &kernel{t: t, raw: Door}
		mem := append(append([]byte{}, script...), make([]byte, 1<<12)...)
		inHeap = mem
		at := uintptr(unsafe.Pointer(&mem[0]))
		defer func(v func(uintptr, uintptr, bool) bool) { Valid = v }(Valid)
		Valid = func(a, n uintptr, _ bool) bool {
			return a >= at && n <= uintptr(len(mem)) && a-at <= uintptr(len(mem))-n
		}
		fds := make([]byte, 8)
		p := uintptr(unsafe.Pointer(&fds[0]))
		pipe := Valid
		Valid = func(a, n uintptr, w bool) bool { return a == p }
		k.call(unix.SYS_PIPE2, fds, unix.O_NONBLOCK)
		Valid = pipe
		u, _ := k.call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
		socket := func(domain, typ int) uintptr {
			fd, e := k.call(unix.SYS_SOCKET, domain, typ|unix.SOCK_NONBLOCK, 0)
			if e != 0 {
				t.Fatal(e)
			}
			return uintptr(fd)
		}
		d1, d2 := unixPairFDs(t)
		choice := []uintptr{0, 1, ^uintptr(0), uintptr(le.Uint32(fds)), at, uintptr(le.Uint32(fds[4:])), uintptr(u), 16,
			at + 64, 1 << 12, 1 << 40, 1 << 63, unix.O_NONBLOCK, 3, 0o777, at + 4090,
			d1, d2, socket(unix.AF_UNIX, unix.SOCK_DGRAM), socket(unix.AF_UNIX, unix.SOCK_STREAM), socket(unix.AF_NETLINK, unix.SOCK_RAW),
			uintptr(le.Uint64(mem)), uintptr(le.Uint32(mem[8:])), unix.SOL_SOCKET, unix.SO_PASSCRED, unix.MSG_PEEK, unix.MSG_TRUNC, 2, 110, at + 8, at + 16, 56}
		for len(script) >= 8 {
			nr := uintptr(le.Uint16(script)) % MaxCall
			var a [6]uintptr
			for i := range a {
				a[i] = choice[script[2+i]%32]
			}
			script = script[8:]
			switch nr {
			case unix.SYS_FLOCK, unix.SYS_FCNTL, unix.SYS_IOCTL, unix.SYS_PIPE, unix.SYS_PIPE2, unix.SYS_SOCKET, unix.SYS_CLOSE_RANGE,
				unix.SYS_SOCKETPAIR, unix.SYS_ACCEPT, unix.SYS_ACCEPT4:
				continue // may make a descriptor that blocks, or close those of other tests
			}
			Door(nr, &a)
		}
		k.call(unix.SYS_CLOSE_RANGE, 3, 1000, 0)
	})
}

// unixPairFDs is two connected Unix sockets that do not block.
func unixPairFDs(t testing.TB) (a, b uintptr) {
	x, y, typ, e := newUnixPair(unix.SOCK_STREAM, 0)
	var fds [2]int
	for i, u := range []*unixSocket{x, y} {
		if e == 0 {
			fds[i], e = installNew(newStream(newSocket(u, unix.AF_UNIX, typ, 0), unix.O_RDWR|unix.O_NONBLOCK), true)
		}
	}
	if e != 0 {
		t.Fatal(e)
	}
	return uintptr(fds[0]), uintptr(fds[1])
}

// FuzzControl parses any control messages. What it took, it gives back.
func FuzzControl(f *testing.F) {
	f.Add(cmsg(1, scmRights, 1, 2))
	f.Add(append(cmsg(1, scmCreds, 1, 0, 0), cmsg(1, scmRights, 0)...))
	f.Add(cmsg(41, 3)[:15])
	f.Fuzz(func(t *testing.T, b []byte) {
		before := rightsInFlight.Load()
		c := &control{cred: rootCred}
		e := c.parse(b)
		if len(c.rights) > maxRights {
			t.Errorf("%d descriptors: %v", len(c.rights), e)
		}
		c.release()
		if rightsInFlight.Load() != before {
			t.Errorf("%d descriptors are kept", rightsInFlight.Load()-before)
		}
	})
}

// FuzzNetlink asks anything. Each answer consists of whole messages.
func FuzzNetlink(f *testing.F) {
	f.Add(nlRequest(unix.RTM_GETLINK, dump, 0))
	f.Add(nlRequest(unix.RTM_GETADDR, dump|unix.NLM_F_ACK, 2))
	f.Add(nlRequest(unix.RTM_GETROUTE, dump, 10))
	f.Add(append(nlRequest(1, 5), nlRequest(unix.RTM_GETLINK, 1, append(make([]byte, 16), 7, 0, 3, 0, 'l', 'o', 0, 0)...)...))
	RegisterNetwork(cardNetwork{newFakeNetwork()})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := new(netlinkSocket)
		s.serve(b)
		for _, a := range s.answers {
			for len(a) > 0 {
				if len(a) < nlmsgHeader || le.Uint32(a) < nlmsgHeader || int(le.Uint32(a)) > len(a) {
					t.Fatalf("% x: % x", b, a)
				}
				a = a[min(len(a), int(le.Uint32(a)+3)&^3):]
			}
		}
	})
}

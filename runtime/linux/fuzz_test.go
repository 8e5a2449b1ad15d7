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
		if p, e := walk(tree.root, d.path, false); e != 0 || p.node == nil {
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
		choice := []uintptr{0, 1, ^uintptr(0), uintptr(le.Uint32(fds)), at, uintptr(le.Uint32(fds[4:])), uintptr(u), 16,
			at + 64, 1 << 12, 1 << 40, 1 << 63, unix.O_NONBLOCK, 3, 0o777, at + 4090}
		for len(script) >= 8 {
			nr := uintptr(le.Uint16(script)) % MaxCall
			var a [6]uintptr
			for i := range a {
				a[i] = choice[script[2+i]%16]
			}
			script = script[8:]
			switch nr {
			case unix.SYS_FLOCK, unix.SYS_FCNTL, unix.SYS_IOCTL, unix.SYS_PIPE, unix.SYS_PIPE2, unix.SYS_SOCKET, unix.SYS_CLOSE_RANGE:
				continue // may make a descriptor that blocks, or close those of other tests
			}
			Door(nr, &a)
		}
		k.call(unix.SYS_CLOSE_RANGE, 3, 1000, 0)
	})
}

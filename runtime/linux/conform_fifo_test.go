// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// try notes a call that may give a descriptor: whether it did, or why not.
func (k *kernel) try(what string, nr uintptr, args ...any) int {
	k.t.Helper()
	fd, e := k.call(nr, args...)
	if e != 0 {
		k.result(what, 0, e)
		return -1
	}
	k.note("%s is a descriptor", what)
	k.t.Cleanup(func() { k.call(unix.SYS_CLOSE, fd) })
	return fd
}

func TestConformFIFO(t *testing.T) {
	conform(t, func(k *kernel) {
		const cwd = unix.AT_FDCWD
		b := make([]byte, 256)
		mknod := func(what, name string, mode int) {
			k.do("mknod "+what, unix.SYS_MKNODAT, cwd, k.path(name), mode, 0)
		}
		mknod("fifo", "f", unix.S_IFIFO|0o640)
		mknod("again", "f", unix.S_IFIFO|0o640)
		mknod("directory", "d", unix.S_IFDIR|0o640)
		mknod("link", "l", unix.S_IFLNK|0o640)
		mknod("unknown", "u", 0o150000)
		mknod("socket", "s", unix.S_IFSOCK|0o600)
		k.stat("f")
		k.stat("s")
		open := func(what string, flags int) int {
			return k.try("open "+what, unix.SYS_OPENAT, cwd, k.path("f"), flags, 0)
		}
		open("for writing, no reader", unix.O_WRONLY|unix.O_NONBLOCK)
		k.try("open the socket", unix.SYS_OPENAT, cwd, k.path("s"), unix.O_RDONLY, 0)
		r := open("for reading, no writer", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_TRUNC)
		k.do("read, no writer yet", unix.SYS_READ, r, b, 10)
		k.do("write to the reader", unix.SYS_WRITE, r, b, 10)
		k.do("getfl", unix.SYS_FCNTL, r, unix.F_GETFL, 0)
		k.do("lseek", unix.SYS_LSEEK, r, 0, 0)
		k.do("ftruncate", unix.SYS_FTRUNCATE, r, 0)
		k.do("truncate", unix.SYS_TRUNCATE, k.path("f"), 0)
		k.do("fchmod", unix.SYS_FCHMOD, r, 0o600)
		k.stat("f")
		w := open("for writing", unix.O_WRONLY|unix.O_NONBLOCK)
		k.do("read, a writer", unix.SYS_READ, r, b, 10)
		k.do("write", unix.SYS_WRITE, w, []byte("abcdef"), 6)
		both := open("for both", unix.O_RDWR|unix.O_NONBLOCK)
		k.do("read by another", unix.SYS_READ, both, b, 4)
		k.note("%q", b[:4])
		k.do("close a writer", unix.SYS_CLOSE, w)
		k.do("read the rest", unix.SYS_READ, r, b, 10)
		k.do("read, one writer left", unix.SYS_READ, r, b, 10)
		k.do("write by another", unix.SYS_WRITE, both, []byte("xyz"), 3)
		k.do("close the writers", unix.SYS_CLOSE, both)
		k.do("read what was left", unix.SYS_READ, r, b, 10)
		k.do("read at the end", unix.SYS_READ, r, b, 10)
		k.do("close the reader", unix.SYS_CLOSE, r)
		both = open("for both", unix.O_RDWR)
		k.do("write", unix.SYS_WRITE, both, []byte("gone"), 4)
		k.do("close", unix.SYS_CLOSE, both)
		r = open("again", unix.O_RDONLY|unix.O_NONBLOCK)
		k.do("read what nobody kept", unix.SYS_READ, r, b, 10)
		k.do("unlink", unix.SYS_UNLINKAT, cwd, k.path("f"), 0)
		k.do("read without a name", unix.SYS_READ, r, b, 10)
	})
}

// Each side waits for the other.
func TestConformFIFOWaits(t *testing.T) {
	conform(t, func(k *kernel) {
		k.do("mknod", unix.SYS_MKNODAT, unix.AT_FDCWD, k.path("f"), unix.S_IFIFO|0o600, 0)
		for _, first := range []int{unix.O_RDONLY, unix.O_WRONLY} {
			opened := make(chan int)
			go func() {
				fd, e := k.call(unix.SYS_OPENAT, unix.AT_FDCWD, k.path("f"), first, 0)
				if e != 0 {
					fd = -int(e)
				}
				opened <- fd
			}()
			select {
			case fd := <-opened:
				k.note("opened alone: %d", fd)
			case <-time.After(20 * time.Millisecond):
			}
			other := k.fd("the other side", unix.SYS_OPENAT, unix.AT_FDCWD, k.path("f"), unix.O_WRONLY-first, 0)
			fd := <-opened
			k.note("the first side is open: %v", fd >= 0)
			r, w := fd, other
			if first == unix.O_WRONLY {
				r, w = other, fd
			}
			b := make([]byte, 8)
			k.do("write", unix.SYS_WRITE, w, []byte("hi"), 2)
			k.do("read", unix.SYS_READ, r, b, 8)
			k.do("close", unix.SYS_CLOSE, w)
			k.do("read at the end", unix.SYS_READ, r, b, 8)
			if k.name == "door" {
				events, _ := Ready(r)
				k.note("events %#x", events)
			} else {
				p := []unix.PollFd{{Fd: int32(r), Events: unix.POLLIN}}
				unix.Poll(p, 0)
				k.note("events %#x", p[0].Revents)
			}
			k.do("close", unix.SYS_CLOSE, r)
		}
	})
}

// A link of /proc/self/fd leads to the file, whatever has become of its name.
func TestConformProcFD(t *testing.T) {
	conform(t, func(k *kernel) {
		self := func(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
		b := make([]byte, 256)
		link := func(fd int) string {
			n, e := k.call(unix.SYS_READLINKAT, unix.AT_FDCWD, self(fd), b, len(b))
			if e != 0 {
				return e.Error()
			}
			if s := string(b[:n]); len(s) > len(k.dir) && s[:len(k.dir)] == k.dir {
				return s[len(k.dir):]
			}
			return string(b[:min(n, 5)])
		}
		f := k.open("f", unix.O_CREAT|unix.O_RDWR)
		k.do("write", unix.SYS_WRITE, f, []byte("kept"), 4)
		k.note("link %q", link(f))
		k.do("unlink", unix.SYS_UNLINKAT, unix.AT_FDCWD, k.path("f"), 0)
		k.note("link %q", link(f))
		again := k.try("open once more", unix.SYS_OPENAT, unix.AT_FDCWD, self(f), unix.O_RDONLY, 0)
		k.do("read", unix.SYS_READ, again, b, 10)
		k.do("write", unix.SYS_WRITE, again, b, 10)
		k.try("open with a slash", unix.SYS_OPENAT, unix.AT_FDCWD, self(f)+"/", unix.O_RDONLY, 0)
		k.try("open beneath", unix.SYS_OPENAT, unix.AT_FDCWD, self(f)+"/x", unix.O_RDONLY, 0)
		k.try("open the link", unix.SYS_OPENAT, unix.AT_FDCWD, self(f), unix.O_RDONLY|unix.O_NOFOLLOW, 0)
		k.try("open and truncate", unix.SYS_OPENAT, unix.AT_FDCWD, self(f), unix.O_RDWR|unix.O_TRUNC|unix.O_CREAT, 0o600)
		k.do("read what was cut", unix.SYS_PREAD64, again, b, 10, 0)
		d := k.open(".", unix.O_RDONLY)
		k.do("mkdir beneath", unix.SYS_MKDIRAT, unix.AT_FDCWD, self(d)+"/new", 0o700)
		k.stat("new")
		path := k.open("new", unix.O_PATH)
		k.do("fchmod", unix.SYS_FCHMOD, path, 0o750)
		k.do("chmod", unix.SYS_FCHMODAT, unix.AT_FDCWD, self(path), 0o750)
		k.stat("new")

		var p [8]byte
		k.do("pipe", unix.SYS_PIPE2, p[:], 0)
		r, w := int(le.Uint32(p[:])), int(le.Uint32(p[4:]))
		defer k.call(unix.SYS_CLOSE, r)
		defer k.call(unix.SYS_CLOSE, w)
		k.note("link %q", link(r))
		w2 := k.try("open the pipe's reader to write", unix.SYS_OPENAT, unix.AT_FDCWD, self(r), unix.O_WRONLY, 0)
		k.do("write", unix.SYS_WRITE, w2, []byte("through"), 7)
		k.do("read", unix.SYS_READ, r, b, 10)
		s := k.try("socket", unix.SYS_SOCKET, syscall.AF_INET, syscall.SOCK_STREAM, 0)
		k.note("link %q", link(s))
	})
}

// What makes or removes a name never follows a link there, also with a slash behind it.
func TestConformSlash(t *testing.T) {
	conform(t, func(k *kernel) {
		const cwd = unix.AT_FDCWD
		k.do("mkdir", unix.SYS_MKDIRAT, cwd, k.path("d"), 0o755)
		k.open("f", unix.O_CREAT|unix.O_RDWR)
		for name, target := range map[string]string{"ld": "d", "lf": "f", "lx": "nowhere", "ls": "nowhere/"} {
			_, e := k.call(unix.SYS_SYMLINKAT, target, cwd, k.path(name))
			if e != 0 {
				k.t.Fatal(e)
			}
		}
		for _, name := range []string{"d/", "f/", "ld/", "lf/", "lx/", "ls/", "ls", "x/"} {
			for _, c := range []struct {
				what string
				nr   uintptr
				args []any
			}{
				{"mkdir", unix.SYS_MKDIRAT, []any{cwd, k.path(name), 0o755}},
				{"mknod", unix.SYS_MKNODAT, []any{cwd, k.path(name), unix.S_IFREG | 0o644, 0}},
				{"symlink", unix.SYS_SYMLINKAT, []any{"t", cwd, k.path(name)}},
				{"link", unix.SYS_LINKAT, []any{cwd, k.path("f"), cwd, k.path(name), 0}},
				{"link of", unix.SYS_LINKAT, []any{cwd, k.path(name), cwd, k.path("new"), 0}},
				{"rename to", unix.SYS_RENAMEAT, []any{cwd, k.path("f"), cwd, k.path(name)}},
				{"unlink", unix.SYS_UNLINKAT, []any{cwd, k.path(name), 0}},
				{"access", unix.SYS_FACCESSAT, []any{cwd, k.path(name), 0}},
			} {
				k.do(c.what+" "+name, c.nr, c.args...)
			}
			k.try("create "+name, unix.SYS_OPENAT, cwd, k.path(name), unix.O_CREAT|unix.O_RDWR, 0o600)
			k.try("create exclusively "+name, unix.SYS_OPENAT, cwd, k.path(name), unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, 0o600)
		}
		for _, name := range []string{"lx/", "lf/", "ld/", "f/", "x/"} {
			k.do("rmdir "+name, unix.SYS_UNLINKAT, cwd, k.path(name), unix.AT_REMOVEDIR)
			k.do("rename "+name, unix.SYS_RENAMEAT, cwd, k.path(name), cwd, k.path("r"+name))
		}
	})
}

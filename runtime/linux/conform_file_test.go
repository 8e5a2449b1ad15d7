// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

const badFD = 987

func TestConformBadDescriptor(t *testing.T) {
	conform(t, func(k *kernel) {
		b := make([]byte, 256)
		for _, c := range []struct {
			name string
			nr   uintptr
			args []any
		}{
			{"read", unix.SYS_READ, []any{badFD, b, 8}},
			{"write", unix.SYS_WRITE, []any{badFD, b, 8}},
			{"read -1", unix.SYS_READ, []any{-1, b, 8}},
			{"pread", unix.SYS_PREAD64, []any{badFD, b, 8, 0}},
			{"pread negative", unix.SYS_PREAD64, []any{badFD, b, 8, -1}},
			{"readv", unix.SYS_READV, []any{badFD, b, 1}},
			{"writev", unix.SYS_WRITEV, []any{badFD, b, 1}},
			{"close", unix.SYS_CLOSE, []any{badFD}},
			{"fstat", unix.SYS_FSTAT, []any{badFD, b}},
			{"lseek", unix.SYS_LSEEK, []any{badFD, 0, 0}},
			{"fcntl", unix.SYS_FCNTL, []any{badFD, unix.F_GETFL, 0}},
			{"ioctl", unix.SYS_IOCTL, []any{badFD, unix.TCGETS, b}},
			{"getdents", unix.SYS_GETDENTS64, []any{badFD, b, 256}},
			{"fsync", unix.SYS_FSYNC, []any{badFD}},
			{"ftruncate", unix.SYS_FTRUNCATE, []any{badFD, 0}},
			{"ftruncate negative", unix.SYS_FTRUNCATE, []any{badFD, -1}},
			{"dup", unix.SYS_DUP, []any{badFD}},
			{"dup2 same", unix.SYS_DUP2, []any{badFD, badFD}},
			{"dup3 same", unix.SYS_DUP3, []any{badFD, badFD, 0}},
			{"dup3 flags", unix.SYS_DUP3, []any{badFD, badFD + 1, 1}},
			{"fchdir", unix.SYS_FCHDIR, []any{badFD}},
			{"fchmod", unix.SYS_FCHMOD, []any{badFD, 0o600}},
			{"fstatfs", unix.SYS_FSTATFS, []any{badFD, b}},
			{"flock", unix.SYS_FLOCK, []any{badFD, unix.LOCK_SH}},
			{"flock operation", unix.SYS_FLOCK, []any{badFD, 64}},
			{"openat relative", unix.SYS_OPENAT, []any{badFD, "x", 0, 0}},
			{"openat empty", unix.SYS_OPENAT, []any{badFD, "", 0, 0}},
			{"openat absolute", unix.SYS_OPENAT, []any{badFD, "/no such", 0, 0}},
			{"bind", unix.SYS_BIND, []any{badFD, b, 16}},
			{"listen", unix.SYS_LISTEN, []any{badFD, 1}},
			{"accept4", unix.SYS_ACCEPT4, []any{badFD, 0, 0, 0}},
			{"accept4 flags", unix.SYS_ACCEPT4, []any{badFD, 0, 0, 1}},
			{"connect", unix.SYS_CONNECT, []any{badFD, b, 16}},
			{"getsockname", unix.SYS_GETSOCKNAME, []any{badFD, b, b}},
			{"shutdown", unix.SYS_SHUTDOWN, []any{badFD, 0}},
			{"sendto", unix.SYS_SENDTO, []any{badFD, b, 1, 0, 0, 0}},
			{"recvfrom", unix.SYS_RECVFROM, []any{badFD, b, 1, 0, 0, 0}},
			{"sendmsg", unix.SYS_SENDMSG, []any{badFD, b, 0}},
			{"recvmsg", unix.SYS_RECVMSG, []any{badFD, b, 0}},
			{"setsockopt", unix.SYS_SETSOCKOPT, []any{badFD, 1, 2, b, 4}},
			{"getsockopt", unix.SYS_GETSOCKOPT, []any{badFD, 1, 2, b, b}},
			{"sendfile", unix.SYS_SENDFILE, []any{badFD, badFD, 0, 1}},
			{"close_range", unix.SYS_CLOSE_RANGE, []any{badFD, badFD - 1, 0}},
			{"close_range flags", unix.SYS_CLOSE_RANGE, []any{badFD, badFD, 1 << 20}},
		} {
			k.do(c.name, c.nr, c.args...)
		}
	})
}

func TestConformFile(t *testing.T) {
	conform(t, func(k *kernel) {
		fd := k.open("f", unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC)
		k.do("getfl", unix.SYS_FCNTL, fd, unix.F_GETFL, 0)
		k.do("getfd", unix.SYS_FCNTL, fd, unix.F_GETFD, 0)
		k.do("setfd", unix.SYS_FCNTL, fd, unix.F_SETFD, 0)
		k.do("getfd", unix.SYS_FCNTL, fd, unix.F_GETFD, 0)
		k.do("setfl", unix.SYS_FCNTL, fd, unix.F_SETFL, unix.O_NONBLOCK|unix.O_APPEND|unix.O_CREAT)
		k.do("getfl", unix.SYS_FCNTL, fd, unix.F_GETFL, 0)
		k.do("setfl", unix.SYS_FCNTL, fd, unix.F_SETFL, 0)
		k.do("fcntl unknown", unix.SYS_FCNTL, fd, 9999, 0)
		k.do("write", unix.SYS_WRITE, fd, []byte("hello, world"), 12)
		k.do("write bad", unix.SYS_WRITE, fd, badPage, 5)
		k.do("write bad 0", unix.SYS_WRITE, fd, badPage, 0)
		k.do("write huge", unix.SYS_WRITE, fd, []byte("x"), -1)
		k.do("lseek", unix.SYS_LSEEK, fd, 7, 0)
		b := make([]byte, 8192)
		k.do("read", unix.SYS_READ, fd, b, 100)
		k.note("%q", b[:6])
		k.do("read end", unix.SYS_READ, fd, b, 100)
		k.do("read bad", unix.SYS_PREAD64, fd, badPage, 5, 0)
		k.do("pread", unix.SYS_PREAD64, fd, b, 100, 1)
		k.do("pread beyond", unix.SYS_PREAD64, fd, b, 100, 1<<30)
		k.do("pread negative", unix.SYS_PREAD64, fd, b, 100, -5)
		k.do("lseek negative", unix.SYS_LSEEK, fd, -1, 0)
		k.do("lseek end", unix.SYS_LSEEK, fd, -2, 2)
		k.do("lseek cur", unix.SYS_LSEEK, fd, 5, 1)
		k.do("lseek data", unix.SYS_LSEEK, fd, 3, unix.SEEK_DATA)
		k.do("lseek data at end", unix.SYS_LSEEK, fd, 12, unix.SEEK_DATA)
		k.do("lseek hole", unix.SYS_LSEEK, fd, 3, unix.SEEK_HOLE)
		k.do("lseek whence", unix.SYS_LSEEK, fd, 3, 17)
		k.do("pwrite beyond", unix.SYS_PWRITE64, fd, []byte("far"), 3, 6000)
		k.do("pread gap", unix.SYS_PREAD64, fd, b, 8192, 10)
		k.note("%q %v", b[:2], slices.Max(b[2:5990]))
		k.do("ftruncate", unix.SYS_FTRUNCATE, fd, 4)
		k.do("ftruncate up", unix.SYS_FTRUNCATE, fd, 8)
		k.do("pread", unix.SYS_PREAD64, fd, b, 100, 0)
		k.note("%q", b[:8])
		k.do("ioctl tcgets", unix.SYS_IOCTL, fd, unix.TCGETS, b)
		k.do("ioctl winsz", unix.SYS_IOCTL, fd, unix.TIOCGWINSZ, b)
		k.do("lseek", unix.SYS_LSEEK, fd, 3, 0)
		k.do("fionread", unix.SYS_IOCTL, fd, fionread, b)
		k.note("%d", le.Uint32(b))
		k.do("fsync", unix.SYS_FSYNC, fd)
		k.do("fdatasync", unix.SYS_FDATASYNC, fd)
		k.do("getdents", unix.SYS_GETDENTS64, fd, b, 100)
		k.do("fadvise", unix.SYS_FADVISE64, fd, 0, 0, 99)
		k.do("fallocate", unix.SYS_FALLOCATE, fd, 0, 0, 0)
		k.do("getsockname", unix.SYS_GETSOCKNAME, fd, b, b)
		k.do("splice to file", unix.SYS_SENDFILE, fd, fd, 0, -1)

		r := k.open("f", unix.O_RDONLY)
		w := k.open("f", unix.O_WRONLY|unix.O_APPEND)
		k.do("write readonly", unix.SYS_WRITE, r, b, 1)
		k.do("write readonly bad", unix.SYS_WRITE, r, badPage, 1)
		k.do("ftruncate readonly", unix.SYS_FTRUNCATE, r, 1)
		k.do("read writeonly", unix.SYS_READ, w, b, 1)
		k.do("append", unix.SYS_WRITE, w, []byte("!!"), 2)
		k.do("lseek", unix.SYS_LSEEK, w, 0, 1)
		p := k.open("f", unix.O_PATH)
		k.do("getfl path", unix.SYS_FCNTL, p, unix.F_GETFL, 0)
		k.do("setfl path", unix.SYS_FCNTL, p, unix.F_SETFL, 0)
		k.do("read path", unix.SYS_READ, p, b, 1)
		k.do("pread path", unix.SYS_PREAD64, p, b, 1, 0)
		k.do("lseek path", unix.SYS_LSEEK, p, 0, 0)
		k.do("fstat path", unix.SYS_FSTAT, p, b)
		k.do("fsync path", unix.SYS_FSYNC, p)
		k.do("ioctl path", unix.SYS_IOCTL, p, unix.TCGETS, b)
		k.do("fchmod path", unix.SYS_FCHMOD, p, 0o600)
		k.do("getsockname path", unix.SYS_GETSOCKNAME, p, b, b)
		k.do("ftruncate path", unix.SYS_FTRUNCATE, p, 0)
	})
}

func TestConformVectors(t *testing.T) {
	conform(t, func(k *kernel) {
		fd := k.open("f", unix.O_RDWR|unix.O_CREAT)
		a, b := []byte("hello, "), []byte("vector")
		iov := []unix.Iovec{{Base: &a[0], Len: 7}, {}, {Base: &b[0], Len: 6}}
		at := unsafe.Pointer(&iov[0])
		k.do("writev", unix.SYS_WRITEV, fd, at, 3)
		k.do("pwritev", unix.SYS_PWRITEV, fd, at, 3, 5)
		clear(a)
		clear(b)
		k.do("preadv", unix.SYS_PREADV, fd, at, 3, 0)
		k.note("%q %q", a, b)
		k.do("preadv2 at offset", unix.SYS_PREADV2, fd, at, 3, -1, 0, 0)
		k.do("preadv2 flags", unix.SYS_PREADV2, fd, at, 3, 0, 0, 1<<20)
		k.do("preadv negative", unix.SYS_PREADV, fd, at, 3, -1)
		k.do("none", unix.SYS_READV, fd, at, 0)
		k.do("too many", unix.SYS_READV, fd, at, 1025)
		k.do("negative", unix.SYS_READV, fd, at, -1)
		k.do("bad vector", unix.SYS_READV, fd, badPage, 1)
		iov[2].Len = 1 << 63
		k.do("negative length", unix.SYS_READV, fd, at, 3)
		*(*uintptr)(unsafe.Pointer(&iov[0].Base)) = badPage
		iov[2].Len = 1
		k.do("bad buffer", unix.SYS_PREADV, fd, at, 1, 0)
	})
}

func TestConformPaths(t *testing.T) {
	conform(t, func(k *kernel) {
		b := make([]byte, 8192)
		k.open("f", unix.O_RDWR|unix.O_CREAT)
		const cwd = unix.AT_FDCWD
		open := func(what, path string, flags int) {
			r, e := k.call(unix.SYS_OPENAT, cwd, path, flags, 0o644)
			if e == 0 {
				k.call(unix.SYS_CLOSE, r)
				r = 0
			}
			k.result("open "+what, r, e)
		}
		k.do("mkdir", unix.SYS_MKDIRAT, cwd, k.path("d"), 0o755)
		k.do("mkdir again", unix.SYS_MKDIRAT, cwd, k.path("d"), 0o755)
		k.do("mkdir slash", unix.SYS_MKDIRAT, cwd, k.path("d2/"), 0o755)
		k.do("mkdir below file", unix.SYS_MKDIRAT, cwd, k.path("f/x"), 0o755)
		k.do("mkdir .", unix.SYS_MKDIRAT, cwd, k.path("d/."), 0o755)
		k.do("mkdir /", unix.SYS_MKDIRAT, cwd, "/", 0o755)
		open("missing", k.path("missing"), 0)
		open("excl", k.path("f"), unix.O_CREAT|unix.O_EXCL)
		open("file as dir", k.path("f/"), 0)
		open("below file", k.path("f/x"), 0)
		open("directory flag", k.path("f"), unix.O_DIRECTORY)
		open("dir for writing", k.path("d"), unix.O_WRONLY)
		open("dir creat", k.path("d"), unix.O_CREAT)
		open("new with slash", k.path("new/"), unix.O_CREAT|unix.O_RDWR)
		open("creat directory", k.path("new"), unix.O_CREAT|unix.O_DIRECTORY)
		open("dots", k.path("d/../d/.././f"), 0)
		open("long name", k.path(strings.Repeat("n", 256)), 0)
		open("longest name", k.path(strings.Repeat("n", 255)), unix.O_CREAT)
		open("long path", "/"+strings.Repeat("/", 4096), 0)
		open("longest path", strings.Repeat("/", 4095), 0)
		open("empty", "", 0)
		k.do("open bad", unix.SYS_OPENAT, cwd, badPage, 0, 0)
		k.do("open nil", unix.SYS_OPENAT, cwd, 0, 0, 0)
		k.do("symlink", unix.SYS_SYMLINKAT, "f", cwd, k.path("l"))
		k.do("symlink again", unix.SYS_SYMLINKAT, "f", cwd, k.path("l"))
		k.do("symlink loop", unix.SYS_SYMLINKAT, "loop", cwd, k.path("loop"))
		k.do("symlink dir", unix.SYS_SYMLINKAT, "d", cwd, k.path("ld"))
		k.do("symlink dangling", unix.SYS_SYMLINKAT, "made", cwd, k.path("dangling"))
		k.do("symlink empty", unix.SYS_SYMLINKAT, "", cwd, k.path("le"))
		open("link", k.path("l"), 0)
		open("link nofollow", k.path("l"), unix.O_NOFOLLOW)
		open("link nofollow directory", k.path("l"), unix.O_NOFOLLOW|unix.O_DIRECTORY)
		open("link excl", k.path("dangling"), unix.O_CREAT|unix.O_EXCL)
		open("loop", k.path("loop"), 0)
		open("through link", k.path("ld/../f"), 0)
		open("link slash", k.path("ld/"), unix.O_NOFOLLOW)
		open("file link slash", k.path("l/"), 0)
		open("dangling", k.path("dangling"), 0)
		open("dangling creat", k.path("dangling"), unix.O_CREAT|unix.O_RDWR)
		open("made", k.path("made"), 0)
		for _, n := range []int{0, 1, 100} {
			k.do("readlink", unix.SYS_READLINKAT, cwd, k.path("l"), b, n)
		}
		k.do("readlink file", unix.SYS_READLINKAT, cwd, k.path("f"), b, 100)
		k.do("readlink bad", unix.SYS_READLINKAT, cwd, k.path("l"), badPage, 100)
		k.do("access", unix.SYS_FACCESSAT, cwd, k.path("f"), unix.R_OK|unix.W_OK)
		k.do("access missing", unix.SYS_FACCESSAT, cwd, k.path("x"), unix.F_OK)
		k.do("access mode", unix.SYS_FACCESSAT, cwd, k.path("f"), 99)
		k.do("access execute", unix.SYS_FACCESSAT, cwd, k.path("f"), unix.X_OK)
		k.do("access flags", unix.SYS_FACCESSAT2, cwd, k.path("f"), 0, 1<<20)
		k.do("stat missing", unix.SYS_NEWFSTATAT, cwd, k.path("x"), b, 0)
		k.do("stat flags", unix.SYS_NEWFSTATAT, cwd, k.path("f"), b, 1<<20)
		k.do("stat bad", unix.SYS_NEWFSTATAT, cwd, k.path("f"), badPage, 0)
		k.do("stat empty", unix.SYS_NEWFSTATAT, cwd, "", b, 0)
		k.do("link", unix.SYS_LINKAT, cwd, k.path("f"), cwd, k.path("hard"), 0)
		k.do("link again", unix.SYS_LINKAT, cwd, k.path("f"), cwd, k.path("hard"), 0)
		k.do("link dir", unix.SYS_LINKAT, cwd, k.path("d"), cwd, k.path("hd"), 0)
		k.do("link missing", unix.SYS_LINKAT, cwd, k.path("x"), cwd, k.path("hx"), 0)
		k.do("unlink dir", unix.SYS_UNLINKAT, cwd, k.path("d"), 0)
		k.do("unlink missing", unix.SYS_UNLINKAT, cwd, k.path("x"), 0)
		k.do("unlink slash", unix.SYS_UNLINKAT, cwd, k.path("f/"), 0)
		k.do("unlink dot", unix.SYS_UNLINKAT, cwd, k.path("d/."), 0)
		k.do("unlink flags", unix.SYS_UNLINKAT, cwd, k.path("f"), 1)
		k.do("rmdir file", unix.SYS_UNLINKAT, cwd, k.path("f"), unix.AT_REMOVEDIR)
		k.do("rmdir .", unix.SYS_UNLINKAT, cwd, k.path("d/."), unix.AT_REMOVEDIR)
		k.do("rmdir ..", unix.SYS_UNLINKAT, cwd, k.path("d/.."), unix.AT_REMOVEDIR)
		k.do("rmdir /", unix.SYS_UNLINKAT, cwd, "/", unix.AT_REMOVEDIR)
		open("d/x", k.path("d/x"), unix.O_CREAT)
		k.do("rmdir full", unix.SYS_UNLINKAT, cwd, k.path("d"), unix.AT_REMOVEDIR)
		k.do("rename", unix.SYS_RENAMEAT, cwd, k.path("f"), cwd, k.path("d/f"))
		k.do("rename missing", unix.SYS_RENAMEAT, cwd, k.path("f"), cwd, k.path("d/f"))
		k.do("rename dir to file", unix.SYS_RENAMEAT, cwd, k.path("d2"), cwd, k.path("d/f"))
		k.do("rename file to dir", unix.SYS_RENAMEAT, cwd, k.path("d/f"), cwd, k.path("d2"))
		k.do("rename dir into itself", unix.SYS_RENAMEAT, cwd, k.path("d"), cwd, k.path("d/e"))
		k.do("rename onto full", unix.SYS_RENAMEAT, cwd, k.path("d2"), cwd, k.path("d"))
		k.do("rename child onto parent", unix.SYS_RENAMEAT, cwd, k.path("d/x"), cwd, k.path("d"))
		k.do("rename onto empty", unix.SYS_RENAMEAT, cwd, k.path("d"), cwd, k.path("d2"))
		k.do("rename noreplace", unix.SYS_RENAMEAT2, cwd, k.path("d2/x"), cwd, k.path("d2/f"), unix.RENAME_NOREPLACE)
		k.do("rename flags", unix.SYS_RENAMEAT2, cwd, k.path("d2/x"), cwd, k.path("d2/f"), 1<<10)
		k.do("rename to slash", unix.SYS_RENAMEAT, cwd, k.path("d2/x"), cwd, k.path("d2/y/"))
		k.do("rename .", unix.SYS_RENAMEAT, cwd, k.path("d2/."), cwd, k.path("z"))
		k.do("rename hard links", unix.SYS_RENAMEAT, cwd, k.path("d2/f"), cwd, k.path("hard"))
		k.do("still there", unix.SYS_FACCESSAT, cwd, k.path("d2/f"), 0)
		k.do("truncate dir", unix.SYS_TRUNCATE, k.path("d2"), 0)
		k.do("truncate", unix.SYS_TRUNCATE, k.path("hard"), 10)
		k.do("truncate negative", unix.SYS_TRUNCATE, k.path("hard"), -1)
		k.do("mknod", unix.SYS_MKNODAT, cwd, k.path("node"), unix.S_IFREG|0o600, 0)
		k.do("mknod again", unix.SYS_MKNODAT, cwd, k.path("node"), unix.S_IFREG|0o600, 0)
		k.do("chmod", unix.SYS_FCHMODAT, cwd, k.path("node"), 0o4711)
		k.do("fchmodat2 flags", unix.SYS_FCHMODAT2, cwd, k.path("node"), 0o4711, 1)
		k.do("fchmodat2", unix.SYS_FCHMODAT2, cwd, k.path("node"), 0o4711, unix.AT_SYMLINK_NOFOLLOW)
		k.do("fchmodat2 link", unix.SYS_FCHMODAT2, cwd, k.path("ld"), 0o711, unix.AT_SYMLINK_NOFOLLOW)
		k.do("utimes", unix.SYS_UTIMENSAT, cwd, k.path("node"), timespecs(1, 2, 3, 4), 0)
		k.do("utimes nsec", unix.SYS_UTIMENSAT, cwd, k.path("node"), timespecs(1, 2e9, 3, 4), 0)
		k.do("utimes omit", unix.SYS_UTIMENSAT, cwd, k.path("node"), timespecs(1, unix.UTIME_OMIT, 8, 9), 0)
		k.stat("node")
		k.stat("d2")
		k.stat("hard")
		k.stat("ld")
		k.do("chdir file", unix.SYS_CHDIR, k.path("hard"))
		k.do("getcwd small", unix.SYS_GETCWD, b, 1)
		k.do("statfs missing", unix.SYS_STATFS, k.path("x"), b)
	})
}

func timespecs(v ...uint64) []byte {
	var b []byte
	for _, x := range v {
		b = le.AppendUint64(b, x)
	}
	return b
}

// stat notes what stat and statx tell of a file, as far as it is the same everywhere.
func (k *kernel) stat(name string) {
	var s unix.Stat_t
	k.do("stat "+name, unix.SYS_NEWFSTATAT, unix.AT_FDCWD, k.path(name), unsafe.Pointer(&s), unix.AT_SYMLINK_NOFOLLOW)
	size := s.Size
	if s.Mode&unix.S_IFMT == unix.S_IFDIR {
		size, s.Nlink = 0, 0 // both depend on the file system
	}
	k.note("mode %o links %d size %d", s.Mode, s.Nlink, size)
	var x unix.Statx_t
	k.do("statx "+name, unix.SYS_STATX, unix.AT_FDCWD, k.path(name), unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, unsafe.Pointer(&x))
	k.note("same: %v %v %v %v %v %v", x.Ino == s.Ino, uint32(x.Mode) == s.Mode, int64(x.Size) == s.Size,
		x.Mtime.Sec == s.Mtim.Sec, x.Ctime.Nsec == uint32(s.Ctim.Nsec), unix.Mkdev(x.Dev_major, x.Dev_minor) == s.Dev)
	if s.Mtim.Sec < 100 {
		k.note("times %v %v", s.Atim, s.Mtim)
	}
}

func TestConformDirectory(t *testing.T) {
	conform(t, func(k *kernel) {
		for i := range 50 {
			k.do("mkdir", unix.SYS_MKDIRAT, unix.AT_FDCWD, k.path("d"+string(rune('A'+i))), 0o755)
		}
		fd := k.open(".", unix.O_RDONLY|unix.O_DIRECTORY)
		b := make([]byte, 300)
		k.do("small", unix.SYS_GETDENTS64, fd, b, 10)
		k.do("bad", unix.SYS_GETDENTS64, fd, badPage, 4096)
		k.do("read", unix.SYS_READ, fd, b, 10)
		k.do("pread", unix.SYS_PREAD64, fd, b, 10, 0)
		k.do("fsync", unix.SYS_FSYNC, fd)
		var names []string
		for {
			n, e := k.call(unix.SYS_GETDENTS64, fd, b, len(b))
			if e != 0 || n == 0 {
				k.result("last", n, e)
				break
			}
			for r := b[:n]; len(r) > 0; r = r[le.Uint16(r[16:]):] {
				name := unix.ByteSliceToString(r[19:])
				names = append(names, name)
				if r[18] != unix.DT_DIR {
					k.note("%s has type %d", name, r[18])
				}
				if name[0] == '.' {
					continue
				}
				// Removing while reading leaves none out.
				if _, e := k.call(unix.SYS_UNLINKAT, fd, name, unix.AT_REMOVEDIR); e != 0 {
					k.result("rmdir "+name, 0, e)
				}
			}
		}
		slices.Sort(names)
		k.note("%q", names)
		k.do("relative", unix.SYS_MKDIRAT, fd, "sub", 0o700)
		sub := k.fd("open relative", unix.SYS_OPENAT, fd, "sub", unix.O_DIRECTORY, 0)
		k.do("remove open directory", unix.SYS_UNLINKAT, fd, "sub", unix.AT_REMOVEDIR)
		k.do("create in removed", unix.SYS_OPENAT, sub, "x", unix.O_CREAT|unix.O_RDWR, 0o600)
		k.do("list removed", unix.SYS_GETDENTS64, sub, b, len(b))
		k.do("stat removed", unix.SYS_NEWFSTATAT, sub, "", b, unix.AT_EMPTY_PATH)
		k.note("links %d", le.Uint64(b[16:]))
	})
}

func TestConformDup(t *testing.T) {
	conform(t, func(k *kernel) {
		fd := k.open("f", unix.O_RDWR|unix.O_CREAT)
		d := k.fd("dup", unix.SYS_DUP, fd)
		k.do("write", unix.SYS_WRITE, d, []byte("abc"), 3)
		k.do("shared offset", unix.SYS_LSEEK, fd, 0, 1)
		k.do("dup3", unix.SYS_DUP3, fd, 700, unix.O_CLOEXEC)
		k.do("getfd", unix.SYS_FCNTL, 700, unix.F_GETFD, 0)
		k.do("dup2 over", unix.SYS_DUP2, d, 700)
		k.do("getfd", unix.SYS_FCNTL, 700, unix.F_GETFD, 0)
		k.do("dup2 same", unix.SYS_DUP2, 700, 700)
		k.do("dupfd", unix.SYS_FCNTL, fd, unix.F_DUPFD_CLOEXEC, 800)
		k.do("getfd", unix.SYS_FCNTL, 800, unix.F_GETFD, 0)
		k.do("dupfd negative", unix.SYS_FCNTL, fd, unix.F_DUPFD, -1)
		k.do("dup2 negative", unix.SYS_DUP2, fd, -1)
		for _, n := range []int{fd, d, 700, 800} {
			k.do("close", unix.SYS_CLOSE, n)
		}
		k.do("close again", unix.SYS_CLOSE, 700)
	})
}

func TestConformDevices(t *testing.T) {
	SeedRandom(make([]byte, MinSeed))
	conform(t, func(k *kernel) {
		for _, name := range []string{"null", "zero", "full", "urandom"} {
			b := make([]byte, 64)
			fd := k.open("/dev/"+name, unix.O_RDWR)
			k.do("read "+name, unix.SYS_READ, fd, b, 16)
			k.do("pread "+name, unix.SYS_PREAD64, fd, b, 16, 100)
			k.do("write "+name, unix.SYS_WRITE, fd, []byte("0123"), 4)
			k.do("lseek "+name, unix.SYS_LSEEK, fd, 100, 0)
			k.do("fsync "+name, unix.SYS_FSYNC, fd)
			k.do("ftruncate "+name, unix.SYS_FTRUNCATE, fd, 0)
			k.do("tcgets "+name, unix.SYS_IOCTL, fd, unix.TCGETS, b)
			k.do("getdents "+name, unix.SYS_GETDENTS64, fd, b, 64)
			var s unix.Stat_t
			k.do("fstat "+name, unix.SYS_FSTAT, fd, unsafe.Pointer(&s))
			k.note("%#o %d:%d", s.Mode, unix.Major(s.Rdev), unix.Minor(s.Rdev))
		}
		k.open("/dev/null", unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC)
	})
}

func TestConformFlock(t *testing.T) {
	conform(t, func(k *kernel) {
		a := k.open("f", unix.O_RDWR|unix.O_CREAT)
		b := k.open("f", unix.O_RDWR)
		k.do("shared", unix.SYS_FLOCK, a, unix.LOCK_SH)
		k.do("both shared", unix.SYS_FLOCK, b, unix.LOCK_SH|unix.LOCK_NB)
		k.do("exclusive blocked", unix.SYS_FLOCK, a, unix.LOCK_EX|unix.LOCK_NB)
		k.do("unlock", unix.SYS_FLOCK, b, unix.LOCK_UN)
		k.do("exclusive", unix.SYS_FLOCK, a, unix.LOCK_EX|unix.LOCK_NB)
		k.do("blocked", unix.SYS_FLOCK, b, unix.LOCK_SH|unix.LOCK_NB)
		done := make(chan syscall.Errno)
		go func() {
			_, e := k.call(unix.SYS_FLOCK, b, unix.LOCK_EX)
			done <- e
		}()
		k.do("close the holder", unix.SYS_CLOSE, a)
		k.note("waiter got %d", <-done)
	})
}

func TestConformProcess(t *testing.T) {
	SeedRandom(make([]byte, MinSeed))
	conform(t, func(k *kernel) {
		b := make([]byte, 512)
		k.do("getrandom", unix.SYS_GETRANDOM, b, 16, 0)
		k.do("getrandom flags", unix.SYS_GETRANDOM, b, 16, 64)
		k.do("getrandom both", unix.SYS_GETRANDOM, b, 16, unix.GRND_RANDOM|unix.GRND_INSECURE)
		k.do("getrandom bad", unix.SYS_GETRANDOM, badPage, 16, 0)
		k.do("uname", unix.SYS_UNAME, b)
		k.note("%q %q", unix.ByteSliceToString(b), unix.ByteSliceToString(b[4*65:]))
		k.do("uname bad", unix.SYS_UNAME, badPage)
		k.do("sysinfo", unix.SYS_SYSINFO, b)
		k.do("rusage", unix.SYS_GETRUSAGE, 0, b)
		k.do("rusage who", unix.SYS_GETRUSAGE, 77, b)
		k.do("prlimit", unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, nil, b)
		k.do("prlimit resource", unix.SYS_PRLIMIT64, 0, 99, nil, b)
		k.do("prlimit bad", unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, badPage, nil)
		k.do("prlimit order", unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, timespecs(5, 4), nil)
		for _, options := range []int{0, unix.WNOHANG, 1 << 10, unix.WEXITED, unix.WALL} {
			k.do("wait4", unix.SYS_WAIT4, -1, nil, options, nil)
			k.do("wait4 a process", unix.SYS_WAIT4, 1<<30, nil, options, nil)
			k.do("wait4 no process", unix.SYS_WAIT4, -1<<31, nil, options, nil)
			for _, kind := range []int{unix.P_ALL, unix.P_PID, unix.P_PGID, unix.P_PIDFD, 9} {
				for _, id := range []int{-1, 0, 1 << 30} {
					if kind == unix.P_PIDFD && id == 0 {
						id = badFD
					}
					k.do("waitid", unix.SYS_WAITID, kind, id, nil, options|unix.WEXITED&^unix.WALL, nil)
				}
			}
		}
		k.do("waitid nothing", unix.SYS_WAITID, unix.P_ALL, 0, nil, unix.WNOHANG, nil)
		k.do("getpriority", unix.SYS_GETPRIORITY, unix.PRIO_PROCESS, 0)
		k.do("getpriority kind", unix.SYS_GETPRIORITY, 7, 0)
		k.do("getpriority of nobody", unix.SYS_GETPRIORITY, unix.PRIO_PROCESS, 1<<30)
		k.do("setpriority", unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, 0)
		k.do("getpgid of nobody", unix.SYS_GETPGID, 1<<30)
		k.do("getsid of nobody", unix.SYS_GETSID, 1<<30)
		k.do("alarm", unix.SYS_ALARM, 100)
		k.do("alarm again", unix.SYS_ALARM, 0)
		k.do("alarm off", unix.SYS_ALARM, 0)
		k.do("setrlimit", unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, timespecs(0, 0), nil)
		k.do("prlimit", unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, nil, b)
		k.note("%v", b[:16])
	})
}

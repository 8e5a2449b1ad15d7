// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bytes"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// offset is memory for an offset argument.
func offset(v int) []byte { return le.AppendUint64(nil, uint64(v)) }

func TestConformSplice(t *testing.T) {
	conform(t, func(k *kernel) {
		r, w := k.pipe(unix.O_NONBLOCK)
		r2, w2 := k.pipe(unix.O_NONBLOCK)
		f := k.open("f", unix.O_CREAT|unix.O_RDWR)
		a := k.open("append", unix.O_CREAT|unix.O_WRONLY|unix.O_APPEND)
		k.do("write", unix.SYS_WRITE, f, []byte("0123456789"), 10)
		do := func(what string, in int, inAt any, out int, outAt any, n, flags int) {
			k.do("splice "+what, unix.SYS_SPLICE, in, inAt, out, outAt, n, flags)
		}
		off := offset(2)
		do("file to pipe", f, off, w, nil, 5, 0)
		k.note("offset %d", le.Uint64(off))
		b := make([]byte, 100)
		do("pipe to pipe", r, nil, w2, nil, 3, 0)
		k.note("%q", b[:k.do("read", unix.SYS_READ, r2, b, 100)])
		out := offset(20)
		do("pipe to file", r, nil, f, out, 100, 0)
		k.note("offset %d", le.Uint64(out))
		k.note("%q", b[:k.do("pread", unix.SYS_PREAD64, f, b, 100, 0)])
		k.do("lseek", unix.SYS_LSEEK, f, 1, 0)
		do("at the file's own offset", f, nil, w, nil, 3, 0)
		k.do("lseek", unix.SYS_LSEEK, f, 0, 1)
		do("back to it", r, nil, f, nil, 100, 0)
		k.do("lseek", unix.SYS_LSEEK, f, 0, 1)
		do("from an empty pipe", r, nil, w2, nil, 10, 0)
		do("at the file's end", f, offset(1000), w, nil, 10, 0)
		do("nothing", r, nil, w2, nil, 0, 0)
		do("flags", r, nil, w2, nil, 1, 64)
		do("no pipe", f, nil, a, nil, 1, 0)
		do("the same pipe", r, nil, w, nil, 1, 0)
		do("offset of a pipe", r, offset(0), f, nil, 1, 0)
		do("negative offset", f, offset(-1), w, nil, 1, 0)
		do("bad offset", f, badPage, w, nil, 1, 0)
		k.do("write", unix.SYS_WRITE, w, []byte("x"), 1)
		do("to an appended file", r, nil, a, nil, 1, 0)
		do("from the wrong end", w, nil, f, nil, 1, 0)
		do("to the wrong end", f, nil, r, nil, 1, 0)
		do("bad descriptor", badFD, nil, w, nil, 1, 0)
		do("directory", k.open(".", unix.O_RDONLY), nil, w, nil, 1, 0)
		big := bytes.Repeat([]byte("x"), 1<<17)
		k.do("pwrite", unix.SYS_PWRITE64, f, big, len(big), 0)
		k.do("empty", unix.SYS_READ, r, b, 100)
		do("more than there is room", f, offset(0), w, nil, len(big), unix.SPLICE_F_NONBLOCK)
		do("into a full pipe", f, offset(0), w, nil, 1, 0)
		k.do("close", unix.SYS_CLOSE, r2)
		do("into a broken pipe", r, nil, w2, nil, 1, 0)
	})
}

func TestConformSpliceSocket(t *testing.T) {
	conformOnNetworks(t, func(k *kernel) {
		c, s := k.pair(0)
		r, w := k.pipe(0)
		f := k.open("f", unix.O_CREAT|unix.O_RDWR)
		k.do("write", unix.SYS_WRITE, c, []byte("to be spliced"), 13)
		k.settle(s)
		k.do("socket to pipe", unix.SYS_SPLICE, s, nil, w, nil, 1<<20, 0)
		k.do("pipe to socket", unix.SYS_SPLICE, r, nil, s, nil, 9, 0)
		k.note("%q", k.readFull(c, 9))
		k.do("the rest to a file", unix.SYS_SPLICE, r, nil, f, nil, 100, 0)
		k.do("lseek", unix.SYS_LSEEK, f, 0, 1)
		k.do("sendfile", unix.SYS_SENDFILE, c, f, offset(1), 2)
		k.note("%q", k.readFull(s, 2))
		got := make(chan int)
		go func() {
			n, e := k.call(unix.SYS_SPLICE, s, nil, w, nil, 100, 0)
			got <- n - int(e)
		}()
		time.Sleep(10 * time.Millisecond)
		k.do("write", unix.SYS_WRITE, c, []byte("late"), 4)
		k.note("what waited got %d", <-got)
		k.do("shutdown", unix.SYS_SHUTDOWN, c, unix.SHUT_WR)
		k.do("end", unix.SYS_SPLICE, s, nil, w, nil, 100, 0)
	})
}

func TestConformCopyFile(t *testing.T) {
	conform(t, func(k *kernel) {
		a, b := k.open("a", unix.O_CREAT|unix.O_RDWR), k.open("b", unix.O_CREAT|unix.O_RDWR)
		big := bytes.Repeat([]byte("0123456789abcdef"), 10000)
		k.do("write", unix.SYS_WRITE, a, big, len(big))
		do := func(what string, in int, inAt any, out int, outAt any, n, flags int) {
			k.do("copy_file_range "+what, unix.SYS_COPY_FILE_RANGE, in, inAt, out, outAt, n, flags)
		}
		from, to := offset(3), offset(1)
		do("with offsets", a, from, b, to, 100000, 0)
		k.note("%d %d", le.Uint64(from), le.Uint64(to))
		do("at the end", a, nil, b, nil, 10, 0)
		k.do("lseek", unix.SYS_LSEEK, a, 159990, 0)
		do("own offsets", a, nil, b, nil, 1<<30, 0)
		k.do("lseek", unix.SYS_LSEEK, a, 0, 1)
		k.do("lseek", unix.SYS_LSEEK, b, 0, 1)
		p := make([]byte, 16)
		k.do("pread", unix.SYS_PREAD64, b, p, 16, 0)
		k.note("%q", p)
		do("flags", a, nil, b, nil, 1, 1)
		do("onto itself", a, offset(0), a, offset(10), 20, 0)
		do("beside itself", a, offset(0), a, offset(1000), 20, 0)
		r, w := k.pipe(0)
		do("from a pipe", r, nil, b, nil, 1, 0)
		do("to a pipe", a, nil, w, nil, 1, 0)
		do("bad", badFD, nil, b, nil, 1, 0)
		do("not readable", k.open("b", unix.O_WRONLY), nil, b, nil, 1, 0)
		do("not writable", a, nil, k.open("b", unix.O_RDONLY), nil, 1, 0)
		do("appended", a, nil, k.open("b", unix.O_WRONLY|unix.O_APPEND), nil, 1, 0)
		do("directory", k.open(".", unix.O_RDONLY), nil, b, nil, 1, 0)
		do("bad offset", a, badPage, b, nil, 1, 0)
		k.do("sendfile to a file", unix.SYS_SENDFILE, b, a, offset(0), 10)
		k.do("sendfile to an appended file", unix.SYS_SENDFILE, k.open("b", unix.O_WRONLY|unix.O_APPEND), a, offset(0), 10)
	})
}

func TestConformNameless(t *testing.T) {
	conform(t, func(k *kernel) {
		m := k.try("memfd", unix.SYS_MEMFD_CREATE, "name", unix.MFD_CLOEXEC)
		k.try("memfd flags", unix.SYS_MEMFD_CREATE, "name", 1<<20)
		k.try("memfd name", unix.SYS_MEMFD_CREATE, string(bytes.Repeat([]byte("x"), 250)), 0)
		k.try("memfd bad", unix.SYS_MEMFD_CREATE, badPage, 0)
		k.do("write", unix.SYS_WRITE, m, []byte("abc"), 3)
		k.do("ftruncate", unix.SYS_FTRUNCATE, m, 2)
		k.do("getfd", unix.SYS_FCNTL, m, unix.F_GETFD, 0)
		k.do("getfl", unix.SYS_FCNTL, m, unix.F_GETFL, 0)
		b := make([]byte, 100)
		n := k.do("readlink", unix.SYS_READLINKAT, unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(m), b, 100)
		k.note("%q", b[:n])
		k.fstat(m)
		again := k.try("open it again", unix.SYS_OPENAT, unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(m), unix.O_RDONLY, 0)
		k.note("%q", b[:k.do("read", unix.SYS_READ, again, b, 100)])

		for _, flags := range []int{unix.O_RDWR, unix.O_WRONLY | unix.O_EXCL, unix.O_RDONLY, unix.O_RDWR | unix.O_CREAT} {
			f := k.try("O_TMPFILE", unix.SYS_OPENAT, unix.AT_FDCWD, k.dir, unix.O_TMPFILE|flags, 0o640)
			if f < 0 {
				continue
			}
			k.do("getfl", unix.SYS_FCNTL, f, unix.F_GETFL, 0)
			k.do("write", unix.SYS_WRITE, f, []byte("xyz"), 3)
			k.fstat(f)
			k.do("link", unix.SYS_LINKAT, unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(f), unix.AT_FDCWD, k.path("named"), unix.AT_SYMLINK_FOLLOW)
			k.stat("named")
			k.do("unlink", unix.SYS_UNLINKAT, unix.AT_FDCWD, k.path("named"), 0)
			k.do("link once more", unix.SYS_LINKAT, unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(f), unix.AT_FDCWD, k.path("named"), unix.AT_SYMLINK_FOLLOW)
		}
		k.open("file", unix.O_CREAT|unix.O_RDWR)
		k.try("O_TMPFILE in a file", unix.SYS_OPENAT, unix.AT_FDCWD, k.path("file"), unix.O_TMPFILE|unix.O_RDWR, 0)
		k.try("O_TMPFILE nowhere", unix.SYS_OPENAT, unix.AT_FDCWD, k.path("none"), unix.O_TMPFILE|unix.O_RDWR, 0)
	})
}

// fstat notes what a file without a name is.
func (k *kernel) fstat(fd int) {
	b := make([]byte, statSize)
	k.do("fstat", unix.SYS_FSTAT, fd, b)
	k.note("mode %o links %d size %d", le.Uint32(b[24:]), le.Uint64(b[16:]), le.Uint64(b[48:]))
}

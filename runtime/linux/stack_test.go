// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"bytes"
	"io"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// movingFile moves the stack while it is read or written, as Go code that needs more stack does.
type movingFile struct {
	device
	wrote []byte
}

func (f *movingFile) ReadAt(p []byte, _ int64) (int, error) {
	moveArena()
	return copy(p, "filled by the file"), io.EOF
}

func (f *movingFile) WriteAt(p []byte, _ int64) (int, error) {
	moveArena()
	f.wrote = append(f.wrote, p...)
	return len(p), nil
}

// moveArena copies the stack elsewhere, corrects the pointers that it holds to itself (in the tests below
// the first word of it), and fills the old one with garbage.
func moveArena() {
	old := arena.keep
	lo := arena.lo
	next := append(make([]byte, 0, len(old)), old...)
	arenaSet(next)
	if p := uintptr(le.Uint64(next)); p >= lo && p < lo+uintptr(len(old)) {
		le.PutUint64(next, uint64(p-lo+arena.lo))
	}
	for i := range old {
		old[i] = 0xa5
	}
}

func TestBufferOnMovingStack(t *testing.T) {
	arenaSet(make([]byte, 4096))
	defer func() { arena.lo, arena.hi, arena.keep = 0, 0, nil }()
	f := new(movingFile)
	n := newInode(&tmpFS, syscall.S_IFCHR|0o600)
	n.open = func() (File, error) { return f, nil }
	register("/dev/moving", n)
	k := &kernel{t: t, name: "door", raw: Door, dir: "/dev"}
	fd := k.open("moving", unix.O_RDWR)

	r, e := k.call(unix.SYS_READ, fd, arena.lo+100, 50)
	if got := arena.keep[100 : 100+18]; r != 18 || e != 0 || string(got) != "filled by the file" || arena.keep[118] != 0 {
		t.Errorf("read = %d, %v; the stack has %q", r, e, got)
	}
	copy(arena.keep[200:], "from the stack")
	if r, e = k.call(unix.SYS_WRITE, fd, arena.lo+200, 14); r != 14 || string(f.wrote) != "from the stack" {
		t.Errorf("write = %d, %v; the file got %q", r, e, f.wrote)
	}

	// An iovec on the stack that points to the stack: the first vector is read after the stack has moved.
	le.PutUint64(arena.keep[0:], uint64(arena.lo+300))
	le.PutUint64(arena.keep[8:], 6)
	if r, e = k.call(unix.SYS_READV, fd, arena.lo, 1); r != 6 || string(arena.keep[300:307]) != "filled\x00" {
		t.Errorf("readv = %d, %v; the stack has %q", r, e, arena.keep[300:307])
	}

	if _, e = k.call(unix.SYS_READ, fd, arena.hi-8, 9); e != syscall.EFAULT {
		t.Errorf("read over the stack's end: %v, want EFAULT", e)
	}
	copy(arena.keep[400:], "/dev/moving\x00")
	if fd, e = k.call(unix.SYS_OPENAT, unix.AT_FDCWD, arena.lo+400, 0, 0); e != 0 {
		t.Errorf("open with the path on the stack: %v", e)
	}
	k.call(unix.SYS_CLOSE, fd)
	copy(arena.keep[4096-4:], "/dev")
	if _, e = k.call(unix.SYS_OPENAT, unix.AT_FDCWD, arena.hi-4, 0, 0); e != syscall.EFAULT {
		t.Errorf("open with a path that ends with the stack: %v, want EFAULT", e)
	}
}

// memDisk is a disk in memory that takes only whole blocks.
type memDisk struct {
	t     *testing.T
	b     []byte
	bs    int
	calls int
	err   error
}

func (m *memDisk) check(p []byte, off int64) error {
	m.calls++
	if off%int64(m.bs) != 0 || len(p)%m.bs != 0 || len(p) == 0 || off+int64(len(p)) > int64(len(m.b)) {
		m.t.Errorf("disk asked for %d bytes at %d", len(p), off)
	}
	return m.err
}

func (m *memDisk) ReadAt(p []byte, off int64) (int, error) {
	if err := m.check(p, off); err != nil {
		return 0, err
	}
	return copy(p, m.b[off:]), nil
}

func (m *memDisk) WriteAt(p []byte, off int64) (int, error) {
	if err := m.check(p, off); err != nil {
		return 0, err
	}
	return copy(m.b[off:], p), nil
}

func (m *memDisk) Size() int64    { return int64(len(m.b)) }
func (m *memDisk) BlockSize() int { return m.bs }
func (m *memDisk) Flush() error   { m.calls++; return m.err }

func TestBlockDevice(t *testing.T) {
	const size = 64 << 10
	want := make([]byte, size)
	for i := range want {
		want[i] = byte(i * 7)
	}
	m := &memDisk{t: t, b: bytes.Clone(want), bs: 512}
	if err := RegisterBlock("sdz", m); err != nil {
		t.Fatal(err)
	}
	k := &kernel{t: t, name: "door", raw: Door, dir: "/dev"}
	fd := k.open("sdz", unix.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC)
	for _, off := range []int{0, 1, 511, 512, 513, 4096, size - 600, size - 1} {
		for _, n := range []int{1, 511, 512, 513, 1024, 1535, 5000} {
			b := make([]byte, n)
			r, e := k.call(unix.SYS_PREAD64, fd, b, n, off)
			if exp := want[off:min(size, off+n)]; e != 0 || r != len(exp) || !bytes.Equal(b[:r], exp) {
				t.Errorf("pread of %d at %d = %d, %v", n, off, r, e)
			}
			for i := range b {
				b[i] ^= byte(off + i)
			}
			copy(want[off:], b)
			if r, e = k.call(unix.SYS_PWRITE64, fd, b, n, off); e != 0 || r != min(n, size-off) || !bytes.Equal(m.b, want) {
				t.Errorf("pwrite of %d at %d = %d, %v, disk right: %v", n, off, r, e, bytes.Equal(m.b, want))
			}
		}
	}
	b := make([]byte, 8192)
	m.calls = 0
	if k.call(unix.SYS_PREAD64, fd, b, 8192, 512); m.calls != 1 {
		t.Errorf("whole blocks took %d calls of the disk, want 1", m.calls)
	}
	for _, c := range []struct {
		what string
		nr   uintptr
		args []any
		r    int
		e    syscall.Errno
	}{
		{"read at the end", unix.SYS_PREAD64, []any{fd, b, 10, size}, 0, 0},
		{"write at the end", unix.SYS_PWRITE64, []any{fd, b, 10, size}, 0, syscall.ENOSPC},
		{"seek to the end", unix.SYS_LSEEK, []any{fd, 0, 2}, size, 0},
		{"seek beyond", unix.SYS_LSEEK, []any{fd, 1, 2}, 0, syscall.EINVAL},
		{"BLKGETSIZE64", unix.SYS_IOCTL, []any{fd, unix.BLKGETSIZE64, b}, 0, 0},
		{"ftruncate", unix.SYS_FTRUNCATE, []any{fd, 0}, 0, syscall.EINVAL},
		{"fsync", unix.SYS_FSYNC, []any{fd}, 0, 0},
		{"TCGETS", unix.SYS_IOCTL, []any{fd, unix.TCGETS, b}, 0, syscall.ENOTTY},
	} {
		if r, e := k.call(c.nr, c.args...); r != c.r || e != c.e {
			t.Errorf("%s = %d, %v, want %d, %v", c.what, r, e, c.r, c.e)
		}
	}
	if got := le.Uint64(b); got != size {
		t.Errorf("BLKGETSIZE64 gave %d", got)
	}
	for _, c := range []struct{ err, want error }{
		{syscall.EROFS, syscall.EROFS}, {io.ErrUnexpectedEOF, syscall.EIO}, {io.EOF, syscall.EIO},
	} {
		m.err = c.err
		for _, n := range []int{512, 10} {
			if _, e := k.call(unix.SYS_PWRITE64, fd, b, n, 0); e != c.want {
				t.Errorf("write of %d on a disk that says %v: %v, want %v", n, c.err, e, c.want)
			}
		}
	}
	if RegisterBlock("sdy", &memDisk{b: make([]byte, 1000), bs: 512}) == nil {
		t.Error("a disk with a part of a block was taken")
	}
}

// The buffers that messages on the stack go through are used again: nothing of one message is in another.
func TestMessagesOnStack(t *testing.T) {
	arenaSet(make([]byte, 8192))
	defer func() { arena.lo, arena.hi, arena.keep = 0, 0, nil }()
	fds := make([]byte, 8)
	inHeap = fds
	served(t, unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0, at(fds))
	a, b := uintptr(le.Uint32(fds)), uintptr(le.Uint32(fds[4:]))
	t.Cleanup(func() { closeFD(int(a)); closeFD(int(b)) })
	for _, n := range []int{lentBytes, 0, 1, 300, lentBytes - 1, lentBytes + 1, 4000, 5} {
		sent, got := arena.keep[:n], arena.keep[4096:]
		for i := range sent {
			sent[i] = byte(n + i)
		}
		for i := range got {
			got[i] = 0xee
		}
		served(t, unix.SYS_SENDTO, a, arena.lo, uintptr(n))
		moveArena()
		sent, got = arena.keep[:n], arena.keep[4096:]
		room := uintptr(4096)
		if n <= lentBytes {
			room = lentBytes
		}
		r := served(t, unix.SYS_RECVFROM, b, arena.lo+4096, room)
		if int(r) != n || !bytes.Equal(sent, got[:n]) || bytes.Count(got[n:], []byte{0xee}) != len(got)-n {
			t.Errorf("%d bytes: %d came", n, r)
		}
		if _, e := (&kernel{t: t, raw: Door}).call(unix.SYS_RECVFROM, b, arena.lo+4096, 100, 0, 0, 0); e != syscall.EAGAIN {
			t.Errorf("another: %v", e)
		}
		if _, e := (&kernel{t: t, raw: Door}).call(unix.SYS_SENDTO, a, arena.hi-8, 9, 0, 0, 0); e != syscall.EFAULT {
			t.Errorf("behind the stack: %v", e)
		}
	}
}

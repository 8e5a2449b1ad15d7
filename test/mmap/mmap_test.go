// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mmap

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	page   = 4096
	rw     = unix.PROT_READ | unix.PROT_WRITE
	shared = unix.MAP_SHARED
)

func TestSharedIsCoherent(t *testing.T) {
	f := newFile(t, 4*page)
	a, b := mapFile(t, f, 4*page, rw, shared), mapFile(t, f, 4*page, unix.PROT_READ, shared)
	if _, err := f.WriteAt([]byte("by pwrite"), page-4); err != nil {
		t.Fatal(err)
	}
	if got := string(a[page-4:][:9]); got != "by pwrite" {
		t.Errorf("the mapping shows %q after pwrite", got)
	}
	copy(a[2*page+100:], "by memory")
	if got := string(b[2*page+100:][:9]); got != "by memory" {
		t.Errorf("another mapping shows %q", got)
	}
	got := make([]byte, 9)
	if _, err := f.ReadAt(got, 2*page+100); err != nil || string(got) != "by memory" {
		t.Errorf("pread gives %q, %v", got, err)
	}
	if err := unix.Msync(a, unix.MS_SYNC); err != nil {
		t.Errorf("msync: %v", err)
	}
	raw(unix.SYS_MUNMAP, addrOf(a), 4*page)
	if _, err := f.ReadAt(got, 2*page+100); err != nil || string(got) != "by memory" {
		t.Errorf("pread after munmap gives %q, %v", got, err)
	}
}

func TestPrivateIsCopiedOnWrite(t *testing.T) {
	f := newFile(t, 0)
	content := bytes.Repeat([]byte("0123456789abcdef"), 3*page/16)
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	p := mapFile(t, f, 3*page, rw, unix.MAP_PRIVATE)
	if !bytes.Equal(p, content) {
		t.Error("a private mapping does not show the file")
	}
	p[page] = 'X'
	got := make([]byte, 1)
	if f.ReadAt(got, page); got[0] != '0' {
		t.Errorf("the file has %q after a write to a private mapping", got)
	}
	if p[page+1] != '1' || p[page-1] != 'f' {
		t.Error("the copy is not one")
	}
	f.WriteAt([]byte("YY"), 0)
	f.WriteAt([]byte("YY"), page)
	if p[0] != 'Y' || p[page] != 'X' || p[page+1] != '1' {
		t.Errorf("after pwrite: %q, %q", p[:2], p[page:page+2])
	}
	if err := unix.Madvise(p, unix.MADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	if p[page] != 'Y' {
		t.Errorf("after MADV_DONTNEED: %q, want what the file has", p[page])
	}
	if err := unix.Mprotect(p, unix.PROT_READ); err != nil {
		t.Fatal(err)
	}
	wantFault(t, "write to a read-only page", &p[5], poke(&p[5], 1))
	if err := unix.Mprotect(p, rw); err != nil {
		t.Fatal(err)
	}
	p[5] = 'Z'
	if f.ReadAt(got, 5); got[0] != '5' {
		t.Errorf("after mprotect the file has %q", got)
	}
}

func TestBehindTheEnd(t *testing.T) {
	f := newFile(t, page+10)
	m := mapFile(t, f, 4*page, rw, shared)
	p := mapFile(t, f, 4*page, rw, unix.MAP_PRIVATE)
	m[page+5], p[page+6] = 1, 2
	if m[2*page-1] != 0 || p[2*page-1] != 0 {
		t.Error("the rest of the last page is not zero")
	}
	for _, b := range [][]byte{m, p} {
		wantFault(t, "read behind the end", &b[2*page+3], peek(&b[2*page+3]))
		wantFault(t, "write behind the end", &b[3*page], poke(&b[3*page], 1))
	}
	if _, err := f.WriteAt([]byte{7}, 3*page); err != nil {
		t.Fatal(err)
	}
	if m[3*page] != 7 || p[3*page] != 7 || m[2*page] != 0 {
		t.Error("what was written is not in the mappings")
	}
	p[3*page+1] = 9
	if err := f.Truncate(page); err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{m, p} {
		wantFault(t, "read after truncate", &b[page+5], peek(&b[page+5]))
		wantFault(t, "read of a copy after truncate", &b[3*page+1], peek(&b[3*page+1]))
	}
	if err := f.Truncate(4 * page); err != nil {
		t.Fatal(err)
	}
	if m[page+5] != 0 || m[3*page] != 0 || p[page+6] != 0 || p[3*page+1] != 0 {
		t.Error("what was cut off came back")
	}
	// The system takes no such pointer either.
	if err := f.Truncate(page); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Pwrite(int(f.Fd()), m[2*page:2*page+1], 0); !errors.Is(err, unix.EFAULT) {
		t.Errorf("pwrite from behind the end: %v, want EFAULT", err)
	}
	if _, err := unix.Pread(int(f.Fd()), m[2*page:2*page+1], 0); !errors.Is(err, unix.EFAULT) {
		t.Errorf("pread to behind the end: %v, want EFAULT", err)
	}
}

func TestTruncateTail(t *testing.T) {
	f := newFile(t, 2*page)
	m := mapFile(t, f, 2*page, rw, shared)
	for i := range m {
		m[i] = 0xee
	}
	for _, size := range []int64{page + 100, 2 * page} {
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
	}
	if m[page+99] != 0xee || m[page+100] != 0 || m[2*page-1] != 0 {
		t.Errorf("around the cut: %x %x, at the end %x", m[page+99], m[page+100], m[2*page-1])
	}
}

func TestLivesWithoutDescriptorAndName(t *testing.T) {
	f := newFile(t, 0)
	if _, err := f.WriteString("still here"); err != nil {
		t.Fatal(err)
	}
	m, p := mapFile(t, f, page, rw, shared), mapFile(t, f, page, rw, unix.MAP_PRIVATE)
	if err := errors.Join(os.Remove(f.Name()), f.Close()); err != nil {
		t.Fatal(err)
	}
	if string(m[:10]) != "still here" || string(p[:10]) != "still here" {
		t.Errorf("the mappings show %q and %q", m[:10], p[:10])
	}
	copy(m, "STILL")
	if string(p[:10]) != "STILL here" {
		t.Errorf("the private mapping shows %q", p[:10])
	}
	if err := unix.Madvise(m, unix.MADV_REMOVE); err != nil || m[0] != 0 || p[0] != 0 {
		t.Errorf("MADV_REMOVE: %v, then %q and %q", err, m[:5], p[:5])
	}
}

func TestHoles(t *testing.T) {
	const size = 1 << 30
	f := newFile(t, size)
	m := mapFile(t, f, size, rw, shared)
	m[size/2] = 1
	if _, err := f.WriteAt([]byte{2}, size-1); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Blocks != 2*page/512 || st.Size != size {
		t.Errorf("%d blocks, size %d, %v", st.Blocks, st.Size, err)
	}
	for _, tt := range []struct {
		off    int64
		whence int
		want   int64
	}{
		{0, unix.SEEK_DATA, size / 2}, {0, unix.SEEK_HOLE, 0}, {size / 2, unix.SEEK_HOLE, size/2 + page},
		{size/2 + 17, unix.SEEK_DATA, size/2 + 17}, {size/2 + page, unix.SEEK_DATA, size - page}, {size - 5, unix.SEEK_HOLE, size},
		{size, unix.SEEK_DATA, -1}, {size, unix.SEEK_HOLE, -1},
	} {
		got, err := unix.Seek(int(f.Fd()), tt.off, tt.whence)
		if tt.want < 0 {
			if !errors.Is(err, unix.ENXIO) {
				t.Errorf("lseek(%d, %d): %v, want ENXIO", tt.off, tt.whence, err)
			}
		} else if got != tt.want || err != nil {
			t.Errorf("lseek(%d, %d) = %d, %v, want %d", tt.off, tt.whence, got, err, tt.want)
		}
	}
	if err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, size/2-10, page+20); err != nil {
		t.Fatal(err)
	}
	if m[size/2] != 0 {
		t.Error("what was punched out is still there")
	}
	m[0], m[page-1], m[page], m[2*page] = 1, 1, 1, 1
	if err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 1, 2*page-1); err != nil {
		t.Fatal(err)
	}
	if m[0] != 1 || m[page-1] != 0 || m[page] != 0 || m[2*page] != 1 {
		t.Errorf("punched bytes 1 to 2 pages: %d %d %d %d", m[0], m[page-1], m[page], m[2*page])
	}
}

func TestRemove(t *testing.T) {
	f := newFile(t, 4*page)
	m, p := mapFile(t, f, 4*page, rw, shared), mapFile(t, f, 4*page, rw, unix.MAP_PRIVATE)
	for i := range m {
		m[i] = 5
	}
	p[page] = 6
	if err := unix.Madvise(m[page:3*page], unix.MADV_REMOVE); err != nil {
		t.Fatal(err)
	}
	if m[page-1] != 5 || m[page] != 0 || m[3*page-1] != 0 || m[3*page] != 5 {
		t.Errorf("shared: %d %d %d %d", m[page-1], m[page], m[3*page-1], m[3*page])
	}
	if p[page] != 6 || p[2*page] != 0 {
		t.Errorf("private: the copy is %d, the other page %d", p[page], p[2*page])
	}
	if err := unix.Madvise(p, unix.MADV_REMOVE); !errors.Is(err, unix.EACCES) {
		t.Errorf("MADV_REMOVE of a private mapping: %v", err)
	}
	if err := unix.Madvise(p, unix.MADV_FREE); !errors.Is(err, unix.EINVAL) {
		t.Errorf("MADV_FREE of a private mapping of a file: %v", err)
	}
	if err := unix.Madvise(m, unix.MADV_DONTNEED); err != nil || m[0] != 5 {
		t.Errorf("MADV_DONTNEED of a shared mapping: %v, then %d", err, m[0])
	}
}

func TestReserveAndMapOver(t *testing.T) {
	f := newFile(t, 8*page)
	for i := range 8 {
		f.WriteAt([]byte{byte(i + 1)}, int64(i*page))
	}
	base, err := raw(unix.SYS_MMAP, 0, 16*page, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE, ^uintptr(0), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer raw(unix.SYS_MUNMAP, base, 16*page)
	m := mapAt(t, base+4*page, 4*page, rw, shared|unix.MAP_FIXED, f, 2*page)
	all := bytesAt(base, 16*page)
	if addrOf(m) != base+4*page || m[0] != 3 || m[3*page] != 6 {
		t.Fatalf("mapped at %#x, shows %d", addrOf(m), m[0])
	}
	wantFault(t, "below", &all[4*page-1], peek(&all[4*page-1]))
	wantFault(t, "above", &all[8*page], peek(&all[8*page]))
	mapAt(t, base+5*page, page, unix.PROT_READ, shared|unix.MAP_FIXED, f, 7*page)
	if all[4*page] != 3 || all[5*page] != 8 || all[6*page] != 5 {
		t.Errorf("in pieces: %d %d %d", all[4*page], all[5*page], all[6*page])
	}
	wantFault(t, "write to a read-only piece", &all[5*page], poke(&all[5*page], 1))
	if _, err := raw(unix.SYS_MUNMAP, base+6*page, page); err != nil {
		t.Fatal(err)
	}
	wantFault(t, "unmapped piece", &all[6*page], peek(&all[6*page]))
	all[7*page] = 66
	b := make([]byte, 1)
	if f.ReadAt(b, 5*page); b[0] != 66 {
		t.Errorf("the piece behind the gap shows another page: the file has %d", b[0])
	}
}

func TestMremap(t *testing.T) {
	f := newFile(t, 8*page)
	for i := range 8 {
		f.WriteAt([]byte{byte(i + 1)}, int64(i*page))
	}
	at, err := raw(unix.SYS_MMAP, 0, 2*page, rw, shared, f.Fd(), page)
	if err != nil {
		t.Fatal(err)
	}
	sink = *(*byte)(unsafe.Pointer(&bytesAt(at, page)[0]))
	to, err := raw(unix.SYS_MREMAP, at, 2*page, 6*page, unix.MREMAP_MAYMOVE)
	if err != nil {
		t.Fatal(err)
	}
	m := bytesAt(to, 6*page)
	for i := range 6 {
		if m[i*page] != byte(i+2) {
			t.Errorf("page %d shows %d", i, m[i*page])
		}
	}
	m[5*page] = 70
	if to, err = raw(unix.SYS_MREMAP, to, 6*page, 3*page, unix.MREMAP_MAYMOVE); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if f.ReadAt(b, 6*page); b[0] != 70 {
		t.Errorf("the file has %d", b[0])
	}
	if _, err := raw(unix.SYS_MUNMAP, to, 3*page); err != nil {
		t.Fatal(err)
	}
	// A private mapping keeps its copies.
	p, err := raw(unix.SYS_MMAP, 0, 4*page, rw, unix.MAP_PRIVATE, f.Fd(), 0)
	if err != nil {
		t.Fatal(err)
	}
	bytesAt(p, page)[9] = 99
	q, err := raw(unix.SYS_MREMAP, p, 4*page, 8*page, unix.MREMAP_MAYMOVE)
	if err != nil {
		t.Fatal(err)
	}
	if m := bytesAt(q, 8*page); m[9] != 99 || m[3*page] != 4 || m[7*page] != 8 {
		t.Errorf("after mremap: %d %d %d", m[9], m[3*page], m[7*page])
	}
	raw(unix.SYS_MUNMAP, q, 8*page)
}

func TestZeroDevice(t *testing.T) {
	f, err := os.OpenFile("/dev/zero", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, flags := range []int{shared, unix.MAP_PRIVATE} {
		m := mapFile(t, f, 2*page, rw, flags)
		if m[0] != 0 || m[2*page-1] != 0 {
			t.Error("/dev/zero is not zero")
		}
		m[7] = 7
		if other := mapFile(t, f, page, rw, flags); other[7] != 0 {
			t.Error("two mappings of /dev/zero share memory")
		}
	}
}

// TestErrors compares with what Linux 6.12 answered; on Linux it checks just that.
func TestErrors(t *testing.T) {
	f := newFile(t, 4*page)
	open := func(path string, flags int) uintptr {
		t.Helper()
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatalf("open %s: %v", path, err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return uintptr(fd)
	}
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(sock)
	both, read, write := f.Fd(), open(f.Name(), unix.O_RDONLY), open(f.Name(), unix.O_WRONLY)
	path, dir := open(f.Name(), unix.O_PATH), open(filepath.Dir(f.Name()), unix.O_RDONLY)
	null, random, zero := open("/dev/null", unix.O_RDWR), open("/dev/urandom", unix.O_RDONLY), open("/dev/zero", unix.O_RDONLY)
	const private, r, w, none = unix.MAP_PRIVATE, unix.PROT_READ, unix.PROT_WRITE, unix.PROT_NONE
	for i, tt := range []struct {
		addr, length uintptr
		prot, flags  int
		fd, off      uintptr
		want         error
	}{
		{0, page, rw, shared, both, 0, nil},
		{0, 1, rw, shared, both, 0, nil},
		{0, page, rw, shared, both, 5 * page, nil},
		{0, page, none, shared, both, 0, nil},
		{0, 0, rw, shared, both, 0, unix.EINVAL},
		{0, page, rw, shared, both, 1, unix.EINVAL},
		{0, page, rw, shared, both, page / 2, unix.EINVAL},
		{0, 0, rw, shared, 999, 1, unix.EINVAL},
		{0, 0, rw, shared, 999, 0, unix.EBADF},
		{0, page, rw, shared, ^uintptr(0), 0, unix.EBADF},
		{0, page, rw, shared, path, 0, unix.EBADF},
		{0, page, rw, 0, both, 0, unix.EINVAL},
		{0, page, rw, 5, both, 0, unix.EINVAL},
		{0, page, rw, shared, read, 0, unix.EACCES},
		{0, page, w, shared, read, 0, unix.EACCES},
		{0, page, r, shared, read, 0, nil},
		{0, page, rw, private, read, 0, nil},
		{0, page, none, shared, write, 0, unix.EACCES},
		{0, page, w, shared, write, 0, unix.EACCES},
		{0, page, rw, private, write, 0, unix.EACCES},
		{0, page, r, shared, dir, 0, unix.ENODEV},
		{0, page, rw, shared, dir, 0, unix.EACCES},
		{0, page, r, private, null, 0, unix.ENODEV},
		{0, page, r, private, random, 0, unix.ENODEV},
		{0, page, r, private, zero, 0, nil},
		{0, page, rw, private, zero, 0, nil},
		{0, page, rw, shared, zero, 0, unix.EACCES},
		{0, page, r, shared, zero, page, nil},
		{0, page, r, private, uintptr(pipe[0]), 0, unix.ENODEV},
		{0, page, r, private, uintptr(sock), 0, unix.ENODEV},
		{0, page, rw, unix.MAP_SHARED_VALIDATE, both, 0, nil},
		{0, page, rw, unix.MAP_SHARED_VALIDATE | unix.MAP_SYNC, both, 0, unix.EOPNOTSUPP},
		{0, page, rw, shared | unix.MAP_SYNC, both, 0, nil},
		{0, page, rw, shared | unix.MAP_HUGETLB, both, 0, unix.EINVAL},
		{0, page, rw, private | unix.MAP_GROWSDOWN, both, 0, unix.EINVAL},
		{0, page, rw, shared | unix.MAP_NORESERVE | unix.MAP_NONBLOCK, both, 0, nil},
		{0, 4 * page, rw, shared | unix.MAP_POPULATE, both, 0, nil},
		{0, 8 * page, rw, shared | unix.MAP_POPULATE, both, 0, nil},
		{0, ^uintptr(0), rw, shared, both, 0, unix.ENOMEM},
		{0, 1 << 47, rw, shared, both, 0, unix.ENOMEM},
		{0, 2 * page, rw, shared, both, ^uintptr(page - 1), unix.EOVERFLOW},
		{123, page, rw, shared | unix.MAP_FIXED, both, 0, unix.EINVAL},
		{123, page, rw, shared | unix.MAP_FIXED, read, 0, unix.EINVAL},
		{123, page, r, shared | unix.MAP_FIXED, dir, 0, unix.EINVAL},
		{addrOf(make([]byte, 2*page)) &^ (page - 1), page, r, shared | unix.MAP_FIXED_NOREPLACE, both, 0, unix.EEXIST},
	} {
		at, err := raw(unix.SYS_MMAP, tt.addr, tt.length, uintptr(tt.prot), uintptr(tt.flags), tt.fd, tt.off)
		if err != tt.want && !errors.Is(err, tt.want) {
			t.Errorf("%d: mmap(%#x, %#x, %d, %#x, %d, %#x): %v, want %v", i, tt.addr, tt.length, tt.prot, tt.flags, int(tt.fd), tt.off, err, tt.want)
		}
		if err == nil {
			raw(unix.SYS_MUNMAP, at, (tt.length+page-1)&^(page-1))
		}
	}

	ro := mapAt(t, 0, 2*page, r, shared, os.NewFile(read, "read"), 0)
	m := mapFile(t, f, 4*page, rw, shared)
	a, b := addrOf(ro), addrOf(m)
	gap, err := raw(unix.SYS_MMAP, 0, 3*page, rw, unix.MAP_PRIVATE|unix.MAP_ANON, ^uintptr(0), 0)
	if err != nil {
		t.Fatal(err)
	}
	raw(unix.SYS_MUNMAP, gap+page, page)
	defer raw(unix.SYS_MUNMAP, gap, 3*page)
	for i, tt := range []struct {
		nr   uintptr
		args [3]uintptr
		want error
	}{
		{unix.SYS_MPROTECT, [3]uintptr{a, page, rw}, unix.EACCES},
		{unix.SYS_MPROTECT, [3]uintptr{a, page, unix.PROT_EXEC | r}, nil},
		{unix.SYS_MPROTECT, [3]uintptr{a, page, none}, nil},
		{unix.SYS_MPROTECT, [3]uintptr{a, 2 * page, r}, nil},
		{unix.SYS_MSYNC, [3]uintptr{b, page, unix.MS_SYNC}, nil},
		{unix.SYS_MSYNC, [3]uintptr{b, page, unix.MS_ASYNC | unix.MS_INVALIDATE}, nil},
		{unix.SYS_MSYNC, [3]uintptr{b, page, 0}, nil},
		{unix.SYS_MSYNC, [3]uintptr{b, 0, unix.MS_SYNC}, nil},
		{unix.SYS_MSYNC, [3]uintptr{b, page, unix.MS_SYNC | unix.MS_ASYNC}, unix.EINVAL},
		{unix.SYS_MSYNC, [3]uintptr{b, page, 8}, unix.EINVAL},
		{unix.SYS_MSYNC, [3]uintptr{b + 1, page, unix.MS_SYNC}, unix.EINVAL},
		{unix.SYS_MSYNC, [3]uintptr{gap, 3 * page, unix.MS_SYNC}, unix.ENOMEM},
		{unix.SYS_MSYNC, [3]uintptr{gap, ^uintptr(0), unix.MS_SYNC}, nil},
		{unix.SYS_MADVISE, [3]uintptr{a, page, unix.MADV_REMOVE}, unix.EACCES},
		{unix.SYS_MADVISE, [3]uintptr{a, page, unix.MADV_DONTNEED}, nil},
		{unix.SYS_MADVISE, [3]uintptr{b + 1, page, unix.MADV_REMOVE}, unix.EINVAL},
		{unix.SYS_MADVISE, [3]uintptr{b, 0, unix.MADV_REMOVE}, nil},
		{unix.SYS_MADVISE, [3]uintptr{gap, page, unix.MADV_REMOVE}, unix.EINVAL},
		{unix.SYS_MADVISE, [3]uintptr{gap, 3 * page, unix.MADV_REMOVE}, unix.EINVAL},
		{unix.SYS_MADVISE, [3]uintptr{b, page, unix.MADV_WILLNEED}, nil},
		{unix.SYS_MADVISE, [3]uintptr{b, page, unix.MADV_POPULATE_WRITE}, nil},
		{unix.SYS_MADVISE, [3]uintptr{a, page, unix.MADV_POPULATE_WRITE}, unix.EINVAL},
		{unix.SYS_MADVISE, [3]uintptr{b, page, unix.MADV_COLD}, nil},
		{unix.SYS_MADVISE, [3]uintptr{b, page, unix.MADV_PAGEOUT}, nil},
	} {
		if _, err := raw(tt.nr, tt.args[:]...); err != tt.want && !errors.Is(err, tt.want) {
			t.Errorf("%d: call %d%x: %v, want %v", i, tt.nr, tt.args, err, tt.want)
		}
	}
	if err := f.Truncate(page); err != nil {
		t.Fatal(err)
	}
	if err := unix.Madvise(m, unix.MADV_POPULATE_READ); !errors.Is(err, unix.EFAULT) {
		t.Errorf("MADV_POPULATE_READ behind the end: %v", err)
	}
}

func TestMincore(t *testing.T) {
	f := newFile(t, 4*page)
	m := mapFile(t, f, 4*page, rw, shared)
	f.WriteAt([]byte{1}, page)
	m[3*page] = 1
	vec := make([]byte, 4)
	if _, err := raw(unix.SYS_MINCORE, addrOf(m), 4*page, addrOf(vec)); err != nil || !bytes.Equal(vec, []byte{0, 1, 0, 1}) {
		t.Errorf("mincore: %v, %v", vec, err)
	}
}

// TestBufferInMapping reads and writes files from and to mappings of the same file.
func TestBufferInMapping(t *testing.T) {
	f := newFile(t, 8*page)
	m := mapFile(t, f, 8*page, rw, shared)
	for i := range page {
		m[i] = byte(i)
	}
	if n, err := unix.Pwrite(int(f.Fd()), m[:3*page], 4*page); n != 3*page || err != nil {
		t.Fatalf("pwrite: %d, %v", n, err)
	}
	if !bytes.Equal(m[:3*page], m[4*page:7*page]) {
		t.Error("pwrite from a mapping to its own file")
	}
	if n, err := unix.Pread(int(f.Fd()), m[2*page-5:3*page], 4*page); n != page+5 || err != nil {
		t.Fatalf("pread: %d, %v", n, err)
	}
	if !bytes.Equal(m[2*page-5:3*page-10], m[4*page:5*page-5]) {
		t.Error("pread to a mapping of its own file")
	}
	p := mapFile(t, f, 8*page, rw, unix.MAP_PRIVATE)
	if n, err := unix.Pread(int(f.Fd()), p[7*page:], 0); n != page || err != nil || p[7*page+9] != 9 || m[7*page+9] != 0 {
		t.Errorf("pread to a private mapping: %d, %v, %d, the file has %d", n, err, p[7*page+9], m[7*page+9])
	}
}

// TestReadOnlyTree maps a file that is no file in memory of the program's making.
func TestReadOnlyTree(t *testing.T) {
	f, err := os.Open("/etc/hosts")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	want, err := os.ReadFile("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	for _, flags := range []int{shared, unix.MAP_PRIVATE} {
		m := mapFile(t, f, 2*page, unix.PROT_READ, flags)
		if !bytes.Equal(m[:len(want)], want) {
			t.Errorf("the mapping shows %q", m[:len(want)])
		}
		if len(want) < page {
			wantFault(t, "behind the end", &m[page], peek(&m[page]))
		}
		err := unix.Mprotect(m, rw)
		if mayWrite := flags == unix.MAP_PRIVATE; (err == nil) != mayWrite {
			t.Errorf("mprotect for writing, flags %d: %v", flags, err)
		}
	}
}

func TestProc(t *testing.T) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	_, err = raw(unix.SYS_MMAP, 0, page, unix.PROT_READ, unix.MAP_PRIVATE, f.Fd(), 0)
	if !errors.Is(err, unix.ENODEV) {
		t.Errorf("mmap of /proc/self/status: %v", err)
	}
}

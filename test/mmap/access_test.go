// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mmap

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// newFile makes a file of the size, without contents.
func newFile(t testing.TB, size int64) *os.File {
	t.Helper()
	dir := t.TempDir()
	if shm, err := os.MkdirTemp("/dev/shm", "mmap"); err == nil {
		dir = shm
		t.Cleanup(func() { os.RemoveAll(shm) })
	}
	f, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return f
}

// raw makes a system call on memory that Go knows nothing of.
func raw(nr uintptr, a ...uintptr) (uintptr, error) {
	var b [6]uintptr
	copy(b[:], a)
	r, _, errno := unix.Syscall6(nr, b[0], b[1], b[2], b[3], b[4], b[5])
	if errno != 0 {
		return 0, errno
	}
	return r, nil
}

func bytesAt(addr uintptr, n int) []byte {
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&addr))), n)
}

// mapAt maps a file, and unmaps it at the end.
func mapAt(t testing.TB, addr uintptr, length int, prot, flags int, f *os.File, off int64) []byte {
	t.Helper()
	at, err := raw(unix.SYS_MMAP, addr, uintptr(length), uintptr(prot), uintptr(flags), f.Fd(), uintptr(off))
	if err != nil {
		t.Fatalf("mmap of %d bytes at %d, flags %#x: %v", length, off, flags, err)
	}
	t.Cleanup(func() { raw(unix.SYS_MUNMAP, at, uintptr(length)) })
	return bytesAt(at, length)
}

func mapFile(t testing.TB, f *os.File, length int, prot, flags int) []byte {
	t.Helper()
	return mapAt(t, 0, length, prot, flags, f, 0)
}

func addrOf(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// fault is what an access to memory came to.
type fault struct{ addr uintptr }

// access runs f and returns the address of its fault, or nil.
func access(f func()) (bad *fault) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if e := recover(); e != nil {
			bad = &fault{}
			if a, ok := e.(interface{ Addr() uintptr }); ok {
				bad.addr = a.Addr()
			}
		}
	}()
	f()
	return nil
}

var sink byte

func peek(p *byte) *fault         { return access(func() { sink = *p }) }
func poke(p *byte, v byte) *fault { return access(func() { *p = v }) }

// wantFault checks that an access faulted at p.
func wantFault(t testing.TB, what string, p *byte, got *fault) {
	t.Helper()
	if got == nil {
		t.Errorf("%s: no fault", what)
	} else if got.addr != uintptr(unsafe.Pointer(p)) {
		t.Errorf("%s: fault at %#x, want %p", what, got.addr, p)
	}
}

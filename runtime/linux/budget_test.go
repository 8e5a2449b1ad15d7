// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// at is the address of memory in the heap.
func at(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }

// served makes a call that has to succeed, and gives its result.
func served(tb testing.TB, nr uintptr, a ...uintptr) uintptr {
	tb.Helper()
	var arg [6]uintptr
	copy(arg[:], a)
	r := Door(nr, &arg)
	if int(r) < 0 {
		tb.Fatalf("%s: %v", CallName[nr], unix.Errno(-r))
	}
	return r
}

// TestBudget holds what programs do all the time to a number of allocations, as the
// collector is what a call costs later. Memory of the calls is in the heap, as it mostly
// is; what lies on a stack is copied once more.
func TestBudget(t *testing.T) {
	page := make([]byte, 4096)
	inHeap = page
	ends, stat, path := page[:8], page[1024:2048], page[2048:]
	copy(path, "/tmp/budget\x00")
	served(t, unix.SYS_PIPE2, at(ends), unix.O_NONBLOCK)
	r, w := uintptr(le.Uint32(ends)), uintptr(le.Uint32(ends[4:]))
	file := served(t, unix.SYS_OPEN, at(path), unix.O_RDWR|unix.O_CREAT, 0o600)
	served(t, unix.SYS_PWRITE64, file, at(page), 4096, 0)
	t.Cleanup(func() {
		for _, fd := range []uintptr{r, w, file} {
			closeFD(int(fd))
		}
	})
	for _, tt := range []struct {
		name string
		most float64
		call func()
	}{
		{"getppid", 0, func() { served(t, unix.SYS_GETPPID) }},
		{"pipe, write and read", 0, func() { served(t, unix.SYS_WRITE, w, at(page), 1); served(t, unix.SYS_READ, r, at(page), 1) }},
		{"pipe, nothing to read", 0, func() { Door(unix.SYS_READ, &[6]uintptr{r, at(page), 1}) }},
		{"file, pread", 0, func() { served(t, unix.SYS_PREAD64, file, at(page), 2048, 0) }},
		{"file, pwrite", 0, func() { served(t, unix.SYS_PWRITE64, file, at(page), 2048, 0) }},
		{"file, lseek and read", 0, func() { served(t, unix.SYS_LSEEK, file, 0, 0); served(t, unix.SYS_READ, file, at(page), 1) }},
		{"file, fstat", 0, func() { served(t, unix.SYS_FSTAT, file, at(stat)) }},
		{"file, open and close", 6, func() { served(t, unix.SYS_CLOSE, served(t, unix.SYS_OPEN, at(path), unix.O_RDONLY)) }},
		{"fcntl", 0, func() { served(t, unix.SYS_FCNTL, r, unix.F_GETFL) }},
	} {
		if n := testing.AllocsPerRun(100, tt.call); n > tt.most {
			t.Errorf("%s: %v allocations, at most %v are planned", tt.name, n, tt.most)
		} else {
			t.Logf("%s: %v allocations", tt.name, n)
		}
	}
}

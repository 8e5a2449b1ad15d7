// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The arena is memory at addresses that are the same everywhere, so that they can
// stand in tables. It belongs to nobody else.
const (
	arena = 0x2000_0000_0000
	page  = 4096

	slotBytes = 4 * page           // for what one argument points to
	data      = arena + 24*page    // where vectors and messages point to
	beforeEnd = data + 2*page      // two pages, for what ends where the hole begins
	hole      = beforeEnd + 2*page // a page that is not mapped
	readOnly  = hole + page        // two pages
	noAccess  = readOnly + 2*page  // a page, and then a hole again
	ground    = arena + 64*page    // for calls that change mappings
	grounds   = 16                 // pages
	arenaEnd  = arena + 128*page
)

// mmap and munmap are the calls themselves: x/sys's remember what they gave.
func mmap(addr, n uintptr, prot, flags uintptr) error {
	_, _, e := unix.Syscall6(unix.SYS_MMAP, addr, n, prot, flags|unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED, ^uintptr(0), 0)
	if e != 0 {
		return fmt.Errorf("map %#x: %w", addr, e)
	}
	return nil
}

// build makes the arena as it is before each call that changes mappings.
func build() error {
	unix.Syscall(unix.SYS_MUNMAP, arena, arenaEnd-arena, 0)
	const rw = unix.PROT_READ | unix.PROT_WRITE
	for _, m := range []struct{ from, to, prot uintptr }{
		{arena, hole, rw}, {readOnly, noAccess, unix.PROT_READ}, {noAccess, noAccess + page, unix.PROT_NONE}, {ground, ground + grounds*page, rw},
	} {
		if err := mmap(m.from, m.to-m.from, m.prot, 0); err != nil {
			return err
		}
	}
	return nil
}

// bytesAt is memory of the arena. It is not inlined: Go 1.26's compiler cannot copy
// to a constant address.
//
//go:noinline
func bytesAt(addr uintptr, n int) []byte {
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&addr))), n)
}

func store(addr uintptr, b []byte) {
	if len(b) > 0 {
		copy(bytesAt(addr, len(b)), b)
	}
}

// putReadOnly puts content into memory that cannot be written.
func (s *state) putReadOnly(content []byte) bool {
	protect := func(prot uintptr) bool {
		_, _, e := unix.Syscall(unix.SYS_MPROTECT, readOnly, noAccess-readOnly, prot)
		return e == 0
	}
	if len(content) > 2*page || !protect(unix.PROT_READ|unix.PROT_WRITE) {
		return false
	}
	store(readOnly, content)
	return protect(unix.PROT_READ)
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mem

import (
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkFault fills pages and gives their frames back, 1024 at a time.
func BenchmarkFault(b *testing.B) {
	newMachine(b, 2048)
	addr, _ := Mmap(0xC0_0000_0000, 64<<20, rw, anon)
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		page := uintptr(i%1024) * PageSize
		if page == 0 {
			Madvise(addr, 1024*PageSize, unix.MADV_DONTNEED)
		}
		if Fault(addr+page, true, false) != Resolved {
			b.Fatal("no memory")
		}
	}
}

// BenchmarkStaleFault is a fault without a page to fill: the cost of all but the clearing.
func BenchmarkStaleFault(b *testing.B) {
	newMachine(b, 256)
	addr, _ := Mmap(0xC0_0000_0000, 64<<20, rw, anon)
	Fault(addr, true, false)
	b.ReportAllocs()
	for range b.N {
		Fault(addr, true, false)
	}
}

// BenchmarkMmap maps and unmaps 64 KiB beside 100 other areas.
func BenchmarkMmap(b *testing.B) {
	newMachine(b, 256)
	for i := range uintptr(100) {
		Mmap(0xC0_0000_0000+i<<20, 64<<10, rw, anon|unix.MAP_FIXED)
	}
	b.ReportAllocs()
	for range b.N {
		addr, errno := Mmap(0, 64<<10, rw, anon)
		if errno != 0 {
			b.Fatal(unix.Errno(errno))
		}
		Munmap(addr, 64<<10)
	}
}

// BenchmarkMunmapSparse unmaps 64 MiB of which one page in 2 MiB is there.
func BenchmarkMunmapSparse(b *testing.B) {
	newMachine(b, 256)
	const size = 64 << 20
	for range b.N {
		addr, errno := Mmap(0, size, rw, anon)
		if errno != 0 {
			b.Fatal(unix.Errno(errno))
		}
		for at := addr; at < addr+size; at += 2 << 20 {
			if Fault(at, true, false) != Resolved {
				b.Fatal("no memory")
			}
		}
		Munmap(addr, size)
	}
}

// BenchmarkValid is the check of a pointer of a system call.
func BenchmarkValid(b *testing.B) {
	newMachine(b, 256)
	for i := range uintptr(100) {
		Mmap(0xC0_0000_0000+i<<20, 64<<10, rw, anon|unix.MAP_FIXED)
	}
	for i := range b.N {
		if !Valid(0xC0_0000_0000+uintptr(i%100)<<20, 4096, true) {
			b.Fatal("not valid")
		}
	}
}

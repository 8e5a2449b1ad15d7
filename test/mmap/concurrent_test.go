// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package mmap

import (
	"math/rand/v2"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestConcurrent maps, reads, writes, cuts and punches one file from many goroutines.
// Faults are recovered; what is read is what somebody wrote there, or zero.
func TestConcurrent(t *testing.T) {
	const pages, rounds, workers = 64, 60, 8
	f := newFile(t, pages*page)
	fd := int(f.Fd())
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 7))
			buf := make([]byte, 3*page)
			for range rounds {
				at, err := raw(unix.SYS_MMAP, 0, pages*page, rw, uintptr(shared+r.IntN(2)), f.Fd(), 0) // MAP_PRIVATE is 2
				if err != nil {
					t.Errorf("mmap: %v", err)
					return
				}
				m := bytesAt(at, pages*page)
				off := r.IntN(pages - 3)
				// Each page's bytes hold the page's number, or zero.
				access(func() {
					for i := range 3 {
						m[(off+i)*page+r.IntN(page)] = byte(off + i + 1)
					}
				})
				for i := range buf {
					buf[i] = byte(off + i/page + 1)
				}
				unix.Pwrite(fd, buf, int64(off*page))
				unix.Pread(fd, buf, int64(off*page))
				bad := -1
				access(func() {
					for i := 0; i < pages*page; i += 97 {
						if m[i] != 0 && int(m[i]) != i/page+1 {
							bad = i
						}
					}
				})
				if bad >= 0 {
					t.Errorf("byte %d shows another page's contents", bad)
				}
				switch r.IntN(6) {
				case 0:
					f.Truncate(int64(r.IntN(pages * page)))
				case 1:
					f.Truncate(pages * page)
				case 2:
					raw(unix.SYS_MADVISE, at+uintptr(off*page), 2*page, unix.MADV_REMOVE)
				case 3:
					unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(off*page+100), 2*page)
				case 4:
					raw(unix.SYS_MADVISE, at, pages*page, unix.MADV_DONTNEED)
				}
				raw(unix.SYS_MUNMAP, at, pages*page)
			}
		})
	}
	wg.Wait()
}

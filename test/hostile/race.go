// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Descriptors that the racers share: firstShared and following.
const (
	firstShared = 600
	shared      = 12
	racers      = 8
	window      = ground // the memory that they share
)

// Race lets goroutines close, replace and use the same descriptors, and map, unmap
// and use the same memory, each with n calls. No answer is looked at: none of them
// may take the program with it, or wait for ever.
func Race(seed uint64, n int, dir string) error {
	if err := os.Chdir(dir); err != nil {
		return err
	}
	if err := build(); err != nil {
		return err
	}
	resetLimit(nil)
	s := &state{dir: dir}
	if err := s.prepareFiles(); err != nil {
		return err
	}
	h := newHeap(rand.New(rand.NewPCG(seed, 0)))
	before := openDescriptors(1024)
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			s := &state{dir: dir}
			for range n {
				s.race(r)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Minute): // far more than it takes
		return fmt.Errorf("the racers are not done: some call waits for ever")
	}
	for fd := range shared {
		unix.Close(firstShared + fd)
	}
	if after := openDescriptors(1024); len(after) > len(before)+2 { // the Go runtime's poller may have come to life: an epoll and an eventfd
		return fmt.Errorf("descriptors before: %q; after: %q", before, after)
	}
	return h.check()
}

// race makes one call.
func (s *state) race(r *rand.Rand) {
	fd, other := uintptr(firstShared+r.IntN(shared)), uintptr(firstShared+r.IntN(shared))
	at, size := uintptr(window+r.IntN(grounds)*page), uintptr(1+r.IntN(2*page))
	at += uintptr(r.IntN(8) * 8)
	call := func(nr uintptr, a ...uintptr) {
		var args [6]uintptr
		copy(args[:], a)
		makeCall(nr, args)
	}
	switch r.IntN(16) {
	case 0, 1: // another file behind the number
		k := kinds[r.IntN(len(kinds))]
		if n, ok := k.open(s); ok {
			call(unix.SYS_DUP3, uintptr(n), fd, unix.O_CLOEXEC)
		}
		for _, n := range s.open {
			unix.Close(n)
		}
		s.open = s.open[:0]
	case 2:
		call(unix.SYS_CLOSE, fd)
	case 3:
		call(unix.SYS_DUP2, fd, other)
	case 4, 5:
		call(unix.SYS_READ, fd, at, size)
	case 6, 7:
		call(unix.SYS_WRITE, fd, at, size)
	case 8:
		call([]uintptr{unix.SYS_READV, unix.SYS_WRITEV}[r.IntN(2)], fd, data, 2)
	case 9:
		store(data+256, halves(1|uint32(r.IntN(2))<<31, uint32(fd), 0))
		call(unix.SYS_EPOLL_CTL, other, uintptr(1+r.IntN(3)), fd, data+256)
	case 10:
		call(unix.SYS_EPOLL_WAIT, fd, at, 16, uintptr(r.IntN(2)))
	case 11: // the memory comes, goes, and may only be read
		switch whole := at &^ (page - 1); r.IntN(4) {
		case 0:
			call(unix.SYS_MUNMAP, whole, page)
		case 1:
			call(unix.SYS_MPROTECT, whole, page, uintptr(r.IntN(4)))
		case 2:
			call(unix.SYS_MADVISE, whole, page, unix.MADV_DONTNEED)
		default:
			_ = mmap(window, grounds*page, unix.PROT_READ|unix.PROT_WRITE, 0)
		}
	case 12:
		store(data+512, words(0, uint64(r.IntN(1_000_000))))
		call(unix.SYS_FUTEX, at&^3, private, 0, data+512)
	case 13:
		call(unix.SYS_FUTEX, at&^3, 1|private, uintptr(r.IntN(3)))
	case 14:
		call(unix.SYS_RECVFROM, fd, at, size, unix.MSG_DONTWAIT, 0, 0)
	default:
		call(unix.SYS_PREAD64, fd, at, size, 0)
	}
}

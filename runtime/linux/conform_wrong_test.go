// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"math"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// event is an eventfd, which the trap leaf serves.
func (k *kernel) event() int {
	if k.isDoor() {
		return AllocFD(KindEventFD, 0, 0)
	}
	return k.fd("eventfd", unix.SYS_EVENTFD2, 0, 0)
}

// epoll is an epoll, which the trap leaf serves.
func (k *kernel) epoll() int {
	if k.isDoor() {
		return AllocFD(KindEpoll, 0, 0)
	}
	return k.fd("epoll", unix.SYS_EPOLL_CREATE1, 0)
}

// TestConformWrongKind: calls on descriptors of a kind for which they are not made.
func TestConformWrongKind(t *testing.T) {
	conform(t, func(k *kernel) {
		event, epoll := k.event(), k.epoll()
		k.log = nil // how the two are made differs
		b := make([]byte, 64)
		for _, fd := range []int{event, epoll} {
			k.do("lseek", unix.SYS_LSEEK, fd, 100, 0)
			k.do("lseek back", unix.SYS_LSEEK, fd, -1, 1)
			k.do("lseek hole", unix.SYS_LSEEK, fd, 5, unix.SEEK_HOLE)
			k.do("lseek whence", unix.SYS_LSEEK, fd, 0, 5)
			k.do("sync_file_range", unix.SYS_SYNC_FILE_RANGE, fd, 0, 0, 0)
		}
		k.do("tcgets of an epoll", unix.SYS_IOCTL, epoll, unix.TCGETS, b)
		k.do("fionread of an epoll", unix.SYS_IOCTL, epoll, fionread, b)
		k.do("tcgets of an eventfd", unix.SYS_IOCTL, event, unix.TCGETS, b)

		file := k.open("f", unix.O_RDWR|unix.O_CREAT)
		path := k.open("f", unix.O_PATH)
		dir := k.open(".", unix.O_RDONLY|unix.O_DIRECTORY)
		null := k.open("/dev/null", unix.O_RDWR)
		pipe, _ := k.pipe(0)
		for _, fd := range []int{file, path, dir, null, pipe, badFD} {
			k.do("sync_file_range", unix.SYS_SYNC_FILE_RANGE, fd, 0, 0, 0)
			k.do("sync_file_range all", unix.SYS_SYNC_FILE_RANGE, fd, 0, 10, 7)
			k.do("sync_file_range unknown", unix.SYS_SYNC_FILE_RANGE, fd, 0, 10, 8)
			k.do("sync_file_range offset", unix.SYS_SYNC_FILE_RANGE, fd, -1, 10, 0)
			k.do("sync_file_range length", unix.SYS_SYNC_FILE_RANGE, fd, 0, -1, 0)
			k.do("sync_file_range end", unix.SYS_SYNC_FILE_RANGE, fd, 1<<62, 1<<62, 0)
		}
		for _, count := range []int{0, 1, -1} {
			k.do("sendfile from null", unix.SYS_SENDFILE, file, null, 0, count)
		}
		k.do("dupfd above 32 bits", unix.SYS_FCNTL, file, unix.F_DUPFD, 1<<32|800)
		k.do("close", unix.SYS_CLOSE, 800)
	})
}

// TestTooLarge: room that no file can have is not promised.
func TestTooLarge(t *testing.T) {
	k := &kernel{t: t, name: "door", raw: Door, dir: "/tmp"}
	fd := k.open("large", unix.O_RDWR|unix.O_CREAT)
	for _, mode := range []int{0, unix.FALLOC_FL_KEEP_SIZE} {
		if _, e := k.call(unix.SYS_FALLOCATE, fd, mode, 0, math.MaxInt64); e != syscall.EFBIG {
			t.Errorf("fallocate in mode %d: %v, want EFBIG", mode, e)
		}
	}
}

// TestConformEmptyPath: readlink tells an empty path that leads to no link from other paths.
func TestConformEmptyPath(t *testing.T) {
	conform(t, func(k *kernel) {
		dir := k.open(".", unix.O_RDONLY|unix.O_DIRECTORY)
		file := k.open("f", unix.O_RDWR|unix.O_CREAT)
		b := make([]byte, 64)
		k.do("symlink", unix.SYS_SYMLINKAT, "f", dir, "l")
		link := k.open("l", unix.O_PATH|unix.O_NOFOLLOW)
		k.do("readlink", unix.SYS_READLINK, "", b, 64)
		for _, fd := range []int{unix.AT_FDCWD, dir, file, link, badFD} {
			k.do("readlinkat", unix.SYS_READLINKAT, fd, "", b, 64)
		}
		k.do("readlinkat of a file", unix.SYS_READLINKAT, dir, "f", b, 64)
	})
}

// TestConformNoAddress: a datagram to an address of no bytes goes nowhere.
func TestConformNoAddress(t *testing.T) {
	conform(t, func(k *kernel) {
		b := make([]byte, 64)
		for _, domain := range []int{unix.AF_INET, unix.AF_INET6} {
			udp := k.socket(domain, unix.SOCK_DGRAM)
			k.do("sendto", unix.SYS_SENDTO, udp, b, 8, 0, b, 0)
			k.do("sendto nobody", unix.SYS_SENDTO, udp, b, 8, 0, 0, 0)
			tcp := k.socket(domain, unix.SOCK_STREAM)
			k.do("sendto by a stream", unix.SYS_SENDTO, tcp, b, 8, unix.MSG_NOSIGNAL, b, 0)
		}
	})
}

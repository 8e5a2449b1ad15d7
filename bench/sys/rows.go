// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

// rows are all measurements, in the order of the table.
func rows(heapMiB int) []row {
	each := func(name string, f func(n int) error) row {
		return row{name, func() ([]result, error) { return repeat(1, f) }}
	}
	// Of rows with two threads or goroutines, whose start is not what is measured.
	many := func(name string, f func(n int) error) row {
		return row{name, func() ([]result, error) { return repeat(500, f) }}
	}
	return []row{
		each("getpid, raw", getpid),
		each("gettid, raw", gettid),
		each("getppid", getppid),
		each("time.Now (vDSO)", timeNow),
		each("clock_gettime, raw", clockGettime),

		many("futex wake-up, two threads", futexPingPong),
		many("channel, two goroutines", channelPingPong),
		many("channel, two threads", threadPingPong),
		many("channel, two threads, alone", loneThreadPingPong),
		each("thread, start and end", threadStart),
		many("sched_yield, two threads", yieldPingPong),
		{"stop the world, busy goroutine", stopBusyWorld},
		{"sleep in a busy program", busySleep},
		{"sleep 1 ms, late", func() ([]result, error) { return sleepLate(1, 200) }},
		{"sleep 10 ms, late", func() ([]result, error) { return sleepLate(10, 60) }},
		{"nanosleep 1 ms, late", nanosleepLate},

		each("page fault, 4 KiB pages", faultSmall),
		each("first touch, per 4 KiB, as mapped", faultAsMapped),
		each("mmap, munmap 64 KiB", func(n int) error { return mapUnmap(n, 64<<10, 0) }),
		each("mmap, munmap 64 MiB", func(n int) error { return mapUnmap(n, 64<<20, 0) }),
		each("mmap, touch, munmap 64 KiB", func(n int) error { return mapUnmap(n, 64<<10, pageSize) }),
		{"GC, heap of small objects", func() ([]result, error) { return collect(heapMiB) }},

		each("pipe, write and read 1 byte", func(n int) error { return withPipe(n, byteThrough) }),
		each("Unix socket, write and read 1 byte", func(n int) error { return withSocketpair(n, byteThrough) }),
		each("eventfd, write and read", eventfd),
		each("read at once, EAGAIN (pipe)", func(n int) error { return withPipe(n, readNothing) }),
		many("os.Pipe, to and fro", pipePingPong),
		many("Unix socket, to and fro", unixPingPong),
		many("TCP loopback, to and fro", tcpPingPong),
		each("file in /tmp: open, read 1 byte, close", openReadClose),
		each("file in /tmp: pread 4 KiB", func(n int) error { return withFile(n, pread) }),
		each("file in /tmp: pwrite 4 KiB", func(n int) error { return withFile(n, pwrite) }),
		each("file in /tmp: fstat", func(n int) error { return withFile(n, fstat) }),
	}
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"syscall"
	"time"
)

// Kinds of descriptors in the table that both leaves share.
const (
	KindFree    uint8 = iota
	KindConsole       // stdin, stdout, stderr and /dev/console: trap leaf
	KindEventFD       // trap leaf
	KindEpoll         // trap leaf
	KindDoor          // devices, files, sockets, pipes: this side keeps the open file description
)

// NotPollable is the flag of regular files, directories and disks in the descriptor table: reading and
// writing them never has to wait, so that epoll_ctl refuses them with EPERM. Package os relies on that.
const NotPollable = 1 << 31

// PathOnly is the flag of descriptors that were opened with O_PATH: epoll takes them for none (EBADF).
const PathOnly = 1 << 30

// Hooks into the trap side. boot sets them before the program runs; until then nothing is on a stack,
// no memory is valid and no descriptor can be had.
var (
	// OnStack says whether addr lies on the calling goroutine's own stack, which moves when it grows.
	// Nosplit.
	OnStack = noStack

	// StackHi is the upper end of the calling goroutine's stack. Nosplit.
	StackHi = noStackHi

	// Valid says whether the program may read (or write) the n bytes at addr. Pages not touched yet
	// count as valid.
	Valid = func(addr, n uintptr, write bool) bool { return false }

	// AllocFD takes the lowest free descriptor that is at least min and returns it, or -EMFILE. Of the
	// flags this side uses syscall.O_CLOEXEC and NotPollable.
	AllocFD = func(kind uint8, flags uint32, min int) int { return -int(syscall.EMFILE) }

	// DupFD makes another descriptor, the lowest free one that is at least min, of what the trap leaf
	// serves, and returns it, or a negative errno. Of the flags syscall.O_CLOEXEC counts.
	DupFD = func(fd int, flags uint32, min int) int { return -int(syscall.EMFILE) }

	// LimitFDs sets how many descriptors AllocFD gives (the soft limit of RLIMIT_NOFILE), up to FDLimit.
	LimitFDs = func(n int) {}

	// LevelTriggered says whether epoll watches any stream without EPOLLET, so that LevelFD must follow
	// each call that empties or fills one.
	LevelTriggered = func() bool { return false }

	// FDLimit is one more than the highest descriptor that AllocFD can give (RLIMIT_NOFILE).
	FDLimit = 8192

	// FreeFD makes fd free again, whatever its kind.
	FreeFD = func(fd int) {}

	// NextFD is the lowest descriptor from fd on that is open, or FDLimit.
	NextFD = func(fd int) int { return FDLimit }

	// FDKind tells kind and flags of fd; ok is false for a free or impossible descriptor.
	FDKind = func(fd int) (kind uint8, flags uint32, ok bool) { return KindFree, 0, false }

	// SetFDFlags sets the flags of fd.
	SetFDFlags = func(fd int, flags uint32) {}

	// NotifyFD tells epoll that fd's readiness changed or that more arrived, with the readiness now: an
	// edge. It does not block.
	NotifyFD = func(fd int, ready uint32) {}

	// LevelFD tells epoll the readiness of fd without an edge: for level-triggered entries, and for
	// those that are added later.
	LevelFD = func(fd int, ready uint32) {}
)

// Facts about the machine; boot replaces them.
var (
	// Hostname is the node name (uname, /proc/sys/kernel/hostname, /etc/hostname).
	Hostname = func() string { return "hvgo" }

	// Uptime is the time since power-on.
	Uptime = func() time.Duration { return time.Since(started) }

	// Memory is the size of RAM and the free part of it, in bytes.
	Memory = func() (total, free uint64) { return 0, 0 }

	// CPUs is the number of processors online.
	CPUs = func() int { return 1 }

	// Threads is how many threads the program has.
	Threads = func() int { return 1 }

	// Tasks are the program's threads.
	Tasks = func() []Task { return []Task{{ID: thePID, Name: "init"}} }

	// CPUTime is what the program has used, and its largest resident set in bytes.
	CPUTime = func() (user, system time.Duration, maxRSS uint64) { return 0, 0, 0 }

	// ThreadTime is what the calling thread has used, in ns.
	ThreadTime = func() int64 { return 0 }
)

var started = time.Now()

// These are nosplit because the hooks they stand for are called where the stack must not move.
//
//go:nosplit
func noStack(uintptr) bool { return false }

//go:nosplit
func noStackHi() uintptr { return 0 }

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package trap

import (
	"unsafe"

	"github.com/hvgo/hvgo/runtime/linux"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/sched"
)

// Booted says that this is the machine's only program, not a Linux process.
// boot sets it, and Seed, the boot's entropy, before the Go runtime starts.
var (
	Booted bool
	Seed   [64]byte
)

// plugged says that runtime/linux can be called: its hooks are set, and its
// own init functions ran, since package trap's come behind them.
var plugged bool

// Packages are initialised in the order of their import paths, as far as
// their imports allow (Go specification, package initialization). What a
// program's own packages ask for in theirs must be there, so this does not
// wait for boot.Start.
func init() {
	if Booted {
		plugHooks()
		seedRandom()
		plugged = true
	}
}

// beforeInit serves the door's calls of packages that are initialised before
// this one: there are random numbers, if the processor makes them, and nothing
// else. (boot has refused machines without any source of entropy; the firmware's
// seed alone needs the generator of runtime/linux.)
//
//go:nosplit
func beforeInit(nr uintptr, a *[6]uintptr) uintptr {
	const getrandom = 318
	if nr != getrandom || !ring0.HasRdrand() {
		return negative(eNoSys)
	}
	for done := uintptr(0); done < a[1]; {
		v, ok := hardRandom()
		if !ok {
			return negative(eAgain)
		}
		n := min(a[1]-done, 8)
		if !userRange(a[0]+done, n) || !ring0.CopyUser(a[0]+done, uintptr(unsafe.Pointer(&v)), n) {
			return negative(eFault)
		}
		done += n
	}
	return a[1]
}

// hardRandom asks RDRAND again when it was drained (Intel SDM volume 1,
// 7.3.17.1).
//
//go:nosplit
func hardRandom() (v uint64, ok bool) {
	for range 10 {
		if v, ok = ring0.Rdrand(); ok {
			return v, true
		}
		ring0.Pause()
	}
	return 0, false
}

//go:nosplit
func negative(errno int) uintptr { return uintptr(errno) }

// plugHooks gives runtime/linux its way into trap context.
func plugHooks() {
	linux.OnStack = onGoroutineStack
	linux.StackHi = goroutineStackHi
	linux.Valid = valid
	linux.AllocFD = func(kind uint8, flags uint32, low int) int {
		return Kernel(KernelAllocFD, uintptr(kind), uintptr(flags), uintptr(low))
	}
	linux.DupFD = func(fd int, flags uint32, low int) int {
		return Kernel(KernelDupFD, uintptr(fd), uintptr(flags), uintptr(low))
	}
	linux.LimitFDs = func(n int) { Kernel(KernelLimitFDs, uintptr(n), 0, 0) }
	linux.LevelTriggered = sched.LevelTriggered
	linux.FreeFD = func(fd int) { Kernel(KernelFreeFD, uintptr(fd), 0, 0) }
	linux.NextFD = func(fd int) int { return int(sched.NextFD(uint64(fd))) }
	linux.FDKind = func(fd int) (kind uint8, flags uint32, ok bool) {
		if kind = sched.Kind(uint64(fd)); kind == ring0.FDFree {
			return kind, 0, false
		}
		return kind, sched.Flags(uint64(fd)), true
	}
	linux.SetFDFlags = setFDFlags
	linux.NotifyFD = func(fd int, ready uint32) { Kernel(KernelNotify, uintptr(fd), uintptr(ready), 0) }
	linux.LevelFD = func(fd int, ready uint32) { Kernel(KernelLevel, uintptr(fd), uintptr(ready), 0) }
	linux.ThreadTime = threadTime
	linux.BeforeCall = makeLateWrites
	linux.Tasks = tasks
	linux.Store = pageStore{}
	linux.Memory = func() (total, free uint64) {
		return (mem.Total() - mem.Ballooned()) * mem.PageSize, mem.Free() * mem.PageSize
	}
}

// cliOnGoroutine masks interrupts for code on a goroutine's stack that takes a lock of
// trap context. It touches the stack as far down as nosplit code may go (cmd/link: 800
// bytes): a page of it that came into being later would be a fault in the middle of what
// the lock guards, and page faults take mem's lock themselves.
//
//go:nosplit
func cliOnGoroutine() {
	ring0.Cli()
	var b byte
	here := uintptr(unsafe.Pointer(&b))
	ring0.CopyUser(here, here-1024, 1) // nothing may be there, at the lower end of the heap
}

// valid asks mem with interrupts masked, as its lock wants it.
//
//go:nosplit
func valid(addr, n uintptr, write bool) bool {
	cliOnGoroutine()
	ok := mem.Valid(addr, n, write)
	ring0.Sti()
	return ok
}

//go:nosplit
func threadTime() int64 {
	cliOnGoroutine()
	sched.Lock()
	ns := sched.ThreadTime()
	sched.Unlock()
	ring0.Sti()
	return ns
}

//go:nosplit
func setFDFlags(fd int, flags uint32) {
	cliOnGoroutine()
	sched.Lock()
	sched.SetFlags(uint64(fd), flags)
	sched.Unlock()
	ring0.Sti()
}

// seedRandom gives the generator the boot's entropy, and forgets it.
func seedRandom() {
	linux.SeedRandom(Seed[:])
	clear(Seed[:])
	linux.Reseed = func(b []byte) bool {
		if !ring0.HasRdrand() {
			return false
		}
		for i := range b {
			v, ok := hardRandom()
			if !ok {
				return false
			}
			b[i] ^= byte(v)
		}
		return true
	}
}

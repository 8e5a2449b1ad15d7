// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"time"

	"github.com/hvgo/hvgo/hv"
	"github.com/hvgo/hvgo/runtime/linux"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/ring0"
	"github.com/hvgo/hvgo/runtime/sched"
	"github.com/hvgo/hvgo/runtime/trap"
)

// plugTrapSide gives runtime/linux its way into trap context.
func plugTrapSide() {
	linux.OnStack = trap.OnGoroutineStack
	linux.StackHi = trap.GoroutineStackHi
	linux.Valid = valid
	linux.AllocFD = func(kind uint8, flags uint32, low int) int {
		return trap.Kernel(trap.KernelAllocFD, uintptr(kind), uintptr(flags), uintptr(low))
	}
	linux.FreeFD = func(fd int) { trap.Kernel(trap.KernelFreeFD, uintptr(fd), 0, 0) }
	linux.FDKind = func(fd int) (kind uint8, flags uint32, ok bool) {
		if kind = sched.Kind(uint64(fd)); kind == ring0.FDFree {
			return kind, 0, false
		}
		return kind, sched.Flags(uint64(fd)), true
	}
	linux.SetFDFlags = func(fd int, flags uint32) { sched.SetFlags(uint64(fd), flags) }
	linux.NotifyFD = func(fd int, ready uint32) { trap.Kernel(trap.KernelNotify, uintptr(fd), uintptr(ready), 0) }
	linux.LevelFD = func(fd int, ready uint32) { trap.Kernel(trap.KernelLevel, uintptr(fd), uintptr(ready), 0) }
	linux.Uptime = func() time.Duration { return time.Duration(hv.Now()) }
	linux.Memory = func() (total, free uint64) { return Machine.MemoryBytes, mem.Free() * mem.PageSize }
}

// valid asks mem with interrupts masked: another thread's mmap may not come
// in between.
//
//go:nosplit
func valid(addr, n uintptr, write bool) bool {
	ring0.Cli()
	ok := mem.Valid(addr, n, write)
	ring0.Sti()
	return ok
}

// seedRandom gives the generator the boot's entropy, and forgets it.
func seedRandom() {
	linux.SeedRandom(Machine.Seed[:])
	clear(Machine.Seed[:])
	linux.Reseed = func(b []byte) bool {
		_, _, ecx, _ := ring0.Cpuid(1, 0)
		if ecx&(1<<30) == 0 {
			return false
		}
		for i := range b {
			v, ok := tryRandom(ring0.Rdrand)
			if !ok {
				return false
			}
			b[i] ^= byte(v)
		}
		return true
	}
}

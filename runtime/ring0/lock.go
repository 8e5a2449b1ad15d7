// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ring0

import "sync/atomic"

// Lock keeps other processors out of data of trap context. The holder has
// interrupts off and does not wait for anything but other Locks, in the order
// that docs/HACKING.md gives. The zero value is not held.
type Lock struct{ held uint32 }

// What a waiting processor does, set at boot.
var (
	// SpinLimit is how often it looks until it says so to the hypervisor, which
	// may then let another one run.
	SpinLimit uint32 = 1<<32 - 1
	// LongSpin says so. It is nil where nobody wants to know.
	LongSpin func(spins uint32)
)

// ending says that all processors but one were stopped, wherever they were: no
// lock is waited for any more.
var ending uint32

// Lock takes the lock.
//
//go:nosplit
func (l *Lock) Lock() {
	if !atomic.CompareAndSwapUint32(&l.held, 0, 1) {
		l.wait()
	}
}

// Unlock gives it back.
//
//go:nosplit
func (l *Lock) Unlock() { atomic.StoreUint32(&l.held, 0) }

// wait looks until the lock is free. The holder may wait for this processor to
// drop translations, so it does that meanwhile.
//
//go:nosplit
func (l *Lock) wait() {
	for spins := uint32(1); ; spins++ {
		if atomic.LoadUint32(&l.held) == 0 && atomic.CompareAndSwapUint32(&l.held, 0, 1) {
			return
		}
		if atomic.LoadUint32(&ending) != 0 {
			return
		}
		Relax(spins)
	}
}

// Relax is one turn of a loop that waits for another processor.
//
//go:nosplit
func Relax(spins uint32) {
	Pause()
	This().ServeFlush()
	if limit := SpinLimit; limit != 0 && spins%limit == 0 && LongSpin != nil {
		LongSpin(spins)
	}
}

// Ending makes locks free for all: the caller is the only processor that runs.
//
//go:nosplit
func Ending() { atomic.StoreUint32(&ending, 1) }

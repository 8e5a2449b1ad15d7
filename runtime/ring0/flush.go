// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package ring0

import "sync/atomic"

// A processor keeps translations of pages that were changed or taken away until
// it is told to drop them (Intel SDM volume 3, 4.10.5). Who changes page tables
// writes down in [Flush] which, and asks all others: it marks them stale and
// interrupts them. One that waits for a lock looks by itself; one that is idle
// looks when it wakes, before it runs anything of the program's.

// FlushPages is how many pages are dropped one by one. Behind them the whole
// translation buffer is dropped: that is cheaper, most of all on a processor that
// is itself emulated, where large pages (the direct map) make every INVLPG a full
// flush.
const FlushPages = 32

// Flush is what to drop. It belongs to the holder of mem's lock.
var Flush struct {
	N     uint32 // pages; more than FlushPages stands for all
	Pages [FlushPages]uintptr
}

// Drop drops what Flush says.
//
//go:nosplit
func Drop() {
	if Flush.N > FlushPages {
		DropAll()
		return
	}
	for i := uint32(0); i < Flush.N; i++ {
		Invlpg(Flush.Pages[i%FlushPages])
	}
}

// DropAll drops all translations but global ones; the program has none of those.
func DropAll()

// ServeFlush drops what another processor asked for, and says so. An idle one is not
// waited for: what Flush says may be a later request's by now.
//
//go:nosplit
func (c *CPU) ServeFlush() {
	if request := atomic.LoadUint32(&c.Stale); request != 0 && atomic.LoadUint32(&c.Idle) == 0 {
		Drop()
		// Not of a later request: where the host drops, nobody has waited for us.
		atomic.CompareAndSwapUint32(&c.Stale, request, 0)
	}
}

// GoIdle takes the processor out of shoot-downs, and GoOn in again.
//
//go:nosplit
func (c *CPU) GoIdle() { atomic.SwapUint32(&c.Idle, 1) }

// GoOn is the end of GoIdle.
//
//go:nosplit
func (c *CPU) GoOn() {
	atomic.SwapUint32(&c.Idle, 0)
	// What Flush says now may be a later request already.
	if atomic.SwapUint32(&c.Stale, 0) != 0 {
		DropAll()
	}
}

// MarkStale asks the processor to drop what Flush says. It gives whether it has to
// be interrupted for it.
//
//go:nosplit
func (c *CPU) MarkStale() bool {
	c.requests += 2
	atomic.SwapUint32(&c.Stale, c.requests|1)
	return atomic.LoadUint32(&c.Idle) == 0
}

// IsStale tells whether the processor has not dropped it yet, and will soon.
//
//go:nosplit
func (c *CPU) IsStale() bool {
	return atomic.LoadUint32(&c.Stale) != 0 && atomic.LoadUint32(&c.Idle) == 0
}

// NotStale says that the host dropped for the processor what Flush says.
//
//go:nosplit
func (c *CPU) NotStale() { atomic.StoreUint32(&c.Stale, 0) }

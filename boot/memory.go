// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"math"
	"runtime/debug"

	"github.com/hvgo/hvgo/drivers/balloon"
	"github.com/hvgo/hvgo/internal/wire/dynmem"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/trap"
)

// memoryLimit makes the collector work harder before memory runs out. A limit
// of the program's own (GOMEMLIMIT, debug.SetMemoryLimit) stands.
type memoryLimit struct {
	free uint64 // pages that were free at boot
	set  int64  // bytes: the limit that we set; 0 for none
}

func (l *memoryLimit) start() {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		l.free = mem.Free()
		l.set = limitFor(l.free)
		debug.SetMemoryLimit(l.set)
	}
}

// resized follows the balloon: out pages of those at boot are with the host.
func (l *memoryLimit) resized(out uint64) {
	if l.set == 0 || debug.SetMemoryLimit(-1) != l.set {
		return
	}
	l.set = limitFor(l.free - min(out, l.free))
	debug.SetMemoryLimit(l.set)
}

// limitFor leaves a tenth to what the collector does not count: buffers of the
// drivers, page tables.
func limitFor(pages uint64) int64 { return int64(pages * mem.PageSize / 10 * 9) }

// frames is balloon.Memory on the frame allocator.
type frames struct{}

func (frames) Take(n uint32, keep uint64) dynmem.Range {
	r := trap.Kernel(trap.KernelBalloon, uintptr(n), uintptr(keep), 0)
	if r <= 0 {
		return dynmem.Range{}
	}
	return dynmem.Range{Start: uint64(r) >> mem.PageShift, Count: uint32(r & (mem.PageSize - 1))}
}

// Give hands pages back in pieces, since interrupts are off meanwhile.
func (frames) Give(r dynmem.Range) {
	for r.Count > 0 {
		n := min(r.Count, mem.BalloonPages)
		if errno := trap.Kernel(trap.KernelDeflate, uintptr(r.Start<<mem.PageShift), uintptr(n), 0); errno < 0 {
			say("memory: %d pages from %#x on do not go back: errno %d", n, r.Start, -errno)
		}
		r.Start += uint64(n)
		r.Count -= n
	}
}

func (frames) Stats() balloon.Stats { return balloon.Stats{Total: mem.Total(), Free: mem.Free()} }

// attachMemory opens the Dynamic Memory service. Negotiation and the rest go on
// behind it.
func (m *machine) attachMemory() {
	for _, o := range m.bus.Find(wire.InterfaceDynamicMemory) {
		b, err := balloon.Attach(m.bus, o, frames{}, balloon.Options{Log: m.log, Resized: m.limit.resized})
		if err != nil {
			say("dynamic memory: %v", err)
			continue
		}
		m.mu.Lock()
		m.balloon = b
		m.mu.Unlock()
		return // there is one
	}
}

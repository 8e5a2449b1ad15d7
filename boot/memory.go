// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"math"
	"os"
	"runtime/debug"
	"sync"

	"github.com/hvgo/hvgo/drivers/balloon"
	"github.com/hvgo/hvgo/internal/wire/dynmem"
	wire "github.com/hvgo/hvgo/internal/wire/vmbus"
	"github.com/hvgo/hvgo/runtime/linux"
	"github.com/hvgo/hvgo/runtime/mem"
	"github.com/hvgo/hvgo/runtime/trap"
)

// memoryLimit makes the collector work harder before memory runs out. A limit
// of the program's own (GOMEMLIMIT, "off" too, or debug.SetMemoryLimit) stands.
type memoryLimit struct {
	free uint64 // pages that were free at boot

	mu    sync.Mutex
	set   int64  // bytes: the limit that we set; 0 for none
	out   uint64 // pages that the host has
	files uint64 // pages of files in memory
}

func (l *memoryLimit) start() {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	l.free = mem.Free()
	l.set = limitFor(l.free, 0)
	debug.SetMemoryLimit(l.set)
	linux.FilesChanged = func(pages int64) { l.follow(func() { l.files = uint64(pages) }) }
}

// resized follows the balloon: out pages of those at boot are with the host.
func (l *memoryLimit) resized(out uint64) { l.follow(func() { l.out = out }) }

// follow sets the limit anew for what change has changed.
func (l *memoryLimit) follow(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	if l.set == 0 || debug.SetMemoryLimit(-1) != l.set {
		return
	}
	l.set = limitFor(l.free, l.out+l.files)
	debug.SetMemoryLimit(l.set)
}

// limitFor is the limit in bytes where gone of the pages that were free at boot are
// used by others. It leaves a tenth to what the collector does not count: buffers of
// the drivers, page tables. An eighth of all it leaves to the program in any case,
// since a collector that runs all the time helps nobody.
func limitFor(free, gone uint64) int64 {
	pages := max(free-min(gone, free), free/8)
	return int64(pages * mem.PageSize / 10 * 9)
}

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

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package storvsc

import (
	"fmt"
	"sync"

	"github.com/hvgo/hvgo/drivers/vmbus"
)

// directAlign is the alignment that callers' memory needs for a transfer
// without copying. Every host takes it; some want nothing less.
const directAlign = 512

// A bounce buffer is pages of ours that data is copied through.
const (
	bouncePages = 16
	bounceSize  = bouncePages * vmbus.PageSize
	bounceCount = 8 // at most; allocated when needed
)

// bouncePool shares the bounce buffers among a controller's requests.
type bouncePool struct {
	alloc func(n int) (*vmbus.Pages, error)
	dead  <-chan struct{}
	free  chan *vmbus.Pages

	mu      sync.Mutex
	made    int  // guarded by mu
	drained bool // guarded by mu: the controller is dead
	mayFree bool // guarded by mu
}

// get gives a buffer; without block nil if there is none now.
func (b *bouncePool) get(block bool) (*vmbus.Pages, error) {
	select {
	case p := <-b.free:
		return p, nil
	default:
	}
	p, err := b.make()
	if p != nil || !block {
		return p, nil
	}
	b.mu.Lock()
	none := b.made == 0 || b.drained
	b.mu.Unlock()
	if none {
		return nil, fmt.Errorf("storvsc: bounce pages: %w", err)
	}
	select {
	case p := <-b.free:
		return p, nil
	case <-b.dead:
		return nil, ErrDisconnected
	}
}

// make allocates one more buffer if that is allowed and possible.
func (b *bouncePool) make() (*vmbus.Pages, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drained {
		return nil, ErrDisconnected
	}
	if b.made == bounceCount {
		return nil, nil
	}
	p, err := b.alloc(bouncePages)
	if err != nil {
		return nil, err
	}
	if len(p.PFN) != bouncePages || len(p.Mem) != bounceSize {
		p.Free()
		return nil, fmt.Errorf("asked for %d pages, got %d of %d bytes", bouncePages, len(p.PFN), len(p.Mem))
	}
	b.made++
	return p, nil
}

// put gives a buffer back. The host does not use it any more, or the pool is
// dead.
func (b *bouncePool) put(p *vmbus.Pages) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.drained:
		b.free <- p // has room for all
	case b.mayFree:
		p.Free()
	}
}

// drain ends the pool. Without mayFree the host may still write to the pages,
// and they are not used again.
func (b *bouncePool) drain(mayFree bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drained, b.mayFree = true, mayFree
	for len(b.free) > 0 {
		if p := <-b.free; mayFree {
			p.Free()
		}
	}
}

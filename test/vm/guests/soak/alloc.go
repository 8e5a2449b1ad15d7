// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
)

// group is goroutines whose first error counts.
type group struct {
	wg  sync.WaitGroup
	mu  sync.Mutex
	err error
}

// start runs f on a goroutine.
func (g *group) start(f func() error) {
	g.wg.Go(func() {
		if err := f(); err != nil {
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.err == nil {
				g.err = err
			}
		}
	})
}

// wait waits for all of them.
func (g *group) wait() error {
	g.wg.Wait()
	return g.err
}

// node is part of a tree that the collector has to walk.
type node struct {
	left, right *node
	key         int64
	data        []byte
}

// allocate has six goroutines with trees, blocks and stacks; each is checked before
// it goes.
func allocate(_ context.Context, r *random) error {
	var g group
	for range 6 {
		r := r.child()
		g.start(func() error {
			if err := blocks(r); err != nil {
				return err
			}
			root := grow(r, 5)
			if err := root.check(); err != nil {
				return err
			}
			return deep(r.Int64(), 100+r.IntN(400))
		})
	}
	err := g.wait()
	switch r.IntN(16) {
	case 0:
		debug.FreeOSMemory()
	case 1, 2:
		runtime.GC()
	}
	return err
}

// blocks keeps the last few of many blocks, from bytes to 128 KiB.
func blocks(r *random) error {
	type block struct {
		b   []byte
		key int64
	}
	var live [16]block
	for i := range 24 {
		b := &live[i%len(live)]
		if err := verify("alloc", b.b, b.key); err != nil {
			return err
		}
		n, key := r.size(128<<10), r.Int64()
		fresh := make([]byte, n)
		for at, x := range fresh { // memory that was returned must come back empty
			if x != 0 {
				return fmt.Errorf("new memory of %d bytes holds %#x at %d", n, x, at)
			}
		}
		*b = block{filled(n, key), key}
	}
	return nil
}

func grow(r *random, depth int) *node {
	n := &node{key: r.Int64()}
	n.data = filled(r.size(2048), n.key)
	if depth > 0 {
		n.left, n.right = grow(r, depth-1), grow(r, depth-1)
	}
	return n
}

func (n *node) check() error {
	if n == nil {
		return nil
	}
	if err := verify("alloc", n.data, n.key); err != nil {
		return err
	}
	if err := n.left.check(); err != nil {
		return err
	}
	return n.right.check()
}

// deep makes the stack grow, and looks at each frame on the way back.
//
//go:noinline
func deep(key int64, depth int) error {
	var frame [16]int64
	for i := range frame {
		frame[i] = key ^ int64(i*depth)
	}
	if depth > 0 {
		if err := deep(key+1, depth-1); err != nil {
			return err
		}
	}
	for i := range frame {
		if frame[i] != key^int64(i*depth) {
			return fmt.Errorf("the stack's frame at depth %d holds %x at %d", depth, frame[i], i)
		}
	}
	return nil
}

// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmm

import (
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// consoleBuffer bounds the guest's output that waits for a slow reader; the
	// guest stands still while it is full.
	consoleBuffer = 64 << 10
	// flushTimeout bounds the wait for the reader when the VM has ended.
	flushTimeout = 5 * time.Second
)

// console carries guest output to a writer in a goroutine of its own, so that a
// writer that blocks holds the guest up but not the end of the VM. Bytes that come
// one by one reach the writer together.
type console struct {
	out io.Writer
	log *slog.Logger

	mu     sync.Mutex
	change *sync.Cond // any of the fields below has changed
	buf    []byte
	busy   bool // a Write of out is under way
	ended  bool // the VM has ended: nobody waits for room any more
	failed bool // out returned an error: output is dropped; logged once
}

// Console returns a writer in front of out that never keeps the VM from ending:
// it buffers, and Run hands the rest to out before it returns. Before Run.
func (m *VM) Console(out io.Writer) io.Writer {
	c := &console{out: out, log: m.Log}
	c.change = sync.NewCond(&c.mu)
	m.consoles = append(m.consoles, c)
	go c.pump()
	return c
}

// Write takes p over. It blocks while the buffer is full and the VM runs; what does
// not fit after its end is lost.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		for len(c.buf) == consoleBuffer && !c.ended && !c.failed {
			c.change.Wait()
		}
		if c.failed || len(c.buf) == consoleBuffer {
			return n, nil
		}
		k := min(len(p), consoleBuffer-len(c.buf))
		c.buf = append(c.buf, p[:k]...)
		p = p[k:]
		c.change.Broadcast()
	}
	return n, nil
}

// pump writes the buffer to out until the VM has ended and nothing is left.
func (c *console) pump() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for len(c.buf) == 0 && !c.ended {
			c.change.Wait()
		}
		if len(c.buf) == 0 {
			return
		}
		b := c.buf
		c.buf, c.busy = nil, true
		c.change.Broadcast()
		c.mu.Unlock()
		_, err := c.out.Write(b)
		c.mu.Lock()
		c.busy = false
		if err != nil && !c.failed {
			c.failed = true
			c.log.Warn("guest console: output is being lost", "error", err)
		}
		if c.failed {
			c.buf = nil
		}
		c.change.Broadcast()
	}
}

// end lets writers go; flush waits until all is written, for flushTimeout at most.
func (c *console) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.change.Broadcast()
}

func (c *console) flush() {
	expired := false
	timer := time.AfterFunc(flushTimeout, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		expired = true
		c.change.Broadcast()
	})
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for (len(c.buf) > 0 || c.busy) && !expired {
		c.change.Wait()
	}
	if len(c.buf) > 0 || c.busy {
		c.log.Warn("guest console: nobody reads it; the rest of the output is lost", "bytes", len(c.buf))
	}
}

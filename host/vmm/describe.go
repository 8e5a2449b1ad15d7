// Copyright 2026 The hvgo Authors
// SPDX-License-Identifier: Apache-2.0

package vmm

import (
	"fmt"
	"strings"
	"time"
)

// Describe tells what each processor is doing, as text for reports on a guest that does
// not go on. It takes them out of the guest for a moment. Not to be called by a
// processor's own thread.
func (m *VM) Describe() string {
	var b strings.Builder
	for _, c := range m.vcpus {
		text := "no answer"
		q := &question{func() { state, _ := c.MPState(); text = fmt.Sprintf("state %d\n%s", state, c.Describe()) }, make(chan struct{})}
		if m.put(c, q) {
			fmt.Fprintf(&b, "virtual processor %d: %s\n", c.Index, text)
		}
	}
	return b.String()
}

// put gives a question to a processor and waits for the answer, or the VM's end.
func (m *VM) put(c *VCPU, q *question) bool {
	again := time.NewTicker(kickInterval)
	defer again.Stop()
	send := c.asked
	for {
		select {
		case send <- q:
			send = nil
			c.interrupt()
		case <-again.C:
			if send == nil {
				c.interrupt()
			}
		case <-q.done:
			return true
		case <-m.ended:
			return false
		}
	}
}
